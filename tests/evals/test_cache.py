"""The cache: what is told apart, what is asked, and what happens around a failing row."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.scripted import ScriptedEngine
from trivium.engines.base import (
    Completion,
    Message,
    Request,
    Sampling,
    ScoreRequest,
    Timing,
    completions,
)
from trivium.errors import ContextOverflow, SchemaViolation, TriviumError, Unavailable
from trivium.evals.base import Choice
from trivium.evals.cache import Cache, ask_each

ASKED = Request((Message("system", "Be kind."), Message("user", "Hello")))


def test_what_a_model_said_comes_back_as_it_was() -> None:
    said = Completion("Hi\u2028\x00", "length", 2, 3, timing=Timing(0.5, 1.25), thinking="hm")
    with Cache() as cache:
        first = cache.generate(ScriptedEngine(said), [ASKED])
        assert cache.generate(ScriptedEngine(), [ASKED]) == first
        assert cache.hits == 1
    with Cache() as again:  # from the disk
        assert again.generate(ScriptedEngine(), [ASKED]) == first


@pytest.mark.parametrize(
    "other",
    [
        replace(ASKED, messages=ASKED.messages[1:]),
        replace(ASKED, messages=(Message("system", "Be"), Message("user", " kind.Hello"))),
        replace(ASKED, messages=(Message("user", "Be kind."), Message("user", "Hello"))),
        replace(ASKED, sampling=Sampling(seed=1)),
        replace(ASKED, schema={"type": "object"}),
        replace(ASKED, grammar="root ::= 'a'"),
        replace(ASKED, messages=(), prompt="Hello"),
    ],
)
def test_all_that_can_change_an_answer_is_in_the_key(other: Request) -> None:
    with Cache() as cache:
        one, two = cache.generate(ScriptedEngine("a", "b"), [ASKED, other])
        assert isinstance(one, Completion)
        assert isinstance(two, Completion)
        assert (one.text, two.text) == ("a", "b")


def test_equal_requests_are_asked_once() -> None:
    engine = ScriptedEngine("a")
    with Cache() as cache:
        results = cache.generate(engine, [ASKED, ASKED])
    assert len(engine.requests) == 1
    assert results[0] == results[1]


def test_scores_are_kept_with_the_number_of_their_tokens() -> None:
    asked = [ScoreRequest(" yes it is", prompt="Is it?"), ScoreRequest(" no", prompt="Is it?")]
    engine = ScriptedEngine(logprob=lambda request: -float(len(request.continuation)))
    with Cache() as cache:
        first = cache.score(engine, asked)
        assert first == [Choice(" yes it is", -10.0, 3), Choice(" no", -3.0, 1)]
        assert cache.score(engine, asked[::-1]) == first[::-1]
    assert len(engine.scored) == 2


def test_errors_are_not_kept() -> None:
    with Cache() as cache:
        (failed,) = cache.generate(ScriptedEngine(ContextOverflow("too long")), [ASKED])
        assert isinstance(failed, ContextOverflow)
        (answered,) = cache.generate(ScriptedEngine("a"), [ASKED])
        assert isinstance(answered, Completion)


def test_without_the_cache_all_is_asked_anew() -> None:
    with Cache() as cache:
        cache.generate(ScriptedEngine("a"), [ASKED])
    with Cache(enabled=False) as cache:
        (said,) = cache.generate(ScriptedEngine("b"), [ASKED])
    assert isinstance(said, Completion)
    assert said.text == "b"


def test_a_damaged_cache_says_to_delete_it(tmp_path: Path) -> None:
    file = tmp_path / "cache.db"
    file.write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(TriviumError, match="delete it: it holds nothing but copies"):
        Cache(file)


@given(st.lists(st.booleans(), max_size=20))
def test_each_failing_request_fails_alone(sound: list[bool]) -> None:
    def ask(requests: Sequence[int]) -> list[str]:
        if not all(sound[one] for one in requests):
            raise ContextOverflow("too long")
        return [str(one) for one in requests]

    results = ask_each(ask, range(len(sound)))
    assert len(results) == len(sound)
    for at, result in enumerate(results):
        assert result == str(at) if sound[at] else isinstance(result, ContextOverflow)


def test_an_engine_that_says_which_requests_failed_is_asked_once() -> None:
    calls: list[int] = []
    fine = Completion("fine", "stop", 1, 1)
    odd = SchemaViolation("odd")

    def ask(requests: Sequence[int]) -> list[Completion]:
        calls.append(len(requests))
        return completions([odd if one == 3 else fine for one in requests])

    assert ask_each(ask, range(5)) == [fine, fine, fine, odd, fine]
    assert calls == [5]
    assert ask_each(ask, [3]) == [odd]
    assert ask_each(ask, [3, 3]) == [odd, odd]


def test_a_model_that_is_gone_is_asked_three_times_at_most() -> None:
    calls: list[int] = []

    def ask(requests: Sequence[int]) -> list[str]:
        calls.append(len(requests))
        raise Unavailable("gone")

    with pytest.raises(Unavailable):
        ask_each(ask, range(64))
    assert calls == [64, 1, 1]
