"""Files to what finds duplicates among them: their facts, whole pixels, and prints."""

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trivium.errors import UsageError
from trivium.images.base import Picture, Vectors
from trivium.images.decode import MOST_BYTES, Refused, decode
from trivium.images.hashes import PRINT, Prints, fingerprint
from trivium.images.index import existing
from trivium.images.store import Pictures, Refusal
from trivium.models.hardware import usable_cores
from trivium.paths import absolute
from trivium.retrieval.known import is_under

_AHEAD = 256  # files in flight: a folder of a million does not wait in memory

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Scan:
    """`prints` are those of `pictures`, in their order."""

    pictures: tuple[Picture, ...]
    prints: Prints
    refused: tuple[Refusal, ...]


def scan(paths: Sequence[str], on_progress: OnProgress | None = None) -> Scan:
    """Read and decode files, whole, in as many threads as there are cores."""
    pictures: list[Picture] = []
    prints: list[Prints] = []
    refused: list[Refusal] = []
    with ThreadPoolExecutor(usable_cores()) as pool:
        for start in range(0, len(paths), _AHEAD):
            for found in pool.map(_read, paths[start : start + _AHEAD]):
                if isinstance(found, Refusal):
                    refused.append(found)
                else:
                    pictures.append(found[0])
                    prints.append(found[1])
            if on_progress:
                on_progress(min(start + _AHEAD, len(paths)), len(paths))
    joined = np.concatenate(prints) if prints else np.zeros(0, PRINT)
    return Scan(tuple(pictures), joined, tuple(refused))


def scan_index(
    name: str, under: Sequence[str] = (), on_progress: OnProgress | None = None
) -> tuple[Scan, Vectors]:
    """The files of an index, or those at or below paths, and their vectors as it has them.

    A file that changed since is refused: its vector is another picture's.

    Raises:
        UsageError: when there is no such index, or it has no picture there.
    """
    store = Pictures(existing(name))
    try:
        with store.snapshot():
            known = store.pictures()
            vectors = store.embeddings()[1]
    finally:
        store.close()
    roots = [str(absolute(path)) for path in under]
    paths = [
        one.path for one in known if not roots or any(is_under(one.path, root) for root in roots)
    ]
    if not paths:
        where = f" under {', '.join(under)}" if under else ""
        raise UsageError(f'the index "{name}" has no pictures{where}')
    rows = {one.sha256: row for row, one in enumerate(known)}
    found = scan(paths, on_progress)
    held = [at for at, one in enumerate(found.pictures) if one.sha256 in rows]
    changed = [
        Refusal(one.path, "unreadable", "changed since it was indexed: index again")
        for one in found.pictures
        if one.sha256 not in rows
    ]
    kept = tuple(found.pictures[at] for at in held)
    seen = vectors[[rows[one.sha256] for one in kept]]
    return Scan(kept, found.prints[held], (*found.refused, *changed)), seen


def sha256_of(path: str) -> str:
    """Of a file's bytes.

    Raises:
        OSError: when it cannot be read.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(path: str) -> tuple[Picture, Prints] | Refusal:
    try:
        with Path(path).open("rb") as file:
            facts = os.fstat(file.fileno())
            if facts.st_size > MOST_BYTES:
                return Refusal(path, "bomb", f"has {facts.st_size:,} bytes")
            data = file.read()
        decoded = decode(data, path)
    except OSError as error:
        return Refusal(path, "unreadable", error.strerror or str(error))
    except Refused as error:
        return Refusal(path, error.reason, error.detail)
    digest = hashlib.sha256(data).hexdigest()
    # Animations and scans of many pages may begin alike: they are the same when all bytes are.
    moving = decoded.frames > 1
    picture = Picture(
        path,
        digest,
        digest if moving else decoded.pixels,
        decoded.width,
        decoded.height,
        len(data),
        facts.st_mtime,
        decoded.taken,
        decoded.format,
        decoded.frames,
    )
    return picture, np.zeros(1, PRINT) if moving else fingerprint(decoded.image)
