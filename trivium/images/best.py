"""Which of a group's copies to keep: the one that holds most of the picture.

Detail is what enlarging does not add: the sum over all pixels of how much each differs from its
neighbours (the Laplacian's magnitude), for a contrast of one. Twice as wide, each differs by a
quarter, and there are four times as many.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trivium.images.base import Picture
from trivium.images.decode import Refused, decode

ALIKE = 0.8
"""Copies with at least this share of the most detail are taken for equally sharp."""


@dataclass(frozen=True, slots=True)
class Best:
    """The copy to keep, and in which respects it is ahead, in words."""

    picture: Picture
    why: str


def propose(pictures: Sequence[Picture], detail: Callable[[Picture], float] | None = None) -> Best:
    """The best of one or more copies: by detail, then EXIF date, resolution, size of the file.

    What is equal in all is decided by age, the oldest, and then by the shortest path.
    """
    details = _details(pictures, detail or detail_of)
    most = max(details)
    left = [one for one, held in zip(pictures, details, strict=True) if held >= ALIKE * most]
    words = ["most detail"] if len(left) < len(pictures) else []
    for name, value in _RESPECTS:
        top = max(value(one) for one in left)
        kept = [one for one in left if value(one) == top]
        if len(kept) < len(left):
            words.append(name)
        left = kept
    best = min(left, key=lambda one: (one.modified, len(one.path), one.path))
    size = f"{best.width} × {best.height}"
    return Best(best, f"{size}; {', '.join(words) or 'the copies are equal, this is the oldest'}")


_RESPECTS: tuple[tuple[str, Callable[[Picture], float]], ...] = (
    ("has its EXIF date", lambda one: one.taken is not None),
    ("highest resolution", lambda one: one.width * one.height),
    ("more frames", lambda one: one.frames),
    ("largest file", lambda one: one.size),
)


def _details(pictures: Sequence[Picture], detail: Callable[[Picture], float]) -> list[float]:
    """Measured once for files of the same pixels, and not at all where all are the same."""
    if len({one.pixels for one in pictures}) == 1:
        return [1.0] * len(pictures)
    known: dict[str, float] = {}
    for one in pictures:
        if one.pixels not in known:
            known[one.pixels] = detail(one)
    return [known[one.pixels] for one in pictures]


def detail_of(picture: Picture) -> float:
    """The detail of a file; 0 when it cannot be read any more."""
    try:
        image = decode(Path(picture.path).read_bytes(), picture.path).image
    except (OSError, Refused):
        return 0.0
    grey = np.asarray(image.convert("L"), np.float32)
    if min(grey.shape) < 3 or not grey.std():
        return 0.0
    inner = (
        4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    )
    return float(np.abs(inner).sum() / grey.std())
