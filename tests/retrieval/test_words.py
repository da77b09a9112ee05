"""Stems are those of the index."""

import pytest

from trivium.retrieval.words import stems


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The effects of running", ["effect", "run"]),
        ("Measured in 1915, naïvely", ["measur", "1915", "naiv"]),
        ("The run and the RUNS", ["run", "run"]),
        ("to be or not to be", ["to", "be", "or", "not", "to", "be"]),
        ("", []),
        ("?!", []),
    ],
)
def test_stems(text: str, expected: list[str]) -> None:
    assert stems([text]) == [expected]


def test_texts_keep_their_places() -> None:
    assert stems(["cats", "", "a dog"]) == [["cat"], [], ["dog"]]
    assert stems([]) == []
