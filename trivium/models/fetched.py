"""What every source of files hands on: the file, what it should be, and how far it has come."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

OnProgress = Callable[[str, int, int | None], None]
"""Called with a label, the bytes done and the bytes in all (None when not known)."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file in the work folder, with what its source says it should be.

    `sha256` and `git_sha1` (git's blob hash, which the hub gives for small files) are hex; any of
    the promises may be None. `keep` marks a file that is not ours to move.
    """

    path: Path
    size: int | None = None
    sha256: str | None = None
    git_sha1: str | None = None
    revision: str | None = None
    keep: bool = False
