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

ALIKE = 0.6
"""Copies with at least this share of the most detail are taken for equally sharp: half the width
leaves less, while the block edges of a JPEG of quality 50 may add half."""


@dataclass(frozen=True, slots=True)
class Best:
    """The copy to keep, and in which respects it is ahead, in words."""

    picture: Picture
    why: str


def propose(pictures: Sequence[Picture], detail: Callable[[Picture], float] | None = None) -> Best:
    """The best of one or more copies, by sharpness, EXIF date, resolution, frames.

    Of copies in one format the largest file lost least; then the oldest, and the shortest path.
    """
    details = _details(pictures, detail or detail_of)
    most = max(details.values())
    largest: dict[str, int] = {}
    respects: tuple[tuple[str, Callable[[Picture], float]], ...] = (
        ("sharp", lambda one: details[one.path] >= ALIKE * most),
        ("has its EXIF date", lambda one: one.taken is not None),
        ("highest resolution", lambda one: one.width * one.height),
        ("more frames", lambda one: one.frames),
        ("largest file of its format", lambda one: one.size == largest[one.format]),
        ("oldest", lambda one: -one.modified),
    )
    left, words = list(pictures), list[str]()
    for name, value in respects:
        largest.update((one.format, one.size) for one in sorted(left, key=lambda one: one.size))
        values = [value(one) for one in left]
        kept = [one for one, its in zip(left, values, strict=True) if its == max(values)]
        if len(kept) < len(left):
            words.append(name)
        left = kept
    best = min(left, key=lambda one: (len(one.path), one.path))
    size = f"{best.width} × {best.height}"
    return Best(best, f"{size}; {', '.join(words) or 'the copies are equal'}")


def _details(pictures: Sequence[Picture], detail: Callable[[Picture], float]) -> dict[str, float]:
    """By path: measured once for the same pixels, and not at all where all are the same."""
    if len({one.pixels for one in pictures}) == 1:
        return {one.path: 1.0 for one in pictures}
    first = {one.pixels: one for one in reversed(pictures)}
    known = {pixels: detail(one) for pixels, one in first.items()}
    return {one.path: known[one.pixels] for one in pictures}


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
