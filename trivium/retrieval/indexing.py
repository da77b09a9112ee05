"""Files into the store: only what changed is read, only what is new is embedded.

Work goes in groups of documents. A group is read, split and embedded outside of any transaction
and stored in one; a process that dies in between has lost that group's work and nothing else.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trivium.paths import absolute
from trivium.retrieval.base import Document, Embedder, Passage, Report, Skipped
from trivium.retrieval.known import Known, is_unchanged, is_under, times
from trivium.retrieval.load import LoadError, load
from trivium.retrieval.split import split
from trivium.retrieval.store import MissingEmbeddings, Parsed, Root, Store
from trivium.retrieval.walk import find_files

LONGEST = 256
"""Tokens of a passage at most, whatever the embedder could take: a citation's neighbourhood."""
HEADING_ROOM = 14
"""Tokens left for the heading that is embedded before the text."""
GROUP = 256
"""Passages after which a group is stored."""

OnProgress = Callable[[int, int], None]


@dataclass
class _Counts:
    """A report in the making."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    embedded: int = 0
    skipped: list[Skipped] = field(default_factory=list)


def embedded_text(passage: Passage) -> str:
    """What of a passage is embedded: its nearest heading, then its text."""
    heading = passage.heading.rsplit(" > ", 1)[-1]
    return f"{heading}\n{passage.text}" if heading else passage.text


def sync(
    store: Store, embedder: Embedder, roots: Sequence[Root], on_progress: OnProgress | None = None
) -> Report:
    """Make the store hold exactly what lies under `roots` now, beside what other roots hold."""
    counts = _Counts()
    files, limits = _found(roots, counts)
    known = store.known()
    gone = _gone(store, roots, set(map(str, files)), known)
    _drop(store, gone, counts)

    def parsed() -> Iterator[Parsed]:
        for done, file in enumerate(files, start=1):
            one = _parse(store, embedder, file, known.get(str(file)), limits[file], counts)
            if one is not None:
                yield one
            if on_progress:
                on_progress(done, len(files))

    _store(store, embedder, parsed(), counts)
    store.sweep()
    return _report(store, counts)


def add_document(store: Store, embedder: Embedder, document: Document) -> Report:
    """Store one document that is no file, unless it is there already."""
    counts = _Counts()
    known = store.known().get(document.path)
    if known and known.sha256 == document.sha256:
        counts.unchanged = 1
    else:
        counts.added, counts.changed = (0, 1) if known else (1, 0)
        size = len(document.text.encode())
        one = _split(embedder, document, Known(document.sha256, size, 0, 0))
        _store(store, embedder, [one], counts)
        store.sweep()
    return _report(store, counts)


def remove(store: Store, paths: Iterable[str | Path]) -> int:
    """Take files, or all that lies under folders, out of the store; how many documents left."""
    named = ["-" if str(path) == "-" else str(absolute(path)) for path in paths]
    gone = [path for path in store.known() if any(is_under(path, name) for name in named)]
    if gone:
        store.drop(gone)
        store.sweep()
    with store.write() as db:
        db.executemany("DELETE FROM roots WHERE path = ?", [(name,) for name in named])
    return len(gone)


def pending(store: Store) -> tuple[int, int, int]:
    """Files (new, changed, deleted) since the last run, told by size and time alone."""
    counts = _Counts()
    roots = store.roots()
    files, _ = _found(roots, counts)
    known = store.known()
    new = sum(str(file) not in known for file in files)
    changed = sum(
        str(file) in known and times(file) != (known[str(file)].size, known[str(file)].mtime_ns)
        for file in files
    )
    return new, changed, len(_gone(store, roots, set(map(str, files)), known))


def _found(roots: Sequence[Root], counts: _Counts) -> tuple[list[Path], dict[Path, int]]:
    """Every file under the roots, once, and the largest size that its root allows."""
    limits: dict[Path, int] = {}
    for root in roots:
        if not Path(root.path).exists():
            continue  # it was there when it was added: its documents leave
        files, skipped = find_files([root.path], root.include, root.exclude)
        counts.skipped += [one for one in skipped if one not in counts.skipped]
        for file in files:
            if _has_a_name(file):
                limits[file] = max(limits.get(file, 0), root.max_bytes)
            else:
                counts.skipped.append(Skipped(_printable(file), "has a name that is not UTF-8"))
    return list(limits), limits


def _has_a_name(file: Path) -> bool:
    """False for bytes that are no text, which neither SQLite nor JSON can hold."""
    try:
        str(file).encode()
    except UnicodeEncodeError:
        return False
    return True


def _printable(file: Path) -> str:
    return os.fsencode(file).decode(errors="replace")


def _gone(
    store: Store, roots: Sequence[Root], found: set[str], known: dict[str, Known]
) -> list[str]:
    """Documents under these roots that are no longer found, unless another root still has them."""
    others = [root for root in store.roots() if root not in roots]
    return [
        path
        for path in known
        if path not in found
        and any(is_under(path, root.path) for root in roots)
        and not (Path(path).exists() and any(is_under(path, other.path) for other in others))
    ]


def _drop(store: Store, gone: list[str], counts: _Counts) -> None:
    if gone:
        store.drop(gone)
        counts.removed += len(gone)


def _parse(
    store: Store,
    embedder: Embedder,
    file: Path,
    known: Known | None,
    max_bytes: int,
    counts: _Counts,
) -> Parsed | None:
    """Read and split a file; None when it did not change or cannot be read."""
    if known and is_unchanged(file, known):
        counts.unchanged += 1
        return None
    read_ns = time.time_ns()
    try:
        stat = file.stat()
        document = load(file, max_bytes)
        now = Known(document.sha256, stat.st_size, stat.st_mtime_ns, read_ns)
        if known and known.sha256 == document.sha256:
            store.touch(document.path, now)
            counts.unchanged += 1
            return None
        one = _split(embedder, document, now)
    except (LoadError, OSError) as error:
        counts.skipped.append(Skipped(str(file), _reason(error)))
        if known:  # what it held can no longer be cited
            _drop(store, [str(file)], counts)
        return None
    if known:
        counts.changed += 1
    else:
        counts.added += 1
    return one


def _reason(error: LoadError | OSError) -> str:
    if isinstance(error, LoadError):
        return error.reason
    if isinstance(error, FileNotFoundError):
        return "vanished while it was read"
    return f"cannot be read: {error.strerror}"


def _split(embedder: Embedder, document: Document, known: Known) -> Parsed:
    limit = min(embedder.max_tokens, LONGEST) - HEADING_ROOM
    passages = split(document, embedder.token_offsets, limit)
    hashes = tuple(hashlib.sha256(embedded_text(p).encode()).digest() for p in passages)
    return Parsed(document, known, tuple(passages), hashes)


def _store(store: Store, embedder: Embedder, parsed: Iterable[Parsed], counts: _Counts) -> None:
    group: list[Parsed] = []
    size = 0
    for one in parsed:
        group.append(one)
        size += len(one.passages)
        if size >= GROUP:
            _store_group(store, embedder, group, counts)
            group, size = [], 0
    if group:
        _store_group(store, embedder, group, counts)


def _store_group(store: Store, embedder: Embedder, group: list[Parsed], counts: _Counts) -> None:
    texts = {
        text_hash: embedded_text(passage)
        for one in group
        for passage, text_hash in zip(one.passages, one.hashes, strict=True)
    }
    wanted = set(texts) - store.embedded(texts)
    vectors: dict[bytes, bytes] = {}
    while True:
        new = [text_hash for text_hash in texts if text_hash in wanted]
        rows = embedder.encode([texts[text_hash] for text_hash in new])
        vectors |= {text_hash: row.tobytes() for text_hash, row in zip(new, rows, strict=True)}
        try:
            store.put(group, vectors)
        except MissingEmbeddings as error:
            wanted = error.hashes
        else:
            counts.embedded += len(vectors)
            return


def _report(store: Store, counts: _Counts) -> Report:
    passages = int(str(store.read("SELECT count(*) FROM passages")[0][0]))
    return Report(
        counts.added,
        counts.changed,
        counts.unchanged,
        counts.removed,
        passages,
        counts.embedded,
        tuple(counts.skipped),
    )
