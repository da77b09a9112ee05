"""Every format upright and whole, or one of five reasons."""

import struct
import sys
import zlib
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tests.images.made import encoded, picture
from trivium.images.decode import Refused, decode, decoders, fits, is_picture

IMAGE = picture("red", (90, 60))
OTHER = picture("blue", (90, 60))


def heif(image: Image.Image) -> bytes:
    from pillow_heif import register_heif_opener

    register_heif_opener()
    return encoded(image, "HEIF", quality=-1, chroma=444)


FILES = {
    "a.jpg": encoded(IMAGE, "JPEG"),
    "progressive.jpeg": encoded(IMAGE, "JPEG", progressive=True),
    "a.png": encoded(IMAGE),
    "a.webp": encoded(IMAGE, "WEBP"),
    "moving.webp": encoded(IMAGE, "WEBP", save_all=True, append_images=[OTHER, IMAGE]),
    "a.gif": encoded(IMAGE, "GIF"),
    "moving.gif": encoded(IMAGE, "GIF", save_all=True, append_images=[OTHER]),
    "a.tif": encoded(IMAGE, "TIFF"),
    "lzw.tiff": encoded(IMAGE, "TIFF", compression="tiff_lzw"),
    "a.bmp": encoded(IMAGE, "BMP"),
    "a.avif": encoded(IMAGE, "AVIF"),
    "a.heic": heif(IMAGE),
}


def refused(data: bytes, name: str) -> Refused:
    with pytest.raises(Refused) as caught:
        decode(data, name)
    return caught.value


@pytest.mark.parametrize("name", FILES)
def test_every_format_is_decoded(name: str) -> None:
    found = decode(FILES[name], name)
    assert found.image.mode == "RGB"
    assert (found.width, found.height) == found.image.size == (90, 60)
    mean = np.asarray(found.image).reshape(-1, 3).mean(axis=0)
    assert mean == pytest.approx(np.asarray(IMAGE).reshape(-1, 3).mean(axis=0), abs=6)
    assert found.frames == {"moving.webp": 3, "moving.gif": 2}.get(name, 1)
    assert fits_itself(name, found.format)


def fits_itself(name: str, kind: str) -> bool:
    from pathlib import Path

    return is_picture(Path(name)) and fits(Path(name), kind)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_ends_early_is_refused(name: str) -> None:
    data = FILES[name]
    whole = decode(data, name).pixels
    for cut in {*range(1, len(data), max(1, len(data) // 25)), len(data) - 9}:
        try:
            assert decode(data[:cut], name).pixels == whole  # the container's padding, say
        except Refused as error:
            assert error.reason in ("truncated", "unreadable")


@pytest.mark.parametrize("name", ["a.jpg", "progressive.jpeg", "a.png", "a.gif", "moving.gif"])
def test_a_file_whose_end_was_never_written_is_refused(name: str) -> None:
    data = FILES[name]
    for cut in range(len(data) // 3, len(data) - 40, len(data) // 20):
        try:
            assert decode(data[:cut] + bytes(len(data) - cut), name).frames > 1
        except Refused as error:
            assert error.reason in ("truncated", "unreadable")


@pytest.mark.parametrize("kind", ["WEBP", "AVIF"])
def test_a_compressed_file_does_not_end_in_zeros(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    data = encoded(Image.fromarray(noise), kind)
    half = data[: len(data) // 2]
    name = f"a.{kind.lower()}"
    assert refused(half + bytes(len(data) - len(half)), name).reason == "truncated"


def test_a_jpeg_may_carry_more_after_its_end() -> None:
    data = FILES["a.jpg"]
    assert decode(data + b"a camera's trailer", "a.jpg").pixels == decode(data, "a.jpg").pixels


def test_a_flipped_bit_in_a_png_is_noticed() -> None:
    data = bytearray(FILES["a.png"])
    data[len(data) // 2] ^= 1
    assert refused(bytes(data), "a.png").reason == "unreadable"


@given(st.binary(min_size=1, max_size=200), st.sampled_from(sorted(FILES)))
def test_rubbish_gives_a_reason(rubbish: bytes, name: str) -> None:
    refused(rubbish, name)


def test_reasons() -> None:
    assert refused(b"", "a.jpg").reason == "empty"
    assert refused(b"hello", "a.jpg").reason == "unreadable"
    assert refused(bytes(1000), "a.png").reason == "unreadable"
    wrong = refused(FILES["a.png"], "a.jpg")
    assert (wrong.reason, wrong.detail) == ("wrong extension", "holds PNG")
    assert refused(FILES["a.jpg"], "a.webp").reason == "wrong extension"
    assert decode(FILES["a.jpg"], "A.JPG").format == "JPEG"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_the_eight_orientations_decode_to_one(kind: str, orientation: int) -> None:
    # What is stored is turned so that its orientation undoes it (EXIF 2.32, tag 274).
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = IMAGE.transpose(undo[orientation]) if orientation > 1 else IMAGE
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    found = decode(encoded(stored, kind, exif=exif, **options), f"a.{kind.lower()}")
    assert (found.width, found.height) == (90, 60)
    if kind != "JPEG":  # whose loss depends on how the picture lies
        assert found.pixels == decode(FILES["a.png"], "a.png").pixels
    left, right = np.asarray(found.image)[:, :45], np.asarray(IMAGE)[:, :45]
    assert np.abs(left.astype(int) - right).mean() < 6


def test_large_pictures_come_scaled_with_their_true_size() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    large = picture("green", (1201, 803))
    found = decode(encoded(large, "JPEG", exif=exif), "a.jpg", side=32)
    assert (found.width, found.height) == (803, 1201)
    assert 64 <= min(found.image.size) < 128
    assert found.image.size[0] < found.image.size[1]
    png = decode(encoded(large), "a.png", side=32)
    assert (png.width, png.height) == (1201, 803)
    assert 64 <= min(png.image.size) < 128


def test_of_a_thread_of_pixels_a_model_gets_the_middle() -> None:
    values = np.zeros((1, 60_000, 3), np.uint8)
    values[:, 29_990:30_010] = 255
    found = decode(encoded(Image.fromarray(values)), "a.png", side=16)
    assert (found.width, found.height) == (60_000, 1)
    assert found.image.size == (64, 1)
    assert np.asarray(found.image)[0, 22:42].min() == 255  # 20 pixels about the centre


def test_the_date_of_exif() -> None:
    exif = Image.Exif()
    exif[0x0132] = "2023:05:06 07:08:09"
    assert decode(encoded(IMAGE, "JPEG", exif=exif), "a.jpg").taken == "2023-05-06T07:08:09"
    exif.get_ifd(0x8769)[0x9003] = "2021:12:31 23:59:58"
    assert decode(encoded(IMAGE, "JPEG", exif=exif), "a.jpg").taken == "2021-12-31T23:59:58"
    exif = Image.Exif()
    exif[0x0132] = "0000:00:00 00:00:00"
    assert decode(encoded(IMAGE, "JPEG", exif=exif), "a.jpg").taken is None


def test_other_modes_become_rgb() -> None:
    grey = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    found = np.asarray(decode(encoded(Image.fromarray(grey)), "a.png").image)
    assert found[0, 0, 0] == 0 and found[-1, -1, 0] == 255
    assert found[32, 0, 0] == pytest.approx(128, abs=1)
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert np.asarray(decode(encoded(clear), "a.png").image).min() == 255
    for mode in ("1", "L", "LA", "P", "CMYK"):
        kind = "JPEG" if mode == "CMYK" else "PNG"
        name = "a.jpg" if mode == "CMYK" else "a.png"
        assert decode(encoded(IMAGE.convert(mode), kind), name).image.mode == "RGB"


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


def test_bombs_are_refused_by_their_header() -> None:
    body = chunk(b"IDAT", zlib.compress(bytes(1000)))
    assert refused(png(60_000, 60_000, body), "a.png").reason == "bomb"
    expands = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80_000_000)))
    small = chunk(b"IDAT", zlib.compress(b"\0\1\2\3"))
    assert refused(png(1, 1, expands, small), "a.png").reason == "bomb"
    tiff = bytearray(encoded(Image.new("L", (4, 4)), "TIFF"))
    where = struct.unpack("<I", tiff[4:8])[0]
    for at in range(where + 2, where + 2 + 12 * tiff[where], 12):
        if struct.unpack("<H", tiff[at : at + 2])[0] in (256, 257):  # width, height
            tiff[at + 2 : at + 12] = struct.pack("<HII", 4, 1, 40_000)
    assert refused(bytes(tiff), "a.tif").reason == "bomb"


def test_raw_files_give_their_preview(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    assert "pip install 'trivium[raw]'" in refused(b"II*\0camera", "a.nef").detail

    class Raw:
        sizes = SimpleNamespace(flip=6)

        def __enter__(self) -> "Raw":
            return self

        def __exit__(self, *_: object) -> None: ...

        def extract_thumb(self) -> SimpleNamespace:
            return SimpleNamespace(format="jpeg", data=FILES["a.jpg"])

    def imread(file: BytesIO) -> Raw:
        assert file.read() == b"II*\0camera"
        return Raw()

    formats = SimpleNamespace(JPEG="jpeg", BITMAP="bitmap")
    monkeypatch.setitem(sys.modules, "rawpy", SimpleNamespace(imread=imread, ThumbFormat=formats))
    found = decode(b"II*\0camera", "a.NEF")
    assert (found.width, found.height, found.format) == (60, 90, "NEF")
    turned = np.asarray(ImageOps.exif_transpose(IMAGE.transpose(Image.Transpose.ROTATE_270)))
    assert np.abs(np.asarray(found.image).astype(int) - turned).mean() < 6


def test_decoders_are_named_with_their_versions() -> None:
    assert "pillow 1" in decoders()
