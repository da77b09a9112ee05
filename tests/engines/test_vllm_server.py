"""A real vLLM server. `make test-vllm` starts one and sets TRIVIUM_VLLM_URL; see docs/engines.md.

The assertions hold for any small instruct model.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from trivium.engines.base import Message, Request, Sampling, ScoreRequest
from trivium.engines.openai import OpenAIEngine
from trivium.errors import ContextOverflow

URL = os.environ.get("TRIVIUM_VLLM_URL", "")  # read now: the home fixture clears TRIVIUM_*
pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(not URL, reason="TRIVIUM_VLLM_URL names no server"),
]
ASK = Request((Message("user", "Name three colours."),), sampling=Sampling(max_tokens=16))


@pytest.fixture(scope="module")
def engine() -> Iterator[OpenAIEngine]:
    engine = OpenAIEngine(URL, timeout=300)
    yield engine
    engine.close()


def test_it_knows_its_context_and_software(engine: OpenAIEngine) -> None:
    assert 0 < engine.context_length < 131_072
    assert engine.fingerprint.library.startswith("vllm 0.")


def test_a_stream_is_the_answer_in_pieces(engine: OpenAIEngine) -> None:
    chunks = list(engine.stream(ASK))
    done = chunks[-1].completion
    assert done is not None
    assert len(chunks) > 3
    assert "".join(chunk.text for chunk in chunks) == done.text
    assert done.prompt_tokens == engine.count_tokens(ASK)
    assert (done.completion_tokens, done.finish) == (16, "length")


def test_log_probabilities_agree_with_scores(engine: OpenAIEngine) -> None:
    answer = engine.generate([replace(ASK, logprobs=2)])[0]
    assert len(answer.logprobs) == 16
    assert all(token.top[0][0] == token.token for token in answer.logprobs)
    head = answer.logprobs[0]
    score = engine.score([ScoreRequest(head.token, messages=ASK.messages)])[0]
    assert score.greedy
    assert score.logprob == pytest.approx(head.logprob, abs=1e-2)


def test_json_keeps_its_schema(engine: OpenAIEngine) -> None:
    schema: dict[str, object] = {
        "type": "object",
        "properties": {"colour": {"enum": ["red", "blue"]}},
        "required": ["colour"],
        "additionalProperties": False,
    }
    ask = replace(ASK, schema=schema, sampling=Sampling(max_tokens=40))
    assert json.loads(engine.generate([ask])[0].text)["colour"] in ("red", "blue")


def test_what_does_not_fit_is_an_error_with_both_numbers(engine: OpenAIEngine) -> None:
    long = Request((Message("user", "word " * engine.context_length),))
    with pytest.raises(ContextOverflow, match=rf"needs \d+ tokens.* {engine.context_length}"):
        engine.generate([long])


def test_a_raw_prompt_continues(engine: OpenAIEngine) -> None:
    request = Request(prompt="One, two, three,", sampling=Sampling(max_tokens=4), logprobs=1)
    answer = engine.generate([request])[0]
    assert "four" in answer.text
    assert "".join(token.token for token in answer.logprobs) == answer.text
