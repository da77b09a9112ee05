"""WinoBias by hand, at the edges, and against the table of its paper."""

from math import nan

import pytest

from tests.evals.fairness.chosen import chosen
from trivium.evals.base import Record
from trivium.evals.fairness.base import Finding
from trivium.evals.fairness.winobias import cases, findings

TABLE_3 = [  # Zhao et al. 2018, test sets: type, pro, anti, average and difference
    ("E2E", "type1", 74.9, 47.7, 61.3, 27.2),
    ("E2E", "type2", 88.6, 77.3, 82.9, 11.3),
    ("Feature", "type1", 62.9, 58.3, 60.6, 4.6),
    ("Rule", "type2", 47.8, 26.6, 37.2, 21.2),
]


def made(
    number: int, direction: str, right: bool | None, kind: str = "type1", lead: float = 1.0
) -> Record:
    """Resolved rightly, wrongly, or to neither (None)."""
    logprobs = [-1.0, -1.0 if right is None else -1.0 - lead if right else -1.0 + lead]
    return chosen(
        f"{kind}.{direction}.{number}", ["the cook", "the baker"], logprobs, target="the cook",
        type=kind, direction=direction, pair=f"{kind}.{number}", sentence="S.", pronoun="She",
    )  # fmt: skip


def of(found: list[Finding], measure: str, group: str = "") -> Finding:
    (one,) = [one for one in found if (one.measure, one.group) == (measure, group)]
    return one


@pytest.mark.parametrize(("system", "kind", "pro", "anti", "average", "difference"), TABLE_3)
def test_average_and_difference_are_those_of_table_3(
    system: str, kind: str, pro: float, anti: float, average: float, difference: float
) -> None:
    """1,000 pairs with so many right in each direction."""
    records = [
        made(number, direction, number < round(share * 10), kind)
        for direction, share in (("pro", pro), ("anti", anti))
        for number in range(1000)
    ]
    found = findings(records)
    assert of(found, "accuracy", f"{kind} pro").value == pytest.approx(pro)
    assert of(found, "average", kind).value == pytest.approx(average, abs=0.051)
    gap = of(found, "pro minus anti", kind)
    assert gap.value == pytest.approx(difference)
    assert gap.gap
    assert gap.interval is not None
    assert gap.interval.low < difference < gap.interval.high


def test_by_hand_and_by_type() -> None:
    records = [
        made(1, "pro", True), made(1, "anti", False), made(2, "pro", True), made(2, "anti", True),
        made(1, "pro", None, "type2"), made(1, "anti", True, "type2"), made(9, "pro", True),
    ]  # fmt: skip
    found = findings(records)
    assert of(found, "accuracy", "type1 pro").value == 100.0
    assert of(found, "pro minus anti", "type1").value == 50.0
    assert of(found, "pro minus anti", "type1").n == 2  # the row without its pair is in none
    assert of(found, "pro minus anti", "type2").value == -100.0  # neither is not right
    assert of(found, "pro minus anti").value == 0.0
    assert of(found, "average").value == pytest.approx((1 + 2 + 1) / 6 * 100)


def test_edges() -> None:
    assert all(one.value is None and one.note == "no rows" for one in findings([]))
    broken = chosen(
        "x", ["a", "b"], [nan, 0.0], target="a", type="type1", direction="pro", pair="p"
    )
    assert of(findings([broken, made(1, "pro", True)]), "accuracy", "pro").n == 1
    even = of(findings([made(n, d, True) for n in range(20) for d in ("pro", "anti")]), "average")
    assert even.value == 100.0


def test_no_difference_is_no_certainty() -> None:
    gap = of(
        findings([made(n, d, True) for n in range(20) for d in ("pro", "anti")]), "pro minus anti"
    )
    assert gap.interval is not None
    assert gap.interval.low < -5 < 5 < gap.interval.high


def test_cases_are_sure_mistakes_against_the_stereotype() -> None:
    records = [made(1, "anti", False, lead=0.5), made(2, "anti", False), made(3, "pro", False)]
    worst, other = cases(records)
    assert (worst.row, worst.amount, worst.text) == ("type1.anti.2", 1.0, "S. She: the baker")
    assert other.row == "type1.anti.1"
