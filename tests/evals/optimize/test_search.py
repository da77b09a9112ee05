"""The search without models: what it finds, what it spends, and that luck is no gain."""

import math
from collections.abc import Sequence

import pytest

from tests.evals.optimize.simulated import PARTS, START, candidate, neighbours, trials
from trivium.errors import UsageError
from trivium.evals.optimize.base import Candidate, Outcome
from trivium.evals.optimize.search import climb, race, search
from trivium.evals.optimize.trials import Spent, Trials
from trivium.evals.paired import paired


def none(of: Candidate) -> list[Candidate]:
    return []


def drawn(of: Candidate) -> list[Candidate]:
    return [candidate(100 + number, own=True) for number in range(12)]


class TestTrials:
    def test_a_gain_on_few_rows_counts_the_others_as_no_different(self) -> None:
        books = trials(lambda one: float(one is not START))
        books.begin()
        assert books.gain(candidate(1), "train", 10) == 10 / 40
        assert books.gain(candidate(1)) == 1.0
        assert books.spent == 40 * 10 + 40 * 10  # no row is asked twice

    def test_a_candidate_that_fails_where_the_start_does_not_is_never_better(self) -> None:
        def ask(one: Candidate, rows: Sequence[int]) -> list[Outcome]:
            odd = one is not START
            return [
                Outcome(None, 0, error="too long") if odd and row == 3 else Outcome(float(odd), 1)
                for row in rows
            ]

        books = Trials(START, PARTS, ask, lambda one, rows: len(rows), 10**6)
        books.begin()
        assert books.gain(candidate(1), "train", 3) > 0
        assert books.gain(candidate(1)) == -math.inf
        assert race(books, [candidate(1)], 1) == []

    def test_rows_on_which_the_start_fails_are_in_no_gain(self) -> None:
        def ask(one: Candidate, rows: Sequence[int]) -> list[Outcome]:
            lost = one is START
            return [Outcome(None if lost and row < 30 else 1.0, 1) for row in rows]

        books = Trials(START, PARTS, ask, lambda one, rows: len(rows), 10**6)
        books.begin()
        assert books.gain(candidate(1)) == 0.0

    def test_all_rows_failing_is_told_with_the_reason(self) -> None:
        def ask(one: Candidate, rows: Sequence[int]) -> list[Outcome]:
            return [Outcome(None, 0, error="it is too long") for _ in rows]

        books = Trials(START, PARTS, ask, lambda one, rows: len(rows), 10**6)
        with pytest.raises(UsageError, match="all training rows: it is too long"):
            books.begin()

    def test_a_budget_that_covers_no_search_is_told_before_anything_is_asked(self) -> None:
        # 40 training rows; for start and one candidate 20 validation and 40 test rows
        needed = 12 * (40 + 2 * 20 + 2 * 40)
        books = trials(lambda one: 0.5, budget=needed + 12 * 40 - 1)
        with pytest.raises(UsageError, match=f"{needed:,}; raise --budget"):
            books.begin()
        assert books.spent == 0
        trials(lambda one: 0.5, budget=needed + 12 * 40).begin()

    def test_a_stage_may_not_spend_what_belongs_to_the_next(self) -> None:
        books = trials(lambda one: 0.5, budget=12_000)
        books.begin()
        books.allow(0.5, "half")
        spent, left = books.spent, books.left
        with pytest.raises(Spent):
            for number in range(100):
                books.gain(candidate(number))
        assert spent + left / 2 - 12 * 40 < books.spent <= spent + left / 2
        assert not books.exhausted
        books.allow(1.0, "all")
        with pytest.raises(Spent):
            for number in range(100, 300):
                books.gain(candidate(number))
        assert books.exhausted


class TestRace:
    def test_the_better_ones_win_and_the_others_are_asked_less(self) -> None:
        books = trials(lambda one: 1.0 if one.key == candidate(7).key else 0.3)
        books.begin()
        assert race(books, [candidate(n) for n in range(16)], 1) == [candidate(7)]
        counts = sorted(len(books.known(candidate(n))) for n in range(16))
        # all for 8 rows, the better 8 for 16, the better 4 for 32, the better 2 for all 40
        assert counts == [8] * 8 + [16] * 4 + [32] * 2 + [40] * 2

    def test_a_tie_goes_to_the_one_that_came_first(self) -> None:
        books = trials(lambda one: 1.0)
        books.begin()
        assert race(books, [START, candidate(1), candidate(2)], 1) == [START]


def test_climbing_takes_what_helps() -> None:
    """Worth grows with the number of ".5" in the name: each pass finds one more, or several."""

    def worth(one: Candidate) -> float:
        return min(1.0, 0.05 + 0.5 * one.prompt.system.count(".5"))

    books = trials(worth)
    books.begin()
    best = climb(books, candidate(0, own=True), neighbours)
    assert best.prompt.system.count(".5") >= 2
    assert books.gain(best) > books.gain(candidate(0, own=True))


def outcome(worth: dict[str, float], seed: int, budget: int = 10**9) -> tuple[bool, int]:
    """Whether a search ends in a gain, as `run._tested` decides it, and what it spent."""

    def of(one: Candidate) -> float:
        return worth.get(one.prompt.system, worth[""])

    books = trials(of, seed, budget)
    books.begin()
    found = search(books, [candidate(n) for n in range(10)], drawn, neighbours)
    gains = [(books.gain(one, "validation"), one) for one in found]
    gain, chosen = max(gains, key=lambda pair: pair[0], default=(0.0, START))
    if gain <= 0:
        return False, books.spent
    pairs = books.pairs(chosen, "test", 40)
    test = paired([a for a, _ in pairs], [b for _, b in pairs if b is not None])
    return test.effect.low > 0, books.spent


def test_luck_is_a_gain_at_most_once_in_twenty_times() -> None:
    """300 searches in which no candidate is worth more than another.

    The best of so many is better on the training rows by luck alone. The interval on the held-out
    rows is two-sided at 95 %: at most one in 40 is expected to lie above 0.
    """
    gains = sum(outcome({"": 0.5}, seed)[0] for seed in range(300))
    assert gains <= 15, gains


def test_what_truly_helps_is_found() -> None:
    found = sum(outcome({"": 0.3, "number 4": 0.9}, seed)[0] for seed in range(30))
    assert found >= 28, found


@pytest.mark.parametrize("budget", [2_900, 4_000, 8_000, 20_000])
def test_no_search_spends_more_than_its_budget(budget: int) -> None:
    for seed in range(5):
        _, spent = outcome({"": 0.5, "number 4": 0.9}, seed, budget)
        assert 400 < spent <= budget
