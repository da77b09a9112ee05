"""Many requests at once, against one at a time, with the real default model."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from trivium.config import load_settings
from trivium.engines import batch as batches
from trivium.engines.base import (
    Completion,
    Engine,
    Message,
    PartialFailure,
    Request,
    Sampling,
    ScoreRequest,
    Tool,
)
from trivium.engines.batch import BatchEngine
from trivium.engines.llama import LlamaEngine
from trivium.engines.load import load_engine
from trivium.errors import ContextOverflow, SchemaViolation, UsageError

pytestmark = pytest.mark.model

STORY = "The harbour was quiet that winter, and the ships lay still under the snow. " * 12
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
    assert 350 < decoded < 500  # the story once, not sixteen times


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
        batch.score([fine, ScoreRequest(" x", prompt=STORY * 10)])
    assert batch.score([]) == []


def test_an_empty_prompt_is_where_a_document_begins(
    batch: BatchEngine, single: LlamaEngine
) -> None:
    """SmolLM2 was given this token before every text, and adds it to none by itself."""
    asked = [ScoreRequest("Once upon a time"), ScoreRequest("Once", prompt="<|im_start|>")]
    whole, begun = batch.score(asked)
    assert whole.tokens[0] == begun.tokens[0]
    assert len(whole.tokens) == 4
    (alone,) = single.score(asked[:1])
    assert alone.logprob == pytest.approx(whole.logprob, abs=3 * CLOSE)


def topics(count: int, tokens: int) -> list[Request]:
    """Questions that begin alike and end differently, with answers of several lengths."""
    words = "sea ship winter market horse bridge garden letter river candle".split()
    return [
        Request(
            (Message("user", f"Write one sentence about a {word}."),),
            sampling=Sampling(max_tokens=tokens + number % 4),
        )
        for number, word in zip(range(count), words * 9, strict=False)
    ]


def test_answers_agree_with_one_at_a_time(
    batch: BatchEngine, single: LlamaEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten greedy answers through four slots, which are refilled and at last moved together."""
    monkeypatch.setattr(batches, "SLOTS", 4)
    asked = topics(10, 8)
    before = batch.decoded_tokens
    together = batch.generate(asked)
    decoded = batch.decoded_tokens - before
    alone = [single.generate([request])[0] for request in asked]
    same = [mine.text == theirs.text for mine, theirs in zip(together, alone, strict=True)]
    assert sum(same) >= 9  # a tie may fall otherwise
    assert [answer.completion_tokens for answer in together] == [
        answer.completion_tokens for answer in alone
    ]
    assert together[0].reused_tokens == 0
    assert all(answer.reused_tokens > 20 for answer in together[1:])  # the template's beginning
    assert decoded == sum(
        answer.prompt_tokens - answer.reused_tokens + answer.completion_tokens - 1
        for answer in together
    )
    assert batch.generate(asked) != []


def test_each_request_keeps_its_own_rules(batch: BatchEngine) -> None:
    """Grammars, schemas, seeds, stop strings and log-probabilities, all in one call."""
    ask = topics(1, 12)[0]
    drawn = Sampling(temperature=1.5, seed=3, max_tokens=12)
    city = {"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}
    plain, red, json_, one, two, stopped, silent = batch.generate(
        [
            replace(ask, logprobs=2),
            replace(ask, grammar='root ::= "red" | "blue"'),
            replace(ask, schema=city | {"additionalProperties": False}),
            replace(ask, sampling=drawn),
            replace(ask, sampling=drawn),
            replace(ask, sampling=Sampling(max_tokens=12, stop=(" ",))),
            replace(ask, sampling=Sampling(max_tokens=0)),
        ]
    )
    assert red.text in ("red", "blue")
    assert set(json.loads(json_.text)) == {"a"}
    assert one.text == two.text != plain.text
    assert stopped.text == plain.text.split(" ")[0]
    assert [token.top[0][0] for token in plain.logprobs] == [
        token.token for token in plain.logprobs
    ]
    assert (silent.text, silent.completion_tokens, silent.finish) == ("", 0, "length")


def test_what_fails_alone_does_not_lose_the_others(batch: BatchEngine) -> None:
    """A cut answer, a prompt that does not fit, a grammar that is none: each has its own error."""
    asked = topics(3, 6)
    cut = replace(asked[1], schema={"type": "string", "minLength": 40})
    long = Request(prompt=STORY * 10)
    odd = replace(asked[2], grammar="no grammar")
    with pytest.raises(PartialFailure, match="3 of 6 requests failed; the first") as caught:
        batch.generate([asked[0], cut, asked[1], long, odd, asked[2]])
    first, broken, second, large, ungrammatical, third = caught.value.results
    assert isinstance(broken, SchemaViolation)
    assert "stopped at 7 tokens inside the JSON" in str(broken)
    assert isinstance(large, ContextOverflow)
    assert isinstance(ungrammatical, UsageError)
    assert caught.value.exit_code == SchemaViolation.exit_code
    together = batch.generate(asked)
    for one, other in zip((first, second, third), together, strict=True):
        assert isinstance(one, Completion)
        assert one.completion_tokens == other.completion_tokens


def test_one_request_fails_with_its_own_error(batch: BatchEngine) -> None:
    cut = replace(topics(1, 6)[0], schema={"type": "string", "minLength": 40})
    with pytest.raises(SchemaViolation, match="inside the JSON"):
        batch.generate([cut])


def test_tools_are_called_in_a_batch(batch: BatchEngine) -> None:
    tool = Tool("now", "Tells the time.", {"type": "object", "properties": {}})
    ask = replace(topics(1, 100)[0], tools=(tool,), tool_choice="required")
    assert [call.name for answer in batch.generate([ask, ask]) for call in answer.tool_calls] == [
        "now",
        "now",
    ]


def test_a_prompt_longer_than_a_batch_does_not_hold_up_the_others(batch: BatchEngine) -> None:
    long = Request(prompt=STORY * 2 + "one two " * 80, sampling=Sampling(max_tokens=4))
    short = Request(prompt=STORY[:300] + "one two", sampling=Sampling(max_tokens=300))
    assert batch.count_tokens(long) > batches.SLOT_BATCH
    first, second = batch.generate([long, replace(short, grammar="root ::= [a-z]{1,20}")])
    assert first.completion_tokens == 4
    assert second.finish == "stop"
    assert 1 <= len(second.text) <= 20


def test_an_answer_may_go_on_to_the_contexts_end(
    gguf: Path, home_of_f16: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIVIUM_HOME", str(home_of_f16))
    small = BatchEngine(gguf, context_length=128, threads=1, weights="f16")
    endless = Request(prompt="one two three", grammar="root ::= [a-z ]+")
    used = small.count_tokens(endless)
    answers = small.generate([endless, endless])
    small.close()
    assert [answer.completion_tokens for answer in answers] == [128 - used] * 2
    assert {answer.finish for answer in answers} == {"length"}


def test_an_engine_for_batches_is_asked_for(real_models: Path) -> None:
    engine = load_engine("smollm2-135m", batch=True)
    assert isinstance(engine, BatchEngine)
    assert engine.fingerprint.settings["weights"] in ("f16", "native")  # as memory allows
    engine.close()


@pytest.mark.parametrize(
    ("weights", "batch", "form"),
    [("auto", False, "native"), ("native", True, "native"), ("f16", False, "f16")],
)
def test_the_setting_decides_the_form(
    real_models: Path, weights: str, batch: bool, form: str
) -> None:
    """Conversations stay on the native form unless the user says otherwise."""
    settings = load_settings({"weights": weights, "context_length": 256})
    engine = load_engine("smollm2-135m", settings, batch=batch)
    assert type(engine) is (BatchEngine if batch else LlamaEngine)
    assert engine.fingerprint.settings["weights"] == form
    engine.close()
