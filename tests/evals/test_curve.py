"""Laws of score against size: what they recover, how sure they are, and what they refuse."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import exp, log

import numpy as np
import pytest
from scipy.optimize import least_squares

from tests.evals.made import EVIL, record
from tests.scripted import ScriptedEngine
from trivium.errors import UsageError
from trivium.evals.base import Choice, Record
from trivium.evals.curve import Curve, Lent, Measured, curves
from trivium.evals.curve_fit import Fit, Law, aicc, draw, fit, logistic, power_law, refit
from trivium.evals.intervals import Floats
from trivium.evals.report.curve_page import curve_page
from trivium.evals.report.curve_words import curve_json, sentences, size_label, together
from trivium.evals.store import Runs

X = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0])
Z = np.log(X)
LAWS = {
    "loss": (power_law(Z), [0.2, 0.5, 0.7]),
    "flat": (power_law(Z), [1.5, 0.0, 0.0]),
    "no limit": (power_law(Z), [0.0, 2.0, 0.3]),
    "error": (power_law(Z, top=1.0), [0.1, 0.6, 1.2]),
    "emergence": (logistic(Z, 0.25), [log(6.0), 1.3]),
    "steep": (logistic(Z, 0.0), [log(5.0), 9.0]),
}


def on(law: Law, parameters: Sequence[float], x: Floats = X) -> Floats:
    return np.asarray(law.predict(np.array([parameters], np.float64), np.log(x))[0])


def answers(rng: np.random.Generator, chances: Floats, rows: int) -> Floats:
    """Zeros and ones of so many rows: (rows, points)."""
    return (rng.uniform(size=(rows, chances.size)) < chances).astype(np.float64)


class TestFit:
    @pytest.mark.parametrize("name", LAWS)
    def test_the_parameters_behind_points_are_found(self, name: str) -> None:
        law, true = LAWS[name]
        values = np.tile(on(law, true), (4, 1))
        found = fit(law, X, values, np.arange(4), resamples=20)
        assert on(law, list(found.parameters)) == pytest.approx(on(law, true), abs=1e-6)
        if name != "flat":  # its exponent is whatever it is
            assert found.parameters == pytest.approx(true, abs=1e-4)
        assert found.residual == pytest.approx(0, abs=1e-10)

    def test_figures_of_a_law_by_hand(self) -> None:
        # 0.2 + 0.5 · 4^-0.5 and, as what is missing to 1, 1 - that
        assert on(power_law(Z), [0.2, 0.5, 0.5])[2] == pytest.approx(0.45)
        assert on(power_law(Z, top=1.0), [0.2, 0.5, 0.5])[2] == pytest.approx(0.55)
        # halfway between chance and 1 at m; at 2m with s = 1 two thirds of the way
        said = on(logistic(Z, 0.25), [log(4.0), 1.0])
        assert said[2:4] == pytest.approx([0.625, 0.75])

    @pytest.mark.parametrize("name", ["loss", "error", "emergence"])
    def test_many_fits_at_once_are_no_worse_than_scipys(self, name: str) -> None:
        law, true = LAWS[name]
        rng = np.random.default_rng(2)
        noisy = on(law, true) + rng.normal(0, 0.05, (20, 6))
        found = refit(law, Z, noisy, np.array(true))
        for points, theta in zip(noisy, found, strict=True):
            least = min(
                least_squares(
                    lambda at, points=points: on(law, at) - points,
                    np.clip(start, law.low + 1e-6, law.high - 1e-6),
                    bounds=(law.low, law.high),
                ).cost
                * 2
                for start in law.starts
            )
            assert float(((on(law, list(theta)) - points) ** 2).sum()) <= least + 1e-7
            assert np.all((law.low <= theta) & (theta <= law.high))

    def test_equal_values_give_an_equal_fit(self) -> None:
        law, true = LAWS["emergence"]
        values = answers(np.random.default_rng(0), on(law, true), 60)
        one, other = (fit(law, X, values, np.arange(60), 50) for _ in range(2))
        assert one.intervals == other.intervals
        assert one.jump == other.jump

    @pytest.mark.parametrize("name", ["loss", "error", "emergence"])
    def test_a_band_is_monotone_as_its_law_is_and_holds_the_curve(self, name: str) -> None:
        law, true = LAWS[name]
        rng = np.random.default_rng(4)
        values = on(law, true) + rng.normal(0, 0.3, (80, 6))
        found = fit(law, X, values, np.arange(80), 200)
        middle, low, high = found.at(np.geomspace(0.5, 100, 50))
        assert np.all((low <= middle) & (middle <= high))
        sign = -1 if name == "loss" else 1
        for line in (middle, low, high):
            assert np.all(sign * np.diff(line) >= -1e-12)

    def test_what_all_points_of_a_row_share_does_not_blur_the_exponent(self) -> None:
        """Hard rows move the whole curve; independent points would blur every parameter."""
        law, true = LAWS["loss"]
        rng = np.random.default_rng(5)
        values = on(law, true) + rng.normal(0, 0.05, (100, 6)) + 2
        shared = values + rng.normal(0, 1, (100, 1))
        alone, together_ = (fit(law, X, one, np.arange(100), 200) for one in (values, shared))
        for at in (1, 2):
            assert together_.intervals[at].low == pytest.approx(alone.intervals[at].low, abs=1e-4)
            assert together_.intervals[at].high == pytest.approx(alone.intervals[at].high, abs=1e-4)
        wide, narrow = (one.intervals[0].high - one.intervals[0].low for one in (together_, alone))
        assert wide > 3 * narrow

    def test_intervals_hold_the_truth_and_smooth_laws_do_not_jump(self) -> None:
        law, true = LAWS["emergence"]
        rng = np.random.default_rng(6)
        held, jumps, runs = 0, 0, 60
        for _ in range(runs):
            values = answers(rng, on(law, true), 150)
            found = fit(law, X, values, np.arange(150), 99)
            held += found.intervals[1].low <= true[1] <= found.intervals[1].high
            assert found.jump is not None
            jumps += found.jump.p < 0.05
        # 95 % of 60 are 57; chance alone leaves 52 to 60 in 99 of 100 tries
        assert held >= 52
        assert jumps <= 8

    def test_a_step_that_the_law_cannot_follow_is_found(self) -> None:
        law = logistic(Z, 0.0)
        rng = np.random.default_rng(7)
        smooth = on(law, [log(6.0), 0.8])
        broken = smooth + np.array([0, 0, 0, 0.2, 0.2, 0.2])
        found = [
            fit(law, X, answers(rng, one, 1_500), np.arange(1_500), 300) for one in (smooth, broken)
        ]
        assert found[0].jump is not None and found[0].jump.p > 0.05
        assert found[1].jump is not None and found[1].jump.p < 0.01
        assert found[1].jump.at == 2
        assert found[1].jump.seen > found[1].jump.expected + 0.05

    def test_aicc_by_hand(self) -> None:
        # 7 ln(0.07 / 7) + 2·3 + 2·3·4 / (7 - 3 - 1)
        assert aicc(0.07, 7, 2) == pytest.approx(7 * log(0.01) + 6 + 8)
        assert aicc(0.07, 4, 2) is None

    def test_more_parameters_than_points_are_refused(self) -> None:
        with pytest.raises(UsageError, match="has 3 parameters and there are 2 points"):
            fit(power_law(Z[:2]), X[:2], np.ones((5, 2)), np.arange(5))

    def test_as_many_parameters_as_points_test_nothing(self) -> None:
        values = np.random.default_rng(0).uniform(size=(9, 2))
        found = fit(logistic(Z[:2], 0.0), X[:2], values, np.arange(9), 20)
        assert found.jump is None and found.aicc is None

    def test_clusters_are_drawn_whole_and_one_is_too_few(self) -> None:
        values = np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 3.0], [1.0, 3.0]])
        drawn = draw(values, np.array([0, 0, 1, 1]), 200)
        assert {tuple(row) for row in drawn} == {(0.0, 1.0), (0.5, 2.0), (1.0, 3.0)}
        with pytest.raises(UsageError, match="one cluster"):
            draw(values, np.zeros(4, np.int64), 10)

    def test_many_units_are_drawn_in_blocks(self) -> None:
        values = np.random.default_rng(0).uniform(size=(3_000, 2))
        drawn = draw(values, np.arange(3_000), 500)
        assert drawn.mean(axis=0) == pytest.approx(values.mean(axis=0), abs=0.002)
        # the standard deviation of a mean of uniforms: 1 / sqrt(12 · 3000)
        assert drawn.std(axis=0) == pytest.approx([0.00527] * 2, rel=0.15)


class Kept(Runs):
    """Stored runs without a store."""

    def __init__(self, kept: Mapping[str, list[Record]]) -> None:
        self._kept = kept

    def records(self, run_id: str):  # type: ignore[no-untyped-def]
        return iter(self._kept[run_id])


def choosing(run: str, right: Sequence[float | None], prompt: str = "p") -> list[Record]:
    """A row for each log-probability of the right one of two choices; the other one has -1."""
    return [
        replace(
            record(f"r{at}", run=run, index=at, prompt=prompt, metric="accuracy"),
            choices=(Choice("yes", value or 0.0, 1), Choice("no", -1.0, 1)),
            scores={} if value is None else {"accuracy": float(value >= -1)},
            error="lost" if value is None else None,
        )
        for at, value in enumerate(right)
    ]


def sized(*sizes: float) -> list[Measured]:
    return [Measured(size, f"m{size:g}", f"run{at}") for at, size in enumerate(sizes)]


class TestCurves:
    def test_points_are_means_over_the_rows_that_all_have(self) -> None:
        kept = {
            "run0": choosing("run0", [-2, -2, 0, None]),
            "run1": choosing("run1", [-2, 0, 0, 0]),
        }
        accuracy, smooth = curves(Kept(kept), sized(0, 1), "shots")
        assert [point.interval.mean for point in accuracy.points] == pytest.approx([1 / 3, 2 / 3])
        assert [point.x for point in accuracy.points] == [1, 2]
        assert (accuracy.rows, accuracy.left_out, accuracy.chance) == (3, 1, 0.5)
        assert (accuracy.model, accuracy.metric, smooth.metric) == (
            "m",
            "accuracy",
            "cross_entropy",
        )
        # -ln of 1/(1+e) where the right choice is 1 below, and of 1/(1+1/e) where it is 1 above
        low, high = log(1 + exp(1)), log(1 + exp(-1))
        assert [point.interval.mean for point in smooth.points] == pytest.approx(
            [(2 * low + high) / 3, (low + 2 * high) / 3]
        )
        assert smooth.chance is None
        assert smooth.unfitted == (
            "the power law has 3 parameters and there are 2 points; measure at least 3 to fit it",
        )

    def test_a_family_is_ordered_by_size_and_has_no_single_model(self) -> None:
        kept = {"run0": choosing("run0", [0, 0]), "run1": choosing("run1", [-2, 0])}
        (found,) = curves(Kept(kept), sized(7e9, 1e9), "parameters", ["accuracy"])
        assert [point.label for point in found.points] == ["m1e+09", "m7e+09"]
        assert found.model == ""

    def test_repeats_of_a_row_count_once(self) -> None:
        once = choosing("run0", [-2, 0, 0])
        again = [replace(one, repeat=1, scores={"accuracy": 1.0}) for one in once]
        kept = {"run0": once + again, "run1": once}
        (found,) = curves(Kept(kept), sized(0, 1), "shots", ["accuracy"])
        assert found.rows == 3
        # the rows' means are 1/2, 1, 1
        assert found.points[0].interval.mean == pytest.approx(5 / 6)
        assert found.points[0].interval.method == "nested"

    def test_what_cannot_be_a_curve_is_refused(self) -> None:
        kept = {"run0": choosing("run0", [0, 0]), "run1": choosing("run1", [None, None])}
        with pytest.raises(UsageError, match="m3 and m3 have one size"):
            curves(Kept(kept), sized(3, 3), "parameters")
        with pytest.raises(UsageError, match="at least two sizes"):
            curves(Kept(kept), sized(3), "parameters")
        with pytest.raises(UsageError, match='no metric "bleu" of single rows; there are accuracy'):
            curves(Kept(kept), sized(1, 2), "shots", ["bleu"])
        with pytest.raises(UsageError, match="0 rows have accuracy at every point"):
            curves(Kept(kept), sized(1, 2), "shots")

    def test_no_law_is_made_up_for_other_metrics(self) -> None:
        records = [record(f"r{at}", 50.0 + at, index=at, metric="chrf") for at in range(3)]
        (found,) = curves(Kept({"run0": records, "run1": records}), sized(0, 1), "shots")
        assert found.fits == ()
        assert "neither a loss nor between 0 and 1" in found.unfitted[0]

    def test_a_lent_engine_is_loaded_once_and_closed_by_its_owner(self) -> None:
        engine = ScriptedEngine(name="a", parameters=5)
        loads: list[str] = []

        def load(name: str) -> ScriptedEngine:
            loads.append(name)
            return engine

        with Lent("a", load) as lent:
            lent.load("a").close()
            assert lent.load("a").parameters == 5
            assert not engine.closed
            lent.load("judge")
        assert engine.closed
        assert loads == ["a", "judge"]


def rising(metric: str, law: Law, parameters: Sequence[float], bump: float = 0.0) -> Curve:
    """A curve of so many points on a law, the upper half of them raised."""
    rng = np.random.default_rng(1)
    means = on(law, parameters) + np.array([0, 0, 0, bump, bump, bump])
    kept = {}
    for at, mean in enumerate(means):
        noise = rng.normal(0, 0.01, 50)
        kept[f"run{at}"] = [
            record(f"r{n}", float(mean + noise[n]), run=f"run{at}", index=n, metric=metric)
            for n in range(50)
        ]
    measured = [Measured(x, size_label("parameters", x), f"run{at}") for at, x in enumerate(X)]
    (found,) = curves(Kept(kept), measured, "parameters")
    return found


class TestWords:
    def test_the_better_law_and_the_absence_of_a_jump_are_said(self) -> None:
        said = " ".join(sentences(rising("accuracy", logistic(Z, 0.0), [log(6.0), 1.3])))
        assert "AICc prefers the logistic" in said
        assert "no jump is shown" in said
        assert "Schaeffer" not in said

    def test_a_jump_of_accuracy_alone_is_the_metrics(self) -> None:
        sharp = rising("accuracy", logistic(Z, 0.0), [log(60.0), 0.5], bump=0.3)
        smooth = rising("cross_entropy", power_law(Z), [0.5, 1.0, 0.6])
        (said,) = together([sharp, smooth])
        assert "by itself no sign of emergence" in said
        assert "Schaeffer" in " ".join(sentences(sharp))
        assert together([sharp, replace(smooth, prompt="other")]) == []

    def test_points_without_the_laws_shape_are_told(self) -> None:
        falling = rising("cross_entropy", power_law(Z), [0.5, 1.0, 0.6])
        wrong = rising("accuracy", power_law(Z), [0.2, 0.5, 0.6])
        assert not any("noise or another shape" in one for one in sentences(falling))
        assert any("noise or another shape" in one for one in sentences(wrong))

    def test_too_few_points_to_choose_say_so(self) -> None:
        kept = {f"run{at}": choosing(f"run{at}", [-2] * (4 - at) + [0] * at) for at in range(4)}
        (found,) = curves(Kept(kept), sized(0, 1, 2, 4), "shots", ["accuracy"])
        said = " ".join(sentences(found))
        assert found.best is None
        assert "4 points are too few to choose between the laws (AICc needs 6)" in said

    @pytest.mark.parametrize(
        ("over", "size", "label"),
        [
            ("shots", 1, "1 shot"),
            ("shots", 0, "0 shots"),
            ("parameters", 134_515_008, "135M"),
            ("parameters", 1.3e9, "1.3B"),
            ("parameters", 999, "999"),
        ],
    )
    def test_sizes_for_people(self, over: str, size: float, label: str) -> None:
        assert size_label(over, size) == label


class TestPage:
    def test_the_page_is_whole_and_escapes_what_models_are_called(self) -> None:
        curve = rising("accuracy", logistic(Z, 0.0), [log(6.0), 1.3])
        evil = replace(
            curve,
            prompt=EVIL,
            points=tuple(replace(point, label=EVIL) for point in curve.points),
        )
        page = curve_page(EVIL, [(evil, evil.guesses(100.0))])
        assert "<script" not in page
        assert "<img" not in page
        assert "default-src 'none'" in page
        assert "http" not in page.replace("http-equiv", "")
        assert page.count("<circle") == 6
        assert "extrapolated" in page and "not measured" in page
        assert "nan" not in page and "inf" not in page.replace("infin", "")

    def test_json_has_numbers_or_null(self) -> None:
        curve = rising("accuracy", logistic(Z, 0.0), [log(6.0), 1.3])
        said = curve_json(curve, curve.guesses(4.0) + curve.guesses(64.0))
        assert [one["extrapolated"] for one in said["guesses"]] == [False, False, True, True]
        assert said["best"] == "logistic"
        assert said["laws"][0]["parameters"]["m"]["value"] == pytest.approx(6, rel=0.05)

    def test_a_curve_without_laws_is_drawn(self) -> None:
        records = [record(f"r{at}", 50.0 + at, index=at, metric="chrf") for at in range(3)]
        (found,) = curves(Kept({"run0": records, "run1": records}), sized(0, 1), "shots")
        assert curve_page("s", [(found, [])]).count("<circle") == 2


def test_a_fit_says_nothing_at_all_of_what_is_not_there() -> None:
    found: Fit = fit(logistic(Z, 0.0), X, np.zeros((5, 6)), np.arange(5), 20)
    middle, low, high = found.at(np.array([1.0, 32.0]))
    assert middle == pytest.approx([0, 0], abs=1e-3)
    assert np.all(high - low < 1e-3)
