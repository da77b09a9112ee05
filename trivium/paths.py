"""Where everything a user owns lies: one folder, movable with TRIVIUM_HOME."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO, cast

from trivium.errors import TriviumError, UsageError

_NAME = re.compile(r"[\w][\w.-]*")


def home() -> Path:
    """The user's folder. It is not created: reading must not write."""
    override = os.environ.get("TRIVIUM_HOME")
    if override:
        return Path(override).expanduser().absolute()
    from platformdirs import user_data_path  # kept out of `--version`

    return user_data_path("trivium", appauthor=False)


def models() -> Path:
    return home() / "models"


def indexes() -> Path:
    return home() / "indexes"


def named(name: str | Path, folder: Path) -> Path:
    """Where in `folder` the index of this name lies; a path is a folder of its own.

    Raises:
        UsageError: for a name that is neither.
    """
    if isinstance(name, Path):
        return name
    if not _NAME.fullmatch(name):
        raise UsageError(
            f'"{name}" cannot name an index: use letters, digits, ".", "-" and "_", '
            "beginning with a letter or digit"
        )
    return folder / name


def absolute(path: str | Path) -> Path:
    """`path` from the root on, without "~", "." or ".."; symbolic links stay as they are."""
    # Path.absolute keeps "..", and Path.resolve follows links
    return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100


def ensure(folder: Path) -> Path:
    """Create `folder` and its parents.

    Raises:
        TriviumError: when the place is read-only, full or not a folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TriviumError(
            f"cannot create {folder}: {error.strerror}; set TRIVIUM_HOME to a writable folder"
        ) from error
    return folder


def size(folder: Path) -> int:
    """Bytes of the files in a folder."""
    total = 0
    for file in folder.iterdir():
        with suppress(FileNotFoundError):  # another process closes its journal, say
            total += file.stat().st_size
    return total


@contextmanager
def atomic_write(target: Path) -> Iterator[BinaryIO]:
    """A binary file that appears at `target` whole or not at all.

    It is written beside the target, flushed to the disk and renamed over it, so that neither a
    crash nor kill -9 leaves half a file under the final name.
    """
    ensure(target.parent)
    try:
        with NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}.", delete=False) as file:
            partial = Path(file.name)
            try:
                yield cast(BinaryIO, file)
                file.flush()
                os.fsync(file.fileno())
            except BaseException:
                with suppress(OSError):
                    partial.unlink()
                raise
        partial.replace(target)
    except OSError as error:
        raise TriviumError(f"cannot write {target}: {error.strerror}") from error
