"""Pictures with captions, from where people keep them.

A table (CSV, JSON Lines, Parquet) with a column of paths and one of captions; a folder with a text
file beside each picture; folders named for classes, whose captions templates make; the same inside
of zip files and of tar files (webdataset).
"""

import io
import json
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from trivium.errors import UsageError
from trivium.tables import SUFFIXES, read_table

if TYPE_CHECKING:
    from PIL.Image import Image

PICTURES = frozenset(
    ".jpg .jpeg .png .webp .gif .tif .tiff .bmp .heic .heif .avif".split()
)  # what Pillow reads, with pillow-heif
ARCHIVES = frozenset((".zip", ".tar"))
TEMPLATES = ("a photo of a {}", "a blurry photo of a {}", "a picture of the {}", "a small {}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file, or a member of an archive: `start` and `size` say where it lies in a tar file."""

    file: Path
    member: str = ""
    start: int = 0
    size: int = 0

    @property
    def name(self) -> str:
        return self.member or str(self.file)


@dataclass(frozen=True, slots=True)
class Pair:
    """A picture and the captions that fit it; `group` is its class, where folders are classes."""

    entry: Entry
    captions: tuple[str, ...]
    group: str | None = None


@dataclass(slots=True)
class Reader:
    """Reads entries; archives stay open. It belongs to one thread."""

    _zips: dict[Path, zipfile.ZipFile] = field(default_factory=dict)

    def bytes(self, entry: Entry) -> bytes:
        """Raises UsageError when the file is gone or its archive damaged."""
        try:
            if not entry.member:
                return entry.file.read_bytes()
            if entry.file.suffix.lower() == ".zip":
                if entry.file not in self._zips:
                    self._zips[entry.file] = zipfile.ZipFile(entry.file)
                return self._zips[entry.file].read(entry.member)
            with entry.file.open("rb") as file:
                file.seek(entry.start)
                return file.read(entry.size)
        except (OSError, KeyError, zipfile.BadZipFile) as error:
            raise UsageError(f"cannot read {entry.name} ({entry.file}): {error}") from error

    def image(self, entry: Entry) -> "Image":
        """The picture, wholly decoded, in RGB.

        Raises UsageError when it is none.
        """
        from PIL import Image

        from trivium.nn.pixels import to_rgb

        try:
            return to_rgb(Image.open(io.BytesIO(self.bytes(entry))))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise UsageError(f"{entry.name} is no picture that can be read: {error}") from error


def find_pairs(path: Path, templates: Sequence[str] = TEMPLATES) -> list[Pair]:
    """All pairs at `path`, in the order of their names.

    Raises:
        UsageError: when there are none, or a row of a table is wrong.
    """
    if not path.exists():
        raise UsageError(f"there is nothing at {path}")
    if path.suffix.lower() in SUFFIXES:
        pairs = list(_table(path))
    else:
        entries = sorted(_entries(path), key=lambda entry: (entry.member, str(entry.file)))
        pairs = _beside(entries) or _classes(entries, templates)
    if not pairs:
        raise UsageError(
            f"{path} has no pictures with captions: text files beside them, or folders for classes"
        )
    return pairs


def _entries(path: Path) -> Iterator[Entry]:
    if path.is_dir():
        for file in path.rglob("*"):
            if file.suffix.lower() in ARCHIVES:
                yield from _members(file)
            elif file.is_file():
                yield Entry(file)
    elif path.suffix.lower() in ARCHIVES:
        yield from _members(path)
    else:
        raise UsageError(f"{path} is no folder, table (.csv, .jsonl, .parquet), .zip or .tar")


def _members(file: Path) -> Iterator[Entry]:
    try:
        if file.suffix.lower() == ".zip":
            with zipfile.ZipFile(file) as archive:
                for info in archive.infolist():
                    if not info.is_dir():
                        yield Entry(file, info.filename, size=info.file_size)
        else:
            with tarfile.open(file, "r:") as tar:  # not packed: members are read by their place
                for member in tar:
                    if member.isfile():
                        yield Entry(file, member.name, member.offset_data, member.size)
    except (OSError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise UsageError(f"{file} is no archive that can be read: {error}") from error


def _is_picture(entry: Entry) -> bool:
    return PurePosixPath(entry.name).suffix.lower() in PICTURES


def _beside(entries: Sequence[Entry]) -> list[Pair]:
    """Pictures that have a .txt, .caption or .json of the same name beside them."""
    texts = {
        (
            entry.file if entry.member else None,
            str(PurePosixPath(entry.name).with_suffix("")),
        ): entry
        for entry in entries
        if PurePosixPath(entry.name).suffix.lower() in (".txt", ".caption", ".json")
    }
    reader, pairs = Reader(), []
    for entry in filter(_is_picture, entries):
        key = (
            entry.file if entry.member else None,
            str(PurePosixPath(entry.name).with_suffix("")),
        )
        if key in texts:
            pairs.append(Pair(entry, _captions(texts[key], reader)))
    return pairs


def _captions(entry: Entry, reader: Reader) -> tuple[str, ...]:
    """A caption on each line of a text file; "caption" or "text" of a JSON object."""
    try:
        text = reader.bytes(entry).decode("utf-8-sig")
        if entry.name.endswith(".json"):
            said = json.loads(text)
            found = said.get("caption", said.get("text"))
            lines = found if isinstance(found, list) else [found]
        else:
            lines = text.splitlines()
    except (ValueError, AttributeError) as error:
        raise UsageError(f"{entry.name} holds no caption that can be read: {error}") from error
    captions = tuple(line.strip() for line in lines if isinstance(line, str) and line.strip())
    if not captions:
        raise UsageError(f"{entry.name} holds no caption")
    return captions


def _classes(entries: Sequence[Entry], templates: Sequence[str]) -> list[Pair]:
    """Pictures in folders that are named for what they show: "polar_bear/0001.jpg"."""
    pairs = []
    for entry in filter(_is_picture, entries):
        name = PurePosixPath(entry.name).parent.name.replace("_", " ").strip()
        if name:
            captions = tuple(template.format(name) for template in templates)
            pairs.append(Pair(entry, captions, name))
    return pairs


def _table(file: Path) -> Iterator[Pair]:
    for number, row in enumerate(read_table(file), start=1):
        path = next(
            (row[key] for key in ("image", "file", "path", "filepath") if row.get(key)), None
        )
        said = next((row[key] for key in ("caption", "text", "title") if row.get(key)), None)
        if not isinstance(path, str) or said is None:
            raise UsageError(
                f"{file}, row {number} has no image and caption; its columns are {', '.join(row)}"
            )
        captions = tuple(map(str, said)) if isinstance(said, list | np.ndarray) else (str(said),)
        yield Pair(Entry(file.parent / path), captions)
