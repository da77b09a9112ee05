"""Pictures as one HTML file that needs no network: their thumbnails are inside.

What files are called is never markup: the page is escaped, and a content security policy lets its
own script and style run, by their hashes, and nothing load that is not in the file.
"""

import base64
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from urllib.parse import quote_from_bytes

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from trivium.images.decode import Refused, decode
from trivium.models.hardware import usable_cores

SIDE = 256
"""Pixels of a thumbnail's longer side."""
MOST_BYTES = 20_000
"""Of a thumbnail: one that is larger is written in lower quality, down to the least."""
_QUALITIES = (75, 60, 45, 30)
_AHEAD = 64


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture of the page: `image` is a data URI, or None, and `detail` says why."""

    path: str
    name: str
    link: str
    image: str | None
    detail: str


def gallery(title: str, paths: Sequence[str], details: Sequence[str] = ()) -> Iterator[str]:
    """The page, in parts to be written one after the other; it is never whole in memory.

    `details` are lines under the pictures, such as their cosines.
    """
    style, script = _read("gallery.css"), _read("gallery.js")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(_read("gallery.html"))
    yield from template.generate(
        title=printable(title),
        count=len(paths),
        shown=_all(paths, details or [""] * len(paths)),
        style=Markup(style),  # noqa: S704 - a file of this package, as is the script
        script=Markup(script),  # noqa: S704
        style_digest=_digest(style),
        script_digest=_digest(script),
    )


def show(path: str, detail: str = "") -> Shown:
    """One picture as the page has it; what cannot be shown says so in its place."""
    try:
        image: str | None = thumbnail_uri(Path(path).read_bytes(), path)
    except OSError as error:
        image, detail = None, error.strerror or "cannot be read"
    except Refused as error:
        image, detail = None, str(error)
    link = "file://" + quote_from_bytes(os.fsencode(Path(path).absolute()))
    return Shown(printable(path), printable(Path(path).name), link, image, printable(detail))


def thumbnail_uri(data: bytes, path: str) -> str:
    """A JPEG of at most `SIDE` pixels, upright and without any EXIF, as a data URI.

    Raises:
        Refused: when it is no whole picture.
    """
    image = decode(data, path, SIDE // 2).image
    image.thumbnail((SIDE, SIDE))
    jpeg = b""
    for quality in _QUALITIES:
        held = BytesIO()
        image.save(held, "JPEG", quality=quality, optimize=True)
        jpeg = held.getvalue()
        if len(jpeg) <= MOST_BYTES:
            break
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def printable(text: str) -> str:
    """What is no text, what HTML forbids and what reorders a line become U+FFFD."""
    text = os.fsencode(text).decode(errors="replace")
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def _all(paths: Sequence[str], details: Sequence[str]) -> Iterator[Shown]:
    """In order, decoded by threads not far ahead of what is written."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        for start in range(0, len(paths), _AHEAD):
            end = start + _AHEAD
            found: Iterable[Shown] = pool.map(show, paths[start:end], details[start:end])
            yield from found


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _read(name: str) -> str:
    return files("trivium.images").joinpath(name).read_text(encoding="utf-8")
