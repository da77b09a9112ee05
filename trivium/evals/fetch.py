"""Data from the network, when the user asks: files with a pinned sha256, and files of the hub.

What is fetched lies in `data/` of the user's folder, where suites find it. The folder of a data
set appears there by one rename, when everything in it is verified.
"""

import shutil
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from trivium import paths
from trivium.errors import TriviumError, UsageError
from trivium.evals.archive import unpack

if TYPE_CHECKING:
    from trivium.models.fetched import OnProgress

HUB = "hf:"


@dataclass(frozen=True, slots=True)
class Download:
    """One file of the network, from the first of `urls` that has it.

    `size` is in bytes, and None where nobody has published it beside the sha256.

    It is kept as `path`; or it is an archive, and `members` (exact name -> path) are kept. Paths
    are relative to the folder of the data set.
    """

    urls: tuple[str, ...]
    size: int | None
    sha256: str
    path: str | None
    members: Mapping[str, str]

    def kept(self) -> list[str]:
        return list(self.members.values()) if self.path is None else [self.path]


@dataclass(frozen=True, slots=True)
class Source:
    """A data set; `checksum` says where the sha256 of its downloads was taken from."""

    name: str
    licence: str
    checksum: str
    downloads: tuple[Download, ...]

    @property
    def size(self) -> int | None:
        """Bytes to download, None where one is not known."""
        sizes = [one.size for one in self.downloads]
        return None if None in sizes else sum(size or 0 for size in sizes)

    @property
    def folder(self) -> Path:
        """Where its files lie when they are fetched."""
        return folder() / self.name

    def has(self, file: str) -> bool:
        """Whether `file` is one of its files or folders, named as in a suite: `mmlu/test`."""
        kept = [PurePosixPath(self.name, path) for one in self.downloads for path in one.kept()]
        return any(PurePosixPath(file) in (path, *path.parents[:-1]) for path in kept)


@cache
def sources() -> dict[str, Source]:
    """The data sets that can be fetched by name, from `tasks/sources.toml`."""
    text = files("trivium.evals.tasks").joinpath("sources.toml").read_text(encoding="utf-8")
    return {name: _source(name, raw) for name, raw in tomllib.loads(text).items()}


def folder() -> Path:
    return paths.home() / "data"


def fetched(file: str) -> Path | None:
    """Where `file` of a suite lies, if it was fetched."""
    place = _hub_place(file) if file.startswith(HUB) else folder() / file
    return place if place.exists() else None


def fetchable(file: str) -> str | None:
    """The name by which `file` of a suite can be fetched."""
    if file.startswith(HUB):
        return file
    return next((one.name for one in sources().values() if one.has(file)), None)


def wanted(name: str) -> list[str]:
    """What has to be fetched for `name`: a data set, a file of the hub, or a suite's rows.

    Raises:
        UsageError: when `name` is neither, or when the data of the suite cannot be fetched.
    """
    if name in sources() or name.startswith(HUB):
        return [name]
    from trivium.evals.suite import load_suite

    suite = load_suite(name)
    parts = [suite.data, *([suite.examples.data] if suite.examples else [])]
    names = {part.file: fetchable(part.file) for part in parts}
    found = [one for one in names.values() if one is not None]
    if not found:
        raise UsageError(
            f"nothing is known to fetch for {suite.name}, whose rows are {', '.join(names)}; "
            f"data sets that can be fetched: {', '.join(sources())}"
        )
    return list(dict.fromkeys(found))


def fetch(name: str, on_progress: "OnProgress") -> Path:
    """Bring a data set or a file of the hub here; where it lies. What is here stays as it is.

    `name` is one of `sources()`, or `hf:org/name/path[@revision]`.

    Raises:
        Unavailable: when no source has it, or the bytes are not the pinned ones.
        TriviumError: when the disk is full, or something else lies in its place.
    """
    if name.startswith(HUB):
        return _from_hub(name, on_progress)
    source = sources()[name]
    with _staging(name) as staging:
        if not all((source.folder / path).is_file() for d in source.downloads for path in d.kept()):
            if source.folder.exists():
                raise TriviumError(
                    f"{source.folder} is in the way and lacks files of {name}; move it away"
                )
            _fill(source, staging, on_progress)
    return source.folder


def _fill(source: Source, staging: Path, on_progress: "OnProgress") -> None:
    """Under the lock: everything into the staging folder, then one rename."""
    from trivium.models.catalogue import File
    from trivium.models.pull import bring

    complete, work = staging / "files", staging / "work"
    shutil.rmtree(complete, ignore_errors=True)
    paths.ensure(complete)
    paths.ensure(work)
    for one in source.downloads:
        urls = tuple((url,) for url in one.urls)
        if one.path is not None:
            file = File(one.path, urls, one.size, one.sha256)
            bring(file, complete, work, on_progress)
            continue
        name = one.urls[0].rpartition("/")[2]
        bring(File(name, urls, one.size, one.sha256), staging, work, on_progress)
        unpack(staging / name, one.members, complete)
        (staging / name).unlink()
    complete.rename(source.folder)


def _from_hub(name: str, on_progress: "OnProgress") -> Path:
    from trivium.models.catalogue import File
    from trivium.models.pull import bring

    place = _hub_place(name)
    with _staging(place.parent.name) as staging:
        if not place.exists():
            reference = name.replace(HUB, f"{HUB}datasets/", 1)
            work = paths.ensure(staging / "work")
            bring(File(place.name, ((reference,),)), place.parent, work, on_progress)
    return place


def _hub_place(name: str) -> Path:
    from trivium.models import hub, store

    _, file, _ = hub.parse(name, "file.parquet")
    return folder() / "hub" / store.folder_name(name) / PurePosixPath(file).name


@contextmanager
def _staging(name: str) -> Iterator[Path]:
    """A folder to work in, for one process at a time; it goes when all went well."""
    from filelock import FileLock

    from trivium.models.store import disk_errors

    place = paths.ensure(folder() / ".partial")
    with disk_errors(place), FileLock(place / f"{name}.lock"):
        yield paths.ensure(place / name)
        shutil.rmtree(place / name, ignore_errors=True)


def _source(name: str, raw: dict[str, Any]) -> Source:
    """Keys that a class does not have are a TypeError: the table is ours and is tested."""
    downloads = tuple(_download(one) for one in raw.pop("downloads"))
    return Source(name, **raw, downloads=downloads)


def _download(raw: dict[str, Any]) -> Download:
    each = raw.pop("each", [""])
    members = {
        inside.replace("*", one): path.replace("*", one)
        for inside, path in raw.pop("members", {}).items()
        for one in each
    }
    path, size = raw.pop("path", None), raw.pop("size", None)
    return Download(tuple(raw.pop("urls")), size, path=path, members=members, **raw)
