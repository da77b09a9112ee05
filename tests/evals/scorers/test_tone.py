"""How a text sounds: by lists, by a judge who must not know the group, by a classifier."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.evals.scorers.test_builders import Judge
from trivium.errors import Unavailable, UsageError
from trivium.evals.base import Record
from trivium.evals.scorers import build

RECORD = Record(
    "r", 0, "x", 0, "m", "f", "p", "h",
    {"axis": "gender", "group": "women", "prompt": "The woman said"}, None, " a stupid thing.",
)  # fmt: skip


def scored(spec: Any, record: Record = RECORD, means: Judge | None = None) -> Any:
    (built,) = build([spec], means or Judge())
    return built.many([record])[0]


class TestLexicon:
    def test_all_kinds(self) -> None:
        found = scored("lexicon")
        assert list(found) == ["sentiment", "toxicity", "regard"]
        assert found["toxicity"] == pytest.approx(0.6)
        assert found["sentiment"] == pytest.approx(-2 / 19**0.5)

    def test_some_kinds(self) -> None:
        assert list(scored({"lexicon": {"kinds": ["toxicity"]}})) == ["toxicity"]

    def test_words_of_a_users_own(self, tmp_path: Path) -> None:
        (tmp_path / "mine.txt").write_text("0.25 thing\n0 stupid*\n0 stupid\n0 stupidity\n")
        spec = {"lexicon": {"words": {"toxicity": str(tmp_path / "mine.txt")}}}
        assert scored(spec)["toxicity"] == pytest.approx(0.25)

    def test_bad_options(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="there is no nowhere"):
            build([{"lexicon": {"words": {"regard": "nowhere.txt"}}}], Judge())
        with pytest.raises(UsageError, match="kinds"):
            build([{"lexicon": {"kinds": ["joy"]}}], Judge())

    def test_choices_have_no_tone(self) -> None:
        assert "method: generate" in str(scored("lexicon", replace(RECORD, output=None)))


class TestJudge:
    def test_marks_are_in_the_ranges_of_the_lists(self) -> None:
        judge = Judge({"score": 1}, {"score": 4}, {"score": 3})
        found = scored({"judge_tone": {"model": "j"}}, means=judge)
        assert found == {"judge_sentiment": -1.0, "judge_toxicity": 0.75, "judge_regard": 0.0}

    def test_it_is_not_told_the_group(self) -> None:
        judge = Judge({"score": 1})
        scored({"judge_tone": {"model": "j", "kinds": ["toxicity"]}}, means=judge)
        shown = judge.asked[0].messages[-1].content
        assert "The woman said" in shown
        assert "a stupid thing" in shown
        assert "gender" not in shown
        assert "women" not in shown

    def test_no_verdict_is_an_error(self) -> None:
        judge = Judge("hm", {"score": 4}, {"score": 3})
        assert "no verdict" in str(scored({"judge_tone": {"model": "j"}}, means=judge))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT with random weights."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    path = tmp_path_factory.mktemp("classifier")
    words = ["[PAD]", "[UNK]", "a", "stupid", "thing"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    make: Any = PreTrainedTokenizerFast  # untyped
    make(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(path)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=12,
        id2label={0: "fine", 1: "toxic"}, label2id={"fine": 0, "toxic": 1},
    )  # fmt: skip
    torch.manual_seed(0)
    BertForSequenceClassification(config).save_pretrained(path)
    return path


class TestClassifier:
    def test_it_says_what_the_pipeline_says(self, folder: Path) -> None:
        from transformers import pipeline

        made: Any = pipeline  # its overloads do not fit
        texts = ["a stupid thing", "a thing", "stupid " * 4]
        known = made("text-classification", model=str(folder), top_k=None)(texts)
        expected = [next(o["score"] for o in one if o["label"] == "toxic") for one in known]
        spec = {"classifier": {"model": str(folder), "label": "toxic"}}
        (built,) = build([spec], Judge())
        found: Any = built.many([replace(RECORD, output=text) for text in texts])
        assert [one["classifier_toxicity"] for one in found] == pytest.approx(expected, abs=1e-6)

    def test_the_labels_share_one(self, folder: Path) -> None:
        shares = [
            scored({"classifier": {"model": str(folder), "label": label, "metric": "x"}})["x"]
            for label in ("fine", "toxic")
        ]
        assert sum(shares) == pytest.approx(1.0)

    def test_long_texts_are_cut(self, folder: Path) -> None:
        spec = {"classifier": {"model": str(folder), "label": "toxic"}}
        long = scored(spec, replace(RECORD, output="a thing " * 500))
        assert long == pytest.approx(scored(spec, replace(RECORD, output="a thing " * 5)))

    def test_an_unknown_label_is_told(self, folder: Path) -> None:
        with pytest.raises(UsageError, match='has no label "rude"; it has fine, toxic'):
            build([{"classifier": {"model": str(folder), "label": "rude"}}], Judge())

    def test_a_model_that_is_not_here_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        spec = {"model": "nobody/no-such-classifier", "label": "toxic"}
        with pytest.raises(Unavailable, match="is not on this machine"):
            build([{"classifier": spec}], Judge())
        monkeypatch.setenv("TRIVIUM_OFFLINE", "1")
        with pytest.raises(Unavailable, match="cannot download the classifier"):
            build([{"classifier": spec | {"download": True}}], Judge())
