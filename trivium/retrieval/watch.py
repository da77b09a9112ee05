"""When files change: the system's own notices for folders, a look every now and then for files."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from watchfiles import DefaultFilter, watch

from trivium.paths import home

LOOK_MS = 500


def changes(roots: Sequence[Path]) -> Iterator[None]:
    """Once when the watch has begun, then whenever something under `roots` may have changed.

    A file that was named itself is looked at twice a second: editors put a new file in the place
    of the old one, and the system's watch would stay with that.

    Raises:
        KeyboardInterrupt: on Ctrl-C.
    """
    folders = [root for root in roots if root.is_dir()]
    others = [root for root in roots if root not in folders]
    seen = None
    for noticed in watch(
        *folders,
        watch_filter=DefaultFilter(ignore_paths=[home()]),  # the index itself is written in there
        rust_timeout=LOOK_MS,
        yield_on_timeout=True,
    ):
        now = [_state(file) for file in others]
        if noticed or now != seen:  # the first time is always one: there may be something to do
            yield
        seen = now


def _state(file: Path) -> tuple[int, ...]:
    try:
        stat = file.stat()
    except OSError:
        return ()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
