"""One chat a session, told by a lock that ends with its process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from trivium import paths
from trivium.errors import TriviumError


@contextmanager
def locked(file: Path, name: str) -> Iterator[None]:
    """Hold the lock `file` of the session `name`.

    Raises:
        TriviumError: when another chat holds it, or it cannot be made.
    """
    from filelock import FileLock, Timeout

    paths.ensure(file.parent)
    # Not of one thread: an asynchronous program may leave it in another than it came in.
    lock = FileLock(file, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise TriviumError(
            f'session "{name}" is open in another chat; close that one, or work on a copy: '
            f"trivium sessions fork {name}"
        ) from error
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise TriviumError(
            f"cannot lock {file}: {reason}; make its folder writable or set TRIVIUM_HOME"
        ) from error
    try:
        yield
    finally:
        lock.release()
