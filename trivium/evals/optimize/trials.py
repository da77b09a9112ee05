"""The account of a search: what every candidate got on which rows, and what that cost in tokens."""

from collections.abc import Callable, Mapping, Sequence

from trivium.errors import UsageError
from trivium.evals.optimize.base import Candidate, Outcome, Part, Progress

Ask = Callable[[Candidate, Sequence[int]], Sequence[Outcome]]
Price = Callable[[Candidate, Sequence[int]], int]
FINALISTS = 3
"""Candidates that go to the validation part."""


class Spent(Exception):
    """The budget does not cover what was to be tried next."""


class Trials:
    """Asks for what is not known yet, as long as the budget covers it.

    Enough is held back at all times for the validation of the hopeful candidates, those that gain
    something so far, and for the test of the dearest of them, so that a search that ends for want
    of tokens still ends with a test.
    """

    def __init__(
        self,
        start: Candidate,
        parts: Mapping[Part, Sequence[int]],
        ask: Ask,
        price: Price,
        budget: int,
        watch: Callable[[Progress], None] = lambda progress: None,
    ) -> None:
        """`price` bounds the tokens of asking a candidate for some rows from above."""
        self.start = start
        self.parts = parts
        self.spent = 0
        self.stage = ""
        self.exhausted = False
        self._ask, self._price, self._watch = ask, price, watch
        self._budget = self._ceiling = budget
        self._known: dict[tuple[str, Part], list[Outcome]] = {}
        self._candidates: dict[str, Candidate] = {}
        self._hopeful: dict[str, Candidate] = {}
        self._best = 0.0

    @property
    def tried(self) -> int:
        """Candidates that were asked at all, besides the prompt as it is."""
        return max(len(self._candidates) - 1, 0)

    @property
    def left(self) -> int:
        """Tokens to search with: what is neither spent nor held back."""
        return max(self._budget - self._held(self.start) - self.spent, 0)

    def begin(self) -> None:
        """Ask the prompt as it is for the training rows.

        Raises:
            UsageError: when the budget covers no more than that, or all rows fail.
        """
        rows = self.parts["train"]
        needed = self._price(self.start, rows) + self._held(self.start)
        # one more candidate on the training rows, or there is nothing to find
        if needed + self._price(self.start, rows) > self._budget:
            raise UsageError(
                f"a budget of {self._budget:,} tokens covers no search: the prompt as it is, its "
                f"validation and its test may take {needed:,}; raise --budget, or take fewer rows "
                "with --limit"
            )
        found = self._outcomes(self.start, "train", len(rows))
        if all(one.score is None for one in found):
            raise UsageError(f"the prompt as it is fails on all training rows: {found[0].error}")

    def allow(self, share: float, stage: str) -> None:
        """Let what follows spend this share of what is left to search with."""
        self.stage = stage
        self._ceiling = self.spent + int(share * self.left)
        self._report()

    def charge(self, tokens: int) -> None:
        """Take note of tokens that were spent elsewhere."""
        self.spent += tokens

    def gain(self, candidate: Candidate, part: Part = "train", rows: int | None = None) -> float:
        """How much better than the prompt as it is, as a mean over all rows of the part.

        `rows` asks for so many of them, the first ones; the others count as no different, which
        keeps luck on a few rows small. Minus infinity for a candidate that fails where the prompt
        as it is does not.

        Raises:
            Spent: when the budget does not cover it.
        """
        count = len(self.parts[part]) if rows is None else rows
        pairs = self.pairs(candidate, part, count)
        if any(theirs is None for _, theirs in pairs):
            return float("-inf")
        total = sum(theirs - ours for ours, theirs in pairs if theirs is not None)
        mean = total / len(self.parts[part])
        if part == "train" and count == len(self.known(candidate)):
            self._best = max(self._best, mean)
            self._hopeful.pop(candidate.key, None)
            if mean > 0:
                self._hopeful[candidate.key] = candidate
        return mean

    def pairs(
        self, candidate: Candidate, part: Part, count: int
    ) -> list[tuple[float, float | None]]:
        """The scores of the prompt as it is and of `candidate`, where the first has one."""
        before = self._outcomes(self.start, part, count)
        after = self._outcomes(candidate, part, count)
        return [
            (one.score, other.score)
            for one, other in zip(before, after, strict=True)
            if one.score is not None
        ]

    def known(self, candidate: Candidate, part: Part = "train") -> Sequence[Outcome]:
        """What is known already, of the first rows of a part."""
        return self._known.get((candidate.key, part), ())

    def ranked(self) -> list[tuple[float, Candidate]]:
        """All candidates but the start by their gain on the training rows, the best first."""
        found = []
        for candidate in self._candidates.values():
            count = len(self.known(candidate))
            if candidate.key != self.start.key and count:
                found.append((self.gain(candidate, "train", count), candidate))
        return sorted(found, key=lambda pair: -pair[0])

    def _outcomes(self, candidate: Candidate, part: Part, count: int) -> list[Outcome]:
        known = self._known.setdefault((candidate.key, part), [])
        missing = self.parts[part][len(known) : count]
        if missing:
            if part == "train":
                self._afford(candidate, missing)
            self._candidates.setdefault(candidate.key, candidate)
            found = self._ask(candidate, missing)
            self.spent += sum(one.tokens for one in found)
            known += found
            self._report()
        return known[:count]

    def _afford(self, candidate: Candidate, rows: Sequence[int]) -> None:
        price = self._price(candidate, rows)
        held = self._held(candidate)
        over = self.spent + price + held > self._budget
        if over or (candidate is not self.start and self.spent + price > self._ceiling):
            self.exhausted |= over
            raise Spent

    def _held(self, candidate: Candidate) -> int:
        """What validation and test may take if `candidate` is hopeful too."""
        hopeful = (self._hopeful | {candidate.key: candidate}).values()
        validations, tests = (
            sorted((self._price(one, self.parts[part]) for one in hopeful), reverse=True)
            for part in _LATER
        )
        base = sum(self._price(self.start, self.parts[part]) for part in _LATER)
        return base + sum(validations[:FINALISTS]) + tests[0]

    def _report(self) -> None:
        self._watch(Progress(self.stage, self.spent, self.tried, self._best))


_LATER: tuple[Part, Part] = ("validation", "test")
