"""Members of a zip or tar archive by their exact names, each to a path that we choose.

No name out of an archive becomes a path, so that `../x`, absolute names and links lead nowhere.
"""

import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from trivium import paths
from trivium.errors import Unavailable

LARGEST = 256 << 20
"""Bytes of an unpacked member at most."""
_BLOCK = 1 << 20


def unpack(archive: Path, members: Mapping[str, str], target: Path) -> None:
    """Write each of `members` (exact name in the archive -> path under `target`).

    Raises:
        Unavailable: when the archive is damaged or lacks a member, or when a member is a folder or
            link, or larger than `LARGEST`.
        ValueError: when a path leads out of `target`.
    """
    root = paths.absolute(target)
    try:
        with _opened(archive) as member:
            for name, path in members.items():
                place = paths.absolute(root / path)
                if not place.is_relative_to(root):
                    raise ValueError(f"{path} leads out of {target}")
                with member(name) as packed, paths.atomic_write(place) as out:
                    _copy(packed, out, f"{name} in {archive.name}")
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error) as error:
        raise Unavailable(f"{archive.name} is damaged: {error}") from error


@contextmanager
def _opened(archive: Path) -> Iterator[Callable[[str], IO[bytes]]]:
    """A function from a member's name to its bytes; tar may be compressed."""
    packed: zipfile.ZipFile | tarfile.TarFile
    with (
        zipfile.ZipFile(archive) if zipfile.is_zipfile(archive) else tarfile.open(archive) as packed
    ):

        def member(name: str) -> IO[bytes]:
            try:
                if isinstance(packed, zipfile.ZipFile):
                    found = None if packed.getinfo(name).is_dir() else packed.open(name)
                else:
                    info = packed.getmember(name)
                    found = packed.extractfile(info) if info.isreg() else None
            except KeyError as error:
                raise Unavailable(f"{archive.name} holds no {name}") from error
            if found is None:
                raise Unavailable(f"{name} in {archive.name} is no plain file")
            return found

        yield member


def _copy(packed: IO[bytes], out: IO[bytes], what: str) -> None:
    """Counted as it is unpacked: a small archive may hold a huge member."""
    size = 0
    while block := packed.read(_BLOCK):
        size += len(block)
        if size > LARGEST:
            raise Unavailable(f"{what} is larger than {LARGEST:,} bytes and is not unpacked")
        out.write(block)
