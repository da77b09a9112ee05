"""vLLM itself, on this machine. `make test-vllm` runs it in an environment that has vLLM.

The assertions hold for any small instruct model.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest

from trivium.engines.base import Message, PartialFailure, Request, Sampling, ScoreRequest
from trivium.engines.vllm import VllmEngine
from trivium.errors import ContextOverflow, TriviumError

FOLDER = os.environ.get("TRIVIUM_TEST_VLLM", "")  # read now: the home fixture clears TRIVIUM_*
pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(
        not FOLDER or find_spec("vllm") is None,
        reason="TRIVIUM_TEST_VLLM names no model, or vllm is not installed",
    ),
]
ASK = Request((Message("user", "Name three colours."),), sampling=Sampling(max_tokens=16))
LONG = "The capital of France is a very beautiful city. " * 40


@pytest.fixture(scope="module")
def engine() -> Iterator[VllmEngine]:
    engine = VllmEngine(Path(FOLDER), name="vllm:tiny", context_length=2048)
    yield engine
    engine.close()


def test_it_says_what_it_is(engine: VllmEngine) -> None:
    assert engine.context_length == 2048
    assert engine.parameters is not None
    assert engine.fingerprint.library.startswith("vllm 0.")
    assert engine.fingerprint.settings["dtype"] == "float32"


def test_answers_come_in_order_and_as_streamed(engine: VllmEngine) -> None:
    other = Request(prompt="One, two, three,", sampling=Sampling(max_tokens=4))
    first, second, third = engine.generate([ASK, other, ASK])
    assert "four" in second.text
    assert (second.completion_tokens, second.finish) == (4, "length")
    assert first.text == third.text
    chunks = list(engine.stream(ASK))
    assert len(chunks) > 3
    assert "".join(chunk.text for chunk in chunks) == first.text
    assert first.prompt_tokens == engine.count_tokens(ASK)


def test_sampling_keeps_to_its_seed_and_stops(engine: VllmEngine) -> None:
    drawn = replace(ASK, sampling=Sampling(1.0, 0.9, 40, 0.01, 1.1, 7, 16))
    first, second = (engine.generate([drawn])[0].text for _ in range(2))
    assert first == second
    stopped = replace(ASK, sampling=Sampling(max_tokens=16, stop=(" ",)))
    (answer,) = engine.generate([stopped])
    assert " " not in answer.text
    assert answer.finish == "stop"


def test_log_probabilities_agree_with_scores(engine: VllmEngine) -> None:
    (answer,) = engine.generate([replace(ASK, logprobs=2)])
    assert len(answer.logprobs) == answer.completion_tokens
    assert all(token.top[0][0] == token.token for token in answer.logprobs)
    head = answer.logprobs[0]
    (score,) = engine.score([ScoreRequest(head.token, messages=ASK.messages)])
    assert score.greedy
    assert score.logprob == pytest.approx(head.logprob, abs=1e-3)


def test_choices_are_read_from_the_cache(engine: VllmEngine) -> None:
    requests = [ScoreRequest(choice, prompt=LONG) for choice in (" A", " B", " C", " D")]
    first = engine.score(requests)
    before = engine.decoded_tokens
    again = engine.score(requests)
    tokens = engine.count_tokens(Request(prompt=LONG))
    assert engine.decoded_tokens - before < tokens / 2
    assert [s.logprob for s in again] == pytest.approx([s.logprob for s in first], abs=1e-3)


def test_position_by_position_is_the_same_as_in_one_pass(engine: VllmEngine) -> None:
    text = " It is Paris"
    (short,) = engine.score([ScoreRequest(text, prompt=LONG)])
    (whole,) = engine.score([ScoreRequest(text * 9, prompt=LONG)])
    assert len(whole.tokens) == 9 * len(short.tokens)
    ours = [token.logprob for token in short.tokens]
    assert [t.logprob for t in whole.tokens[: len(ours)]] == pytest.approx(ours, abs=1e-3)


def test_json_keeps_its_schema(engine: VllmEngine) -> None:
    schema: dict[str, object] = {
        "type": "object",
        "properties": {"colour": {"enum": ["red", "blue"]}},
        "required": ["colour"],
        "additionalProperties": False,
    }
    ask = replace(ASK, schema=schema, sampling=Sampling(max_tokens=40))
    assert json.loads(engine.generate([ask])[0].text)["colour"] in ("red", "blue")


def test_a_failing_request_does_not_lose_the_others(engine: VllmEngine) -> None:
    long = Request((Message("user", "word " * engine.context_length),))
    hot = replace(ASK, sampling=Sampling(temperature=3))
    with pytest.raises(PartialFailure) as failure:
        engine.generate([ASK, long, hot])
    answer, overflow, refused = failure.value.results
    assert isinstance(overflow, ContextOverflow)
    assert "temperature" in str(refused)
    assert answer == replace(engine.generate([ASK])[0], timing=answer.timing, reused_tokens=0)  # type: ignore[union-attr]


def test_another_call_ends_a_stream(engine: VllmEngine) -> None:
    stream = engine.stream(ASK)
    next(stream)
    assert engine.generate([ASK])[0].text
    with pytest.raises(TriviumError, match="another request began"):
        list(stream)
