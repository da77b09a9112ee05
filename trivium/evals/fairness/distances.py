"""How far the scores of a group lie from those of all others, as whole distributions.

A mean can be equal where the tails are not. Both distances are computed for many relabellings at
once, which is what a permutation test needs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from trivium.errors import UsageError
from trivium.evals.fairness.resample import PERMUTATIONS, Flags, Permuted, permuted
from trivium.evals.intervals import Floats, checked

BINS = 20
"""Equal ones over the range of a score, for Jensen-Shannon."""

Draws = Callable[[Flags], Floats]
"""From who is in the group, (draws, n), to the distance of each draw, (draws,)."""


@dataclass(frozen=True, slots=True)
class Distances:
    """Both distances of a group from the others, each with the p of its permutation test."""

    wasserstein: Permuted
    jensen_shannon: Permuted


def distances(
    values: ArrayLike,
    inside: ArrayLike,
    scale: tuple[float, float],
    rows: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Distances:
    """The distances of a group's values from all others'; both tests share their relabellings.

    Args:
        values: (n,)
        inside: (n,) whether a value is of the group.
        scale: the least and the greatest score there can be; bins divide it.
        rows, clusters: as in `permuted`.

    Raises:
        UsageError: when a side has no values, or a value lies outside of `scale`.
    """
    array = checked(values)
    both = wasserstein_of(array), jensen_shannon_of(array, scale)

    def statistics(flags: Flags) -> Sequence[Floats]:
        return [one(flags) for one in both]

    found = permuted(statistics, inside, rows, clusters, permutations=permutations, seed=seed)
    return Distances(found[0], found[1])


def wasserstein_of(values: Floats) -> Draws:
    """1-Wasserstein: the integral of |F - G| of two empirical distributions, in score units.

    The least mean distance by which one has to be moved to become the other. Equal to
    `scipy.stats.wasserstein_distance`.
    """
    order = np.argsort(values, kind="stable")
    steps = np.diff(values[order])

    def distance(inside: Flags) -> Floats:
        here = inside[:, order]
        there = ~here
        f = here.cumsum(axis=1)[:, :-1] / here.sum(axis=1, keepdims=True)
        g = there.cumsum(axis=1)[:, :-1] / there.sum(axis=1, keepdims=True)
        found: Floats = np.abs(f - g) @ steps
        return found

    return distance


def jensen_shannon_of(values: Floats, scale: tuple[float, float], bins: int = BINS) -> Draws:
    """The Jensen-Shannon divergence of two histograms, base 2: 0 (equal) to 1 (disjoint).

    JSD = H((P + Q) / 2) - (H(P) + H(Q)) / 2 (Lin 1991, IEEE Trans Inf Theory 37:145), with `bins`
    equal bins over `scale`, the last one closed. The square of
    `scipy.spatial.distance.jensenshannon(p, q, base=2)`.

    Raises:
        UsageError: when a value lies outside of `scale`.
    """
    low, high = scale
    outside = np.flatnonzero((values < low) | (values > high))
    if outside.size:
        raise UsageError(f"the score {values[outside[0]]} lies outside of {low:g} to {high:g}")
    place = np.searchsorted(np.linspace(low, high, bins + 1)[1:-1], values, side="right")
    held = np.eye(bins)[place]  # (n, bins)

    def divergence(inside: Flags) -> Floats:
        p, q = inside @ held, ~inside @ held  # (draws, bins)
        p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
        found = _entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2
        return np.maximum(found, 0.0)  # rounding

    return divergence


def _entropy(shares: Floats) -> Floats:
    """In bits, of each row."""
    logs = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
    found: Floats = -(shares * logs).sum(axis=1)
    return found
