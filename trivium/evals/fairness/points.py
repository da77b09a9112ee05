"""Figures without their intervals, where they are computed again and again on parts of the data."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_POINTS: ContextVar[bool] = ContextVar("points", default=False)


@contextmanager
def points_only() -> Iterator[None]:
    """Within it, `resample` draws nothing, and intervals of its making are unbounded."""
    token = _POINTS.set(True)
    try:
        yield
    finally:
        _POINTS.reset(token)


def only_points() -> bool:
    return _POINTS.get()
