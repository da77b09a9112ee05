"""Choosing by log-likelihood, and perplexity, by hand."""

import math

import pytest

from trivium.evals.base import Choice
from trivium.evals.scorers.likelihood import (
    NORMALISATIONS,
    bits,
    chosen,
    perplexity,
    probabilities,
    raw,
    unconditional,
)

LONG = Choice("a long answer", -6.0, 3, unconditional=-9.0)
SHORT = Choice("no", -4.0, 1, unconditional=-4.5)
WIDE = Choice("äöü", -5.0, 3, unconditional=-5.0)


@pytest.mark.parametrize(
    ("normalisation", "values", "best"),
    [
        ("raw", (-6.0, -4.0, -5.0), 1),
        ("character", (-6 / 13, -2.0, -5 / 3), 0),
        ("byte", (-6 / 13, -2.0, -5 / 6), 0),
        ("token", (-2.0, -4.0, -5 / 3), 2),
        ("unconditional", (3.0, 0.5, 0.0), 0),
    ],
)
def test_each_normalisation_chooses_by_its_own(
    normalisation: str, values: tuple[float, ...], best: int
) -> None:
    measure = NORMALISATIONS[normalisation]
    choices = (LONG, SHORT, WIDE)
    assert [measure(choice) for choice in choices] == pytest.approx(values)
    assert chosen(choices, measure) == best


def test_the_first_of_equals_is_chosen() -> None:
    assert chosen((SHORT, SHORT), raw) == 0


def test_unconditional_needs_its_log_probability() -> None:
    with pytest.raises(ValueError, match="no unconditional"):
        unconditional(Choice("a", -1.0, 1))


def test_probabilities_are_a_softmax_that_does_not_overflow() -> None:
    two_to_one = (Choice("a", math.log(2) - 900.0, 1), Choice("b", -900.0, 1))
    assert probabilities(two_to_one, raw) == pytest.approx([2 / 3, 1 / 3])


def test_bits_and_perplexity() -> None:
    assert bits(math.log(1 / 8)) == pytest.approx(3.0)
    assert perplexity(4 * math.log(1 / 10), 4) == pytest.approx(10.0)
    assert perplexity(-1e6, 1) == math.inf
