"""A file's bytes to one upright RGB picture and its facts, or one reason why not.

Nothing half-decoded passes: Pillow refuses what ends early, and where it would not (a JPEG or GIF
whose tail was never written, a PNG whose checksums are wrong) the file's own structure is checked.
"""

import hashlib
import re
import struct
import zlib
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from trivium.errors import TriviumError
from trivium.images.base import Reason

if TYPE_CHECKING:
    from PIL.Image import Image

SPARE = 2
"""A picture that is to be scaled to `side` pixels is decoded at this many times that, or more."""

MOST_BYTES = 512_000_000
"""A larger file is not read into memory."""

EXTENSIONS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), ("JPEG", "MPO")),
    **dict.fromkeys((".png", ".apng"), ("PNG",)),
    **dict.fromkeys((".tif", ".tiff"), ("TIFF",)),
    **dict.fromkeys((".bmp", ".dib"), ("BMP", "DIB")),
    **dict.fromkeys((".heic", ".heif", ".hif"), ("HEIF",)),
    ".avif": ("AVIF",),
    ".gif": ("GIF",),
    ".webp": ("WEBP",),
}
"""Extension -> Pillow's formats that may stand under it."""

RAW = frozenset(".3fr .arw .cr2 .cr3 .dng .erf .nef .orf .pef .raf .rw2 .srw".split())
"""Extensions of cameras' own files, whose embedded preview is read where rawpy is installed."""

_FORMATS = tuple(dict.fromkeys(names[0] for names in EXTENSIONS.values()))
_MAGIC = (
    (b"\xff\xd8", "JPEG"),
    (b"\x89PNG", "PNG"),
    (b"GIF8", "GIF"),
    (b"RIFF", "WEBP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"BM", "BMP"),
)
_LONGEST = 64  # times the shorter side that a model is given of the longer one
_UNWRITTEN = 512  # zeros that no compressed picture ends in
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # what ends a JPEG's entropy-coded data
_ORIENTATION, _DATE, _EXIF, _TAKEN = 0x0112, 0x0132, 0x8769, 0x9003  # EXIF 2.32, tables 4 and 7
_FLIPS = {3: 3, 5: 8, 6: 6}  # LibRaw's turn of the sensor -> EXIF's orientation


class Refused(TriviumError):
    """A file that is no picture, or not a whole one: one of five reasons, and the detail."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Decoded:
    """`image` is upright RGB, perhaps scaled; `width` and `height` are those of the whole picture.

    `pixels` is the SHA-256 of its size and RGB values, as they were decoded: of a JPEG, at the
    scale that `decode` chose for its `side`. `taken` is the EXIF date as ISO 8601.
    """

    image: "Image"
    pixels: str
    width: int
    height: int
    taken: str | None
    format: str
    frames: int


def is_picture(path: Path) -> bool:
    """Whether the extension is a picture's."""
    return path.suffix.lower() in EXTENSIONS or path.suffix.lower() in RAW


def fits(path: Path, name: str) -> bool:
    """Whether a picture whose `Decoded.format` this is may stand under the path's extension."""
    extension = path.suffix.lower()
    if extension in RAW:
        return name == extension[1:].upper()
    return name in EXTENSIONS[extension]


def decoders() -> str:
    """What decodes here, with versions: another one may read what this one refused."""
    return " ".join(f"{name} {_version(name)}" for name in ("pillow", "pillow-heif", "rawpy"))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def decode(data: bytes, path: str | Path, side: int | None = None) -> Decoded:
    """The picture that `data` holds; `path` says by its extension what it should be.

    With a `side`, a large picture comes scaled down, its shorter side not below `SPARE` · `side`:
    JPEGs while they are decoded, which is what saves the time.

    Raises:
        Refused: with one of the five reasons.
    """
    extension = Path(path).suffix.lower()
    if not data:
        raise Refused("empty", "holds no bytes")
    try:
        return _raw(data, extension, side) if extension in RAW else _decode(data, extension, side)
    except Refused:
        raise
    except Exception as error:
        raise _refusal(error, data) from error


def _refusal(error: Exception, data: bytes) -> Refused:
    """What Pillow's many errors mean."""
    from PIL.Image import DecompressionBombError

    said = str(error) or type(error).__name__
    if isinstance(error, DecompressionBombError | MemoryError):
        return Refused("bomb", said)
    if "Decompressed data too large" in said or "Too much memory used" in said:
        return Refused("bomb", said)
    short = data.startswith(b"RIFF") and int.from_bytes(data[4:8], "little") + 8 > len(data)
    if (
        short
        or isinstance(error, EOFError | struct.error)
        or re.search(
            r"truncated|end of file|EOF|unexpected end|Not enough data|incomplete",
            said,
            re.IGNORECASE,
        )
    ):
        return Refused("truncated", said)
    return Refused("unreadable", said)


def _decode(data: bytes, extension: str, side: int | None) -> Decoded:
    image = _open(data, extension)
    _check_structure(data, image.format or "")
    whole = image.size
    orientation = _orientation(image)
    taken = _taken(image)
    frames = 1 if image.format == "MPO" else int(getattr(image, "n_frames", 1))
    name = "JPEG" if image.format == "MPO" else str(image.format)
    if side is not None:
        image.draft(None, (SPARE * side, SPARE * side))
    scaled = image.size != whole
    image.load()
    upright = _upright(image)
    rgb = _rgb(upright)
    # A TIFF turns itself when it is loaded; a scaled JPEG has to be told.
    width, height = (whole[::-1] if orientation > 4 else whole) if scaled else rgb.size
    digest = hashlib.sha256(b"%d %d " % (width, height))
    digest.update(rgb.tobytes())
    return Decoded(_smaller(rgb, side), digest.hexdigest(), width, height, taken, name, frames)


def _open(data: bytes, extension: str) -> "Image":
    """The header, of a format that the extension allows and a size that fits into memory."""
    from PIL import Image, UnidentifiedImageError

    _prepare()
    right = EXTENSIONS.get(extension, _FORMATS)
    try:
        image: Image.Image = Image.open(BytesIO(data), formats=_FORMATS)
    except UnidentifiedImageError as error:
        magic = next((name for start, name in _MAGIC if data.startswith(start)), None)
        if magic is None:
            raise Refused("unreadable", "is no picture of a known kind") from error
        if magic not in right:
            raise Refused("wrong extension", f"holds {magic}") from error
        raise Refused("truncated", f"the {magic} header is not whole") from error
    if image.format not in right:
        raise Refused("wrong extension", f"holds {image.format}")
    return image


@cache
def _prepare() -> None:
    """Load all of Pillow's formats, and HEIF. Its warnings are not shown: what is merely large
    is read, and an error from twice that size on; odd EXIF hurts nobody."""
    import warnings

    from PIL import Image
    from pillow_heif import register_heif_opener

    Image.init()
    register_heif_opener()
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")


def _check_structure(data: bytes, name: str) -> None:
    """Refuse what Pillow would fill up in silence."""
    if name in ("JPEG", "MPO"):
        _check_jpeg(data)
    elif name == "PNG":
        _check_png(data)
    elif name == "GIF" and not data.rstrip(b"\0").endswith(b";"):
        raise Refused("truncated", "the GIF has no end")
    elif name in ("WEBP", "AVIF", "HEIF") and data.endswith(bytes(_UNWRITTEN)):
        raise Refused("truncated", "ends in zeros, as a file that was never finished does")


def _check_jpeg(data: bytes) -> None:
    """Walk the markers (ITU T.81, annex B) to the end-of-image marker of the first picture."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:  # rubbish between segments, which decoders pass over
            at += 1
            continue
        kind = data[at + 1]
        if kind == 0xD9:
            return
        if kind == 0xFF or kind == 0x01 or 0xD0 <= kind <= 0xD8:
            at += 1 if kind == 0xFF else 2
            continue
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if kind == 0xDA:
            found = _MARKER.search(data, at)
            at = found.start() if found else len(data)
    if data[at : at + 2] != b"\xff\xd9":
        raise Refused("truncated", "the JPEG has no end")


def _check_png(data: bytes) -> None:
    """Every chunk whole and its checksum right, up to the last (ISO/IEC 15948, 5.3)."""
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        end = at + 12 + length
        if end > len(data):
            break
        kind = data[at + 4 : at + 8]
        if zlib.crc32(memoryview(data)[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end]):
            raise Refused("unreadable", f"the checksum of a {kind!r} chunk is wrong")
        if kind == b"IEND":
            return
        at = end
    raise Refused("truncated", "the PNG has no end")


def _orientation(image: "Image") -> int:
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # EXIF is written by all kinds of programs; the picture is there without it
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _taken(image: "Image") -> str | None:
    """When the picture was taken, else when it was changed, as EXIF has it."""
    try:
        exif = image.getexif()
        said = exif.get_ifd(_EXIF).get(_TAKEN) or exif.get(_DATE)
        at = datetime.strptime(str(said).strip(" \0")[:19], "%Y:%m:%d %H:%M:%S")
    except Exception:  # as above: "0000:00:00 00:00:00" is common
        return None
    return at.isoformat()


def _upright(image: "Image") -> "Image":
    from PIL import ImageOps

    return ImageOps.exif_transpose(image) if _orientation(image) != 1 else image


def _rgb(image: "Image") -> "Image":
    """8 bits a channel; what is transparent lies on white."""
    from trivium.nn.pixels import to_rgb

    if image.mode.startswith("I;16") or image.mode == "I":  # 16 bits: RGB would be cut at 255
        image = image.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    return to_rgb(image)


def _smaller(image: "Image", side: int | None) -> "Image":
    """Averaged down by a whole number, so that few large pictures wait in memory; of a thread of
    pixels its middle, for models enlarge the shorter side to theirs."""
    if side is None:
        return image
    factor = min(image.size) // (SPARE * side)
    image = image.reduce(factor) if factor > 1 else image
    width, height = image.size
    wide, high = min(width, _LONGEST * height), min(height, _LONGEST * width)
    if (wide, high) == image.size:
        return image
    left, top = (width - wide) // 2, (height - high) // 2
    return image.crop((left, top, left + wide, top + high))


def _raw(data: bytes, extension: str, side: int | None) -> Decoded:
    """The preview that a camera put into its own file."""
    from dataclasses import replace

    import numpy as np
    from PIL import Image

    try:
        import rawpy
    except ImportError as error:
        raise Refused(
            "unreadable", "previews of RAW files need rawpy: pip install 'trivium[raw]'"
        ) from error
    with rawpy.imread(BytesIO(data)) as raw:
        preview, flip = raw.extract_thumb(), raw.sizes.flip
    if preview.format == rawpy.ThumbFormat.JPEG:
        jpeg = bytes(preview.data)
        if _orientation(_open(jpeg, ".jpg")) == 1:
            jpeg = _turned(jpeg, flip)
    else:
        held = BytesIO()
        Image.fromarray(np.asarray(preview.data)).save(held, "JPEG", quality=95)
        jpeg = _turned(held.getvalue(), flip)
    return replace(_decode(jpeg, ".jpg", side), format=extension[1:].upper())


def _turned(jpeg: bytes, flip: int) -> bytes:
    """`jpeg` with the orientation that its camera noted elsewhere."""
    from PIL import Image

    if flip not in _FLIPS:
        return jpeg
    with Image.open(BytesIO(jpeg)) as image:
        exif = image.getexif()
        exif[_ORIENTATION] = _FLIPS[flip]
        held = BytesIO()
        image.save(held, "JPEG", exif=exif, quality=95)
    return held.getvalue()
