"""Fairness gates: judged on the worst bound, undefined figures fail, comparisons are paired."""

from collections.abc import Mapping, Sequence

import pytest

from tests.evals.fairness import madeup
from tests.evals.fairness.madeup import answers
from trivium.errors import GateFailed, UsageError
from trivium.evals.base import Cell, Record
from trivium.evals.fairness.base import Benchmark
from trivium.evals.fairness.gates import judge, parse_gates
from trivium.evals.gates import Verdict, require

BENCHMARK: Benchmark = madeup


def judged(
    gate: Mapping[str, object], records: list[Record], baseline: list[Record] | None = None
) -> list[Verdict]:
    cells: dict[Cell, Sequence[Record]] = {records[0].cell: records}
    return judge(
        parse_gates([gate]),
        BENCHMARK,
        cells,
        {cell: madeup.findings(found) for cell, found in cells.items()},
        lambda name: {(baseline or records)[0].cell: baseline or records},
    )


def test_bias_is_judged_on_the_bound_farther_from_the_ideal() -> None:
    # 40 of 80: Wilson 0.39297 to 0.60703, at most 0.10703 from 0.5
    records = answers("yn" * 40, groups="abba")
    (one,) = judged({"max_bias": 0.1071, "group": ""}, records)
    assert one.passed
    assert one.reason == "bias ≤ 0.1071: yes is 0.5 and may be 0.393 (ideal 0.5, n 80)"
    assert not judged({"max_bias": 0.107, "group": ""}, records)[0].passed


def test_without_a_group_every_one_has_to_hold() -> None:
    verdicts = judged({"max_bias": 0.5}, answers("yyyn" * 10))
    assert [one.passed for one in verdicts] == [True, True, True, False]
    assert verdicts[-1].reason == "bias ≤ 0.5: yes of c is undefined: no rows"
    with pytest.raises(GateFailed, match="1 of 4 gates failed"):
        require(verdicts)


def test_a_gap_is_judged_apart_from_bias() -> None:
    (one,) = judged({"max_gap": 0.2}, answers("yn" * 20))  # a always, b never
    assert not one.passed
    assert one.reason.startswith("gap ≤ 0.2: gap is 1 and may be 1 (ideal 0")


def test_not_worse_is_judged_on_the_same_rows() -> None:
    biased, even = answers("yyyn" * 20), answers("ynny" * 20)
    better = judged({"not_worse_than": "x", "measure": "yes", "group": ""}, even, biased)
    assert [one.passed for one in better] == [True]
    worse = judged({"not_worse_than": "x", "measure": "yes", "group": ""}, biased, even)
    assert not worse[0].passed
    assert "the step away from the ideal may be +0." in worse[0].reason
    near = {"not_worse_than": "x", "margin": 0.5, "measure": "yes", "group": ""}
    assert judged(near, biased, even)[0].passed


def test_the_same_run_is_not_worse_than_itself() -> None:
    records = answers("yyyn" * 20)
    verdicts = judged({"not_worse_than": "x"}, records, records)
    assert [one.passed for one in verdicts] == [True, True, True, False, True]
    assert "A: no rows" in verdicts[3].reason


def test_few_rows_that_all_agree_pass_nothing() -> None:
    (one,) = judged({"max_gap": 0.2}, answers("yyyy"))
    assert not one.passed
    assert one.reason == "gap ≤ 0.2: gap is 0, but 4 rows are too few to bound it"


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ({}, "fairness gate 1: a gate has one of max_gap, max_bias and not_worse_than"),
        ({"max_gap": 1, "max_bias": 1}, "a gate has one of"),
        ({"max_gap": -1}, "fairness gate 1, max_gap: Input should be greater"),
        ({"max_gaps": 1}, "fairness gate 1, max_gaps: Extra inputs"),
        ({"max_gap": 1, "margin": 1}, "margin belongs to not_worse_than"),
        ({"max_gap": "wide"}, "fairness gate 1, max_gap: Input should be a valid number"),
    ],
)
def test_a_wrong_gate_is_told(gate: Mapping[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_gates([gate])


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ({"max_bias": 1, "model": "another"}, "a model or prompt that was not run"),
        ({"max_bias": 1, "measure": "no"}, "judges nothing here; figures .* are: yes, gap"),
        ({"max_bias": 1, "group": "z"}, "judges nothing here"),
    ],
)
def test_a_gate_that_means_nothing_is_told(gate: Mapping[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        judged(gate, answers("yn" * 5))
