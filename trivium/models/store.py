"""What is pulled and where it lies: `models/<name>/`, described by the `pulled.json` inside.

A model's folder appears by one rename when everything in it is verified, so a folder that has a
`pulled.json` is whole. Nothing here writes or opens a socket, but for `remove`.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from trivium import paths
from trivium.errors import TriviumError, Unavailable, UsageError

MANIFEST = "pulled.json"
STAGING = ".partial"


@dataclass(frozen=True, slots=True)
class PulledFile:
    """A verified file: relative path, bytes, sha256 (hex), and where it came from."""

    path: str
    size: int
    sha256: str
    source: str
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class Pulled:
    """A model on the disk. `main` is what an engine opens, relative to `folder` ("." is all)."""

    name: str
    folder: Path
    main: str
    files: tuple[PulledFile, ...]

    @property
    def path(self) -> Path:
        return self.folder / self.main

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return sum(file.size for file in self.files)

    def manifest(self) -> str:
        """The text of `pulled.json`."""
        value = {"name": self.name, "main": self.main, "files": [asdict(f) for f in self.files]}
        return json.dumps(value, indent=2) + "\n"


def resolve(name: str) -> Path:
    """Where the model called `name` lies: its GGUF file, or its folder if the folder is the model.

    `name` is a catalogue name, `hf:org/repo/file`, a URL that was pulled, or an existing path.

    Raises:
        Unavailable: when it is known but not pulled, or when its files were cut short since.
        UsageError: when nothing is known by that name.
    """
    found = pulled(folder_name(name))
    if found is not None:
        return _intact(found)
    path = Path(name).expanduser()
    if path.exists():
        return path
    if is_reference(name) or name in _known():
        raise Unavailable(f'"{name}" is not pulled; run: trivium models pull {name}')
    raise unknown(name)


def is_reference(name: str) -> bool:
    """True for `hf:…` and for a URL, which name a file rather than a catalogue entry."""
    return name.startswith(("hf:", "http://", "https://"))


def unknown(name: str) -> UsageError:
    """The error for a name that means nothing, with the names it may be a slip of."""
    from trivium.models.catalogue import close_to

    close = close_to(name, _known())
    hint = f"; did you mean {' or '.join(close)}?" if close else "; see: trivium models list"
    kind = "file" if "/" in name or name.endswith(".gguf") else "model"
    return UsageError(f'there is no {kind} "{name}"{hint}')


def folder_name(name: str) -> str:
    """The folder of a model: the name itself, or for a reference a readable form with a digest."""
    if not is_reference(name):
        return name
    stem = Path(urlsplit(name).path.partition("@")[0]).stem
    readable = re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).strip("-.") or "model"
    return f"{readable}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def pulled(name: str) -> Pulled | None:
    """The model in the folder `name`, None when there is none or `name` is not a folder's name."""
    if not name or name != Path(name).name or name.startswith("."):
        return None
    folder = paths.models() / name
    try:
        value = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = tuple(PulledFile(**file) for file in value["files"])
        return Pulled(value["name"], folder, value["main"], files)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise TriviumError(f"cannot read {folder / MANIFEST}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise Unavailable(
            f"{folder / MANIFEST} is damaged; run: trivium models rm {name}, then pull it again"
        ) from error


def all_pulled() -> list[Pulled]:
    """Everything on the disk, by name."""
    try:
        folders = sorted(path.name for path in paths.models().iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise TriviumError(f"cannot read {paths.models()}: {error.strerror}") from error
    return [found for name in folders if (found := pulled(name)) is not None]


def remove(name: str) -> int:
    """Delete a pulled model and what is left of a broken pull; returns the bytes freed.

    Raises:
        Unavailable: when there is nothing to delete.
    """
    folder = folder_name(name)
    if folder != Path(folder).name or folder.startswith(".") or not folder:
        raise unknown(name)
    target, partial = paths.models() / folder, staging(folder)
    if not (target / MANIFEST).exists() and not partial.exists():
        raise Unavailable(f'"{name}" is not pulled; see: trivium models list')
    with disk_errors(target), lock(folder):
        freed = _weight(target) + _weight(partial)
        # The manifest goes first: without it the rest no longer counts as a model.
        (target / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(target, ignore_errors=not target.exists())
        shutil.rmtree(partial, ignore_errors=not partial.exists())
    return freed


def staging(folder: str) -> Path:
    """Where a pull works until everything is verified."""
    return paths.models() / STAGING / folder


@contextmanager
def lock(folder: str) -> Iterator[None]:
    """One process at a time per model; the lock falls with its process, even by kill -9."""
    from filelock import FileLock

    place = paths.ensure(paths.models() / STAGING)
    with FileLock(place / f"{folder}.lock"):
        yield


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn what the file system refuses into a sentence that names the place."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise TriviumError(
            f"cannot write {error.filename or target}: {reason}; "
            "free some space or set TRIVIUM_HOME to another folder"
        ) from error


def _known() -> list[str]:
    from trivium.models.catalogue import catalogue

    return list(catalogue())


def _intact(model: Pulled) -> Path:
    """A stat per file catches what was cut short or deleted by hand; hashing would cost seconds."""
    for file in model.files:
        path = model.folder / file.path
        size = path.stat().st_size if path.is_file() else 0
        if size != file.size:
            raise Unavailable(
                f"{path} has {size} of {file.size} bytes; "
                f"run: trivium models rm {model.name}, then pull it again"
            )
    return model.path


def _weight(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
