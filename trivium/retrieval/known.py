"""What an index remembers of a file, to tell whether it changed without reading it."""

from dataclasses import dataclass
from pathlib import Path

_RACY_NS = 2_000_000_000  # a file written this shortly before it was read may change unseen


@dataclass(frozen=True, slots=True)
class Known:
    """A file when it was read. Times are nanoseconds."""

    sha256: str
    size: int
    mtime_ns: int
    read_ns: int


def times(file: Path) -> tuple[int, int] | None:
    """Size and time of change; None when the file cannot be looked at."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


def is_unchanged(file: Path, known: Known) -> bool:
    """True when size and time prove it: a file read right after a change may change unseen."""
    settled = known.mtime_ns < known.read_ns - _RACY_NS
    return settled and times(file) == (known.size, known.mtime_ns)


def is_under(path: str, root: str) -> bool:
    """Whether `path` is `root` or lies below it."""
    return path == root or path.startswith(root.rstrip("/") + "/")
