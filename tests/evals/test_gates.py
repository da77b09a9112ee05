"""Gates are judged on bounds; whatever is unknown fails them."""

import pytest

from tests.evals.made import record, run_of
from trivium.errors import GateFailed, UsageError
from trivium.evals.base import Record
from trivium.evals.columns import of_records
from trivium.evals.gates import Verdict, judge, parse_gates, require
from trivium.evals.summary import summarise


def verdicts(
    gate: dict[str, object], records: list[Record], baseline: list[Record] | None = None
) -> list[Verdict]:
    columns = of_records(records)
    before = None if baseline is None else of_records(baseline)
    return judge(parse_gates([gate]), summarise(columns), columns, before)


def test_a_threshold_is_held_against_the_lower_bound() -> None:
    # 18 of 20: Wilson's interval is 0.699 to 0.972
    records = run_of([1] * 18 + [0] * 2)
    assert verdicts({"metric": "exact", "min": 0.69}, records)[0].passed
    (lost,) = verdicts({"metric": "exact", "min": 0.85}, records)
    assert not lost.passed
    assert lost.reason == "exact ≥ 0.85: the lower bound is 0.699 (mean 0.9, n 20)"


def test_a_ceiling_is_held_against_the_upper_bound() -> None:
    records = run_of([1] * 2 + [0] * 18)
    assert verdicts({"metric": "exact", "max": 0.31}, records)[0].passed
    assert not verdicts({"metric": "exact", "max": 0.25}, records)[0].passed


def test_not_worse_than_the_baseline_by_more_than_a_margin() -> None:
    before, same = run_of([1, 0] * 100), run_of([1, 0] * 98 + [1, 1, 0, 0])
    assert verdicts({"metric": "exact", "max_drop": 0.03}, same, before)[0].passed
    (lost,) = verdicts({"metric": "exact", "max_drop": 0.01}, same, before)
    assert not lost.passed
    assert "the difference may be -0.0" in lost.reason
    assert not verdicts({"metric": "exact", "max_drop": 0.03}, run_of([0] * 200), before)[0].passed


def test_less_is_better_for_some_metrics() -> None:
    before, slower = run_of([1.0] * 40), run_of([1.5, 1.6] * 20)
    assert verdicts({"metric": "exact", "max_rise": 0.6}, slower, before)[0].passed
    assert not verdicts({"metric": "exact", "max_rise": 0.5}, slower, before)[0].passed


def test_too_few_rows_fail_rather_than_pass_by_luck() -> None:
    assert not verdicts({"metric": "exact", "min": 0.5}, run_of([0.9]))[0].passed
    assert not verdicts({"metric": "exact", "max_drop": 0.5}, run_of([0.9]), run_of([0.9]))[
        0
    ].passed


def test_the_share_of_failed_records_is_a_metric() -> None:
    records = [*run_of([1] * 99), record("broken", error="no")]
    assert verdicts({"metric": "failed", "max": 0.06}, records)[0].passed
    assert not verdicts({"metric": "failed", "max": 0.01}, records)[0].passed


def test_a_metric_that_nothing_has_fails() -> None:
    (lost,) = verdicts({"metric": "bleu", "min": 0}, run_of([1]))
    assert (lost.passed, lost.interval) == (False, None)
    (lost,) = verdicts({"metric": "bleu", "max_drop": 0}, run_of([1]), run_of([1]))
    assert not lost.passed
    (lost,) = verdicts({"metric": "exact", "max_drop": 0}, run_of([1]), [record("elsewhere")])
    assert "no rows could be paired" in lost.reason


def test_a_gate_is_for_every_cell_or_for_those_it_names() -> None:
    records = [*run_of([1] * 9), *run_of([0] * 9, model="n")]
    assert [one.passed for one in verdicts({"metric": "exact", "min": 0.5}, records)] == [
        True,
        False,
    ]
    assert len(verdicts({"metric": "exact", "min": 0.5, "model": "m"}, records)) == 1
    with pytest.raises(UsageError, match="was not run"):
        verdicts({"metric": "exact", "min": 0.5, "model": "typo"}, records)


def test_a_lost_gate_ends_with_six() -> None:
    found = verdicts({"metric": "exact", "min": 0.99}, run_of([1, 1, 0]))
    with pytest.raises(GateFailed, match=r"1 of 1 gates failed: m · p: exact ≥ 0\.99") as caught:
        require(found)
    assert caught.value.exit_code == 6
    require(verdicts({"metric": "exact", "min": 0.1}, run_of([1, 1, 0])))


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ({"metric": "exact"}, "gate 1: a gate has one of"),
        ({"metric": "exact", "min": 1, "max": 2}, "gate 1: a gate has one of"),
        ({"metric": "exact", "minimum": 1}, "gate 1, minimum"),
        ({"min": 0.5}, "gate 1, metric"),
        ({"metric": "exact", "max_drop": -0.1}, "gate 1, max_drop"),
        ({"metric": "exact", "min": "high"}, "gate 1, min"),
    ],
)
def test_a_gate_that_cannot_be_meant(gate: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_gates([gate])


def test_a_gate_against_a_baseline_needs_one() -> None:
    with pytest.raises(UsageError, match="--baseline"):
        verdicts({"metric": "exact", "max_drop": 0.1}, run_of([1]))
