"""Attribution: a claim stands when its words, numbers, names and negation are in the source."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trivium.retrieval.attribute import attribute
from trivium.retrieval.base import Claim, Hit, Passage
from trivium.retrieval.embed import load_embedder
from trivium.retrieval.evidence import weigh
from trivium.retrieval.words import stems

OPENED = "The town library opened in 1894 under its first director, Ada Holm."
HOLDS = "Its reading room holds 1,250 books."
LENDS = "The library does not lend maps to visitors."
PARK = "Behind the building lies a park with old oak trees."
SOURCE = f"{OPENED} {HOLDS} {LENDS} {PARK}"

pytestmark = pytest.mark.model

Attribute = Callable[[str], tuple[Claim, ...]]


@pytest.fixture
def claims(real_models: Path) -> Attribute:
    embedder = load_embedder("minilm-l6-v2")
    passage = Passage(SOURCE, "/library.txt", 100, 100 + len(SOURCE), "0" * 64, page=2, id=1)
    question = "What is known about the library?"
    idf = dict.fromkeys(stems([question])[0], 1.0)
    evidence = weigh(question, [Hit(passage, 1.0)], idf, embedder)

    def run(answer: str) -> tuple[Claim, ...]:
        return attribute(answer, evidence, lambda words: dict.fromkeys(words, 1.0), embedder)

    return run


@pytest.mark.parametrize(
    ("answer", "sources"),
    [
        ("The library opened in 1894.", [OPENED]),
        ("Its first director was Ada Holm.", [OPENED]),
        ("The reading room holds 1250 books.", [HOLDS]),
        ("The library does not lend maps.", [LENDS]),
        ("Old oak trees stand in a park behind the building.", [PARK]),
        # a number, a name, a negation or a word that the source does not have
        ("The library opened in 1895.", []),
        ("Its first director was Eva Holm.", []),
        ("The library lends maps to visitors.", []),
        ("The library never opened in 1894.", []),
        ("The reading room was painted green by volunteers.", []),
        ("Penguins live in Antarctica.", []),
    ],
)
def test_a_claim_is_cited_or_left_unsupported(
    claims: Attribute, answer: str, sources: list[str]
) -> None:
    (claim,) = claims(answer)
    assert [citation.text for citation in claim.citations] == sources
    assert claim.supported == bool(sources)


def test_two_sentences_may_support_a_claim_together(claims: Attribute) -> None:
    (claim,) = claims("The library opened in 1894 and its reading room holds 1,250 books.")
    assert {citation.text for citation in claim.citations} == {OPENED, HOLDS}


def test_each_sentence_of_an_answer_is_a_claim_with_its_span(claims: Attribute) -> None:
    answer = "The library opened in 1894. It was a gift of the moon."
    first, second = claims(answer)
    assert (first.supported, second.supported) == (True, False)
    assert [answer[c.start : c.end] for c in (first, second)] == [first.text, second.text]


def test_a_citation_says_where_it_stands(claims: Attribute) -> None:
    (claim,) = claims("The reading room holds 1,250 books.")
    (citation,) = claim.citations
    start = 100 + SOURCE.index(HOLDS)
    assert (citation.path, citation.page) == ("/library.txt", 2)
    assert (citation.start, citation.end) == (start, start + len(HOLDS))
    assert 0.7 <= citation.score <= 1.0


def test_an_empty_answer_claims_nothing(claims: Attribute) -> None:
    assert claims("  \n") == ()


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(alphabet=st.sampled_from("The library 1894.not Ada\n\x1b[31m“é"), max_size=80))
def test_every_quote_is_verbatim_whatever_the_model_wrote(claims: Attribute, answer: str) -> None:
    for claim in claims(answer):
        assert answer[claim.start : claim.end] == claim.text
        for citation in claim.citations:
            assert SOURCE[citation.start - 100 : citation.end - 100] == citation.text
