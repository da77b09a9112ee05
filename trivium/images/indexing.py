"""A folder of pictures into the store: only what changed is read, only what is new is embedded.

Threads read and decode while the model works. Files are stored in batches, each in one
transaction: a process that dies has lost the batch under way and nothing else.
"""

import hashlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from trivium.images.background import PROMPTS
from trivium.images.base import Encoder
from trivium.images.decode import MOST_BYTES, Decoded, Refused, decode, decoders, fits, is_picture
from trivium.images.store import Content, Entry, Pictures, Refusal
from trivium.retrieval.known import Known, is_unchanged, is_under, times
from trivium.retrieval.walk import find_files

BATCH = 64
"""Files that are embedded and stored together."""
_AHEAD = 2 * BATCH  # files that are read before the model has come to them
_TRIES = 3  # at reading a file that changes meanwhile

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Report:
    """What became of every file with a picture's extension under the roots.

    `pictures` are in the index now, `refused` are not; `missing` are roots and mounted disks that
    were not there, whose `kept` pictures stay; `others` are files of other kinds.
    """

    added: int
    changed: int
    unchanged: int
    removed: int
    kept: int
    embedded: int
    others: int
    pictures: int
    refused: tuple[Refusal, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """What lies under the roots. `hidden` folders could not be looked into."""

    files: list[Path]
    refused: list[Refusal]
    hidden: list[str]
    others: int


@dataclass(frozen=True, slots=True)
class _Read:
    """A file that was read; `decoded` unless its content is stored already or it was refused."""

    entry: Entry
    decoded: Decoded | None = None


@dataclass
class _Counts:
    """A report in the making."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    embedded: int = 0
    extra: list[Refusal] = field(default_factory=list)


def sync(
    store: Pictures,
    encoder: Encoder,
    roots: Sequence[str],
    *,
    prune: bool = False,
    on_progress: OnProgress | None = None,
) -> Report:
    """Make the store hold exactly the pictures under `roots` now, beside those of other roots.

    A root that is missing or quite empty, and a mounted disk that is mounted no more, is taken for
    one that is not plugged in: its pictures stay, unless `prune` says that they are to go.
    """
    ensure_background(store, encoder)
    found = _walk(roots)
    here = {str(file) for file in found.files}
    known = _known(store)
    missing = [] if prune else _missing(store, roots, known)
    absent = [path for path in known if path not in here and _of(path, roots)]
    # A picture that another root's walk reaches by the same path is still there.
    others = [root for root in store.roots() if root not in roots]
    absent = [p for p in absent if not (_of(p, others) and os.path.lexists(p))]
    gone = [path for path in absent if not _of(path, [*missing, *found.hidden])]
    if gone:
        store.drop(gone)
    counts = _Counts(extra=found.refused)
    _read_all(store, encoder, found.files, known, counts, on_progress)
    store.sweep()
    store.remember([], _mounts(found.files, roots))
    store.set_meta("decoders", decoders())
    refused = [one for one in store.refusals() if _of(one.path, roots)]
    return Report(
        counts.added,
        counts.changed,
        counts.unchanged,
        len(gone),
        len(absent) - len(gone),
        counts.embedded,
        found.others,
        store.count(),
        tuple(sorted((*refused, *counts.extra), key=lambda one: one.path)),
        tuple(missing),
    )


def ensure_background(store: Pictures, encoder: Encoder) -> None:
    """Let the store hold the neutral prompts of this version, as the model reads them."""
    if set(store.background()) != set(PROMPTS):
        vectors = encoder.texts(PROMPTS)
        rows = (row.astype("float32").tobytes() for row in vectors)
        store.set_background(dict(zip(PROMPTS, rows, strict=True)))


def forget(store: Pictures, names: Sequence[str]) -> int:
    """Take files, or all that lies under folders, out of the store; how many left it."""
    gone = [path for path in store.known() if _of(path, names)]
    if gone:
        store.drop(gone)
        store.sweep()
    listed = [*store.roots(), *store.mounts()]
    store.unremember(path for path in listed if _of(path, names))
    return len(gone)


def pending(store: Pictures) -> tuple[int, int, int]:
    """Files (new, changed, deleted) since the last run, told by size and time alone."""
    roots = store.roots()
    files = _walk(roots).files
    known = store.known()
    here = {str(file) for file in files}
    changed = sum(
        times(file) != (known[path].size, known[path].mtime_ns)
        for file, path in ((file, str(file)) for file in files)
        if path in known
    )
    return len(here - known.keys()), changed, len(known.keys() - here)


def _of(path: str, roots: Sequence[str]) -> bool:
    return any(is_under(path, root) for root in roots)


def _walk(roots: Sequence[str]) -> _Found:
    present = [root for root in roots if os.path.lexists(root)]
    files, skipped = find_files(present, known=lambda _: True)
    hidden = [one.path for one in skipped if Path(one.path).is_dir()]
    refused = [
        Refusal(one.path, "unreadable", one.reason)
        for one in skipped
        if one.path in hidden or is_picture(Path(one.path))
    ]
    pictures = [file for file in files if is_picture(file)]
    others = len(files) + len(skipped) - len(pictures) - len(refused)
    return _Found(pictures, refused, hidden, others)


def _known(store: Pictures) -> dict[str, Known]:
    """What need not be read again: with other decoders than last time, what they refused is."""
    known = store.known()
    if store.meta("decoders") != decoders():
        for one in store.refusals():
            # Kept by path, so that it leaves the index when its file is gone.
            known[one.path] = Known("", 0, 0, 0)
    return known


def _missing(store: Pictures, roots: Sequence[str], known: dict[str, Known]) -> list[str]:
    """Roots that are not there, and disks that are mounted no more, if they held anything."""
    disks = [path for path in store.mounts() if _of(path, roots) and not os.path.ismount(path)]
    away = {*filter(_is_away, roots), *disks}
    return sorted(path for path in away if any(is_under(one, path) for one in known))


def _is_away(root: str) -> bool:
    """A folder that is not there or quite empty; a picture in a folder that is not there."""
    path = Path(root)
    if path.is_dir():
        try:
            return not any(os.scandir(path))
        except OSError:
            return True
    return not path.exists() and not (is_picture(path) and path.parent.is_dir())


def _mounts(files: Sequence[Path], roots: Sequence[str]) -> list[str]:
    """Folders between the roots and the files that other disks are mounted on."""
    folders: set[str] = set()
    for file in files:
        for folder in file.parents:
            name = str(folder)
            if name in folders or not _of(name, roots):
                break
            folders.add(name)
    return [folder for folder in folders if os.path.ismount(folder)]


def _read_all(
    store: Pictures,
    encoder: Encoder,
    files: Sequence[Path],
    known: dict[str, Known],
    counts: _Counts,
    on_progress: OnProgress | None,
) -> None:
    stored = store.contents()
    changed = []
    for file in files:
        before = known.get(str(file))
        if before and is_unchanged(file, before):
            counts.unchanged += 1
        else:
            changed.append(file)
    done = len(files) - len(changed)
    read = partial(_read, known=known, stored=stored, side=encoder.side)
    for batch in _batches(_ahead(read, changed)):
        lost = _store(store, encoder, batch, known, stored, counts)
        if lost:  # another process swept what they counted on: decode them after all
            for one in lost:
                stored.pop(one.entry.known.sha256, None)
            again = [
                _read(Path(one.entry.path), known={}, stored={}, side=encoder.side) for one in lost
            ]
            _store(store, encoder, again, known, stored, counts)
        done += len(batch)
        if on_progress:
            on_progress(done, len(files))


def _ahead(read: Callable[[Path], _Read], files: Sequence[Path]) -> Iterator[_Read]:
    """`read` of each file in order, by threads, a bounded number of files ahead."""
    waiting: deque[Future[_Read]] = deque()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            for file in files:
                waiting.append(pool.submit(read, file))
                if len(waiting) >= _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()


def _batches(results: Iterator[_Read]) -> Iterator[list[_Read]]:
    batch: list[_Read] = []
    for one in results:
        batch.append(one)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _read(file: Path, *, known: dict[str, Known], stored: dict[str, str], side: int) -> _Read:
    """A file's bytes, hashed, and decoded where its content is not stored."""
    path = str(file)
    at = time.time_ns()
    now = Known("", 0, 0, at)
    try:
        data, now = _bytes(file, at)
        before = known.get(path)
        held = stored.get(now.sha256)
        is_same = before is not None and before.sha256 == now.sha256
        if is_same or (held is not None and fits(file, held)):
            return _Read(Entry(path, now))
        return _Read(Entry(path, now), decode(data, file, side))
    except Refused as error:
        return _Read(Entry(path, now, Refusal(path, error.reason, error.detail)))
    except FileNotFoundError:
        why = "vanished while it was read"
    except OSError as error:
        why = f"cannot be read: {error.strerror}"
    return _Read(Entry(path, now, Refusal(path, "unreadable", why)))


def _bytes(file: Path, at: int) -> tuple[bytes, Known]:
    """The content of a file that stays the same while it is read."""
    for _ in range(_TRIES):
        before = file.stat()
        if before.st_size > MOST_BYTES:
            raise Refused("bomb", f"{before.st_size / 1e6:,.0f} MB, above {MOST_BYTES / 1e6:,.0f}")
        data = file.read_bytes()
        if times(file) == (before.st_size, before.st_mtime_ns) and len(data) == before.st_size:
            digest = hashlib.sha256(data).hexdigest()
            return data, Known(digest, before.st_size, before.st_mtime_ns, at)
    raise Refused("unreadable", "changes while it is read")


def _store(
    store: Pictures,
    encoder: Encoder,
    batch: Sequence[_Read],
    known: dict[str, Known],
    stored: dict[str, str],
    counts: _Counts,
) -> list[_Read]:
    """Embed what is new in a batch and store all of it; what `put` could not."""
    fresh = {one.entry.known.sha256: one.decoded for one in batch if one.decoded}
    fresh = {key: decoded for key, decoded in fresh.items() if key not in stored}
    seen = encoder.images([one.image for one in fresh.values()]) if fresh else ()
    contents = {
        key: Content(
            one.pixels,
            one.width,
            one.height,
            one.taken,
            one.format,
            one.frames,
            vector.astype("float32").tobytes(),
        )
        for (key, one), vector in zip(fresh.items(), seen, strict=True)
    }
    touched, entries = [], []
    for one in batch:
        path, now = one.entry.path, one.entry.known
        before = known.get(path)
        if before and now.sha256 and before.sha256 == now.sha256:
            touched.append((path, now))
        else:
            entries.append(one.entry)
    lost = {one.path for one in store.put(entries, contents)} if entries else set()
    store.refresh(touched)
    stored.update((key, one.format) for key, one in contents.items())
    counts.embedded += len(contents)
    counts.unchanged += len(touched)
    for entry in entries:
        if entry.refusal or entry.path in lost:
            continue
        if entry.path in known:
            counts.changed += 1
        else:
            counts.added += 1
    return [one for one in batch if one.entry.path in lost]
