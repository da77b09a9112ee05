"""Sentences: what ends one, what does not, and that no character is lost."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.retrieval.sentences import sentences


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    "parts",
    [
        ["One.", "Two!", "Three?", "Four"],
        ["Dr. Smith met Mrs. Jones.", "They talked."],
        ["It weighs 3.14 kg, e.g. Lead does.", "See Fig. 3 and No. 7."],
        ["The answer is no.", "It always was."],
        ["J. R. R. Tolkien wrote it.", "He lived in the U.S. Army base."],
        ["He lived in the U.S.", "The army did not."],
        ["Made by Acme Inc. of Ohio.", "Sold by Acme Inc.", "The rest is known."],
        ["“Stop!” he said.", '"Go."', "She went (at last.)", "Then home."],
        ["Wait ... there is more.", "Well…", "Done."],
        ["It was found in 1990.[12]", "Later lost."],
        ["Versions 2.0.1 and v3.", "See https://example.org/a.b?c=d for more."],
        ["On Jan. 5 it rained.", "We left on the 6th of Jan.", "All was well."],
        ["this is small.", "so is this."],
    ],
)
def test_prose(parts: list[str]) -> None:
    assert cut(" ".join(parts)) == parts


def test_stops_without_spaces() -> None:
    assert cut("これは犬です。「猫です。」鳥！") == ["これは犬です。", "「猫です。」", "鳥！"]  # noqa: RUF001


def test_layout_ends_a_sentence() -> None:
    text = (
        "# Install\nRun this\ncommand now\n\n- first item\n- second\n  line\n"
        "1. Open it. Close it.\n2. Go\n\n| a | b |\n| 1 | 2 |\nx\ty\nend"
    )
    assert cut(text) == [
        "# Install",
        "Run this\ncommand now",
        "- first item",
        "- second\n  line",
        "1. Open it.",
        "Close it.",
        "2. Go",
        "| a | b |",
        "| 1 | 2 |",
        "x\ty",
        "end",
    ]


def test_nothing() -> None:
    assert sentences("") == sentences(" \n\t\f ") == []


@given(
    st.text(st.sampled_from(list("aA1 .!?…\n\t\f\r\"')[]#|-*。」\u2028\u2029")), max_size=80)
    | st.text()
)
def test_spans_are_ordered_disjoint_stripped_and_cover(text: str) -> None:
    spans = sentences(text)
    last = 0
    for start, end in spans:
        assert last <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip()
        assert not text[last:start].strip()
        last = end
    assert not text[last:].strip()


@pytest.mark.parametrize("unit", [".", "!", ".)", "a. ", "。", " ", "\n", "#", "| ", "1. ", "[1]."])
def test_time_is_linear(unit: str) -> None:
    text = unit * (400_000 // len(unit)) + "x"
    began = time.process_time()
    sentences(text)
    assert time.process_time() - began < 5  # a quadratic rule takes hours here
