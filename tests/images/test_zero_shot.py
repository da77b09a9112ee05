"""Labels as ensembles of captions: values by hand, colours that a small model knows."""

import os
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from tests.images import towers
from trivium.errors import UsageError
from trivium.images.base import Vectors
from trivium.images.classify import class_of, classify
from trivium.images.encoder import load_encoder
from trivium.images.look import look, pictures_at
from trivium.images.zero_shot import ZeroShot, by_prompt, by_templates, zero_shot

COLOURS = ("blue", "green", "red")


class Fixed:
    """An encoder whose texts have vectors that are known."""

    name, fingerprint, width, side, scale = "fixed", "f", 2, 8, 2.0
    bias: float | None = None
    known: ClassVar = {
        "a cat": (1.0, 0.0),
        "cat!": (0.0, 1.0),
        "a dog": (0.6, 0.8),
        "dog!": (0.6, 0.8),
    }

    def texts(self, texts: object) -> Vectors:
        return np.array([self.known[text] for text in texts], np.float32)  # type: ignore[attr-defined]

    def images(self, pictures: object) -> Vectors:
        raise NotImplementedError


def test_an_ensemble_is_the_normalised_mean_and_logits_are_scaled_cosines() -> None:
    found = zero_shot(Fixed(), ["cat", "dog"], by_templates(["a {}", "{}!"]))
    root = np.sqrt(0.5)
    np.testing.assert_allclose(found.vectors, [[root, root], [0.6, 0.8]], atol=1e-6)
    picture = np.array([[0.0, 1.0]], np.float32)
    np.testing.assert_allclose(found.logits(picture), [[2 * root, 1.6]], atol=1e-6)
    shares = np.exp([2 * root, 1.6]) / np.exp([2 * root, 1.6]).sum()
    np.testing.assert_allclose(found.probabilities(picture), [shares], atol=1e-6)


def test_siglip_takes_the_sigmoid_of_each_label_by_itself() -> None:
    found = ZeroShot(("a", "b"), np.eye(2, dtype=np.float32), 10.0, -4.0)
    shares = found.probabilities(np.array([[0.6, 0.8]], np.float32))
    np.testing.assert_allclose(shares, [[1 / (1 + np.exp(-2)), 1 / (1 + np.exp(-4))]], atol=1e-6)
    assert ZeroShot(("a", "b"), np.eye(2, dtype=np.float32), 1e4, 0.0).probabilities(
        np.array([[-1.0, 0.0]], np.float32)
    ).tolist() == [[0.0, 0.5]]


def test_captions_come_from_templates_or_from_a_prompt(tmp_path: Path) -> None:
    assert by_templates(["a {} on a {}"])("cat") == ["a cat on a cat"]
    lines = by_prompt()("polar bear")
    assert len(lines) == 8
    assert all("polar bear" in line for line in lines)
    own = tmp_path / "own.yaml"
    own.write_text(
        "name: own\ndescription: Mine.\nversion: 1\nvariables:\n  label: {}\n"
        "user: |\n  see {{ label }}\n\n  {{ label }} again\n"
    )
    assert by_prompt(str(own))("cat") == ["see cat", "cat again"]
    with pytest.raises(UsageError, match=r'"a cat" has no \{\}'):
        by_templates(["a cat"])
    with pytest.raises(UsageError, match='no variable "label"'):
        by_prompt("keywords")


def test_labels_that_cannot_be_meant() -> None:
    with pytest.raises(UsageError, match="two labels"):
        zero_shot(Fixed(), ["cat"], by_templates(["a {}"]))
    with pytest.raises(UsageError, match='"cat" is there twice'):
        zero_shot(Fixed(), ["cat", "dog", "cat"], by_templates(["a {}"]))


@pytest.mark.parametrize("form", ["onnx", "torch", "int8"])
def test_a_model_that_knows_colours_sorts_them(form: str) -> None:
    run, data = towers.colours()
    encoder = load_encoder(str(run), form=form)  # type: ignore[arg-type]
    names = [str(path) for path in pictures_at([data])]
    found = list(classify(encoder, zero_shot(encoder, COLOURS, by_prompt()), names))
    right = [COLOURS[one.best] == class_of(one.name) for one in found]
    assert len(right) == 36
    assert np.mean(right) > 0.9
    assert sum(found[0].probabilities) == pytest.approx(1)


def test_a_file_that_is_no_picture_is_refused_and_the_others_are_seen(tmp_path: Path) -> None:
    run, data = towers.colours()
    names = [str(path) for path in pictures_at([data])[:70]]
    bad = [tmp_path / "empty.png", tmp_path / "text.jpg", tmp_path / "gone.png"]
    bad[0].touch()
    bad[1].write_text("no picture")
    encoder = load_encoder(str(run))
    seen = list(look(encoder, [names[0], *map(str, bad), names[1]]))
    assert [one.vector is None for one in seen] == [False, True, True, True, False]
    assert [(one.refused or "").partition(":")[0] for one in seen[1:4]] == [
        "empty", "unreadable", "unreadable",
    ]  # fmt: skip
    np.testing.assert_array_equal(next(look(encoder, [names[1]])).vector, seen[4].vector)
    with pytest.raises(UsageError, match="no picture at"):
        pictures_at([run / "model"])


def test_more_than_a_batch_keeps_its_order(tmp_path: Path) -> None:
    run, data = towers.colours()
    names = [str(path) for path in pictures_at([data])] * 4
    encoder = load_encoder(str(run))
    seen = list(look(encoder, names))
    assert [one.name for one in seen] == names
    np.testing.assert_array_equal(seen[0].vector, seen[36].vector)
    np.testing.assert_array_equal(seen[35].vector, seen[143].vector)


# -- known answers, where published weights are present ---------------------------------------


def _published() -> str:
    from trivium.models.store import pulled

    found = os.environ.get("TRIVIUM_CLIP") or (pulled("clip-vit-b32") and "clip-vit-b32")
    if not found:
        pytest.skip(
            "OpenAI's ViT-B/32 is not here: set TRIVIUM_CLIP to its folder, or pull clip-vit-b32"
        )
    return str(found)


def test_two_cats_have_the_published_logits() -> None:
    """24.5701 and 19.3049: transformers' own test of CLIPModel, on COCO 000000039769."""
    name = _published()
    picture = os.environ.get("TRIVIUM_TWO_CATS")
    if not picture:
        pytest.skip("the picture of two cats is not here: set TRIVIUM_TWO_CATS to COCO 39769's")
    encoder = load_encoder(name, form="onnx")
    (seen,) = look(encoder, [picture])
    assert seen.vector is not None
    labels = zero_shot(encoder, ["cat", "dog"], by_templates(["a photo of a {}"]))
    np.testing.assert_allclose(labels.logits(seen.vector[None])[0], [24.5701, 19.3049], atol=1e-2)


def test_cifar_10_has_the_published_accuracy() -> None:
    """0.898, as LAION's CLIP benchmark has it with the authors' prompts; ours are others."""
    name = _published()
    folder = os.environ.get("TRIVIUM_CIFAR10")
    if not folder:
        pytest.skip("CIFAR-10's test pictures are not here: set TRIVIUM_CIFAR10 to class folders")
    encoder = load_encoder(name)
    names = [str(path) for path in pictures_at([folder])]
    labels = sorted({class_of(one) for one in names})
    found = classify(encoder, zero_shot(encoder, labels, by_prompt()), names)
    right = [labels[one.best] == class_of(one.name) for one in found]
    assert np.mean(right) == pytest.approx(0.898, abs=0.02)
