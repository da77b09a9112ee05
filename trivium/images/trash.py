"""Where files go instead of being deleted, and how they come back.

The system's trash takes them on every platform (send2trash). Where it follows the FreeDesktop.org
Trash specification 1.0 a file is found there again by its ".trashinfo"; Windows and macOS keep to
themselves where it lies. A trash folder of one's own gives back on every platform.
"""

import os
import shutil
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote_to_bytes

from trivium.errors import TriviumError
from trivium.images.scan import sha256_of


class Trash(Protocol):
    def place(self, path: str) -> str | None:
        """Where `path` will lie, if that is known before it is moved."""

    def put(self, path: str, place: str | None) -> None:
        """Move the file there.

        Raises:
            TriviumError: when it could not be moved; it is still where it was.
        """


class SystemTrash:
    """The desktop's."""

    def place(self, path: str) -> str | None:
        return None

    def put(self, path: str, place: str | None) -> None:
        from send2trash import send2trash

        try:
            send2trash(path)
        except OSError as error:  # TrashPermissionError is one
            raise TriviumError(
                f"the system's trash does not take {path}: {error.strerror or error}; name a "
                "folder of your own with --trash"
            ) from error


class FolderTrash:
    """A folder; made when the first file comes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, path: str) -> str | None:
        name = Path(path).name
        number = 0
        while os.path.lexists(self.folder / (f"{number} {name}" if number else name)):
            number += 1
        return str(self.folder / (f"{number} {name}" if number else name))

    def put(self, path: str, place: str | None) -> None:
        assert place is not None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            move(path, place)
        except OSError as error:
            why = error.strerror or error
            raise TriviumError(f"cannot move {path} to {self.folder}: {why}") from error


def move(source: str, target: str) -> None:
    """Move a file to where none is.

    Raises:
        OSError: when it cannot be, or something is there already.
    """
    if os.path.lexists(target):
        raise FileExistsError(0, "a file of that name is there already")
    shutil.move(source, target)  # across disks it copies, and removes the source last


def in_system_trash(path: str, sha256: str) -> tuple[Path, Path] | None:
    """The file with these bytes that was trashed from `path`, newest first, and its .trashinfo."""
    found = []
    for trash, top in _trashes(path):
        for info in (trash / "info").glob("*.trashinfo"):
            said = dict(
                line.split(b"=", 1)
                for line in _lines(info)
                if line.startswith((b"Path=", b"DeletionDate="))
            )
            source = os.fsdecode(unquote_to_bytes(said.get(b"Path", b"")))
            if os.path.normpath(top / source) == path:
                found.append((said.get(b"DeletionDate", b""), trash / "files" / info.stem, info))
    for _, file, info in sorted(found, reverse=True):
        try:
            if sha256_of(str(file)) == sha256:
                return file, info
        except OSError:
            continue
    return None


def _trashes(path: str) -> list[tuple[Path, Path]]:
    """(trash folder, what its relative paths are relative to): the home's and the disk's own."""
    data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    found = [(data / "Trash", data)]
    top = Path(path).parent
    while not os.path.ismount(top) and top != top.parent:
        top = top.parent
    if hasattr(os, "getuid"):
        found += [(top / ".Trash" / str(os.getuid()), top), (top / f".Trash-{os.getuid()}", top)]
    return [(trash, base) for trash, base in found if (trash / "info").is_dir()]


def _lines(info: Path) -> list[bytes]:
    try:
        return info.read_bytes().splitlines()
    except OSError:
        return []
