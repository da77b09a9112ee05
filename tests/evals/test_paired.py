"""Paired tests: published values, level under no effect, power under one, p and interval agree."""

from itertools import product
from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.errors import UsageError
from trivium.evals.statistics import (
    holm,
    mcnemar,
    minimum_detectable_effect,
    needed_n,
    paired,
    paired_bootstrap,
    tango,
)

SIMULATIONS = 2_000


def test_the_airway_example() -> None:
    # Fagerland, Lydersen & Laake 2014, Stat Med 33:2850: 1 and 7 discordant of 21 pairs
    assert mcnemar(7, 1) == pytest.approx(0.039, abs=5e-4)
    assert tango(1, 7, 21) == pytest.approx((-0.517, -0.026), abs=5e-4)


@pytest.mark.parametrize(
    ("gains", "losses", "p"),
    [
        (0, 0, 1.0),
        (1, 0, 0.5),  # 2 * 1/2 - 1/2
        (5, 0, 1 / 32),
        (2, 2, 1 - 6 / 16 / 2),
        (3, 1, 2 * 5 / 16 - 4 / 16),
    ],
)
def test_mcnemar_by_hand(gains: int, losses: int, p: float) -> None:
    assert mcnemar(gains, losses) == pytest.approx(p, rel=1e-12)
    assert mcnemar(losses, gains) == pytest.approx(p, rel=1e-12)


def test_mcnemar_of_many_pairs_is_the_normal_test() -> None:
    # z = 100 / sqrt(10100) = 0.99504, two-sided 0.31972
    assert mcnemar(5_000, 5_100) == pytest.approx(0.3197, abs=2e-4)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 200))
def test_tangos_interval_mirrors_and_holds_the_difference(
    gains: int, losses: int, ties: int
) -> None:
    n = gains + losses + ties
    low, high = tango(gains, losses, n)
    assert -1 <= low <= (gains - losses) / n <= high <= 1
    assert tango(losses, gains, n) == pytest.approx((-high, -low), abs=1e-9)


def test_no_discordant_pairs_still_leave_room() -> None:
    found = paired([1, 0, 1, 1] * 10, [1, 0, 1, 1] * 10)
    assert (found.effect.mean, found.p) == (0, 1)
    assert found.effect.low < -0.05 < 0.05 < found.effect.high
    assert found.sd > 0


def test_few_pairs_try_every_sign() -> None:
    differences = [0.3, 0.1, -0.2, 0.5, 0.4, 0.25]
    sums = [np.dot(signs, differences) for signs in product((1, -1), repeat=6)]
    as_large = np.mean(np.array(sums) >= sum(differences) - 1e-12)
    assert paired_bootstrap(differences).p == pytest.approx(2 * as_large)


def test_six_equal_signs_are_the_fewest_that_tell() -> None:
    assert paired_bootstrap([1.5] * 5).effect.low == -inf
    found = paired_bootstrap([0.5, 1, 1.5, 2, 2.5, 3])
    assert found.p == pytest.approx(2 / 64)
    assert (found.effect.low, found.effect.high) == (0.5, 3.0)


@given(st.lists(st.integers(-8, 8).map(lambda v: v / 4), min_size=6, max_size=40))
def test_p_and_interval_agree(differences: list[float]) -> None:
    found = paired_bootstrap(differences, resamples=399)
    outside = found.effect.low > 0 or found.effect.high < 0
    assert outside == (found.p <= 0.05)
    mirrored = paired_bootstrap([-value for value in differences], resamples=399)
    assert mirrored.p == found.p
    assert mirrored.effect.low == pytest.approx(-found.effect.high)


def level(p_values: list[float]) -> float:
    assert len(p_values) == SIMULATIONS
    return float(np.mean(np.array(p_values) <= 0.05))


def test_level_of_right_and_wrong() -> None:
    rng, p_values = np.random.default_rng(11), []
    for _ in range(SIMULATIONS):
        chance = rng.beta(2, 1, 400)  # rows are easy or hard for both sides
        a, b = rng.random((2, 400)) < chance
        p_values.append(paired(a, b).p)
    assert 0.04 <= level(p_values) <= 0.06


def test_level_of_skewed_scores() -> None:
    rng, p_values = np.random.default_rng(12), []
    for _ in range(SIMULATIONS):
        a, b = rng.exponential(size=(2, 60)) + rng.exponential(size=60)
        p_values.append(paired_bootstrap(b - a, resamples=599).p)
    assert 0.04 <= level(p_values) <= 0.06


def test_level_of_rows_in_clusters() -> None:
    rng, p_values = np.random.default_rng(13), []
    clusters = np.repeat(range(20), rng.integers(2, 12, 20))
    for _ in range(SIMULATIONS):
        shared = rng.normal(size=20)[clusters]
        differences = shared + rng.normal(size=clusters.size)
        p_values.append(paired_bootstrap(differences, clusters, resamples=599).p)
    assert 0.04 <= level(p_values) <= 0.06


def test_level_of_repeats() -> None:
    rng, p_values = np.random.default_rng(14), []
    rows = np.repeat(range(50), 5)
    for _ in range(SIMULATIONS):
        chance = rng.beta(1, 1, (2, 50))[:, rows]  # each side has rows of its own that it can do
        a, b = rng.random((2, 250)) < chance
        p_values.append(paired(a, b, rows).p)
    assert 0.04 <= level(p_values) <= 0.06


def test_repeats_taken_for_rows_would_break_the_level() -> None:
    rng, wrong = np.random.default_rng(15), 0
    rows = np.repeat(range(12), 5)
    for _ in range(300):
        a, b = rng.random((2, 60)) < rng.beta(1, 1, (2, 12))[:, rows]
        wrong += paired(a, b).p <= 0.05
    assert wrong / 300 > 0.1


def test_the_detectable_effect_is_found_four_times_in_five() -> None:
    rng, found = np.random.default_rng(16), 0
    effect = minimum_detectable_effect(1.0, 100)
    for _ in range(500):
        found += paired_bootstrap(rng.normal(effect, 1, 100), resamples=599).p <= 0.05
    assert 0.75 <= found / 500 <= 0.85


def test_power_by_hand() -> None:
    # (1.959964 + 0.841621) = 2.801585; half a standard deviation needs 31.4 pairs
    assert minimum_detectable_effect(1, 100) == pytest.approx(0.2801585, abs=1e-6)
    assert needed_n(1, 0.5) == needed_n(1, -0.5) == 32
    assert needed_n(1 / 3, 0.03) == 969  # 2.801585² / 9 / 0.0009 = 968.99


@given(st.floats(0.01, 10), st.integers(2, 10_000))
def test_needed_rows_undo_the_detectable_effect(sd: float, n: int) -> None:
    assert needed_n(sd, minimum_detectable_effect(sd, n)) == n


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_never_helps_and_keeps_the_order(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(after >= before for before, after in zip(p_values, adjusted, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert np.all(np.diff(np.array(adjusted)[order]) >= 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: paired([1, 0], [1]), "2 and 1 values are not pairs"),
        (lambda: paired([], []), "no values"),
        (lambda: mcnemar(-1, 2), "-1 gains"),
        (lambda: tango(3, 3, 5), "do not fit 5 pairs"),
        (lambda: needed_n(1, 0), "effect of 0"),
        (lambda: minimum_detectable_effect(1, 0), "0 pairs"),
        (lambda: minimum_detectable_effect(1, 9, alpha=0), "alpha 0"),
        (lambda: holm([0.5, 1.2]), "between 0 and 1"),
        (lambda: paired_bootstrap([1, 2], [1]), "2 differences and 1 cluster keys"),
    ],
)
def test_what_cannot_be_meant_is_refused(call: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call()  # type: ignore[operator]
