"""Pairing, effects, and what is said of rows that cannot be paired."""

from dataclasses import replace

import pytest

from tests.evals.made import record, run_of
from trivium.errors import UsageError
from trivium.evals.base import Cell
from trivium.evals.columns import of_records
from trivium.evals.compare import (
    against_first,
    compare,
    compare_columns,
    find_cell,
    left_out,
    match,
)


def test_an_effect_by_hand() -> None:
    # 7 gains, 1 loss of 21 pairs: McNemar's mid-p is 0.039, Tango's interval 0.026 to 0.517
    a = run_of([0] * 7 + [1] + [1] * 13)
    b = run_of([1] * 7 + [0] + [1] * 13, run="two")
    found = compare(a, b)
    (effect,) = found.effects
    assert (effect.gains, effect.losses, effect.ties) == (7, 1, 13)
    assert (effect.mean_a, effect.mean_b) == pytest.approx((14 / 21, 20 / 21))
    assert effect.interval.mean == pytest.approx(6 / 21)
    assert (effect.interval.low, effect.interval.high) == pytest.approx((0.026, 0.517), abs=5e-4)
    assert effect.p == effect.p_holm == pytest.approx(0.039, abs=1e-4)
    assert found.pairings[0].left_out == 0


def test_rows_pair_by_id_and_repeat_whatever_their_order() -> None:
    a = [record("x", 1, repeat=0), record("x", 0, repeat=1), record("y", 1)]
    b = [record("y", 0), record("x", 0, repeat=1), record("x", 1, repeat=0)]
    (effect,) = compare(a, b).effects
    assert (effect.gains, effect.losses, effect.ties) == (0, 1, 2)
    assert effect.interval.n == 2  # rows, not records
    assert (effect.mean_a, effect.mean_b) == (0.75, 0.25)


def test_what_cannot_be_paired_is_counted() -> None:
    a = [*run_of([1, 0, 1, 1]), record("only a"), record("broken", error="no"), record("new", 1)]
    b = [
        *run_of([1, 1, 0, 1]),
        record("only b"),
        record("also b"),
        record("broken"),
        record("new", 1, inputs="another question"),
    ]
    (pairing,) = compare(a, b).pairings
    counts = (pairing.pairs, pairing.only_a, pairing.only_b, pairing.changed, pairing.failed)
    assert counts == (4, 1, 2, 1, 1)
    assert left_out(pairing) == "1 only in A, 2 only in B, 1 with other inputs, 1 failed on a side"


def test_a_row_without_a_value_on_one_side_is_in_no_effect() -> None:
    (effect,) = compare(run_of([1, None, 0]), run_of([1, 1, float("nan")])).effects
    assert effect.interval.n == 1


def test_many_metrics_are_adjusted_together() -> None:
    a = [replace(one, scores={"x": 0.0, "y": 0.0}) for one in run_of([0] * 20)]
    b = [
        replace(one, scores={"x": float(at < 8), "y": float(at < 6)})
        for at, one in enumerate(run_of([0] * 20))
    ]
    x, y = compare(a, b).effects
    assert (x.p, y.p) == pytest.approx((1 / 2**8, 1 / 2**6))
    assert (x.p_holm, y.p_holm) == pytest.approx((2 / 2**8, 1 / 2**6))


def test_clusters_widen_the_interval() -> None:
    scores_a, scores_b = [0.0] * 60, [float(at % 20 < 10) for at in range(60)]
    lone = compare(run_of(scores_a), run_of(scores_b)).effects[0]
    cluster = [replace(one, cluster=str(at % 20 // 5)) for at, one in enumerate(run_of(scores_a))]
    shared = compare(cluster, run_of(scores_b)).effects[0]
    assert lone.p < 1e-6
    assert shared.p > 0.05  # four clusters cannot tell


def test_cells_meet_by_their_names() -> None:
    one, two, three = Cell("m", "p"), Cell("m", "q"), Cell("n", "p")
    assert match([one], [three]) == [(one, three)]
    assert match([one, two], [two, three]) == [(two, two)]
    assert match([one, two], [three, Cell("n", "q")]) == [(one, three), (two, Cell("n", "q"))]
    assert against_first([one, two, three]) == [(one, two), (one, three)]
    with pytest.raises(UsageError, match="which of these belong together"):
        match([one, three], [Cell("x", "y"), Cell("z", "q")])
    with pytest.raises(UsageError, match="needs another run"):
        against_first([one])


def test_cells_without_a_counterpart_are_named() -> None:
    a = [*run_of([1, 0]), *run_of([1, 1], prompt="q")]
    assert compare(a, run_of([1, 1])).alone == (Cell("m", "q"),)


def test_a_cell_by_a_part_of_its_name() -> None:
    cells = (Cell("small", "plain"), Cell("small-2", "plain"))
    assert find_cell(cells, "small") == cells[0]
    assert find_cell(cells, "-2") == cells[1]
    with pytest.raises(UsageError, match="names 2 cells"):
        find_cell(cells, "plain")
    with pytest.raises(UsageError, match="names 0 cells"):
        find_cell(cells, "large")


def test_the_rows_that_an_effect_takes() -> None:
    a, b = of_records(run_of([0, 1] * 20)), of_records(run_of([1, 0] * 10 + [0, 1] * 10))
    small = compare_columns(a, b, effect=0.01).effects[0].needed
    large = compare_columns(a, b, effect=0.1).effects[0].needed
    assert small is not None
    assert large is not None
    assert small == pytest.approx(100 * large, rel=0.01)
    assert compare_columns(a, b).effects[0].needed is None  # no difference was observed


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        (run_of([1]), run_of([1], metric="f1"), "no metric"),
        (run_of([1]), [record("elsewhere")], "2 have no counterpart"),
        ([], [], "without records"),
        ([record("x", error="no")], [record("x", error="no")], "no metric"),
    ],
)
def test_nothing_in_common_is_an_error(a: list, b: list, message: str) -> None:  # type: ignore[type-arg]
    with pytest.raises(UsageError, match=message):
        compare(a, b)
