"""Which of a group's copies to keep: the one that holds most of the picture.

Detail is what halving a picture loses: the squared difference from the picture made half as large
and large again, over all pixels, for a contrast of one. A photograph of twice the width has four
times as much, an enlargement of that size a quarter.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trivium.images.base import Picture
from trivium.images.decode import Refused, decode

ALIKE = 0.7
"""Copies with at least this share of the most detail are taken for equally sharp: recompressing and
lighting cost less."""


@dataclass(frozen=True, slots=True)
class Best:
    """The copy to keep, and in which respects it is ahead, in words."""

    picture: Picture
    why: str


def propose(pictures: Sequence[Picture], detail: Callable[[Picture], float] | None = None) -> Best:
    """The best of one or more copies, by sharpness, EXIF date, resolution, frames.

    Of one format, the file with most bytes for a pixel lost least; then the oldest is proposed, and
    the shortest path.
    """
    details = _details(pictures, detail or detail_of)
    most = max(details.values())
    densest: dict[str, float] = {}
    respects: tuple[tuple[str, Callable[[Picture], float]], ...] = (
        ("sharp", lambda one: details[one.path] >= ALIKE * most),
        ("has its EXIF date", lambda one: one.taken is not None),
        ("highest resolution", lambda one: one.width * one.height),
        ("more frames", lambda one: one.frames),
        ("least compressed", lambda one: _density(one) == densest[one.format]),
        ("oldest", lambda one: -one.modified),
    )
    left, words = list(pictures), list[str]()
    for name, value in respects:
        densest.update((one.format, _density(one)) for one in sorted(left, key=_density))
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
    from PIL.Image import Resampling

    try:
        image = decode(Path(picture.path).read_bytes(), picture.path).image
    except (OSError, Refused):
        return 0.0
    grey = image.convert("L")
    if min(grey.size) < 2:
        return 0.0
    half = grey.resize((grey.width // 2, grey.height // 2), Resampling.LANCZOS)
    values = np.asarray(grey, np.float32)
    lost = values - np.asarray(half.resize(grey.size, Resampling.BICUBIC), np.float32)
    return float((lost**2).sum() / max(float(values.var()), 1e-6))


def _density(one: Picture) -> float:
    return one.size / (one.width * one.height)
