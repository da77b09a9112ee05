"""Parity with `transformers` on random models, both ways: logits and gradients within 1e-5."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from transformers import CLIPModel, SiglipModel

from tests.nn import made
from trivium.errors import UsageError
from trivium.nn.layout import load_two_towers, read_shape, save_two_towers, to_config
from trivium.nn.two_towers import LOSSES, TwoTowers

MODELS = {
    "clip, quick_gelu": lambda: made.clip(),
    "clip, gelu": lambda: made.clip("gelu"),
    "clip, end of text 2 as published": lambda: made.clip(end=2),
    "siglip": lambda: made.siglip(),
    "siglip, gelu": lambda: made.siglip("gelu"),
}


@pytest.fixture(params=MODELS)
def theirs(request: pytest.FixtureRequest) -> Any:
    return MODELS[request.param]()


@pytest.fixture
def ours(theirs: Any, tmp_path: Path) -> TwoTowers:
    theirs.save_pretrained(tmp_path)
    return load_two_towers(tmp_path)


def test_logits_and_vectors_are_those_of_transformers(theirs: Any, ours: TwoTowers) -> None:
    pixels, ids = made.inputs()
    with torch.no_grad():
        expected = theirs(input_ids=ids, pixel_values=pixels)
        found = ours(pixels, ids)
    torch.testing.assert_close(found.logits, expected.logits_per_image, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.image, expected.image_embeds, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.text, expected.text_embeds, atol=1e-5, rtol=0)


def test_different_texts_and_pictures_differ(ours: TwoTowers) -> None:
    """A pooling at the wrong token would give every text one vector."""
    pixels, ids = made.inputs()
    with torch.no_grad():
        logits = ours(pixels, ids).logits
    assert (logits[:, :1] - logits[:, 1:]).abs().min() > 1e-3
    assert (logits[:1] - logits[1:]).abs().min() > 1e-3


def test_loss_and_gradients_are_those_of_transformers(theirs: Any, ours: TwoTowers) -> None:
    pixels, ids = made.inputs()
    expected = theirs(input_ids=ids[:3], pixel_values=pixels, return_loss=True).loss
    expected.backward()
    loss = LOSSES[ours.shape.kind](ours(pixels, ids[:3]).logits)
    loss.backward()
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
    text, image = theirs.text_model, theirs.vision_model
    pairs = [
        (ours.text.tokens.weight, text.embeddings.token_embedding.weight),
        (ours.text.positions, text.embeddings.position_embedding.weight),
        (ours.image.positions, image.embeddings.position_embedding.weight),
        (ours.image.patches.weight, image.embeddings.patch_embedding.weight),
        (ours.log_scale, theirs.logit_scale.reshape(())),
    ]
    for mine, other in pairs[:-1]:
        torch.testing.assert_close(mine.grad, other.grad, atol=1e-5, rtol=1e-4)
    scale = theirs.logit_scale.grad.reshape(())
    torch.testing.assert_close(ours.log_scale.grad, scale, atol=1e-5, rtol=1e-4)


def test_saved_models_are_read_by_transformers(
    theirs: Any, ours: TwoTowers, tmp_path: Path
) -> None:
    pixels, ids = made.inputs()
    folder = tmp_path / "ours"
    save_two_towers(ours, folder)
    kind = CLIPModel if ours.shape.kind == "clip" else SiglipModel
    again, report = cast(Any, kind).from_pretrained(folder, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    with torch.no_grad():
        expected = theirs(input_ids=ids, pixel_values=pixels).logits_per_image
        found = again.eval()(input_ids=ids, pixel_values=pixels).logits_per_image
    torch.testing.assert_close(found, expected, atol=0, rtol=0)
    assert read_shape(folder) == ours.shape
    assert to_config(read_shape(folder)) == json.loads((folder / "config.json").read_text())


def test_what_a_published_configuration_leaves_out_is_of_the_first_model(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "clip", "projection_dim": 512}')
    shape = read_shape(tmp_path)
    assert (shape.image.patch, shape.image.stack.width, shape.image.stack.layers) == (32, 768, 12)
    assert (shape.text.length, shape.text.vocabulary, shape.text.stack.heads) == (77, 49408, 8)


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (None, "is no model folder: it has no config.json"),
        ("{", "is not JSON"),
        ('{"model_type": "bert"}', 'describes "bert"; clip and siglip are known'),
        (
            '{"model_type": "clip", "text_config": {"hidden_act": "mish"}}',
            'the activation "mish" is not known',
        ),
        ('{"model_type": "clip"}', "weights in pickled files"),
    ],
)
def test_folders_that_hold_no_model(tmp_path: Path, config: str | None, sentence: str) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickled")
    with pytest.raises(UsageError, match=sentence):
        load_two_towers(tmp_path)


def test_weights_that_are_damaged_or_of_another_shape(tmp_path: Path) -> None:
    made.clip().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["text_config"]["vocab_size"] = 100
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match=r"does not fit its own config\.json"):
        load_two_towers(tmp_path)
    config["text_config"]["num_hidden_layers"] = 3
    (tmp_path / "config.json").write_text(json.dumps(config | {"projection_dim": 16}))
    with pytest.raises(UsageError, match=r"no weights called|does not fit"):
        load_two_towers(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UsageError, match="is damaged"):
        load_two_towers(tmp_path)


def test_weights_in_parts_are_joined(tmp_path: Path) -> None:
    theirs = made.clip()
    theirs.save_pretrained(tmp_path, max_shard_size="20KB")
    assert not (tmp_path / "model.safetensors").exists()
    pixels, ids = made.inputs()
    with torch.no_grad():
        expected = theirs(input_ids=ids, pixel_values=pixels).logits_per_image
        found = load_two_towers(tmp_path)(pixels, ids).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
