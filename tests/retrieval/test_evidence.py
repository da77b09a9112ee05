"""Evidence: which sentences bear on the question, and whether any does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from trivium.retrieval.base import Embedder
from trivium.retrieval.embed import load_embedder
from trivium.retrieval.evidence import Evidence, coverage, weigh
from trivium.retrieval.index import Index
from trivium.retrieval.words import stems

RIVERS = (
    "The Nile flows north through eleven countries. It ends in the Mediterranean Sea.\n\n"
    "The Amazon rises in the Andes of Peru. It carries more water than any other river.\n"
)
BREAD = "Bread is baked from flour, water and salt. A sourdough needs no baker's yeast.\n"


@pytest.fixture
def embedder(real_models: Path) -> Embedder:
    return load_embedder("minilm-l6-v2")


@pytest.fixture
def index(embedder: Embedder, tmp_path: Path) -> Iterator[Index]:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "rivers.txt").write_text(RIVERS)
    (tmp_path / "docs" / "bread.txt").write_text(BREAD)
    with Index.create(tmp_path / "index", embedder=embedder) as index:
        index.add([tmp_path / "docs"])
        yield index


def evidence(index: Index, question: str) -> Evidence:
    return weigh(question, index.search(question), index.idf(stems([question])[0]), index.embedder)


class TestCoverage:
    def test_is_the_share_of_idf_that_is_present(self) -> None:
        assert coverage({"nile": 3.0, "flow": 1.0}, {"nile"}) == 0.75

    def test_of_no_words_is_zero(self) -> None:
        assert coverage({}, {"nile"}) == 0.0


@pytest.mark.model
class TestWeighing:
    @pytest.mark.parametrize(
        ("question", "sentence"),
        [
            ("Where does the Nile end?", "It ends in the Mediterranean Sea."),
            (
                "How many countries does the Nile flow through?",
                RIVERS.split("\n")[0].split(". ")[0] + ".",
            ),
            ("Where does the Amazon rise?", "The Amazon rises in the Andes of Peru."),
            ("What does a sourdough not need?", "A sourdough needs no baker's yeast."),
        ],
    )
    def test_the_heaviest_sentences_hold_the_answer(
        self, index: Index, question: str, sentence: str
    ) -> None:
        found = evidence(index, question)
        assert sentence in [one.text for one in found.sentences[:2]]
        assert found.answerable

    def test_a_question_about_something_else_is_not_answerable(self, index: Index) -> None:
        assert not evidence(index, "Who won the chess championship in 1972?").answerable

    def test_sentences_are_spans_of_their_documents(self, index: Index) -> None:
        for one in evidence(index, "Where does the Nile end?").sentences:
            assert index.text(one.passage.path)[one.start : one.end] == one.text

    def test_vectors_lie_in_the_order_of_the_sentences(self, index: Index) -> None:
        found = evidence(index, "Where does the Nile end?")
        again = index.embedder.encode([one.text for one in found.sentences])
        assert (found.vectors == again).all()

    def test_without_passages_nothing_is_answerable(self, embedder: Embedder) -> None:
        found = weigh("Where?", [], {}, embedder)
        assert (found.sentences, found.answerability, found.answerable) == ((), -1.0, False)
