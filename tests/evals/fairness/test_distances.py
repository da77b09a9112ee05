"""Distances between distributions: by hand, as scipy has them, and their tests."""

from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import kstest, wasserstein_distance

from trivium.errors import UsageError
from trivium.evals.fairness.distances import distances, jensen_shannon_of, wasserstein_of

EDGES = [-1.0, -0.9, 0.0, 0.3, 0.9, 1.0]
SCORES = st.lists(st.floats(-1, 1) | st.sampled_from(EDGES), min_size=1, max_size=30)


def sides(a: list[float], b: list[float]) -> tuple[np.ndarray, np.ndarray]:
    return np.array(a + b), np.arange(len(a) + len(b))[None, :] < len(a)


def test_wasserstein_by_hand() -> None:
    """{0, 1} to {0, 0.5}: half of the mass moves by a half."""
    values, inside = sides([0.0, 1.0], [0.0, 0.5])
    assert wasserstein_of(values)(inside) == pytest.approx([0.25])


def test_jensen_shannon_by_hand() -> None:
    """P = (1, 0), Q = (1/2, 1/2): H(3/4, 1/4) - H(Q)/2 = 2 - 3/4 log2 3 - 1/2."""
    values, inside = sides([0.1, 0.2], [0.3, 0.9])
    found = jensen_shannon_of(values, (0, 1), bins=2)(inside)
    assert found == pytest.approx([1.5 - 0.75 * log2(3)])


def test_equal_and_disjoint() -> None:
    values, inside = sides([0.1, 0.2], [0.1, 0.2])
    assert wasserstein_of(values)(inside) == pytest.approx([0])
    assert jensen_shannon_of(values, (0, 1))(inside) == pytest.approx([0])
    values, inside = sides([0.0], [1.0])
    assert wasserstein_of(values)(inside) == pytest.approx([1])
    assert jensen_shannon_of(values, (0, 1))(inside) == pytest.approx([1])


@given(SCORES, SCORES)
def test_both_are_scipys(a: list[float], b: list[float]) -> None:
    values, inside = sides(a, b)
    assert wasserstein_of(values)(inside)[0] == pytest.approx(wasserstein_distance(a, b), abs=1e-9)
    p, q = (np.histogram(side, 20, (-1, 1))[0] for side in (a, b))
    known = jensenshannon(p, q, base=2) ** 2
    assert jensen_shannon_of(values, (-1, 1))(inside)[0] == pytest.approx(known, abs=1e-9)


def test_many_draws_at_once_are_one_by_one() -> None:
    rng = np.random.default_rng(1)
    values, inside = rng.uniform(-1, 1, 50), rng.random((20, 50)) < 0.4
    for distance in (wasserstein_of(values), jensen_shannon_of(values, (-1, 1))):
        together = distance(inside)
        assert together == pytest.approx([float(distance(one[None, :])[0]) for one in inside])


def test_a_score_outside_of_its_scale_is_told() -> None:
    with pytest.raises(UsageError, match=r"the score 1\.5 lies outside of 0 to 1"):
        distances([0.5, 1.5], [True, False], (0, 1))


def test_distributions_of_equal_means_are_told_apart() -> None:
    rng = np.random.default_rng(2)
    values = np.clip(np.concatenate([rng.normal(0, 0.05, 60), rng.normal(0, 0.5, 60)]), -1, 1)
    found = distances(values, np.arange(120) < 60, (-1, 1), permutations=999)
    assert found.wasserstein.p == found.jensen_shannon.p == 1 / 1000


def test_p_is_uniform_without_a_difference() -> None:
    """Templates with a row of each of 3 groups, and levels of their own.

    Jensen-Shannon of 60 values in 20 bins has ties, so that its p is at least as large.
    """
    rng = np.random.default_rng(3)
    template, inside = np.repeat(np.arange(20), 3), np.tile([True, False, False], 20)
    found = []
    for seed in range(1_000):
        values = np.tanh(rng.normal(size=20)[template] + rng.normal(size=60))
        found.append(
            distances(values, inside, (-1, 1), clusters=template, permutations=199, seed=seed)
        )
    assert kstest([one.wasserstein.p for one in found], "uniform").pvalue > 0.01
    rejected = np.mean([one.jensen_shannon.p <= 0.05 for one in found])
    assert 0.03 <= rejected <= 0.07
