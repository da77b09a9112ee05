"""The engine for OpenAI-compatible servers, against a server in this process."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.engines.server import VLLM, Asked, FakeServer, Reply, chat
from trivium.engines.base import (
    Completion,
    Engine,
    Message,
    PartialFailure,
    Request,
    Sampling,
    ScoreRequest,
    TokenLogprob,
)
from trivium.engines.openai import CONCURRENT, OpenAIEngine
from trivium.engines.server import UNKNOWN_CONTEXT
from trivium.engines.transport import ATTEMPTS, Refused
from trivium.errors import (
    ContextOverflow,
    SchemaViolation,
    TriviumError,
    Unavailable,
    UsageError,
)

CHAT = "/v1/chat/completions"
HELLO = Request((Message("user", "Hello"),), sampling=Sampling(max_tokens=9))
AGE: dict[str, object] = {
    "type": "object",
    "properties": {"age": {"type": "integer"}},
    "required": ["age"],
}


@pytest.fixture
def server() -> Iterator[FakeServer]:
    server = FakeServer()
    yield server
    server.close()


@pytest.fixture
def waits() -> list[float]:
    """The seconds that were slept between attempts."""
    return []


@pytest.fixture
def engine(server: FakeServer, waits: list[float]) -> Iterator[OpenAIEngine]:
    engine = OpenAIEngine(server.url, sleep=waits.append)
    yield engine
    engine.close()


def vllm(server: FakeServer, tokens: int = 7) -> None:
    """Let the server be vLLM with a context of 100, every prompt having that many tokens."""
    server.on("/v1/models", Reply(VLLM))
    server.on("/tokenize", Reply({"count": tokens, "tokens": list(range(tokens))}))
    server.on("/version", Reply({"version": "0.33.0"}))


def test_a_stream_arrives_in_pieces(server: FakeServer, engine: OpenAIEngine) -> None:
    server.on(CHAT, Reply(events=chat("He", "llo\u2028", "é!")))
    chunks = list(engine.stream(HELLO))
    assert [chunk.text for chunk in chunks] == ["He", "llo\u2028", "é!", ""]
    done = chunks[-1].completion
    assert done is not None
    assert (done.text, done.finish) == ("Hello\u2028é!", "stop")
    assert (done.prompt_tokens, done.completion_tokens) == (11, 3)
    (body,) = server.bodies(CHAT)
    assert body["model"] == "tiny"
    assert body["messages"] == [{"role": "user", "content": "Hello"}]
    assert (body["temperature"], body["max_tokens"]) == (0.0, 9)
    assert "seed" not in body
    assert "top_k" not in body


def test_it_is_an_engine(server: FakeServer, engine: OpenAIEngine) -> None:
    assert isinstance(engine, Engine)
    assert engine.name == server.url
    assert engine.parameters is None
    assert engine.context_length == UNKNOWN_CONTEXT
    assert engine.fingerprint.model == "tiny"
    assert engine.fingerprint.library == "OpenAI-compatible server"


def test_sampling_is_sent_and_off_is_said_aloud_to_vllm(server: FakeServer) -> None:
    vllm(server)
    server.on(CHAT, Reply(events=chat("ok")))
    engine = OpenAIEngine(server.url)
    warm = Sampling(temperature=0.7, top_p=0.9, top_k=40, seed=3, stop=("END",))
    wary = Sampling(repeat_penalty=1.2)
    engine.generate([replace(HELLO, sampling=one) for one in (Sampling(), warm, wary)])
    bodies = sorted(
        server.bodies(CHAT), key=lambda body: (body["temperature"], body["repetition_penalty"])
    )
    knobs = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "seed", "stop")
    greedy, careful, drawn = ([body.get(knob) for knob in knobs] for body in bodies)
    assert greedy == [0.0, 1.0, 0, 0.0, 1.0, None, None]
    assert careful == [0.0, 1.0, 0, 0.0, 1.2, None, None]
    assert drawn == [0.7, 0.9, 40, 0.0, 1.0, 3, ["END"]]


def test_many_answers_come_in_order(server: FakeServer, engine: OpenAIEngine) -> None:
    def echo(asked: Asked) -> Reply:
        return Reply(events=chat(asked.body["messages"][0]["content"]))

    server.on(CHAT, echo)
    asks = [Request((Message("user", str(n)),)) for n in range(20)]
    assert [answer.text for answer in engine.generate(asks)] == [str(n) for n in range(20)]


def test_many_requests_are_under_way_at_once_but_not_too_many(
    server: FakeServer, engine: OpenAIEngine
) -> None:
    under_way: set[str] = set()
    most = 0

    def slow(asked: Asked) -> Reply:
        nonlocal most
        text = asked.body["messages"][0]["content"]
        under_way.add(text)
        most = max(most, len(under_way))
        time.sleep(0.05)
        under_way.remove(text)
        return Reply(events=chat(text))

    server.on(CHAT, slow)
    engine.generate([Request((Message("user", str(n)),)) for n in range(3 * CONCURRENT)])
    assert CONCURRENT // 2 <= most <= CONCURRENT


def test_a_refused_request_does_not_lose_the_others(
    server: FakeServer, engine: OpenAIEngine
) -> None:
    def some(asked: Asked) -> Reply:
        text = asked.body["messages"][0]["content"]
        if text == "3":
            return Reply({"error": {"message": "not this"}}, status=400)
        return Reply(events=chat(text))

    server.on(CHAT, some)
    with pytest.raises(PartialFailure, match=r"1 of 20 requests failed; .*not this") as failure:
        engine.generate([Request((Message("user", str(n)),)) for n in range(20)])
    results = failure.value.results
    assert isinstance(results[3], Refused)
    texts = [one.text for one in results if isinstance(one, Completion)]
    assert texts == [str(n) for n in range(20) if n != 3]


def test_a_server_that_is_gone_is_not_asked_for_every_row(
    server: FakeServer, engine: OpenAIEngine
) -> None:
    server.on(CHAT, Reply(status=503))
    with pytest.raises(Unavailable, match="status 503"):
        engine.generate([HELLO] * 200)
    assert len(server.bodies(CHAT)) <= (2 * CONCURRENT - 1) * ATTEMPTS


def test_a_busy_server_is_asked_again(
    server: FakeServer, engine: OpenAIEngine, waits: list[float]
) -> None:
    server.on(CHAT, Reply(status=503), Reply(status=503), Reply(events=chat("ok")))
    assert engine.generate([HELLO])[0].text == "ok"
    assert len(waits) == 2
    assert 0.5 <= waits[0] <= 1.0
    assert 1.0 <= waits[1] <= 1.5


def test_retry_after_is_respected(
    server: FakeServer, engine: OpenAIEngine, waits: list[float]
) -> None:
    busy = Reply(status=429, headers={"Retry-After": "7"})
    server.on(CHAT, busy, Reply(events=chat("ok")))
    assert engine.generate([HELLO])[0].text == "ok"
    assert waits == [7.0]


def test_an_hour_is_not_waited_for(
    server: FakeServer, engine: OpenAIEngine, waits: list[float]
) -> None:
    server.on(
        CHAT,
        Reply({"error": {"message": "slow down"}}, status=429, headers={"Retry-After": "3600"}),
    )
    with pytest.raises(Unavailable, match="429: slow down"):
        engine.generate([HELLO])
    assert waits == []


def test_patience_ends(server: FakeServer, engine: OpenAIEngine, waits: list[float]) -> None:
    server.on(CHAT, Reply({"detail": "overloaded"}, status=500))
    with pytest.raises(Unavailable, match="status 500: overloaded"):
        engine.generate([HELLO])
    assert len(waits) == 4


def test_a_drop_before_the_first_word_is_retried(
    server: FakeServer, engine: OpenAIEngine, waits: list[float]
) -> None:
    server.on(CHAT, Reply(events=chat("ok"), drop=1), Reply(events=chat("ok")))
    assert [chunk.text for chunk in engine.stream(HELLO)] == ["ok", ""]
    assert len(waits) == 1


def test_a_drop_after_the_first_word_is_an_error(
    server: FakeServer, engine: OpenAIEngine, waits: list[float]
) -> None:
    server.on(CHAT, Reply(events=chat("one", "two"), drop=2))
    shown = []
    with pytest.raises(Unavailable, match="the answer is incomplete"):
        for chunk in engine.stream(HELLO):
            shown.append(chunk.text)
    assert shown == ["one"]
    assert waits == []


def test_a_stream_without_its_end_is_no_answer(server: FakeServer, engine: OpenAIEngine) -> None:
    server.on(CHAT, Reply(events=chat("one")[:2]), Reply(events=chat("whole")))
    assert engine.generate([HELLO])[0].text == "whole"


def test_an_error_inside_a_stream(server: FakeServer, engine: OpenAIEngine) -> None:
    server.on(CHAT, Reply(events=[{"error": {"message": "out of memory"}}]))
    with pytest.raises(Unavailable, match="out of memory"):
        engine.generate([HELLO])


def test_the_key_is_sent_and_never_shown(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIVIUM_API_KEY", "sk-secret\n")
    engine = OpenAIEngine(server.url)
    assert server.asked[0].headers["Authorization"] == "Bearer sk-secret"
    server.on(CHAT, Reply({"error": {"message": "bad request by sk-secret"}}, status=400))
    with pytest.raises(TriviumError, match=r"bad request by \*\*\*"):
        engine.generate([HELLO])
    server.on(CHAT, Reply({"error": {"message": "key sk-secret"}}, status=401))
    with pytest.raises(Unavailable, match="does not accept TRIVIUM_API_KEY") as caught:
        engine.generate([HELLO])
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("key", ["sk-geheimnis…", "sk-a\nb"])
def test_a_key_that_no_header_carries(server: FakeServer, key: str) -> None:
    with pytest.raises(UsageError, match="TRIVIUM_API_KEY") as caught:
        OpenAIEngine(server.url, api_key=key)
    assert "sk-" not in str(caught.value)


def test_a_missing_key_is_named(server: FakeServer) -> None:
    server.on("/v1/models", Reply(status=401))
    with pytest.raises(Unavailable, match="set TRIVIUM_API_KEY"):
        OpenAIEngine(server.url)


def test_the_model_is_chosen_or_asked_for(server: FakeServer) -> None:
    assert OpenAIEngine(f"{server.url}#tiny").fingerprint.model == "tiny"
    with pytest.raises(Unavailable, match="has no model big; it serves tiny"):
        OpenAIEngine(f"{server.url}#big")
    server.on("/v1/models", Reply({"data": [{"id": "org/a"}, {"id": "b"}]}))
    assert OpenAIEngine(f"{server.url}#org/a").fingerprint.model == "org/a"
    with pytest.raises(UsageError, match="the server has org/a, b"):
        OpenAIEngine(server.url)
    server.on("/v1/models", Reply(status=404))
    assert OpenAIEngine(f"{server.url}#any").fingerprint.model == "any"
    with pytest.raises(UsageError, match="URL ends in /v1"):
        OpenAIEngine(server.url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http:///v1", "not a server's URL"),
        ("http://host:port/v1", "not a URL"),
        ("http://me:word@127.0.0.1/v1", "must not hold a password"),
    ],
)
def test_what_is_no_server(url: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        OpenAIEngine(url)


def test_nobody_listens() -> None:
    with pytest.raises(Unavailable, match=r"cannot reach 127.0.0.1:9.*is the server running\?"):
        OpenAIEngine("http://127.0.0.1:9/v1", sleep=lambda _: None)


def test_offline_reaches_this_machine_only(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIVIUM_OFFLINE", "1")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:3128")
    assert OpenAIEngine(server.url).name == server.url
    with pytest.raises(Unavailable, match="TRIVIUM_OFFLINE=1"):
        OpenAIEngine("http://models.example/v1")


def test_json_is_checked_again_and_given_whole(server: FakeServer, engine: OpenAIEngine) -> None:
    ask = replace(HELLO, schema=AGE)
    server.on(CHAT, Reply(events=chat('{"age"', ": 7}")))
    assert [chunk.text for chunk in engine.stream(ask)] == ['{"age": 7}']
    form = server.bodies(CHAT)[0]["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["schema"] == AGE
    server.on(CHAT, Reply(events=chat('{"age": "seven"}')))
    with pytest.raises(SchemaViolation, match=r"\$.age"):
        engine.generate([ask])
    server.on(CHAT, Reply(events=chat('{"age"', finish="length")))
    with pytest.raises(SchemaViolation, match="stopped at 1 tokens"):
        list(engine.stream(ask))


def test_a_grammar_is_not_for_servers(engine: OpenAIEngine) -> None:
    with pytest.raises(UsageError, match="no GBNF grammar"):
        engine.stream(replace(HELLO, grammar='root ::= "a"'))


def test_log_probabilities_of_a_chat(server: FakeServer, engine: OpenAIEngine) -> None:
    events = chat("Yes")
    top = [{"token": "Yes", "logprob": -0.1}, {"token": "No", "logprob": -2.5}]
    entry = {"token": "Yes", "logprob": -0.1, "top_logprobs": top}
    events[1]["choices"][0]["logprobs"] = {"content": [entry]}
    end = {"token": "<|im_end|>", "logprob": 0.0, "top_logprobs": []}
    events[2]["choices"][0]["logprobs"] = {"content": [end]}
    server.on(CHAT, Reply(events=events))
    answer = engine.generate([replace(HELLO, logprobs=2)])[0]
    assert answer.logprobs == (TokenLogprob("Yes", -0.1, (("Yes", -0.1), ("No", -2.5))),)
    assert server.bodies(CHAT)[0]["top_logprobs"] == 2


def test_a_server_without_log_probabilities_says_so(
    server: FakeServer, engine: OpenAIEngine
) -> None:
    server.on(CHAT, Reply(events=chat("Yes")))
    with pytest.raises(Unavailable, match="gives no log-probabilities"):
        engine.generate([replace(HELLO, logprobs=0)])


def test_tokens_are_counted_before_anything_is_sent(server: FakeServer) -> None:
    vllm(server, tokens=100)
    engine = OpenAIEngine(server.url)
    assert engine.context_length == 100
    assert engine.count_tokens(HELLO) == 100
    with pytest.raises(ContextOverflow, match=r"needs 100 tokens.* holds 100"):
        engine.stream(HELLO)
    assert server.bodies(CHAT) == []


def test_the_answer_gets_the_room_that_is_left(server: FakeServer) -> None:
    vllm(server, tokens=95)
    server.on("/v1/completions", Reply(events=[{"choices": [{"text": "x"}]}, "[DONE]"]))
    OpenAIEngine(server.url).generate([Request(prompt="a")])
    assert server.bodies("/v1/completions")[0]["max_tokens"] == 5


def test_a_raw_prompt_needs_a_limit_where_nothing_is_counted(engine: OpenAIEngine) -> None:
    with pytest.raises(UsageError, match="set max_tokens"):
        engine.stream(Request(prompt="a"))


VLLM_SAYS = (
    "This model's maximum context length is 2048 tokens. However, you requested 3000 tokens "
    "(2900 in the messages, 100 in the completion). Please reduce the length."
)
VLLM_SAYS_TOO = (  # version 0.32
    "This model's maximum context length is 2048 tokens. However, your prompt contains at least "
    "2900 input tokens, which exceeds this limit even without any output tokens."
)
LLAMA_SAYS = {
    "message": "the request exceeds the available context size, try increasing it",
    "type": "exceed_context_size_error",
    "n_prompt_tokens": 2900,
    "n_ctx": 2048,
}


@pytest.mark.parametrize(
    "body", [{"message": VLLM_SAYS}, {"error": {"message": VLLM_SAYS_TOO}}, {"error": LLAMA_SAYS}]
)
def test_a_refusal_for_length_is_an_overflow(
    server: FakeServer, engine: OpenAIEngine, body: dict[str, Any]
) -> None:
    server.on(CHAT, Reply(body, status=400))
    with pytest.raises(ContextOverflow, match=r"needs 2900 tokens.* holds 2048"):
        engine.generate([HELLO])


def test_other_refusals_keep_their_words(server: FakeServer, engine: OpenAIEngine) -> None:
    server.on(CHAT, Reply({"error": {"message": "unknown parameter"}}, status=400))
    with pytest.raises(Unavailable, match="status 400: unknown parameter"):
        engine.generate([HELLO])
    server.on(CHAT, Reply("<html>", status=404))
    with pytest.raises(Unavailable, match="status 404"):
        engine.generate([HELLO])


def test_scores_come_from_the_echoed_prompt(server: FakeServer) -> None:
    vllm(server)

    def tokenize(asked: Asked) -> Reply:
        words = asked.body["prompt"].split()
        return Reply({"tokens": [len(word) for word in words]})

    server.on("/tokenize", tokenize)
    found = {
        "tokens": ["The", " capital", " is", " Paris", " and"],
        "token_logprobs": [None, -3.0, -0.5, -0.25, -4.0],
        "top_logprobs": [
            None,
            {" capital": -3.0},
            {" is": -0.5},
            {" Paris": -0.25, " Rome": -2.0},
            {".": -0.1, " and": -4.0},
        ],
    }
    server.on("/v1/completions", Reply({"choices": [{"logprobs": found}]}))
    engine = OpenAIEngine(server.url)
    paris = ScoreRequest("Paris", prompt="The capital is")
    score, both = engine.score([paris, replace(paris, continuation="Paris and")])
    assert (score.logprob, score.greedy) == (-0.25, True)
    assert (both.logprob, both.greedy) == (-4.25, False)
    sent = sorted(server.bodies("/v1/completions"), key=lambda body: len(body["prompt"]))
    assert sent[0]["prompt"] == [3, 7, 2, 5]
    assert (sent[0]["echo"], sent[0]["logprobs"]) == (True, 1)


def test_a_server_that_cannot_score_says_so(server: FakeServer, engine: OpenAIEngine) -> None:
    with pytest.raises(Unavailable, match="does not tokenize"):
        engine.score([ScoreRequest("a", prompt="b")])
    vllm(server)
    server.on("/v1/completions", Reply({"choices": [{"text": "b", "logprobs": None}]}))
    with pytest.raises(Unavailable, match="does not echo"):
        OpenAIEngine(server.url).score([ScoreRequest("a", prompt="b")])


def test_llama_cpps_server_tells_its_context_and_size(server: FakeServer) -> None:
    meta = {"id": "tiny", "owned_by": "llamacpp", "meta": {"n_params": 135_000_000}}
    server.on("/v1/models", Reply({"data": [meta]}))
    settings = {"n_ctx": 4096}
    props = {"default_generation_settings": settings, "build_info": "b9999"}
    server.on("/props", Reply(props))
    server.on("/apply-template", Reply({"prompt": "<user>Hello"}))
    server.on("/tokenize", Reply({"tokens": [1, 2, 3, 4]}))
    engine = OpenAIEngine(server.url)
    assert (engine.context_length, engine.parameters) == (4096, 135_000_000)
    assert engine.count_tokens(HELLO) == 4
    assert engine.fingerprint.library == "llama.cpp b9999"
    assert server.bodies("/tokenize")[0]["content"] == "<user>Hello"
