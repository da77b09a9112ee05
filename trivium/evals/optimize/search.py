"""The search itself: races between many candidates, then one example exchanged at a time.

It knows neither models nor rows: `Trials` tells what a candidate gains and when the tokens are
spent. Everything random is seeded, so that the same answers lead the same way.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from math import ceil

from trivium.evals.optimize.base import Candidate
from trivium.evals.optimize.trials import FINALISTS, Spent, Trials

SHOTS = 4
"""Examples in a set, for a prompt that shows none yet."""
FIRST = 8
"""Rows of a race's first round."""
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
    if drawn:
        race(trials, [*heads, *drawn], 1)
    trials.allow(SHARES[2], "single examples")
    best = next((candidate for _, candidate in trials.ranked() if candidate.own), None)
    if best:
        climb(trials, best, neighbours)
    found = (candidate for gain, candidate in trials.ranked() if gain > 0)
    return list(islice(found, FINALISTS))


def race(trials: Trials, candidates: Sequence[Candidate], keep: int) -> list[Candidate]:
    """The best `keep` by successive halving (Karnin, Koren & Somekh 2013, ICML).

    All are asked for the first training rows, the better half of them for twice as many, and so on:
    tokens go to what is promising. When they run out, what is known decides.
    """
    left = list({one.key: one for one in candidates}.values())
    for rows in _rounds(trials):
        with suppress(Spent):
            for one in left:
                trials.gain(one, "train", rows)
        gains = [(trials.gain(one, "train", len(trials.known(one))), one) for one in left]
        left = [one for gain, one in sorted(gains, key=lambda pair: -pair[0]) if gain > _NEVER]
        left = left[: max(keep, ceil(len(left) / 2))]
    return left[:keep]


def _rounds(trials: Trials) -> Iterator[int]:
    """How many of the training rows are known after each round: at last all of them."""
    rows, total = FIRST, len(trials.parts["train"])
    while rows < total:
        yield rows
        rows *= 2
    yield total


def climb(trials: Trials, start: Candidate, neighbours: Sets) -> Candidate:
    """The best that exchanges lead to, each taken when it helps on all training rows.

    A neighbour that falls behind on the first rows is dropped there.
    """
    best = start
    for _ in range(ROUNDS):
        before, step, around = best, 0, list(neighbours(best))
        while step < len(around):  # a pass takes each step once, from wherever it stands by then
            try:
                if _beats(trials, around[step], best):
                    best = around[step]
                    around = list(neighbours(best))
            except Spent:
                return best
            step += 1
        if best is before:
            break
    return best


def _beats(trials: Trials, other: Candidate, best: Candidate) -> bool:
    for rows in _rounds(trials):
        if trials.gain(other, "train", rows) < trials.gain(best, "train", rows):
            return False
    return trials.gain(other) > trials.gain(best)


_NEVER = float("-inf")
