"""From a question to a cited answer, with a scripted model over a real index."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scripted import ScriptedEngine
from trivium.engines.base import Sampling
from trivium.errors import ContextOverflow
from trivium.retrieval.answer import NOT_SAID, Answer, Asker
from trivium.retrieval.embed import load_embedder
from trivium.retrieval.index import Index

pytestmark = pytest.mark.model

NILE = "The Nile flows north through eleven countries."
ENDS = "It ends in the Mediterranean Sea."
RIVERS = f"{NILE} {ENDS}\n\nThe Amazon rises in the Andes of Peru.\n"
QUESTION = "Where does the Nile end?"


@pytest.fixture
def index(real_models: Path, tmp_path: Path) -> Iterator[Index]:
    (tmp_path / "rivers.txt").write_text(RIVERS)
    embedder = load_embedder("minilm-l6-v2")
    with Index.create(tmp_path / "rivers", embedder=embedder) as index:
        index.add([tmp_path / "rivers.txt"])
        yield index


def ask(index: Index, reply: str, question: str = QUESTION) -> Answer:
    return Asker(index, ScriptedEngine(reply, parameters=135_000_000)).ask(question)


class TestAnswering:
    def test_a_supported_answer_is_shown_as_the_model_wrote_it(self, index: Index) -> None:
        answer = ask(index, "The Nile ends in the Mediterranean Sea. \n")
        assert answer.found
        assert not answer.quoted
        assert answer.text == "The Nile ends in the Mediterranean Sea."
        assert answer.citations[0].text == ENDS
        assert answer.numbers(answer.claims[0])[0] == 1

    def test_an_unsupported_answer_gives_way_to_a_quotation(self, index: Index) -> None:
        answer = ask(index, "It ends in the Baltic Sea, near Tallinn.")
        assert answer.quoted
        assert answer.generated == "It ends in the Baltic Sea, near Tallinn."
        assert answer.text in (NILE, ENDS)
        assert answer.citations[0].text == answer.text
        assert answer.claims[0].supported

    def test_a_sentence_without_support_is_marked_beside_one_that_has_it(
        self, index: Index
    ) -> None:
        answer = ask(index, "The Nile ends in the Mediterranean Sea. Its water tastes of honey.")
        assert [claim.supported for claim in answer.claims] == [True, False]

    def test_a_question_about_something_else_never_reaches_the_model(self, index: Index) -> None:
        engine = ScriptedEngine()  # fails the test when it is asked
        answer = Asker(index, engine).ask("Who won the chess championship in 1972?")
        assert (answer.found, answer.text, answer.claims) == (False, "", ())
        assert engine.requests == []

    def test_a_model_may_say_that_the_answer_is_not_there(self, index: Index) -> None:
        answer = ask(index, NOT_SAID)
        assert (answer.found, answer.text) == (False, "")

    def test_without_a_model_the_passages_are_found(self, index: Index) -> None:
        answer = Asker(index, None).ask(QUESTION)
        assert answer.found
        assert answer.hits[0].passage.text.startswith(NILE)
        assert answer.to_dict()["model"] is None

    def test_an_empty_index_has_no_answer(self, real_models: Path, tmp_path: Path) -> None:
        embedder = load_embedder("minilm-l6-v2")
        with Index.create(tmp_path / "empty", embedder=embedder) as empty:
            assert not Asker(empty, ScriptedEngine()).ask(QUESTION).found

    def test_words_are_passed_on_as_they_come(self, index: Index) -> None:
        heard: list[str] = []
        reply = "The Nile ends in the Mediterranean Sea."
        Asker(index, ScriptedEngine(reply)).ask(QUESTION, heard.append)
        assert len(heard) > 1
        assert "".join(heard) == reply


class TestPrompting:
    def test_a_small_model_reads_the_best_sentences_after_examples(self, index: Index) -> None:
        engine = ScriptedEngine("The sea.", parameters=135_000_000)
        Asker(index, engine).ask(QUESTION)
        last = engine.requests[0].messages[-1].content
        assert last == f"Text: {NILE} {ENDS}\nQuestion: {QUESTION}"
        assert len(engine.requests[0].messages) == 8

    @pytest.mark.parametrize("parameters", [7_000_000_000, None])
    def test_a_large_or_unknown_model_reads_whole_passages(
        self, index: Index, parameters: int | None
    ) -> None:
        engine = ScriptedEngine("The sea.", parameters=parameters)
        Asker(index, engine).ask(QUESTION)
        (message,) = engine.requests[0].messages
        assert f"{NILE} {ENDS}" in message.content
        assert message.content.endswith(f"Question: {QUESTION}")

    def test_what_does_not_fit_is_left_out_whole_and_counted(
        self, index: Index, tmp_path: Path
    ) -> None:
        (tmp_path / "long.txt").write_text("The Nile is long. " + "It winds and winds. " * 60)
        index.add([tmp_path / "long.txt"])
        sampling = Sampling(max_tokens=10)
        engine = ScriptedEngine("The sea.", parameters=None, context_length=200)
        answer = Asker(index, engine, sampling=sampling).ask(QUESTION)
        assert 1 <= answer.passages_read < len(answer.hits)

    def test_a_context_too_small_for_one_passage_is_an_error(self, index: Index) -> None:
        engine = ScriptedEngine("The sea.", parameters=None, context_length=30)
        with pytest.raises(ContextOverflow, match=r"needs \d+ tokens .* holds 30"):
            Asker(index, engine, sampling=Sampling(max_tokens=10)).ask(QUESTION)


class TestDocument:
    def test_the_json_form_is_stable(self, index: Index) -> None:
        document = ask(index, "The Nile ends in the Mediterranean Sea.").to_dict()
        assert list(document) == [
            "question",
            "found",
            "answer",
            "quoted",
            "generated",
            "confidence",
            "claims",
            "citations",
            "passages",
            "passages_read",
            "usage",
            "timings",
            "model",
            "index",
        ]
        assert document["answer"] == "The Nile ends in the Mediterranean Sea."
        assert document["index"] == {"name": "rivers", "fingerprint": index.fingerprint}
        assert document["claims"] == [
            {
                "text": "The Nile ends in the Mediterranean Sea.",
                "start": 0,
                "end": 39,
                "supported": True,
                "citations": [1, 2],  # "Nile" stands in the one, the sea in the other
            }
        ]

    def test_a_run_is_named_by_index_model_and_settings(self, index: Index) -> None:
        one = Asker(index, ScriptedEngine()).run_id
        assert one == Asker(index, ScriptedEngine()).run_id
        assert one != Asker(index, ScriptedEngine(), top_k=6).run_id
        assert one != Asker(index, ScriptedEngine(name="other")).run_id
        assert one != Asker(index, None).run_id
