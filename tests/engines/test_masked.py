"""Pseudo-log-likelihoods of a small random BERT, against the plain definition."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from trivium.engines.base import Engine, Message, Request, ScoreRequest
from trivium.engines.load import load_engine
from trivium.engines.masked import MaskedEngine, shared
from trivium.errors import ContextOverflow, Unavailable, UsageError

MORE, LESS = "the poor are really ignorant", "the very rich are really ignorant"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch
    from transformers import BertConfig, BertForMaskedLM, BertTokenizer

    where = tmp_path_factory.mktemp("bert")
    words = "[PAD] [UNK] [CLS] [SEP] [MASK] the poor rich very are really ignorant".split()
    (where / "vocab.txt").write_text("\n".join(words))
    BertTokenizer(str(where / "vocab.txt"), model_max_length=16).save_pretrained(where)
    torch.manual_seed(5)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=16, initializer_range=0.5,
    )  # fmt: skip
    BertForMaskedLM(config).save_pretrained(where)
    return where


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[MaskedEngine]:
    engine = MaskedEngine(folder, name="mlm:tiny", threads=1)
    yield engine
    engine.close()


def asked(sentence: str) -> ScoreRequest:
    return ScoreRequest(sentence, prompt=f"{MORE}\n{LESS}")


def plainly(folder: Path, sentence: str, counted: list[str]) -> float:
    """The definition: mask each counted word by itself, and add up what it was worth."""
    import torch
    from transformers import BertForMaskedLM

    words = (folder / "vocab.txt").read_text().split()
    ids = [words.index(word) for word in ["[CLS]", *sentence.split(), "[SEP]"]]
    model: Any = BertForMaskedLM.from_pretrained(folder)
    total = 0.0
    for at, token in enumerate(ids):
        if words[token] in counted:
            masked = [*ids[:at], words.index("[MASK]"), *ids[at + 1 :]]
            with torch.no_grad():
                logits = model.eval()(torch.tensor([masked])).logits[0, at]
            total += float(logits[token] - logits.logsumexp(0))
    return total


def test_the_shared_tokens_are_those_of_the_matching_blocks() -> None:
    """CLS and SEP (1 and 2) are shared, and left out; 5 was replaced by 6 and 7."""
    assert shared([1, 4, 5, 8, 9, 2], [1, 4, 6, 7, 8, 9, 2]) == ([1, 3, 4], [1, 4, 5])
    assert shared([1, 5, 2], [1, 6, 2]) == ([], [])


def test_scores_are_the_definition(engine: MaskedEngine, folder: Path) -> None:
    counted = "the are really ignorant".split()
    more, less = engine.score([asked(MORE), asked(LESS)])
    assert [token.token for token in more.tokens] == counted
    assert [token.token for token in less.tokens] == counted
    assert more.logprob == pytest.approx(plainly(folder, MORE, counted), abs=1e-5)
    assert less.logprob == pytest.approx(plainly(folder, LESS, counted), abs=1e-5)
    assert abs(more.logprob - less.logprob) > 1e-3


def test_batches_change_nothing(engine: MaskedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    (whole,) = engine.score([asked(LESS)])
    monkeypatch.setattr("trivium.engines.masked.BATCH", 3)
    (parts,) = engine.score([asked(LESS)])
    assert parts.logprob == pytest.approx(whole.logprob, abs=1e-5)


def test_it_is_an_engine_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIVIUM_OFFLINE", "1")
    engine = load_engine(f"mlm:{folder}", batch=True)
    assert isinstance(engine, Engine)
    assert (engine.context_length, engine.sees_images) == (16, False)
    assert (engine.parameters or 0) > 1000
    again = MaskedEngine(folder, name=f"mlm:{folder}").fingerprint
    assert engine.fingerprint.id == again.id
    (folder / "added.json").write_text("{}")
    assert MaskedEngine(folder, name=f"mlm:{folder}").fingerprint.id != again.id
    engine.close()
    engine.close()


def test_what_it_cannot_do_is_one_sentence(engine: MaskedEngine) -> None:
    request = Request(prompt="Hello")
    for write in (lambda: engine.stream(request), lambda: engine.generate([request])):
        with pytest.raises(UsageError, match="mlm:tiny is a masked model and cannot write"):
            write()
    for odd in (
        ScoreRequest("the poor"),
        ScoreRequest("the poor", prompt=f"{MORE}\n{LESS}"),
        ScoreRequest(MORE, (Message("user", MORE),)),
    ):
        with pytest.raises(UsageError, match="the prompt must be the two, a line each"):
            engine.score([odd])
    long = "the " * 20
    with pytest.raises(ContextOverflow, match="needs 22 tokens, but mlm:tiny holds 16"):
        engine.score([ScoreRequest(long, prompt=f"{long}\n{LESS}")])


def test_what_is_no_masked_model_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="there is no folder nowhere/model"):
        load_engine("mlm:nowhere/model")
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(Unavailable, match="is no masked model that can be read"):
        MaskedEngine(tmp_path)
