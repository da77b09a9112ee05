"""Whether two small grey pictures show the same, once one is laid over a window of the other.

The window's place and size are found by Gauss-Newton steps that raise the correlation, which no
change of brightness or contrast alters (Evangelidis and Psarakis, "Parametric Image Alignment Using
Enhanced Correlation Coefficient Maximization", 2008, with four parameters).
"""

import numpy as np
import numpy.typing as npt

from trivium.images.hashes import SIDE, WINDOWS, Prints, turn

NEAR = 0.9
"""Two pictures whose correlation reaches this are near; suspicious ones that are unrelated reach
0.8, and 0.5 as a rule."""
SAME_HUE = 12.0
"""And whose colours, made equally strong, differ by no more than this, of 255, on average."""

_STEPS = 6
_BATCH = 4096
_HOPELESS = 0.5  # a correlation that no step from a window's neighbour lifts to `NEAR`
_PROMISING = (
    0.6  # the same of 8 by 8 cells: nine in ten suspicions end here, at a tenth of the cost
)
_CELLS = 8
_SMALLEST, _LARGEST = 0.75, 1.05  # of the window's sides, in shares

Floats = npt.NDArray[np.float32]


def verify(
    prints: Prints, suspicions: npt.NDArray[np.int64], coarse: Floats | None = None
) -> Floats:
    """The correlation of each suspicion's pictures, aligned: (m,); 0 where cells or colours differ.

    `coarse` are the `cells` of the prints, when there are many blocks of suspicions.
    """
    coarse = cells(prints) if coarse is None else coarse
    found = np.zeros(len(suspicions), np.float32)
    for form in np.unique(suspicions[:, 2]):
        turned = turn(coarse[:, 0], int(form))
        rows = np.flatnonzero(suspicions[:, 2] == form)
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            ours = coarse[suspicions[part, 0], suspicions[part, 3]]
            alike = np.einsum("mrc,mrc->m", ours, turned[suspicions[part, 1]])
            part = part[alike >= _PROMISING]
            whole, other = prints[suspicions[part, 0]], prints[suspicions[part, 1]]
            same = _hues_differ(whole["hue"], turn(other["hue"], int(form))) <= SAME_HUE
            places = np.array(WINDOWS, np.float32)[suspicions[part[same], 3]]
            small = turn(other["grey"][same], int(form)).astype(np.float32)
            found[part[same]] = _aligned(whole["grey"][same].astype(np.float32), small, places)
    return found


def cells(prints: Prints) -> Floats:
    """The means of 8 by 8 cells of each window, mean 0 and length 1: (n, windows, 8, 8)."""
    edges = np.arange(_CELLS + 1) / _CELLS
    pixels = np.arange(SIDE) / SIDE
    found = np.zeros((len(prints), len(WINDOWS), _CELLS, _CELLS), np.float32)
    for number, (left, top, side) in enumerate(WINDOWS):
        shares = []
        for start in (top, left):
            low, high = (start + side * edges[:-1])[:, None], (start + side * edges[1:])[:, None]
            covered = np.minimum(high, pixels + 1 / SIDE) - np.maximum(low, pixels)
            shares.append(np.clip(covered, 0, None).astype(np.float32))  # (8, 32)
        for at in range(0, len(prints), _BATCH):
            grey = prints["grey"][at : at + _BATCH].astype(np.float32)
            means = np.einsum("rp,npq,cq->nrc", *(shares[0], grey, shares[1]), optimize=True)
            found[at : at + _BATCH, number] = _normal(means).reshape(-1, _CELLS, _CELLS)
    return found


def _hues_differ(one: npt.NDArray[np.generic], other: npt.NDArray[np.generic]) -> Floats:
    """By how much on average, once the second, at most doubled or halved, is as strong: (m,).

    A brighter copy has stronger colours.
    """
    a, b = (hue.reshape(-1, 4 * 4 * 2).astype(np.float32) for hue in (one, other))
    gain = np.einsum("mh,mh->m", a, b) / np.maximum(np.einsum("mh,mh->m", b, b), 1)
    differs: Floats = np.abs(a - np.clip(gain, 0.5, 2)[:, None] * b).mean(axis=1)
    return differs


def _aligned(whole: Floats, small: Floats, places: Floats) -> Floats:
    """The best correlation of `small` with a window of `whole`, both (m, 32, 32)."""
    target = _normal(small)  # (m, 1024)
    # left, top, width, height
    window = np.concatenate([places, places[:, 2:]], axis=1).astype(np.float64)
    best = np.full(len(whole), -1, np.float32)
    active = np.arange(len(whole))
    for _ in range(_STEPS):
        if not len(active):
            break
        values, across, down = _sample(whole[active], window[active])
        now = _normal(values)
        score = np.einsum("mp,mp->m", now, target[active])
        best[active] = np.maximum(best[active], score)
        going = (score > _HOPELESS) & (score < 0.995)
        active = active[going]
        step = _step(values[going], across[going], down[going], now[going], target[active])
        window[active] = _bounded(window[active] + step)
    return best


def _step(values: Floats, across: Floats, down: Floats, now: Floats, target: Floats) -> Floats:
    """How to move (left, top, width, height), in shares: (m, 4)."""
    at = ((np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE).astype(np.float32)
    moves = [across, down, across * at[None, None, :], down * at[None, :, None]]
    slopes = np.stack([one.reshape(-1, SIDE * SIDE) for one in moves], axis=1)  # (m, 4, 1024)
    slopes -= slopes.mean(axis=2, keepdims=True)
    slopes -= np.einsum("mkp,mp->mk", slopes, now)[..., None] * now[:, None]
    centred = values.reshape(-1, SIDE * SIDE)
    length = np.linalg.norm(centred - centred.mean(axis=1, keepdims=True), axis=1)
    # The part of the target that is not `values` already, in units of grey.
    missing = target / np.maximum(np.einsum("mp,mp->m", target, now), 0.1)[:, None] - now
    right = np.einsum("mkp,mp->mk", slopes, missing * length[:, None])
    square = np.einsum("mkp,mlp->mkl", slopes, slopes)
    trace = np.trace(square, axis1=1, axis2=2)[:, None, None]
    square += (1e-3 * trace + 1e-6) * np.eye(4, dtype=np.float32)
    step: Floats = np.linalg.solve(square, right[..., None])[..., 0]
    return np.clip(step, -0.1, 0.1)


def _bounded(window: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    sides = np.clip(window[:, 2:], _SMALLEST, _LARGEST)
    return np.concatenate([np.clip(window[:, :2], -0.05, 1.05 - sides), sides], axis=1)


def _sample(whole: Floats, window: npt.NDArray[np.float64]) -> tuple[Floats, Floats, Floats]:
    """The window's grey values, and their slopes across and down, per width and per height of the
    whole: (m, 32, 32) each. Bilinear; what lies outside is what lies at the edge."""
    at = (np.arange(SIDE) + 0.5) / SIDE
    x = np.clip((window[:, :1] + window[:, 2:3] * at) * SIDE - 0.5, 0, SIDE - 1.001)
    y = np.clip((window[:, 1:2] + window[:, 3:4] * at) * SIDE - 0.5, 0, SIDE - 1.001)
    left, top = x.astype(np.int64), y.astype(np.int64)
    right_share = (x - left).astype(np.float32)[:, None, :]
    low_share = (y - top).astype(np.float32)[:, :, None]
    each = np.arange(len(whole))[:, None, None]
    rows, columns = top[:, :, None], left[:, None, :]
    a, b = whole[each, rows, columns], whole[each, rows, columns + 1]
    c, d = whole[each, rows + 1, columns], whole[each, rows + 1, columns + 1]
    upper, lower = a + (b - a) * right_share, c + (d - c) * right_share
    values = upper + (lower - upper) * low_share
    across = ((b - a) * (1 - low_share) + (d - c) * low_share) * SIDE
    return values, across, (lower - upper) * SIDE


def _normal(pictures: Floats) -> Floats:
    """Flattened, mean 0, length 1."""
    flat = pictures.reshape(len(pictures), pictures.shape[1] * pictures.shape[2])
    flat = flat - flat.mean(axis=1, keepdims=True)
    normal: Floats = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-6)
    return normal
