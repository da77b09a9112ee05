"""Reports by class, calibration and agreement, by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.evals.scorers.classes import brier, calibration_error, classification, kappa


def test_a_report_by_class() -> None:
    gold = ["a", "a", "a", "b", "c"]
    said = ["a", "a", "b", "b", "b"]
    report = classification(said, gold)
    assert report["precision:a"] == 1.0
    assert report["recall:a"] == pytest.approx(2 / 3)
    assert report["f1:a"] == pytest.approx(4 / 5)
    assert report["precision:b"] == pytest.approx(1 / 3)
    assert report["f1:b"] == pytest.approx(1 / 2)
    assert report["precision:c"] == report["f1:c"] == 0.0
    assert report["macro_f1"] == pytest.approx((4 / 5 + 1 / 2 + 0) / 3)


def test_calibration_error_of_two_bins() -> None:
    # (0.6, 0.7]: mean confidence 0.65, accuracy 0.5; (0.9, 1]: confidence 1.0, accuracy 1.0
    confidences, right = [0.65, 0.65, 1.0, 1.0], [True, False, True, True]
    assert calibration_error(confidences, right) == pytest.approx(0.15 * 2 / 4)


def test_calibration_bins_are_closed_above() -> None:
    # 0.5 belongs to (0.4, 0.5] of ten bins, and 0.55 does not
    assert calibration_error([0.5, 0.55], [True, False]) == pytest.approx((0.5 + 0.55) / 2)
    # with one bin, both belong together and their errors cancel
    assert calibration_error([0.5, 0.5], [True, False], bins=1) == pytest.approx(0.0)


def test_brier_of_a_sure_and_a_wavering_answer() -> None:
    assert brier([1.0, 0.0], 0) == 0.0
    assert brier([1.0, 0.0], 1) == 2.0
    assert brier([0.5, 0.3, 0.2], 0) == pytest.approx(0.25 + 0.09 + 0.04)


def test_kappa_of_cohens_table() -> None:
    # 20 both yes, 5 and 10 at odds, 15 both no: agreement 0.7, by chance 0.5
    one = ["y"] * 25 + ["n"] * 25
    other = ["y"] * 20 + ["n"] * 5 + ["y"] * 10 + ["n"] * 15
    assert kappa(one, other) == pytest.approx(0.4)
    assert kappa(["a", "a"], ["a", "a"]) == 1.0


@pytest.mark.parametrize(
    "empty",
    [
        lambda: classification([], []),
        lambda: calibration_error([], []),
        lambda: kappa([], []),
        lambda: classification(["a"], ["a", "b"]),
    ],
)
def test_nothing_or_a_mismatch_is_refused(empty: object) -> None:
    with pytest.raises(ValueError, match=r"nothing|no confidences|shorter|longer"):
        empty()  # type: ignore[operator]


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30))
def test_calibration_error_is_between_0_and_1(pairs: list[tuple[float, bool]]) -> None:
    confidences, right = zip(*pairs, strict=True)
    assert 0.0 <= calibration_error(confidences, right) <= 1.0 + 1e-9


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1))
def test_kappa_is_symmetric_and_at_most_1(pairs: list[tuple[str, str]]) -> None:
    one, other = zip(*pairs, strict=True)
    assert kappa(one, other) == pytest.approx(kappa(other, one))
    assert kappa(one, other) <= 1.0
