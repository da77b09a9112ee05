"""Intervals: published values, hand computation, coverage, and sizes that bound nothing."""

from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.errors import UsageError
from trivium.evals.intervals import clustered_error, codes
from trivium.evals.statistics import bootstrap, clustered, estimate, nested, wilson

finite = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 3))


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [  # Newcombe 1998, Stat Med 17:857, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_has_the_published_bounds(successes: int, n: int, low: float, high: float) -> None:
    found = wilson(successes, n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    assert (found.mean, found.n) == (successes / n, n)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_mirrors_and_stays_within_one(counts: tuple[int, int]) -> None:
    successes, n = counts
    found, mirrored = wilson(successes, n), wilson(n - successes, n)
    assert 0 <= found.low <= found.mean <= found.high <= 1
    assert (found.low, found.high) == pytest.approx((1 - mirrored.high, 1 - mirrored.low))


def test_a_bootstrap_of_a_normal_sample_is_students_interval() -> None:
    values = np.random.default_rng(3).normal(10, 2, 40)
    found = bootstrap(values, resamples=20_000)
    half = 2.0227 * values.std(ddof=1) / sqrt(40)  # t(39), from a table
    assert found.low == pytest.approx(values.mean() - half, abs=0.06)
    assert found.high == pytest.approx(values.mean() + half, abs=0.06)


def test_a_bootstrap_leans_towards_the_long_tail_and_covers() -> None:
    rng, inside, leans = np.random.default_rng(4), 0, 0
    for _ in range(400):
        found = bootstrap(rng.exponential(size=40), resamples=600)
        inside += found.low <= 1 <= found.high
        leans += found.high - found.mean > found.mean - found.low
    assert 0.92 <= inside / 400 <= 0.975  # Student's interval covers some 92 % here
    assert leans > 380


def test_a_bootstrap_of_many_rows_merges_them_and_still_knows_their_spread() -> None:
    values = np.random.default_rng(5).gamma(2, size=50_000)
    found = bootstrap(values)
    assert found.n == 50_000
    assert found.mean == values.mean()
    width = 2 * 1.96 * values.std() / sqrt(50_000)
    assert found.high - found.low == pytest.approx(width, rel=0.08)


@given(st.lists(finite, min_size=2, max_size=30))
def test_a_bootstrap_stays_within_the_values_and_repeats_itself(values: list[float]) -> None:
    found = bootstrap(values, resamples=200)
    assert min(values) - 1e-6 <= found.low <= found.mean <= found.high <= max(values) + 1e-6
    assert found == bootstrap(values, resamples=200)


def test_clusters_of_one_have_the_plain_standard_error() -> None:
    values = np.array([1.0, 2.0, 3.0, 6.0])
    assert clustered_error(values, codes([0, 1, 2, 3])) == pytest.approx(
        values.std(ddof=1) / sqrt(4)
    )


def test_the_clustered_error_by_hand() -> None:
    # mean 1/2; cluster sums of deviations: x 1, y -1, z 0; sqrt(3/2 * 2) / 6
    values, clusters = np.array([1, 1, 0, 0, 1, 0.0]), codes(list("xxyyzz"))
    assert clustered_error(values, clusters) == pytest.approx(sqrt(3) / 6)


def test_copies_of_a_row_in_one_cluster_tell_nothing_new() -> None:
    values = [0.1, 0.5, 0.3, 0.9, 0.4]
    few = clustered(values, range(5))
    many = clustered(np.repeat(values, 10), np.repeat(range(5), 10))
    assert (many.low, many.high) == pytest.approx((few.low, few.high))
    independent = bootstrap(np.repeat(values, 10))
    assert independent.high - independent.low < (many.high - many.low) / 2


def test_a_clustered_proportion_of_all_is_not_certain() -> None:
    found = clustered([1] * 60, np.repeat(range(6), 10))
    assert found.high == 1.0
    assert found.low == pytest.approx(0.476, abs=1e-3)  # Wilson with n = 6 and t(5) = 2.571
    assert clustered([1] * 60, [0] * 60).low == 0.0


def test_clustered_intervals_cover_where_plain_ones_do_not() -> None:
    rng, plain, honest = np.random.default_rng(6), 0, 0
    clusters = np.repeat(range(25), 8)
    for _ in range(400):
        chance = rng.beta(2, 2, 25)[clusters]
        values = (rng.random(200) < chance).astype(float)
        one, other = wilson(values.sum(), 200), clustered(values, clusters)
        plain += one.low <= 0.5 <= one.high
        honest += other.low <= 0.5 <= other.high
    assert honest / 400 >= 0.93
    assert plain / 400 <= 0.85


def test_ten_rows_repeated_a_hundred_times_are_ten_rows() -> None:
    means = np.array([0, 0, 0.2, 0.5, 0.5, 0.6, 0.9, 1, 1, 1])
    rows = np.repeat(range(10), 100)
    values = np.concatenate([np.arange(100) < round(mean * 100) for mean in means])
    found = nested(values, rows)
    assert (found.n, found.method) == (10, "nested")
    assert found.mean == pytest.approx(0.57)
    half = 2.262 * means.std(ddof=1) / sqrt(10)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.2)


def test_a_row_counts_once_however_often_it_was_repeated() -> None:
    assert nested([1, 1, 1, 0.5], ["a", "a", "a", "b"]).mean == 0.75


def test_repeats_of_a_row_in_two_clusters_are_refused() -> None:
    with pytest.raises(UsageError, match="share its cluster"):
        nested([1, 0.5], ["a", "a"], ["x", "y"])


@pytest.mark.parametrize(
    ("values", "rows", "clusters", "method"),
    [
        ([0, 1, 1], [1, 2, 3], None, "wilson"),
        ([0, 1, 1], [1, 2, 3], ["a", "b", "c"], "wilson"),
        ([0, 0.5, 1], [1, 2, 3], None, "bootstrap"),
        ([0, 1, 1], [1, 2, 3], ["a", "b", "b"], "clustered"),
        ([0, 1, 1], [1, 2, 2], ["a", "b", "b"], "nested"),
    ],
)
def test_the_data_choose_the_method(
    values: list[float], rows: list[int], clusters: list[str] | None, method: str
) -> None:
    assert estimate(values, rows, clusters).method == method


def test_no_values_have_no_mean() -> None:
    for mean in (bootstrap, estimate, lambda values: wilson(sum(values), len(values))):
        with pytest.raises(UsageError, match="no values"):
            mean([])


@pytest.mark.parametrize("bad", [float("nan"), inf])
def test_values_that_are_not_finite_are_refused(bad: float) -> None:
    with pytest.raises(UsageError, match="value 1 is"):
        bootstrap([1.0, bad])


def test_one_value_has_no_spread() -> None:
    for found in (bootstrap([3.0]), nested([3.0, 4.0], [0, 0]), clustered([2.5, 3.5], [0, 0])):
        assert (found.low, found.high) == (-inf, inf)
    assert wilson(1, 1).low == pytest.approx(0.2065, abs=1e-4)


def test_keys_that_do_not_match_are_refused() -> None:
    with pytest.raises(UsageError, match="2 values and 3 cluster keys"):
        clustered([1, 0.5], [1, 2, 3])
    with pytest.raises(UsageError, match="2 values and 1 row keys"):
        nested([1, 0.5], [1])
