"""Many requests at once, against one at a time, with the real default model."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from trivium.engines.base import Engine, Message, ScoreRequest
from trivium.engines.batch import BatchEngine
from trivium.engines.llama import LlamaEngine
from trivium.engines.load import load_engine
from trivium.errors import ContextOverflow, UsageError

pytestmark = pytest.mark.model

STORY = "The harbour was quiet that winter, and the ships lay still under the snow. " * 25
CLOSE = 0.01  # in log-probability: what one batch or another makes of the same tokens


@pytest.fixture(scope="module")
def home_of_f16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("unpacked")


@pytest.fixture(scope="module")
def gguf(model_cache: Path) -> Path:
    return model_cache / "smollm2-135m" / "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture(scope="module")
def batch(gguf: Path, home_of_f16: Path) -> Iterator[BatchEngine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIVIUM_HOME", str(home_of_f16))
        engine = BatchEngine(
            gguf, name="smollm2-135m", context_length=1024, threads=1, weights="f16"
        )
    yield engine
    engine.close()
    engine.close()


@pytest.fixture(scope="module")
def single(gguf: Path, home_of_f16: Path, batch: BatchEngine) -> Iterator[LlamaEngine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIVIUM_HOME", str(home_of_f16))
        engine = LlamaEngine(gguf, context_length=1024, threads=1, weights="f16")
    yield engine
    engine.close()


def questions() -> list[ScoreRequest]:
    """Prompts that branch early, late and not at all, continuations short, long and empty."""
    messages = (Message("user", "Is the sea blue?"),)
    asked = [
        ScoreRequest(answer, prompt=f"{STORY}{question}")
        for question in ("Was it cold?", "Were there ships?", "Who was there?", "Was it")
        for answer in (" Yes", " No", " cold and very quiet, I think", "")
    ]
    asked += [ScoreRequest(answer, messages=messages) for answer in ("Yes", "No", "Yes, it is")]
    return [*asked, ScoreRequest(STORY[:600], prompt="Once"), asked[0]]


def test_it_is_an_engine_and_names_its_form(batch: BatchEngine, single: LlamaEngine) -> None:
    assert isinstance(batch, Engine)
    assert batch.fingerprint.settings["weights"] == "f16"
    assert batch.fingerprint.weights_sha256.startswith("b179c952")


def test_scores_agree_with_one_at_a_time(batch: BatchEngine, single: LlamaEngine) -> None:
    asked = questions()
    before = batch.decoded_tokens
    together = batch.score(asked)
    decoded = batch.decoded_tokens - before

    alone = [single.score([request])[0] for request in asked]
    for mine, theirs in zip(together, alone, strict=True):
        assert [token.token for token in mine.tokens] == [token.token for token in theirs.tokens]
        for ours, other in zip(mine.tokens, theirs.tokens, strict=True):
            assert ours.logprob == pytest.approx(other.logprob, abs=3 * CLOSE)
        assert mine.greedy == theirs.greedy
        assert mine.logprob == sum(token.logprob for token in mine.tokens)
    differences = [
        abs(ours.logprob - other.logprob)
        for mine, theirs in zip(together, alone, strict=True)
        for ours, other in zip(mine.tokens, theirs.tokens, strict=True)
    ]
    assert sum(differences) / len(differences) < CLOSE
    assert together[-1] == together[0]
    assert together[3].tokens == ()
    assert 400 < decoded < 700  # the story once, not sixteen times


def test_the_same_requests_give_the_same_scores(batch: BatchEngine) -> None:
    asked = questions()
    assert batch.score(asked) == batch.score(asked)


def test_any_number_of_requests_fits_any_context(
    gguf: Path, home_of_f16: Path, batch: BatchEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """300 questions, ten times the tokens of the context, and more than there are sequences."""
    monkeypatch.setenv("TRIVIUM_HOME", str(home_of_f16))
    small = BatchEngine(gguf, context_length=128, threads=1, weights="f16")
    asked = [
        ScoreRequest(str(number * 3), prompt=f"Three times {number} is ") for number in range(300)
    ]
    scores = small.score(asked)
    small.close()
    assert len(scores) == 300
    expected = batch.score(asked[250:260])
    for mine, theirs in zip(scores[250:260], expected, strict=True):
        assert mine.logprob == pytest.approx(theirs.logprob, abs=3 * CLOSE)


def test_what_cannot_be_scored_is_an_error(batch: BatchEngine) -> None:
    fine = ScoreRequest(" x", prompt="Hello")
    with pytest.raises(ContextOverflow, match=r"prompt needs \d+ tokens, but .* holds 1024"):
        batch.score([fine, ScoreRequest(" x", prompt=STORY * 5)])
    with pytest.raises(UsageError, match="needs a prompt"):
        batch.score([fine, ScoreRequest("x")])
    assert batch.score([]) == []


def test_an_engine_for_batches_is_asked_for(real_models: Path) -> None:
    engine = load_engine("smollm2-135m", batch=True)
    assert isinstance(engine, BatchEngine)
    assert engine.fingerprint.settings["weights"] in ("f16", "native")  # as memory allows
    engine.close()
