"""Measures of two texts, each value worked out by hand."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.evals.scorers.text import (
    accepted,
    best,
    contains,
    exact,
    last_number,
    normalise,
    normalised,
    numeric,
    rouge,
    token_f1,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Eiffel Tower!", "eiffel tower"),
        ("an apple, a day", "apple day"),
        ("theatre", "theatre"),
        ("A. The", ""),
        ("don't", "dont"),
    ],
)
def test_normalise_follows_squad(text: str, expected: str) -> None:
    assert normalise(text) == expected


def test_exact_minds_all_but_white_space_around() -> None:
    assert exact(" Paris\n", "Paris") == 1.0
    assert exact("paris", "Paris") == 0.0
    assert normalised("the paris.", "Paris") == 1.0


@pytest.mark.parametrize(
    ("output", "target", "expected"),
    [
        ("It is in the city of New York, I think", "New York", 1.0),
        ("Newer York", "New York", 0.0),
        ("category", "cat", 0.0),
        ("anything", "", 0.0),
        ("anything", "the", 0.0),
    ],
)
def test_contains_wants_whole_words(output: str, target: str, expected: float) -> None:
    assert contains(output, target) == expected


def test_token_f1_of_known_texts() -> None:
    # said: cat sat mat (3); wanted: cat on mat (3); common: cat, mat
    assert token_f1("the cat sat mat", "a cat on mat") == pytest.approx(2 * 2 / 6)
    # a word counts as often as both have it
    assert token_f1("no no no", "no yes") == pytest.approx(2 * 1 / 5)
    assert token_f1("", "") == 1.0
    assert token_f1("the", "cat") == 0.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("so 3 + 4 = 7.", "7"),
        ("$1,234.50 in all", "1234.50"),
        ("10-5", "5"),
        ("it is -3 degrees", "-3"),
        ("about 40%", "40"),
        ("2e5 molecules", "2e5"),
        (".5", "0.5"),
        ("1,2,3", "3"),
        ("version 1.2.3", "0.3"),
    ],
)
def test_the_last_number_of_a_text(text: str, expected: str) -> None:
    assert last_number(text) == Decimal(expected)


@pytest.mark.parametrize("text", ["", "none", "-", "+.", "1e99999999", "1e" + "9" * 30])
def test_a_text_without_a_number_has_none(text: str) -> None:
    assert last_number(text) is None
    assert numeric("1", text) == 0.0


def test_numeric_within_a_tolerance_of_the_target() -> None:
    assert numeric("18 eggs, so 18.0", "18") == 1.0
    assert numeric("99", "100", tolerance=0.01) == 1.0
    assert numeric("98.9", "100", tolerance=0.01) == 0.0
    assert numeric("no idea", "100") == 0.0
    assert numeric("100", "no idea") == 0.0


def test_rouge_of_known_texts() -> None:
    # unigrams: 2 of 3 and 2 of 2; longest common subsequence: 2
    scores = rouge("police killed gunman", "police gunman", ["rouge1", "rouge2", "rougeL"])
    assert scores["rouge1"] == pytest.approx(0.8)
    assert scores["rouge2"] == 0.0
    assert scores["rougeL"] == pytest.approx(0.8)


def test_the_best_of_several_targets_counts() -> None:
    assert best(exact, "b", ["a", "b"]) == 1.0
    assert best(exact, "b", []) == 0.0
    assert accepted(3) == ["3"]
    assert accepted(("a", 1)) == ["a", "1"]


@given(st.text(max_size=40), st.text(max_size=40))
def test_measures_are_between_0_and_1_and_f1_is_symmetric(one: str, other: str) -> None:
    for measure in (exact, normalised, contains, token_f1, numeric):
        assert 0.0 <= measure(one, other) <= 1.0
    assert token_f1(one, other) == token_f1(other, one)
    assert exact(one, one) == normalised(one, one) == token_f1(one, one) == 1.0
