"""Words to terms."""

import pytest

from trivium.errors import UsageError
from trivium.images.query import Term, date, parse, weighted, written


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("dog", [Term("dog")]),
        ("dog + beach - leash", [Term("dog"), Term("beach"), Term("leash", -1)]),
        ("dog*2 - leash * 0.5", [Term("dog", 2), Term("leash", -0.5)]),
        ("a t-shirt + C++ book", [Term("a t-shirt"), Term("C++ book")]),
        ("- leash", [Term("leash", -1)]),
        ('"rock + roll"*3 - "a - b"', [Term("rock + roll", 3), Term("a - b", -1)]),
        ("  two   words \n+ three", [Term("two words"), Term("three")]),
        ("3*4", [Term("3", 4)]),
    ],
)
def test_parse(text: str, terms: list[Term]) -> None:
    assert list(parse(text)) == terms


@pytest.mark.parametrize("text", ["", "dog +", "+ ", "dog + - leash", "dog*0", '""', "dog + + b"])
def test_what_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


def test_written_is_read_back() -> None:
    terms = parse("dog*2 - leash*0.5 + beach")
    assert written(terms) == "dog*2 - leash*0.5 + beach"
    assert parse(written(terms)) == terms


def test_a_weight_of_a_picture() -> None:
    assert weighted("a/b.jpg*1.5") == Term("a/b.jpg", 1.5)
    assert weighted("a/b.jpg") == Term("a/b.jpg")


@pytest.mark.parametrize("said", ["2024", "2024-06", "2024-06-30"])
def test_dates(said: str) -> None:
    assert date(said, "--after") == said


@pytest.mark.parametrize("said", ["24", "2024-13", "2024-6", "2024-06-32", "yesterday"])
def test_no_dates(said: str) -> None:
    with pytest.raises(UsageError, match="--after"):
        date(said, "--after")
