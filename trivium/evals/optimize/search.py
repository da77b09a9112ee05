"""The search itself: races between many candidates, then one example exchanged at a time.

It knows neither models nor rows: `Trials` tells what a candidate gains and when the tokens are
spent. Everything random is seeded, so that the same answers lead the same way.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from math import ceil

from trivium.evals.optimize.base import Candidate
from trivium.evals.optimize.trials import FINALISTS, Spent, Trials

SHOTS = 4
"""Examples in a set, for a prompt that shows none yet."""
FIRST = 8
"""Rows of a race's first round, at least."""
HEADS = 2
"""Instructions for which examples are sought."""
ROUNDS = 2
"""Passes over all examples without an end in sight."""
SHARES = (1 / 3, 1 / 2, 1.0)
"""What each stage may spend of what is left: instructions, sets of examples, exchanges."""

Sets = Callable[[Candidate], Iterable[Candidate]]


def search(
    trials: Trials, instructions: Sequence[Candidate], sets: Sets, neighbours: Sets
) -> list[Candidate]:
    """The candidates that are worth a validation, the best on the training rows first.

    Args:
        instructions: what to try besides the prompt as it is.
        sets: the same prompt with other sets of examples.
        neighbours: the same with one example exchanged, or two swapped.
    """
    trials.allow(SHARES[0], "instructions")
    heads = race(trials, [trials.start, *instructions], HEADS)
    trials.allow(SHARES[1], "sets of examples")
    drawn = [one for head in heads for one in sets(head)]
    best = race(trials, [*heads, *drawn], 1) if drawn else heads[:1]
    trials.allow(SHARES[2], "single examples")
    if best and best[0].own:
        climb(trials, best[0], neighbours)
    found = (candidate for gain, candidate in trials.ranked() if gain > 0)
    return list(islice(found, FINALISTS))


def race(trials: Trials, candidates: Sequence[Candidate], keep: int) -> list[Candidate]:
    """The best `keep` by successive halving (Karnin, Koren & Somekh 2013, ICML).

    All are asked for a quarter of the training rows, the better half of them for a half, and so
    on: tokens go to what is promising. When they run out, the last finished round decides.
    """
    left, total = list({one.key: one for one in candidates}.values()), len(trials.parts["train"])
    rows = min(total, max(FIRST, ceil(total / 4)))
    while True:
        try:
            gains = [(trials.gain(one, "train", rows), one) for one in left]
        except Spent:
            return left[:keep]
        left = [one for gain, one in sorted(gains, key=lambda pair: -pair[0]) if gain > _NEVER]
        if rows == total:
            return left[:keep]
        left = left[: max(keep, ceil(len(left) / 2))]
        rows = min(total, rows * 2)


def climb(trials: Trials, start: Candidate, neighbours: Sets) -> Candidate:
    """The best that exchanges lead to, each taken when it helps on all training rows.

    A neighbour that falls behind on the first rows is dropped there.
    """
    best = start
    for _ in range(ROUNDS):
        before, step = best, 0
        # the neighbours are those of whatever is the best by now; a pass takes each step once
        while other := next(islice(neighbours(best), step, None), None):
            try:
                if _beats(trials, other, best):
                    best = other
            except Spent:
                return best
            step += 1
        if best is before:
            break
    return best


def _beats(trials: Trials, other: Candidate, best: Candidate) -> bool:
    total = len(trials.parts["train"])
    rows = min(total, max(FIRST, ceil(total / 4)))
    while trials.gain(other, "train", rows) >= trials.gain(best, "train", rows):
        if rows == total:
            return trials.gain(other) > trials.gain(best)
        rows = min(total, rows * 2)
    return False


_NEVER = float("-inf")
