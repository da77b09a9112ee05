"""Perceptual hashes: which pictures may show the same, whatever was done to them since.

A hash is the signs of the 63 lowest frequencies of a picture's cosine transform (the DCT hash of
Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, with signs for
its median). Signs turn with the picture: a mirror flips those of the odd frequencies, a
transposition swaps the axes. So the hashes of all eight turned and mirrored forms come from one.

A print has such hashes of the whole picture and of five windows into it, by which crops are found;
a small grey picture, on which a suspicion is verified (see `align`); and colours, for what differs
in nothing else.
"""

from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 32
LOW = 8
WINDOWS = ((0.0, 0.0, 1.0), (0.05, 0.05, 0.9), *((x, y, 0.9) for x in (0, 0.1) for y in (0, 0.1)))
"""(left, top, side), in shares of the picture: the whole, its middle, its four corners."""
NEAR_BITS = 16
"""Two hashes that differ in at most so many of 63 bits are suspicious: unrelated photographs
differ in 31 on average, and in so few once in two thousand pairs."""
FLAT = 3.0
"""A picture whose grey values deviate less than this, of 255, has no hash worth the name."""

PRINT = np.dtype(
    [
        ("keys", "<u8", (len(WINDOWS),)),
        ("grey", "u1", (SIDE, SIDE)),
        ("hue", "i1", (4, 4, 2)),  # Cb and Cr, less 128
    ]
)
Prints = npt.NDArray[np.void]
"""Records of `PRINT`, shape (n,); `tobytes` and `np.frombuffer` store and load them."""

FORMS = tuple(product((False, True), repeat=3))
"""(transposed, then upside down, then mirrored): the eight of a square."""

_BLOCK = 2048
_DCT = np.cos(np.pi * np.outer(np.arange(LOW), 2 * np.arange(SIDE) + 1) / (2 * SIDE))  # (8, 32)


def fingerprint(image: "Image") -> Prints:
    """The print of an upright RGB picture, shape (1,)."""
    from PIL.Image import Resampling

    found = np.zeros(1, PRINT)
    small = image.reduce(max(1, min(image.size) // (8 * SIDE)))  # quick, and still four times finer
    grey = small.convert("L")
    windows = []
    for left, top, share in WINDOWS:
        x, y = left * grey.width, top * grey.height
        box = (x, y, x + share * grey.width, y + share * grey.height)
        part = grey.resize((SIDE, SIDE), Resampling.BILINEAR, box=box)
        windows.append(np.asarray(part, np.uint8))
    found["grey"] = windows[0]
    found["keys"] = _pack(_signs(np.stack(windows)))
    colours = small.resize((4, 4), Resampling.BOX).convert("YCbCr")
    found["hue"] = np.clip(np.asarray(colours, np.int16)[..., 1:] - 128, -128, 127)
    return found


def forms(keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The hashes of the eight `FORMS` of pictures with these hashes: (n,) to (n, 8)."""
    bits = np.unpackbits(keys.astype("<u8").view(np.uint8).reshape(-1, LOW), axis=1)
    grid = bits.reshape(-1, LOW, LOW).astype(bool)
    odd = np.arange(LOW) % 2 == 1
    found = []
    for transposed, down, mirrored in FORMS:
        turned = grid.swapaxes(1, 2) if transposed else grid
        flips = (odd[:, None] & down) ^ (odd[None, :] & mirrored)
        turned = turned ^ flips
        turned[:, 0, 0] = False
        found.append(_pack(turned))
    return np.stack(found, axis=1)


def turn(pictures: npt.NDArray[np.generic], form: int) -> npt.NDArray[np.generic]:
    """Square pictures (n, s, s, …) in one of the `FORMS`."""
    transposed, down, mirrored = FORMS[form]
    if transposed:
        pictures = pictures.swapaxes(1, 2)
    return pictures[:, :: -1 if down else 1, :: -1 if mirrored else 1]


def suspicions(prints: Prints) -> Iterator[npt.NDArray[np.int64]]:
    """Blocks of (whole, part, form, window), shape (m, 4): `part`, as a whole and in that form, is
    within `NEAR_BITS` of that window of `whole`. Every pair that is near is among them, both ways.

    FAISS compares all, 64 bits at an instruction: n² · 48 comparisons, exact.
    """
    import faiss

    lively = np.flatnonzero(prints["grey"].std(axis=(1, 2)) >= FLAT)
    if len(lively) < 2:
        return
    index = faiss.IndexBinaryFlat(64)
    index.add(prints["keys"][lively].reshape(-1, 1).view(np.uint8))
    for start in range(0, len(lively), _BLOCK):
        part = lively[start : start + _BLOCK]
        queries = forms(prints["keys"][part, 0]).reshape(-1, 1).view(np.uint8)
        limits, distances, rows = index.range_search(queries, NEAR_BITS + 1)
        counts = (limits[1:] - limits[:-1]).astype(np.int64)
        query = np.repeat(np.arange(len(queries)), counts)
        whole = lively[rows // len(WINDOWS)]
        other = part[query // len(FORMS)]
        # one row for a pair and a form: by the window that is nearest
        order = np.lexsort((rows, distances, query % len(FORMS), other, whole))
        found = np.stack([whole, other, query % len(FORMS), rows % len(WINDOWS)], axis=1)[order]
        found = found[found[:, 0] != found[:, 1]]
        first = np.ones(len(found), bool)
        first[1:] = (found[1:, :3] != found[:-1, :3]).any(axis=1)
        if len(found):
            yield found[first]


def _signs(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """(n, 32, 32) to (n, 8, 8): which of the lowest frequencies are positive."""
    signs: npt.NDArray[np.bool_] = _DCT @ grey.astype(np.float64) @ _DCT.T > 0
    signs[:, 0, 0] = False  # the mean says nothing
    return signs


def _pack(signs: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """(n, 8, 8) to (n,)"""
    return np.packbits(signs.reshape(-1, LOW * LOW), axis=1).view("<u8")[:, 0]
