"""Files to what finds duplicates among them: their facts, whole pixels, and prints."""

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trivium.images.base import Picture
from trivium.images.decode import MOST_BYTES, Refused, decode
from trivium.images.hashes import PRINT, Prints, fingerprint
from trivium.images.store import Refusal

_AHEAD = 256  # files in flight: a folder of a million does not wait in memory


@dataclass(frozen=True, slots=True)
class Scan:
    """`prints` are those of `pictures`, in their order."""

    pictures: tuple[Picture, ...]
    prints: Prints
    refused: tuple[Refusal, ...]


def scan(paths: Sequence[str], on_progress: Callable[[int, int], None] | None = None) -> Scan:
    """Read and decode files, whole, in as many threads as there are cores."""
    pictures: list[Picture] = []
    prints: list[Prints] = []
    refused: list[Refusal] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
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
    picture = Picture(
        path,
        hashlib.sha256(data).hexdigest(),
        decoded.pixels,
        decoded.width,
        decoded.height,
        len(data),
        facts.st_mtime,
        decoded.taken,
        decoded.format,
        decoded.frames,
    )
    return picture, fingerprint(decoded.image)
