"""Pull a model: fetch, verify, then make it appear by one rename.

Everything happens in `models/.partial/<name>/` under a lock that dies with its process. What is
verified there is written down in `verified.json`, so that after kill -9 the next pull goes on
where this one stopped; `models/<name>/` itself exists whole or not at all.
"""

import hashlib
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path

from trivium import paths
from trivium.errors import TriviumError, Unavailable, UsageError
from trivium.models import licences, store
from trivium.models.catalogue import Entry, File, catalogue
from trivium.models.fetched import Fetched, OnProgress
from trivium.models.sources import fetch

_BLOCK = 1 << 20


class _MismatchError(Unavailable):
    """A source gave other bytes than promised."""


def pull(name: str, *, accept_licence: bool = False, on_progress: OnProgress | None = None) -> Path:
    """Bring a model here and return what `store.resolve` will return for it.

    `name` is a catalogue name, `hf:org/repo/file.gguf[@revision]`, the URL of a GGUF file
    (optionally with `#sha256=HEX`) or a path to one, which is copied under its stem.

    Raises:
        UsageError: for an unknown name, or a licence that is not accepted yet.
        Unavailable: when no source has it, or the bytes are not the promised ones.
        TriviumError: when the disk is full or read-only.
    """
    if store.pulled(store.folder_name(name)) is not None:
        return store.resolve(name)
    entry = describe(name)
    folder = store.folder_name(entry.name)
    licences.require(entry, agreed=accept_licence)
    with store.disk_errors(paths.models()), store.lock(folder):
        if store.pulled(folder) is None:  # another process may have pulled it while we waited
            _pull(entry, folder, on_progress or _silent)
    return store.resolve(entry.name)


def describe(name: str) -> Entry:
    """The entry to pull for `name`; one made up on the spot for a reference or a path.

    Raises:
        UsageError: when `name` means nothing, or is not a GGUF file.
    """
    known = catalogue().get(name)
    if known is not None:
        return known
    reference = store.is_reference(name)
    path = Path(name).expanduser()
    if not reference and not path.is_file():
        raise store.unknown(name)
    source = name if reference else str(path.absolute())
    file_name, digest = _file_of(source)
    if not file_name.endswith(".gguf"):
        raise UsageError(f"{name} is not a GGUF file; give one whose name ends in .gguf")
    title = name if reference else path.stem.lower()
    if title in catalogue():
        raise UsageError(f"{name} would hide the catalogue's {title}; rename the file")
    return Entry(
        name=title,
        kind="chat",
        parameters=0,
        context_length=0,
        licence="unknown",
        memory=0,
        files=(File(path=file_name, sources=((source,),), sha256=digest),),
    )


def _file_of(source: str) -> tuple[str, str | None]:
    """The file's name and, from a `#sha256=…` fragment, its hash."""
    location, _, fragment = source.partition("#") if "://" in source else (source, "", "")
    if source.startswith("hf:") or "://" in source:
        location = location.partition("?")[0].partition("@")[0]
    digest = fragment.removeprefix("sha256=").lower() if fragment.startswith("sha256=") else None
    return location.rpartition("/")[2], digest


def _silent(label: str, done: int, total: int | None) -> None:
    """The progress of someone who does not look."""


def _pull(entry: Entry, folder: str, on_progress: OnProgress) -> None:
    """Under the lock: fill the staging folder, then rename it."""
    final = paths.models() / folder
    if final.exists():
        raise TriviumError(
            f"{final} is in the way and was not put there by a pull; move it away or delete it"
        )
    staging = store.staging(folder)
    files, work = staging / "files", staging / "work"
    files.mkdir(parents=True, exist_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    _check_space(entry, staging)
    verified = _read_verified(staging)
    for file in entry.files:
        if _still_good(file, files, verified.get(file.path)):
            continue
        record = bring(file, files, work, on_progress)
        verified[file.path] = record
        _write_verified(staging, verified)
    model = store.Pulled(
        entry.name, final, entry.main, tuple(verified[file.path] for file in entry.files)
    )
    with paths.atomic_write(files / store.MANIFEST) as out:
        out.write(model.manifest().encode())
    files.rename(final)
    _sync_folder(final.parent)
    shutil.rmtree(staging, ignore_errors=True)


def bring(file: File, files: Path, work: Path, on_progress: OnProgress) -> store.PulledFile:
    """One file from the first source that has it, verified, to its place under `files`.

    What arrives in parts stays in `work`, and a later call goes on with it.

    Raises:
        Unavailable: when no source has it, or the bytes are not the promised ones.
    """
    first_failure: Unavailable | None = None
    for parts in file.sources:
        try:
            return _bring_from(parts, file, files, work, on_progress)
        except _MismatchError as error:
            first_failure = first_failure or error
            # Nothing that led to wrong bytes, such as the wheel around them, may be used again.
            shutil.rmtree(work)
            work.mkdir()
        except Unavailable as error:
            first_failure = first_failure or error
    if first_failure is None:
        raise TriviumError(f"the catalogue names no source for {file.path}")
    raise first_failure


def _bring_from(
    parts: tuple[str, ...], file: File, files: Path, work: Path, on_progress: OnProgress
) -> store.PulledFile:
    label = Path(file.path).name
    if len(parts) == 1:
        got = fetch(parts[0], work, label, on_progress)
    else:
        got = _join(parts, work, label, on_progress)
    size = got.path.stat().st_size
    digest = _verify(file, got, size, " + ".join(parts))
    target = files / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    if got.keep:
        shutil.copyfile(got.path, target)
        if _sha256(target) != digest:
            target.unlink()
            raise Unavailable(f"{got.path} changed while it was copied; pull it again")
    else:
        got.path.replace(target)
    _sync(target)
    return store.PulledFile(file.path, size, digest, " + ".join(parts), got.revision)


def _join(parts: tuple[str, ...], work: Path, label: str, on_progress: OnProgress) -> Fetched:
    """Parts of one file, one after the other."""
    joined = work / "joined"
    with joined.open("wb") as whole:
        for number, part in enumerate(parts, start=1):
            got = fetch(part, work, f"{label} ({number}/{len(parts)})", on_progress)
            with got.path.open("rb") as piece:
                shutil.copyfileobj(piece, whole, _BLOCK)
            if not got.keep:
                got.path.unlink()
    return Fetched(joined)


def _verify(file: File, got: Fetched, size: int, source: str) -> str:
    """Hold the bytes against every promise; what breaks one is deleted. Returns the sha256.

    The catalogue's word counts before the source's own.
    """
    expected_size = file.size if file.size is not None else got.size
    if expected_size is not None and size != expected_size:
        raise _reject(got, f"{file.path} has {size} bytes instead of {expected_size}", source)
    digest = _sha256(got.path)
    expected = file.sha256 or got.sha256
    if expected is not None and digest != expected:
        raise _reject(got, f"{file.path} has sha256 {digest} instead of {expected}", source)
    if expected is None and got.git_sha1 is not None and _git_sha1(got.path) != got.git_sha1:
        raise _reject(got, f"{file.path} does not have the git hash {got.git_sha1}", source)
    return digest


def _reject(got: Fetched, what: str, source: str) -> _MismatchError:
    fate = ""
    if not got.keep:
        got.path.unlink(missing_ok=True)
        fate = " and was deleted"
    return _MismatchError(f"{what} (from {source}){fate}; pull it again or check the source")


def _still_good(file: File, files: Path, record: store.PulledFile | None) -> bool:
    """Whether an earlier, broken-off pull already verified this very file."""
    if record is None or file.sha256 not in (None, record.sha256):
        return False
    if not any(" + ".join(parts) == record.source for parts in file.sources):
        return False
    path = files / file.path
    return path.is_file() and path.stat().st_size == record.size


def _read_verified(staging: Path) -> dict[str, store.PulledFile]:
    try:
        value = json.loads((staging / "verified.json").read_text(encoding="utf-8"))
        return {record["path"]: store.PulledFile(**record) for record in value}
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # then everything is fetched again, which is always right


def _write_verified(staging: Path, verified: dict[str, store.PulledFile]) -> None:
    with paths.atomic_write(staging / "verified.json") as out:
        out.write(json.dumps([asdict(record) for record in verified.values()]).encode())


def _check_space(entry: Entry, staging: Path) -> None:
    """Say at once what would fail after an hour. What is already here counts as done."""
    if entry.size is None:
        return
    here = sum(path.stat().st_size for path in staging.rglob("*") if path.is_file())
    free = shutil.disk_usage(staging).free
    if free < entry.size - here:
        raise TriviumError(
            f"{entry.name} needs {entry.size:,} bytes and {staging.parent.parent} has {free:,} "
            "free; free some space or set TRIVIUM_HOME to another folder"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _git_sha1(path: Path) -> str:
    """git's name for a blob: sha1 over "blob <size>", a zero byte and the content."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    """Bytes reach the disk before the record that calls them verified."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the rename last. Windows cannot open a folder, and does not need to."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
