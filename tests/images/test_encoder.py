"""The encoder's forms against each other and against `transformers`, and what it refuses."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.images import towers
from tests.nn import made
from trivium.errors import UsageError
from trivium.images.base import Vectors
from trivium.images.encoder import Form, TwoTowerEncoder, load_encoder
from trivium.nn.pixels import load_pixels

TEXTS = ["a dog", "a dog on the beach", "cat", "", "a text that is far too long for this tower"]
MODELS: dict[str, tuple[str, Callable[[], Any]]] = {
    "clip": ("clip", made.clip),
    "clip, gelu": ("clip", lambda: made.clip("gelu")),
    "clip, end of text 2 as published": ("clip", lambda: made.clip(end=2)),
    "siglip": ("siglip", made.siglip),
}


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    kind, make = MODELS[request.param]
    return towers.saved(tmp_path, kind, make())


def _theirs(model: Any, folder: Path) -> tuple[Vectors, Vectors, float]:
    pixels = load_pixels(folder)
    values = np.stack([pixels.prepare(picture) for picture in towers.pictures()])
    ids = torch.from_numpy(towers.words().encode(TEXTS))
    with torch.no_grad():
        said = model(input_ids=ids, pixel_values=torch.from_numpy(values))
    return said.image_embeds.numpy(), said.text_embeds.numpy(), float(said.logits_per_image[1, 2])


def _cosine(one: Vectors, other: Vectors) -> float:
    """The least over the rows."""
    return float((one * other).sum(axis=1).min())


@pytest.mark.parametrize(("form", "least"), [("torch", 0.99999), ("onnx", 0.99999), ("int8", 0.99)])
def test_every_form_gives_the_vectors_of_transformers(
    model: Any, tmp_path: Path, form: Any, least: float
) -> None:
    images, texts, logit = _theirs(model, tmp_path)
    encoder = load_encoder(str(tmp_path), form=form)
    found = encoder.images(towers.pictures()), encoder.texts(TEXTS)
    assert found[0].shape == (4, encoder.width)
    assert found[1].shape == (5, encoder.width)
    assert _cosine(found[0], images) > least
    assert _cosine(found[1], texts) > least
    np.testing.assert_allclose(np.linalg.norm(found[0], axis=1), 1, atol=1e-6)
    ours = encoder.scale * found[0][1] @ found[1][2] + (encoder.bias or 0)
    assert ours == pytest.approx(logit, abs=1e-4 if form != "int8" else encoder.scale * 0.1)


def test_different_texts_and_pictures_differ(model: Any, tmp_path: Path) -> None:
    """A pooling at the wrong token would give every text one vector."""
    encoder = load_encoder(str(tmp_path), form="onnx")
    one, other = encoder.texts(["a dog", "a cat"])
    assert one @ other < 0.999
    first, second = encoder.images(towers.pictures(2))
    assert first @ second < 0.999


def test_a_vector_does_not_depend_on_its_neighbours(tmp_path: Path) -> None:
    towers.saved(tmp_path, "clip")
    encoder = load_encoder(str(tmp_path), form="int8")
    together = encoder.texts(TEXTS)
    assert np.array_equal(encoder.texts(TEXTS[1:2])[0], together[1])
    alone = encoder.images(towers.pictures()[3:])
    assert np.array_equal(encoder.images(towers.pictures())[3], alone[0])
    assert encoder.texts([]).shape == (0, 16)
    assert encoder.images([]).shape == (0, 16)


def test_graphs_are_made_once_beside_the_weights(tmp_path: Path) -> None:
    towers.saved(tmp_path, "clip")
    load_encoder(str(tmp_path), form="onnx").texts(["a dog"])
    load_encoder(str(tmp_path), form="int8").images(towers.pictures(1))
    files = sorted((tmp_path / "onnx").iterdir())
    assert [file.name.split("-")[:2] for file in files] == [["images", "int8"], ["texts", "float"]]
    before = files[1].stat().st_mtime_ns
    load_encoder(str(tmp_path), form="onnx").texts(["a dog"])
    assert files[1].stat().st_mtime_ns == before


def test_graphs_go_to_the_home_where_the_folder_takes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    towers.saved(tmp_path / "model", "clip")
    (tmp_path / "model" / "onnx").write_text("a file where the folder would be")
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    load_encoder(str(tmp_path / "model"), form="onnx").texts(["a dog"])
    assert len(list((tmp_path / "home" / "cache").glob("texts-float-*.onnx"))) == 1


def test_the_fingerprint_is_of_weights_and_of_int8(tmp_path: Path) -> None:
    towers.saved(tmp_path, "clip")
    forms: tuple[Form, ...] = ("auto", "torch", "onnx", "int8")
    marks = {form: load_encoder(str(tmp_path), form=form).fingerprint for form in forms}
    assert marks["auto"] == marks["torch"] == marks["onnx"]
    assert marks["int8"] == marks["auto"] + "-int8"
    weights = load_file(tmp_path / "model.safetensors")
    weights["logit_scale"] += 1
    save_file(weights, tmp_path / "model.safetensors")
    assert load_encoder(str(tmp_path)).fingerprint != marks["auto"]


def test_bfloat16_weights_are_read_without_torch(tmp_path: Path) -> None:
    towers.saved(tmp_path, "clip")
    weights = load_file(tmp_path / "model.safetensors")
    halves = {name: value.bfloat16() for name, value in weights.items()}
    before = load_encoder(str(tmp_path), form="onnx").texts(TEXTS)
    save_file(halves, tmp_path / "model.safetensors")
    assert _cosine(load_encoder(str(tmp_path), form="onnx").texts(TEXTS), before) > 0.999


def test_a_run_of_training_is_a_model(tmp_path: Path) -> None:
    towers.saved(tmp_path / "run" / "model", "clip")
    assert load_encoder(str(tmp_path / "run")).width == 16


def test_a_query_of_words_imports_no_torch(tmp_path: Path) -> None:
    towers.saved(tmp_path, "clip")
    code = (
        "import sys\n"
        "from trivium.images.encoder import load_encoder\n"
        "encoder = load_encoder(sys.argv[1])\n"
        "assert encoder.texts(['a dog']).shape == (1, 16)\n"
        "heavy = {'torch', 'transformers', 'sklearn', 'scipy', 'faiss'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        env=os.environ | {"TRIVIUM_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("end", [97, 2])
def test_an_end_token_that_the_tokenizer_does_not_write_is_refused(
    tmp_path: Path, end: int
) -> None:
    """2 is allowed only where the tokenizer's own end has the highest id."""
    towers.saved(tmp_path, "clip", made.clip(end=end))
    if end == 2:
        file = tmp_path / "tokenizer.json"
        said = json.loads(file.read_text())
        said["model"]["vocab"]["zz"] = 99
        file.write_text(json.dumps(said))
    with pytest.raises(UsageError, match=rf"token {end} \(eos_token_id\).*with 98"):
        load_encoder(str(tmp_path), form="onnx").texts(["a dog"])


def test_folders_that_do_not_fit_themselves_are_refused(tmp_path: Path) -> None:
    towers.saved(tmp_path, "clip")
    file = tmp_path / "preprocessor_config.json"
    file.write_text(file.read_text().replace(str(made.SIZE), "32"))
    with pytest.raises(UsageError, match="reads pictures of 24 pixels and prepares 32"):
        load_encoder(str(tmp_path))
    with pytest.raises(UsageError, match=r"it has no config\.json"):
        TwoTowerEncoder(tmp_path / "none")


def test_missing_weights_are_named(tmp_path: Path) -> None:
    towers.saved(tmp_path, "clip")
    weights = load_file(tmp_path / "model.safetensors")
    del weights["text_projection.weight"]
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(UsageError, match=r"no weights called text_projection\.weight"):
        load_encoder(str(tmp_path), form="onnx").texts(["a dog"])
    del weights["text_model.embeddings.token_embedding.weight"]
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(UsageError, match=r"no weights called .*token_embedding\.weight"):
        load_encoder(str(tmp_path), form="onnx").texts(["a dog"])
