import numpy as np
import pytest
from PIL import Image, ImageEnhance

from trivium.images.align import NEAR, verify
from trivium.images.hashes import FORMS, WINDOWS, fingerprint, forms, suspicions, turn

TURNS = {
    # (transposed, upside down, mirrored) in FORMS -> what Pillow calls it
    0: None,
    1: Image.Transpose.FLIP_LEFT_RIGHT,
    2: Image.Transpose.FLIP_TOP_BOTTOM,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.TRANSPOSE,
    5: Image.Transpose.ROTATE_270,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
}


def scene(seed: int, size: tuple[int, int] = (256, 256)) -> Image.Image:
    """Blots of colour with smaller ones on them, as strong as in photographs; never two alike."""
    draw = np.random.default_rng(seed)
    total = np.full((*size[::-1], 3), 128.0)
    for count, strength in ((4, 60), (8, 30), (16, 15), (32, 8)):
        values = draw.normal(128, 30, (count, count, 3)).clip(0, 255).astype(np.uint8)
        layer = Image.fromarray(values).resize(size, Image.Resampling.BICUBIC)
        total += (np.asarray(layer, float) - 128) * strength / 30
    return Image.fromarray(total.clip(0, 255).astype(np.uint8))


def found(one: Image.Image, other: Image.Image) -> float:
    """The best correlation of two pictures; 0 when the hashes do not suspect them."""
    prints = np.concatenate([fingerprint(one), fingerprint(other)])
    blocks = list(suspicions(prints))
    return max((float(verify(prints, block).max()) for block in blocks), default=0.0)


@pytest.mark.parametrize("form", range(8))
def test_the_forms_of_a_hash_are_the_hashes_of_the_turned_pictures(form: int) -> None:
    image = scene(1)
    how = TURNS[form]
    turned = image if how is None else image.transpose(how)
    mine, theirs = fingerprint(image), fingerprint(turned)
    # Pillow rounds between its two passes, so that a transposed picture differs by a grey value
    differ = int(theirs["keys"][0, 0] ^ forms(mine["keys"][:, 0])[0, form]).bit_count()
    assert differ == 0 if form < 4 else differ <= 2
    mine_turned = turn(mine["grey"], form).astype(float)
    np.testing.assert_allclose(mine_turned, theirs["grey"].astype(float), atol=2)


def test_a_hash_is_the_signs_of_a_cosine_transform() -> None:
    # brightness falls from left to right: of all low frequencies only (0, 1), (0, 3), … are there
    ramp = np.tile(np.linspace(255, 0, 256).astype(np.uint8), (256, 1))
    key = int(fingerprint(Image.fromarray(ramp).convert("RGB"))["keys"][0, 0])
    bits = np.unpackbits(np.array([key], "<u8").view(np.uint8))
    assert bits[1] == 1 and bits[0] == 0


@pytest.mark.parametrize("seed", range(6))
def test_copies_are_found_whatever_was_done_to_them(seed: int) -> None:
    image = scene(seed, (300, 240))
    x, y = seed % 3 * 15, seed % 2 * 24
    copies = [
        image.resize((150, 120)),
        image.resize((300, 300)),  # squashed
        image.crop((x, y, x + 270, y + 216)),  # a tenth of each side is gone
        image.transpose(Image.Transpose.ROTATE_90),
        image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).crop((0, 0, 285, 228)),
        ImageEnhance.Brightness(image).enhance(0.6),
        ImageEnhance.Contrast(image).enhance(0.5),
    ]
    for copy in copies:
        assert found(image, copy) >= NEAR


def test_other_pictures_are_not() -> None:
    scenes = np.concatenate([fingerprint(scene(seed)) for seed in range(60)])
    for block in suspicions(scenes):
        assert (verify(scenes, block) < NEAR).all()


def test_the_same_in_other_colours_is_not_near() -> None:
    grey = np.asarray(scene(3).convert("L"))
    red, green = np.zeros((2, 256, 256, 3), np.uint8)
    red[..., 0], green[..., 1] = grey, (grey * 0.5).astype(np.uint8)
    assert found(Image.fromarray(red), Image.fromarray(green)) == 0
    assert found(Image.fromarray(red), Image.fromarray(red)) > 0.99


def test_flat_pictures_have_nothing_to_be_compared_by() -> None:
    flat = [Image.new("RGB", (64, 64), (shade, shade, shade)) for shade in (0, 120, 255)]
    prints = np.concatenate([fingerprint(one) for one in flat])
    assert list(suspicions(prints)) == []
    assert list(suspicions(prints[:0])) == []


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (2, 3)])
def test_the_smallest_pictures_have_prints(size: tuple[int, int]) -> None:
    assert fingerprint(Image.new("RGB", size)).shape == (1,)


def test_a_print_survives_its_bytes() -> None:
    mine = fingerprint(scene(4))
    again = np.frombuffer(mine.tobytes(), mine.dtype)
    assert again == mine and len(mine.tobytes()) == 8 * len(WINDOWS) + 32 * 32 + 32
    assert len(FORMS) == 8
