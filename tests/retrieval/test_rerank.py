"""Reranking by the chat model's own judgement, and which reranker a setting means."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.embedder import WordEmbedder
from tests.scripted import ScriptedEngine
from trivium.engines.base import ScoreRequest
from trivium.errors import TriviumError, UsageError
from trivium.retrieval.base import Hit, Passage
from trivium.retrieval.index import Index
from trivium.retrieval.rerank import CrossEncoderReranker, EngineReranker, load_reranker
from trivium.retrieval.search import reranked


def judge(*relevant: str) -> ScriptedEngine:
    """An engine that says Yes at -1 and No at -3 to passages with these words, else the reverse."""

    def logprob(request: ScoreRequest) -> float:
        passage = request.messages[0].content.split("\n\nQuestion:")[0]
        yes = any(word in passage for word in relevant)
        return -1.0 if (request.continuation == "Yes") == yes else -3.0

    return ScriptedEngine(logprob=logprob)


class TestEngineReranker:
    def test_the_score_is_the_log_odds_of_yes(self) -> None:
        engine = judge("Nile")
        scores = EngineReranker(engine).score("Which river?", ["The Nile.", "Bread."])
        assert scores == [2.0, -2.0]

    def test_the_model_reads_passage_and_question_once_for_each_answer(self) -> None:
        engine = judge()
        EngineReranker(engine).score("Which river?", ["The Nile.", "Bread."])
        asked = [(r.messages[0].content, r.continuation) for r in engine.scored]
        assert [continuation for _, continuation in asked] == ["Yes", "No", "Yes", "No"]
        assert all("Which river?" in content for content, _ in asked)
        assert ["The Nile." in content for content, _ in asked] == [True, True, False, False]
        assert asked[0][0] == asked[1][0], "both answers follow the same prompt"

    def test_what_no_number_can_tell_comes_last(self) -> None:
        engine = ScriptedEngine(logprob=lambda request: -math.inf)
        assert EngineReranker(engine).score("Which?", ["The Nile."]) == [-math.inf]

    def test_no_passages_no_question(self) -> None:
        assert EngineReranker(judge()).score("Which?", []) == []


class TestOrder:
    def hit(self, path: str, score: float) -> Hit:
        return Hit(Passage(f"text of {path}", path, 0, 1, ""), score, cosine=0.5)

    def test_the_reranker_orders_and_the_old_figures_stay(self) -> None:
        class ByName:
            def score(self, query: str, passages: Sequence[str]) -> list[float]:
                return [1.0 if passage.endswith("/b") else 0.25 for passage in passages]

        found = reranked("q", [self.hit("/c", 9), self.hit("/b", 8), self.hit("/a", 7)], ByName())
        assert [(h.passage.path, h.score, h.rerank, h.cosine) for h in found] == [
            ("/b", 1.0, 1.0, 0.5),
            ("/a", 0.25, 0.25, 0.5),  # a tie: by path
            ("/c", 0.25, 0.25, 0.5),
        ]

    def test_it_can_lift_what_the_search_put_below_the_cut(self, tmp_path: Path) -> None:
        (tmp_path / "docs").mkdir()
        for number in range(10):
            text = "river " * (10 - number) + f"number{number}"
            (tmp_path / "docs" / f"{number}.txt").write_text(text)
        with Index.create(tmp_path / "index", embedder=WordEmbedder()) as index:
            index.add([tmp_path / "docs"])
            plain = index.search("river", 1)
            again = index.search("river", 1, reranker=EngineReranker(judge("number7")))
        assert "number7" not in plain[0].passage.text
        assert "number7" in again[0].passage.text
        assert again[0].rerank == 2.0


class TestChoice:
    def test_none_is_none(self) -> None:
        assert load_reranker(None, None) is None

    def test_the_chat_model_needs_to_be_there(self) -> None:
        assert isinstance(load_reranker("model", judge()), EngineReranker)
        with pytest.raises(UsageError, match="--model"):
            load_reranker("model", None)

    def test_a_cross_encoder_that_is_not_here_is_named(self) -> None:
        with pytest.raises(TriviumError, match="no-such-encoder"):
            load_reranker("no-such-encoder", None)

    def test_a_folder_is_a_cross_encoder(self, tmp_path: Path) -> None:
        assert isinstance(load_reranker(str(tmp_path), None), CrossEncoderReranker)


def test_any_cross_encoder_of_sentence_transformers_runs(tmp_path: Path) -> None:
    """A tiny BERT with random weights: its scores are those that the library gives it."""
    from sentence_transformers import CrossEncoder
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "river", "nile", "bread"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    make: Any = PreTrainedTokenizerFast  # untyped
    make(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
    ).save_pretrained(tmp_path)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    config.num_labels = 1
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    passages = ["nile river", "bread", "river"]
    scores = CrossEncoderReranker(tmp_path).score("river", passages)
    expected = CrossEncoder(str(tmp_path)).predict([("river", passage) for passage in passages])
    assert scores == pytest.approx(expected.tolist())
    assert len(set(scores)) == 3
    assert CrossEncoderReranker(tmp_path).score("river", []) == []
