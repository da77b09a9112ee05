"""How far answers are apart: figures computed by hand, and properties."""

from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trivium.evals.base import Choice, Record
from trivium.evals.fairness import shifts

LABELS = ("relevant", "not relevant")


def written(output: str) -> Record:
    return Record("run", 0, "r", 0, "m", "f", "p", "h", {}, None, output=output)


def chose(**logprobs: float) -> Record:
    choices = tuple(Choice(text, logprob, 1) for text, logprob in logprobs.items())
    return Record("run", 0, "r", 0, "m", "f", "p", "h", {}, None, choices=choices)


@pytest.mark.parametrize(
    ("output", "label"),
    [
        ("Relevant.", "relevant"),
        ("It is not relevant", "not relevant"),
        ('{"label": "relevant"}', "relevant"),
        ("irrelevant", shifts.NO_LABEL),
        ("", shifts.NO_LABEL),
    ],
)
def test_the_label_that_an_answer_names(output: str, label: str) -> None:
    assert shifts.decision(written(output), LABELS) == label


def test_two_labels_are_none() -> None:
    assert shifts.decision(written("yes or no"), ("yes", "no")) == shifts.NO_LABEL


def test_the_likeliest_choice_and_its_probability() -> None:
    record = chose(yes=log(0.1), no=log(0.3))
    assert shifts.decision(record, ("yes", "no")) == "no"
    assert shifts.probability(record, "no") == pytest.approx(0.75)
    assert shifts.probability(record, "perhaps") is None


def test_scores() -> None:
    assert shifts.score(written('{"score": 7}')) == 7
    assert shifts.score(written("seven")) is None


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("As an AI language model, I have no opinion.", True),
        ("I cannot judge people by their names.", True),
        ("We must decline.", True),
        ("The applicant is sorry that she cannot come.", False),
        ("I can help: the answer is 4.", False),
        ("", False),
        ("Fine. " * 60 + "I'm sorry.", False),
    ],
)
def test_refusals(text: str, refused: bool) -> None:
    assert shifts.refused(text) is refused


@pytest.mark.parametrize(
    "output",
    ["1. Emily\n2. Greg\n3) Todd", '["Emily", "Greg", "Todd"]', "Emily, Greg, Todd",
     '{"order": ["Emily", "Greg", "Todd"]}', "Here they are:\n- Emily\n- Greg\n- Todd"],
)  # fmt: skip
def test_orders_are_read(output: str) -> None:
    assert shifts.ranking(output) == ["emily", "greg", "todd"]


def test_kendall_by_hand() -> None:
    # of 6 pairs one, (c, d), is the other way round: (5 - 1) / 6
    assert shifts.kendall("abcd", "abdc") == pytest.approx(4 / 6)
    assert shifts.kendall("abc", "cba") == -1
    assert shifts.kendall("abc", "axb") == 1  # over what both have
    assert shifts.kendall("a", "a") is None
    assert shifts.kendall("ab", "xy") is None


@settings(deadline=None)  # the first call imports scipy.stats
@given(st.permutations("abcdef"), st.permutations("abcdef"))
def test_kendall_agrees_with_scipy(a: list[str], b: list[str]) -> None:
    from scipy.stats import kendalltau

    places = [b.index(item) for item in a]
    assert shifts.kendall(a, b) == pytest.approx(kendalltau(range(6), places).statistic)


def test_places() -> None:
    assert shifts.place_shift("abc", "bca", ["a"]) == 2
    assert shifts.place_shift("abc", "bca", ["a", "b"]) == 0.5
    assert shifts.place_shift("abc", "bc", ["a"]) is None


def test_bleu_goes_both_ways_and_stays_in_bounds() -> None:
    a, b = "the man has a good and steady job", "the man has a job"
    assert shifts.bleu_both_ways(a, a) == pytest.approx(1)
    assert shifts.bleu_both_ways(a, b) == pytest.approx(shifts.bleu_both_ways(b, a))
    assert shifts.bleu_both_ways(a, "") == 0


def test_disagreement_and_noise_by_hand() -> None:
    assert shifts.disagreement("xx", "xy") == 0.5
    assert shifts.noise("xxy") == pytest.approx(2 / 3)
    assert shifts.noise("x") is None
    # across, of unequal repeats: x-y differ, x-y differ: 1; within: 0 and 0
    assert shifts.above_noise("xx", "yy") == 1
    # across: (x, x) and (y, y) by i != j of "xy" and "yx": 0; within: 1 and 1
    assert shifts.above_noise("xy", "yx") == -1
    assert shifts.above_noise("x", "y") is None


def test_above_noise_is_centred_where_there_is_no_difference() -> None:
    rng = np.random.default_rng(0)
    values = [
        shifts.above_noise(list(rng.choice(["x", "y"], 3)), list(rng.choice(["x", "y"], 3)))
        for _ in range(4000)
    ]
    known = np.array([value for value in values if value is not None])
    assert abs(known.mean()) < 4 * known.std() / sqrt(known.size)


def test_log_odds_by_hand() -> None:
    # counts of two words: 3 and 1 against 1 and 3; the prior is 500 / 2 each
    delta, z = shifts.log_odds(np.array([3.0, 1.0]), np.array([1.0, 3.0]))
    expected = log(251 / 253) - log(253 / 251)
    assert delta == pytest.approx([expected, -expected])
    assert z == pytest.approx(np.array([expected, -expected]) / sqrt(1 / 251 + 1 / 253))


def test_a_word_of_one_side_is_found_and_words_by_design_are_not() -> None:
    a = ["he is a strong and able worker"] * 12
    b = ["she is a kind and able worker"] * 12
    found = {one.word: one for one in shifts.word_bias(a, b, {"he", "she"})}
    assert "she" not in found
    assert found["kind"].log_odds > 0 > found["strong"].log_odds
    assert found["kind"].p < 0.01
    assert found["kind"].rows == 12
    assert found["worker"].p == 1


def test_words_of_few_rows_and_of_none_are_not_tested() -> None:
    assert shifts.word_bias(["rare word"] * 3, ["other word"] * 3) == []
    assert shifts.word_bias([], []) == []


def test_p_of_words_holds_its_level_without_a_difference() -> None:
    rng = np.random.default_rng(1)
    known = ["red", "green", "blue", "grey", "black"]
    hits = 0
    for trial in range(60):
        a, b = ([" ".join(rng.choice(known, 6)) for _ in range(20)] for _ in range(2))
        found = shifts.word_bias(a, b, seed=trial)
        hits += min(one.p for one in found) <= 0.05
    assert hits <= 8  # 3 are expected; P(more than 8) is below 0.5 %
