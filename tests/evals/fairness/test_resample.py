"""Resampling: exact small cases, and whether a p under "no difference" is uniform."""

from collections.abc import Sequence
from itertools import product
from math import inf

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from trivium.errors import UsageError
from trivium.evals.fairness.resample import Flags, gap, permuted, resampled
from trivium.evals.intervals import Floats, bootstrap
from trivium.evals.paired import paired_bootstrap

SIMULATIONS = 1_000


class Differences:
    """|mean inside - mean outside|, of every draw."""

    def __init__(self, values: Floats) -> None:
        self.values = values

    def __call__(self, inside: Flags) -> Sequence[Floats]:
        total, size = inside @ self.values, inside.sum(axis=1)
        rest, others = self.values.sum() - total, self.values.size - size
        return [np.abs(total / size - rest / others)]


def uniform(found: Sequence[float]) -> float:
    """The p of the Kolmogorov-Smirnov test that p-values are uniform."""
    return float(stats.kstest(found, "uniform").pvalue)


class Mean:
    def __init__(self, values: Floats) -> None:
        self.values = values

    def __call__(self, at: NDArray[np.int64]) -> float:
        return float(self.values[at].mean())


class TestResampled:
    def test_nothing_has_no_interval(self) -> None:
        assert resampled(lambda at: 1.0, 0) is None
        assert resampled(lambda at: float("nan"), 5) is None

    def test_few_units_bound_nothing(self) -> None:
        """Of 5 clusters one resample in 3,125 is one cluster five times: no percentile is sure."""
        values = np.arange(10.0)
        found = resampled(Mean(values), 10, np.repeat(np.arange(5), 2))
        assert found is not None
        assert (found.mean, found.low, found.high) == (4.5, -inf, inf)

    def test_no_spread_is_a_point(self) -> None:
        found = resampled(lambda at: 3.0, 6)
        assert found is not None
        assert (found.mean, found.low, found.high) == (3.0, 3.0, 3.0)

    def test_a_mean_is_that_of_the_other_bootstrap(self) -> None:
        """Both are widened BCa; they differ by chance and by how skewness is estimated."""
        values = np.random.default_rng(3).gamma(2.0, size=40)
        found, known = resampled(Mean(values), 40, resamples=8_000), bootstrap(values)
        assert found is not None
        assert found.low == pytest.approx(known.low, abs=0.03)
        assert found.high == pytest.approx(known.high, abs=0.03)

    def test_clusters_are_drawn_whole(self) -> None:
        values = np.repeat(np.random.default_rng(1).normal(size=12), 10)
        alone = resampled(Mean(values), 120)
        whole = resampled(Mean(values), 120, np.repeat(np.arange(12), 10))
        assert alone is not None
        assert whole is not None
        assert 3 < (whole.high - whole.low) / (alone.high - alone.low) < 4.5  # about sqrt(10)

    @pytest.mark.parametrize(
        ("law", "n", "least"),
        [("normal", 8, 0.91), ("normal", 30, 0.93), ("exponential", 30, 0.91)],
    )
    def test_it_covers(self, law: str, n: int, least: float) -> None:
        """95 of 100, or the little less that the docstring admits to."""
        rng = np.random.default_rng(5)
        truth = 0.0 if law == "normal" else 1.0
        covered = 0
        for seed in range(SIMULATIONS):
            values = getattr(rng, law if law == "exponential" else "normal")(size=n)
            found = resampled(Mean(values), n, resamples=399, seed=seed)
            assert found is not None
            covered += found.low <= truth <= found.high
        assert least <= covered / SIMULATIONS <= 0.97


class TestGap:
    def test_by_hand(self) -> None:
        found = gap(np.arange(14.0), np.arange(14) < 6)
        assert found.interval.mean == 2.5 - 9.5
        assert found.interval.low < -7.0 < found.interval.high

    def test_what_a_cluster_shares_falls_out(self) -> None:
        """A template's own level is in both of its rows; the group adds exactly 1."""
        level = np.random.default_rng(2).normal(scale=10, size=20)
        values = np.concatenate([level + 1, level])
        inside = np.arange(40) < 20
        paired = gap(values, inside, np.tile(np.arange(20), 2))
        assert paired.interval.low == pytest.approx(1.0)
        assert paired.interval.high == pytest.approx(1.0)
        apart = gap(values, inside)
        assert apart.interval.high - apart.interval.low > 5
        assert apart.p > 0.5

    def test_a_side_of_few_units_bounds_nothing(self) -> None:
        found = gap(np.arange(20.0), np.arange(20) < 5)
        assert (found.interval.low, found.interval.high, found.p) == (-inf, inf, 1.0)
        with pytest.raises(UsageError, match="outside of it"):
            gap([1.0, 2.0], [True, True])

    def test_three_clusters_bound_nothing(self) -> None:
        """Whatever they say: with 3 clusters every resample lies within what they said."""
        values = [0.1, 0.0, 0.2, 0.0, 0.15, 0.0]
        found = gap(values, [True, False] * 3, [0, 0, 1, 1, 2, 2])
        assert (found.interval.low, found.interval.high, found.p) == (-inf, inf, 1.0)

    def test_none_of_ten_is_no_proof(self) -> None:
        """Newcombe's interval of 0/10 - 0/10: the score interval ends at z^2 / (10 + z^2)."""
        found = gap(np.zeros(20), np.arange(20) < 10)
        z2 = stats.norm.ppf(0.975) ** 2
        assert found.interval.high == pytest.approx(z2 / (10 + z2))
        assert found.interval.low == pytest.approx(-z2 / (10 + z2))
        assert found.p == 1.0

    def test_all_against_none(self) -> None:
        """Newcombe 1998, Table II, (i) 10/10 - 0/20, method 10: 0.6791 to 1."""
        found = gap(np.repeat([1.0, 0.0], [10, 20]), np.arange(30) < 10)
        assert found.interval.low == pytest.approx(0.6791, abs=5e-5)
        assert found.interval.high == pytest.approx(1.0)
        assert found.p < 0.001

    @pytest.mark.parametrize(("inside", "n"), [(10, 25), (20, 60)])
    def test_p_is_uniform_without_a_difference(self, inside: int, n: int) -> None:
        rng = np.random.default_rng(7)
        found = [
            gap(rng.normal(size=n), np.arange(n) < inside, resamples=799, seed=seed)
            for seed in range(SIMULATIONS)
        ]
        assert uniform([one.p for one in found]) > 0.01
        covered = [one.interval.low <= 0 <= one.interval.high for one in found]
        assert 0.925 <= float(np.mean(covered)) <= 0.975

    def test_p_is_uniform_in_clusters(self) -> None:
        """20 templates, each with a row of 3 groups and a level of its own."""
        rng = np.random.default_rng(8)
        template, inside = np.repeat(np.arange(20), 3), np.tile([True, False, False], 20)
        found = [
            gap(rng.normal(size=20)[template] + rng.normal(size=60), inside, template,
                resamples=799, seed=seed).p
            for seed in range(SIMULATIONS)
        ]  # fmt: skip
        assert uniform(found) > 0.01

    def test_p_agrees_with_the_interval(self) -> None:
        rng = np.random.default_rng(9)
        for seed in range(100):
            found = gap(
                rng.normal(size=24) + np.repeat([0.8, 0], 12), np.arange(24) < 12, seed=seed
            )
            inside = found.interval.low <= 0 <= found.interval.high
            assert inside == (found.p >= 0.05) or found.p == pytest.approx(0.05, abs=0.005)


class TestPermuted:
    def test_all_relabellings_by_hand(self) -> None:
        """3 of 6 values: 20 relabellings, of which 2 reach |5 - 2| (both signs): p = 0.1."""
        values = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        (found,) = permuted(Differences(values), np.arange(6) >= 3, permutations=9_999)
        assert found.value == 3.0
        assert found.p == pytest.approx(0.1, abs=0.01)

    def test_within_clusters_by_hand(self) -> None:
        """4 pairs, always 1 apart: 16 patterns, of which 2 reach it: p = 1/8."""
        values = np.array([1.0, 0.0, 11.0, 10.0, 21.0, 20.0, 31.0, 30.0])
        inside = np.tile([True, False], 4)
        pairs = np.repeat(np.arange(4), 2)
        (found,) = permuted(Differences(values), inside, clusters=pairs, permutations=9_999)
        everything = [abs(np.mean(signs)) for signs in product((1, -1), repeat=4)]
        assert np.mean(np.array(everything) >= 1) == 1 / 8
        assert found.p == pytest.approx(1 / 8, abs=0.01)
        (free,) = permuted(Differences(values), inside)
        assert free.p > 0.5

    def test_clusters_of_one_side_move_whole(self) -> None:
        """2 documents against 2, 5 equal values each: 6 relabellings, 2 reach it: p = 1/3."""
        values = np.repeat([0.0, 1.0, 5.0, 6.0], 5)
        clusters = np.repeat(np.arange(4), 5)
        (found,) = permuted(
            Differences(values), clusters >= 2, clusters=clusters, permutations=9_999
        )
        assert found.p == pytest.approx(1 / 3, abs=0.02)

    def test_repeats_move_together(self) -> None:
        """2 rows against 2, 50 repeats each, are 4 rows."""
        values = np.repeat([0.0, 1.0, 5.0, 6.0], 50)
        rows = np.repeat(np.arange(4), 50)
        (found,) = permuted(Differences(values), rows >= 2, rows, permutations=9_999)
        assert found.p == pytest.approx(1 / 3, abs=0.02)

    def test_p_counts_what_was_observed(self) -> None:
        (found,) = permuted(Differences(np.arange(60.0)), np.arange(60) < 30, permutations=99)
        assert found.p == 1 / 100

    def test_bad_input(self) -> None:
        values = Differences(np.arange(4.0))
        with pytest.raises(UsageError, match="outside of it"):
            permuted(values, [True] * 4)
        with pytest.raises(UsageError, match="on one side"):
            permuted(values, [True, False, True, False], rows=[0, 0, 1, 1])

    @pytest.mark.parametrize("shape", ["alone", "crossed", "whole", "repeats"])
    def test_p_is_uniform_without_a_difference(self, shape: str) -> None:
        rng = np.random.default_rng(11)
        found = []
        for seed in range(SIMULATIONS):
            group = np.repeat(np.arange(20), 3)  # 20 clusters of 3
            values = rng.normal(size=20)[group] + rng.normal(size=60)
            inside = np.tile([True, False, False], 20) if shape == "crossed" else group < 8
            rows = group if shape == "repeats" else None
            clusters = group if shape in ("crossed", "whole") else None
            if shape == "alone":
                values = rng.normal(size=60)
            (one,) = permuted(
                Differences(values), inside, rows, clusters, permutations=299, seed=seed
            )
            found.append(one.p)
        assert uniform(found) > 0.01

    def test_clusters_that_are_ignored_are_seen(self) -> None:
        """The test of uniformity can fail: rows of 3 taken for independent ones."""
        rng = np.random.default_rng(12)
        group = np.repeat(np.arange(20), 3)
        found = [
            permuted(Differences(rng.normal(size=20)[group]), group < 8, permutations=99, seed=s)[
                0
            ].p
            for s in range(300)
        ]
        assert uniform(found) < 1e-4


def test_the_wild_bootstraps_p_is_uniform_too() -> None:
    rng = np.random.default_rng(13)
    found = [paired_bootstrap(rng.normal(size=30), resamples=399).p for _ in range(SIMULATIONS)]
    assert uniform(found) > 0.01
