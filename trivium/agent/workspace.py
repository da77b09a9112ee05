"""The one folder that tools may touch: every path is checked, and opened so that it stays checked.

A path that was inside a moment ago may have been replaced by a link since. Files are therefore
opened from the root down, folder by folder, with O_NOFOLLOW: what `resolve` has looked at is what
is opened, or nothing is.
"""

import errno
import os
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

from trivium import paths
from trivium.errors import TriviumError

MAX_BYTES = 64 * 1024 * 1024
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


class Refused(TriviumError):
    """A path lies outside the workspace, or leads out of it."""


class Workspace:
    """A folder, and the paths inside it. Trivium's own folder is never inside."""

    def __init__(self, root: Path) -> None:
        """Take an existing folder.

        Raises:
            TriviumError: when `root` is not a folder.
        """
        self.root = Path(os.path.realpath(Path(root).expanduser()))
        if not self.root.is_dir():
            raise TriviumError(f"the workspace {root} is not a folder")

    def resolve(self, path: str) -> Path:
        """The real path, free of links, that `path` names below the root; it need not exist.

        Relative paths begin at the root. Links are followed as long as they stay inside.

        Raises:
            Refused: for "..", for a path outside, for a link that leads out, for control
                characters, and for Trivium's own folder.
        """
        shown = _shown(path)
        if not path.strip() or any(unicodedata.category(c) in ("Cc", "Cs") for c in path):
            raise Refused(f"{shown} is not a path")
        if ".." in Path(path).parts:
            raise Refused(f'{shown} contains "..": name the file from the workspace down')
        if path.startswith("~"):
            raise Refused(f"{shown} is not in the workspace: name the file from the workspace down")
        given = self.root / path
        try:
            real = Path(os.path.realpath(given))
        except (OSError, ValueError) as error:
            raise Refused(f"{shown} is not a path: {error}") from error
        if not real.is_relative_to(self.root):
            leads = "leads" if given.is_relative_to(self.root) else "lies"
            raise Refused(f"{shown} {leads} outside the workspace {self.root}")
        own = Path(os.path.realpath(paths.home()))
        if own.is_relative_to(self.root) and real.is_relative_to(own):
            raise Refused(f"{shown} is in Trivium's own folder, which tools may not touch")
        return real

    def name(self, path: Path) -> str:
        """How a path inside is written: from the root down, with "/"."""
        return path.relative_to(self.root).as_posix()

    def read(self, path: str, max_bytes: int = MAX_BYTES) -> bytes:
        """The bytes of a regular file.

        Raises:
            Refused: as `resolve`.
            TriviumError: when it is missing, not a regular file, or larger than `max_bytes`.
        """
        real = self.resolve(path)
        shown = _shown(path)
        with self._folder(real, shown) as folder, _told(shown):
            descriptor = os.open(real.name, _FILE, dir_fd=folder)
            with os.fdopen(descriptor, "rb") as file:
                found = os.fstat(file.fileno())
                if stat.S_ISDIR(found.st_mode):
                    raise TriviumError(f"{shown} is a folder")
                if not stat.S_ISREG(found.st_mode):
                    raise TriviumError(f"{shown} is not a regular file")
                data = file.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise TriviumError(f"{shown} holds more than {max_bytes:,} bytes")
        return data

    def write(self, path: str, data: bytes) -> None:
        """Put `data` at `path`, whole or not at all; missing folders are made.

        An existing file keeps its permissions. A hard link is replaced, never written through.

        Raises:
            Refused: as `resolve`.
            TriviumError: when it cannot be written, or is not a regular file.
        """
        real = self.resolve(path)
        shown = _shown(path)
        if real == self.root:
            raise TriviumError(f"{shown} is a folder")
        with self._folder(real, shown, make=True) as folder, _told(shown):
            mode = _mode(real.name, folder, shown)
            partial = f".{real.name[:100]}.{token_hex(8)}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(partial, flags, 0o666 if mode is None else mode, dir_fd=folder)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    if mode is not None:
                        os.fchmod(file.fileno(), mode)
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(partial, real.name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with suppress(OSError):
                    os.unlink(partial, dir_fd=folder)
                raise

    @contextmanager
    def _folder(self, real: Path, shown: str, *, make: bool = False) -> Iterator[int]:
        """A descriptor of the folder that holds `real`, reached without following any link."""
        descriptor = os.open(self.root, _FOLDER)
        try:
            with _told(shown):
                for part in real.relative_to(self.root).parts[:-1]:
                    if make:
                        with suppress(FileExistsError):
                            os.mkdir(part, dir_fd=descriptor)
                    below = os.open(part, _FOLDER, dir_fd=descriptor)
                    os.close(descriptor)
                    descriptor = below
            yield descriptor
        finally:
            os.close(descriptor)


def _mode(name: str, folder: int, shown: str) -> int | None:
    """The permissions of the file that is to be replaced, None when there is none."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        raise TriviumError(f"{shown} is a folder")
    if not stat.S_ISREG(found.st_mode):
        raise Refused(f"{shown} is not a regular file")
    return stat.S_IMODE(found.st_mode) & 0o777


@contextmanager
def _told(shown: str) -> Iterator[None]:
    """The operating system's refusal as a sentence."""
    try:
        yield
    except FileNotFoundError as error:
        raise TriviumError(f"{shown} does not exist") from error
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EMLINK):
            raise Refused(f"{shown} became a link while it was opened") from error
        raise TriviumError(f"{shown} cannot be opened: {error.strerror}") from error


def _shown(path: str) -> str:
    """A path in a sentence: quoted, on one line, of sensible length."""
    text = path if len(path) <= 200 else path[:200] + "…"
    return f'"{text}"' if text.isprintable() else ascii(text)
