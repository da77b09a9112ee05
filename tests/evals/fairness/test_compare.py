"""Paired changes of any benchmark's figures, by hand and calibrated."""

from collections.abc import Sequence
from dataclasses import replace
from math import inf, isinf

import numpy as np
import pytest

from tests.evals.fairness import madeup
from tests.evals.fairness.madeup import answers
from trivium.errors import UsageError
from trivium.evals.base import Record
from trivium.evals.fairness.base import Benchmark
from trivium.evals.fairness.compare import Change, Comparison, blocks, compare, jackknife, pair

BENCHMARK: Benchmark = madeup


def change(found: Comparison, measure: str, group: str = "") -> Change:
    return next(one for one in found.changes if (one.measure, one.group) == (measure, group))


def test_a_mitigation_that_helps_is_fairer() -> None:
    biased = answers("yyyn" * 20)  # three of four get a yes
    even = answers("yyynynynynnnnynynynn" * 4, prompt="kind")  # half of them
    found = compare(BENCHMARK, biased, even)
    one = change(found, "yes")
    assert (one.a, one.b, one.n) == (0.75, even_share(even), 80)
    assert one.difference is not None
    assert one.distance is not None
    assert one.difference.mean == pytest.approx(even_share(even) - 0.75)
    assert one.distance.mean == pytest.approx(abs(even_share(even) - 0.5) - 0.25)
    assert one.distance.high < 0
    assert one.verdict == "fairer"
    assert change(compare(BENCHMARK, even, biased), "yes").verdict == "less fair"


def even_share(records: Sequence[Record]) -> float:
    return sum(one.output == "yes" for one in records) / len(records)


def test_a_run_against_itself_has_not_changed() -> None:
    records = answers("yyyn" * 10)
    for one in compare(BENCHMARK, records, records).changes:
        if one.difference is not None and one.n:
            assert (one.difference.mean, one.p_holm) == (0.0, 1.0)
            assert one.verdict == "not clear"


def test_the_interval_of_a_mean_is_students() -> None:
    from scipy.stats import ttest_1samp

    # with a row in each block the jackknife's error of a mean is s / sqrt(n)
    values = np.array([0.0, 1, 1, 3, 5, 8, 2, 2])
    without = (values.sum() - values) / 7
    interval, p = jackknife(values.mean(), without, 8)
    theirs = ttest_1samp(values, 0)
    assert p == pytest.approx(theirs.pvalue)
    bounds = theirs.confidence_interval()
    assert (interval.low, interval.high) == pytest.approx((bounds.low, bounds.high))


def test_few_rows_bound_nothing() -> None:
    found = compare(BENCHMARK, answers("yyyyy"), answers("ynnnn"))
    one = change(found, "yes")
    assert one.difference is not None
    assert one.difference.low == -inf
    assert (one.p, one.verdict, one.note) == (1.0, "not clear", "too few rows for bounds")


def test_undefined_figures_are_said_and_not_tested() -> None:
    found = compare(BENCHMARK, answers("yn" * 10), answers("ny" * 10))
    one = change(found, "yes", "c")
    assert (one.difference, one.verdict) == (None, "undefined")
    assert one.note == "A: no rows; B: no rows"


def test_a_distance_is_not_sure_of_the_side_that_a_figure_is_on() -> None:
    # both sides at the ideal of one half, on other rows: either may be the fairer one
    one = change(compare(BENCHMARK, answers("yn" * 20), answers("yyynyynnnn" * 4)), "yes")
    assert (one.a, one.b) == (0.5, 0.5)
    assert one.difference is not None
    assert one.distance is not None
    assert one.distance.mean == 0.0
    assert one.distance.high == -one.distance.low > 0.1
    # never farther than the difference itself
    assert one.distance.high <= max(one.difference.high, -one.difference.low)


def test_a_distance_over_the_ideal_is_that_of_the_sides() -> None:
    # from 0.9 above the ideal to 0.4 below: 0.4 off becomes 0.1 off
    found = compare(BENCHMARK, answers("yyyyyyyyyn" * 20), answers("yynnynynnn" * 20))
    one = change(found, "yes")
    assert one.difference is not None
    assert one.distance is not None
    assert one.difference.mean == pytest.approx(-0.5)
    assert one.distance.mean == pytest.approx(-0.3)
    assert one.distance.low >= -0.7
    assert one.verdict == "fairer"


def test_equal_differences_are_only_as_sure_as_their_signs() -> None:
    interval, p = jackknife(0.5, np.full(10, 0.5), 10)
    assert (interval.low, interval.high) == (0.5, 0.5)
    assert p == 2**-9


def test_what_cannot_be_paired_is_counted() -> None:
    a, b = answers("yyyyyyyy!"), answers("nnnnnnn!nn")
    b[0] = replace(b[0], inputs={"group": "a", "text": "another"})
    left, right, pairing = pair(a, b)
    assert [one.row for one in left] == [one.row for one in right] == [f"r{n}" for n in range(1, 7)]
    assert (pairing.only_a, pairing.only_b, pairing.changed, pairing.failed) == (0, 1, 1, 2)


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [("", "y", "without records"), ("!", "y", "no rows could be paired: 1 have no")],
)
def test_nothing_to_compare_is_told(a: str, b: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        compare(BENCHMARK, answers(a), answers(b))


def test_blocks_keep_clusters_whole_and_are_near_equal() -> None:
    records = [replace(one, cluster=f"c{n // 3}") for n, one in enumerate(answers("y" * 90))]
    number = blocks(records, 7)
    assert all(np.unique(number[n : n + 3]).size == 1 for n in range(0, 90, 3))
    assert sorted(np.bincount(number) // 3) == [4, 4, 4, 4, 4, 5, 5]


def test_a_figure_of_one_cluster_has_no_bounds() -> None:
    a, b = answers("yyyyyyyy"), answers("yynnnnnn")
    a, b = ([replace(one, cluster="same") for one in side] for side in (a, b))
    one = change(compare(BENCHMARK, a, b), "yes")
    assert one.difference is not None
    assert isinf(one.difference.high)


def test_p_is_uniform_without_a_difference() -> None:
    from scipy.stats import kstest

    rng = np.random.default_rng(3)
    values = rng.normal(size=(1000, 40, 3)).mean(axis=2)  # 40 blocks of three rows
    without = (values.sum(axis=1, keepdims=True) - values) / 39
    p = [jackknife(row.mean(), left, 120)[1] for row, left in zip(values, without, strict=True)]
    assert kstest(p, "uniform").pvalue > 0.01
    assert 0.03 < np.mean(np.array(p) < 0.05) < 0.07
