"""Recall of contexts, precision of citations, refusals."""

import pytest

from trivium.evals.scorers.sources import citation_precision, cited, context_recall, refuses


def test_context_recall_is_the_share_of_answers_that_stand_somewhere() -> None:
    contexts = ["It was built in 1889.", "Gustave Eiffel drew it."]
    assert context_recall(contexts, ["1889", "gustave eiffel"]) == 1.0
    assert context_recall(contexts, ["1889", "Paris"]) == 0.5
    assert context_recall([], ["1889"]) == 0.0
    with pytest.raises(ValueError, match="no answers"):
        context_recall(contexts, [])


def test_citations_are_numbers_in_brackets() -> None:
    assert cited("Built in 1889 [2], drawn before [1, 3][2]. See [a] and (4).") == [2, 1, 3]
    assert citation_precision("So it is [1][2].", [1, 4]) == 0.5
    assert citation_precision("So it is.", [1]) is None


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("I don't know.", True),
        ("The documents do not mention it", True),
        ("", True),
        ("It was built in 1889", False),
    ],
)
def test_refusals_are_told_from_answers(output: str, expected: bool) -> None:
    assert refuses(output) is expected
