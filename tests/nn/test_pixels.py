"""Pictures of every mode against the Pillow processors of `transformers`."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from trivium.errors import UsageError
from trivium.nn.pixels import Pixels, load_pixels, save_pixels

SIZES = [(97, 61), (61, 97), (64, 64), (20, 33), (300, 7)]


def _picture(mode: str, size: tuple[int, int]) -> Image.Image:
    rng = np.random.default_rng(0)
    across = np.linspace(0, 255, size[0])[None, :, None]
    noise = rng.integers(0, 60, (size[1], size[0], 4))
    colours = np.clip(across * [1, 0.6, 0.3, 0.8] + noise, 0, 255).astype(np.uint8)
    rgba = Image.fromarray(colours)
    if mode == "I;16":
        grey = np.asarray(rgba.convert("L"), dtype=np.uint16)
        return Image.fromarray(grey * 257)
    if mode == "P with transparency":
        palette = rgba.convert("RGB").convert("P")
        palette.info["transparency"] = 3
        return palette
    return rgba if mode == "RGBA" else rgba.convert("RGB").convert(mode)


MODES = ["RGB", "L", "LA", "P", "P with transparency", "RGBA", "CMYK", "1", "I;16", "F", "YCbCr"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_every_mode_is_at_most_1_of_255_apart(
    mode: str, size: tuple[int, int], kind: str, tmp_path: Path
) -> None:
    side = {"height": 32, "width": 32}
    theirs: Any
    if kind == "clip":
        theirs = CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=side)
    else:
        theirs = SiglipImageProcessorPil(size=side)
    theirs.save_pretrained(tmp_path)
    ours = load_pixels(tmp_path)
    image = _picture(mode, size)
    expected = theirs(images=image, return_tensors="np")["pixel_values"][0]
    found = ours.prepare(image)
    assert found.shape == (3, 32, 32) and found.dtype == np.float32
    apart = np.abs(found - expected) * np.array(ours.std)[:, None, None] * 255
    assert apart.max() <= 1


def test_what_is_transparent_is_white() -> None:
    clear = Image.new("RGBA", (4, 4), (10, 20, 30, 0))
    found = Pixels(4, mean=(0, 0, 0), std=(1, 1, 1)).prepare(clear)
    assert found.tolist() == np.ones((3, 4, 4)).tolist()


def test_the_crop_is_in_the_middle() -> None:
    """A picture of 4 x 2 in columns of 10, 20, 30, 40 keeps the two in the middle."""
    columns = np.repeat(np.array([[10, 20, 30, 40]], dtype=np.uint8), 2, axis=0)
    found = Pixels(2, mean=(0, 0, 0), std=(1 / 255,) * 3).prepare(Image.fromarray(columns))
    assert np.rint(found[0]).tolist() == [[20, 30], [20, 30]]


@pytest.mark.parametrize(("kind", "crop"), [("clip", True), ("siglip", False)])
def test_what_is_written_is_read_again(kind: str, crop: bool, tmp_path: Path) -> None:
    pixels = Pixels(48, crop, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    save_pixels(pixels, tmp_path, kind)
    assert load_pixels(tmp_path) == pixels
    theirs = CLIPImageProcessorPil if kind == "clip" else SiglipImageProcessorPil
    again: Any = theirs.from_pretrained(tmp_path)
    image = _picture("RGB", (90, 70))
    expected = again(images=image, return_tensors="np")["pixel_values"][0]
    np.testing.assert_allclose(pixels.prepare(image), expected, atol=1e-5)


def test_the_old_form_of_openai() -> None:
    """The file of openai/clip-vit-base-patch32 has plain numbers and no `do_rescale`."""
    from trivium.nn.pixels import from_config

    config = {
        "crop_size": 224, "do_center_crop": True, "do_normalize": True, "do_resize": True,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711], "resample": 3, "size": 224,
    }  # fmt: skip
    assert from_config(config) == Pixels(224)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"do_normalize": False}, "not resized, rescaled and normalised"),
        ({"rescale_factor": 1.0}, "a rescale factor of 1.0"),
        ({"size": {"height": 10, "width": 20}, "do_center_crop": False}, "20 x 10, which is no"),
        ({"size": {"shortest_edge": 256}}, "resized to 256 and cropped to 32"),
        ({"image_mean": [0.5]}, "1 channels, not 3"),
        ({"size": None}, "cannot be meant"),
    ],
)
def test_what_cannot_be_meant(change: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    save_pixels(Pixels(32), tmp_path, "clip")
    file = tmp_path / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(UsageError, match=sentence):
        load_pixels(tmp_path)


def test_a_folder_without_the_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no preprocessor_config"):
        load_pixels(tmp_path)
