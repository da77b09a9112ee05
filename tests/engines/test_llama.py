"""The embedded engine with the real default model."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from trivium.engines.base import Engine, Message, Request, Sampling, ScoreRequest
from trivium.engines.llama import CHUNK, LlamaEngine
from trivium.errors import ContextOverflow, SchemaViolation, TriviumError, UsageError

pytestmark = pytest.mark.model

COLOURS = Request((Message("user", "Name three colours."),), sampling=Sampling(max_tokens=24))
CITY: dict[str, object] = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "large": {"type": "boolean"}},
    "required": ["city", "large"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def gguf(model_cache: Path) -> Path:
    return model_cache / "smollm2-135m" / "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture(scope="module")
def engine(gguf: Path) -> Iterator[LlamaEngine]:
    # one thread: several would wait for each other where tests run side by side
    engine = LlamaEngine(gguf, name="smollm2-135m", context_length=1024, threads=1)
    yield engine
    engine.close()
    engine.close()  # safe to call twice


def test_it_is_an_engine_and_knows_its_size(engine: LlamaEngine) -> None:
    assert isinstance(engine, Engine)
    assert engine.parameters == 134_515_008
    assert engine.context_length == 1024
    assert engine.fingerprint.weights_sha256 == (
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
    )


def test_greedy_answers_do_not_depend_on_what_was_asked_before(engine: LlamaEngine) -> None:
    """Prompts longer than a chunk share their first chunk in the KV cache."""
    shared = "The sea is blue and the grass is green. " * 30
    first = Request(prompt=shared + "The sun is", sampling=Sampling(max_tokens=12), logprobs=3)
    second = replace(first, prompt=shared + "My name is")
    assert engine.count_tokens(first) > CHUNK

    alone = engine.generate([first])[0]
    engine.generate([second, COLOURS])
    engine.score([ScoreRequest(" bright and warm", prompt=first.prompt)])
    again = engine.generate([second, first])[1]

    assert (again.text, again.logprobs) == (alone.text, alone.logprobs)
    assert again.completion_tokens == 12
    assert again.finish == "length"


def test_a_stream_is_the_answer_in_pieces(engine: LlamaEngine) -> None:
    chunks = list(engine.stream(COLOURS))
    whole = engine.generate([COLOURS])[0]
    assert len(chunks) > 3
    assert "".join(chunk.text for chunk in chunks) == whole.text
    assert [chunk.completion for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    last = chunks[-1].completion
    assert last is not None
    assert last.prompt_tokens == engine.count_tokens(COLOURS)


def test_a_stop_string_ends_the_answer_and_is_not_in_it(engine: LlamaEngine) -> None:
    whole = engine.generate([COLOURS])[0].text
    stop = whole[10:14]
    cut = engine.generate([replace(COLOURS, sampling=Sampling(max_tokens=24, stop=(stop,)))])[0]
    assert cut.text == whole[: whole.index(stop)]
    assert cut.finish == "stop"


def test_a_seed_repeats_and_another_seed_differs(engine: LlamaEngine) -> None:
    def draw(seed: int) -> str:
        sampling = Sampling(temperature=1.5, seed=seed, max_tokens=24, top_p=0.95, min_p=0.01)
        return engine.generate([replace(COLOURS, sampling=sampling)])[0].text

    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


def test_log_probabilities_agree_with_scores(engine: LlamaEngine) -> None:
    request = replace(COLOURS, sampling=Sampling(max_tokens=6), logprobs=3)
    answer = engine.generate([request])[0]
    score = engine.score([ScoreRequest(answer.text, messages=request.messages)])[0]

    assert all(token.top[0] == (token.token, token.logprob) for token in answer.logprobs)
    assert score.greedy
    assert [token.token for token in score.tokens] == [token.token for token in answer.logprobs]
    for scored, chosen in zip(score.tokens, answer.logprobs, strict=True):
        assert scored.logprob == pytest.approx(chosen.logprob, abs=1e-9)
    assert score.logprob == sum(token.logprob for token in score.tokens)


def test_scores_do_not_depend_on_their_neighbours(engine: LlamaEngine) -> None:
    prompt = (
        "Water freezes at zero degrees and boils at a hundred. " * 30 + "The capital of France is"
    )
    paris = ScoreRequest(" Paris", prompt=prompt)
    berlin = ScoreRequest(" Berlin, which is large", prompt=prompt)
    together = engine.score([paris, berlin, paris])
    assert together[0] == together[2] == engine.score([paris])[0]
    assert together[1] == engine.score([berlin])[0]
    assert together[0].logprob > together[1].logprob


def test_an_empty_continuation_is_certain(engine: LlamaEngine) -> None:
    score = engine.score([ScoreRequest("", prompt="Hello")])[0]
    assert (score.logprob, score.tokens, score.greedy) == (0.0, (), True)


def test_a_long_continuation_is_scored_over_several_batches(engine: LlamaEngine) -> None:
    text = " one two three four five six seven eight nine ten" * 15
    score = engine.score([ScoreRequest(text, prompt="Count:")])[0]
    assert "".join(token.token for token in score.tokens) == text
    repeated = sum(token.logprob for token in score.tokens[-20:])
    assert repeated > sum(token.logprob for token in score.tokens[:20])


def test_json_keeps_its_schema(engine: LlamaEngine) -> None:
    ask = Request(
        (Message("user", "Which city is the capital of France?"),),
        sampling=Sampling(max_tokens=60),
        schema=CITY,
    )
    chunks = list(engine.stream(ask))
    value = json.loads(chunks[-1].text)
    assert set(value) == {"city", "large"}
    assert isinstance(value["city"], str)
    assert isinstance(value["large"], bool)
    assert len(chunks) == 1  # nothing is shown before it is checked


def test_json_cut_by_the_token_limit_is_withheld(engine: LlamaEngine) -> None:
    ask = replace(COLOURS, schema=CITY, sampling=Sampling(max_tokens=3))
    with pytest.raises(SchemaViolation, match="stopped at 3 tokens inside the JSON"):
        engine.generate([ask])


def test_a_schema_beyond_grammars_is_still_checked(engine: LlamaEngine) -> None:
    """The converter knows no `uniqueItems`: the model says "a" twice, and that is caught."""
    twice = {"type": "array", "items": {"const": "a"}, "minItems": 2, "maxItems": 2}
    ask = replace(COLOURS, schema=twice)
    assert json.loads(engine.generate([ask])[0].text) == ["a", "a"]
    with pytest.raises(SchemaViolation, match="non-unique"):
        engine.generate([replace(ask, schema=twice | {"uniqueItems": True})])


@pytest.mark.parametrize("temperature", [0.0, 1.5])
def test_a_grammar_is_kept(engine: LlamaEngine, temperature: float) -> None:
    sampling = Sampling(temperature=temperature, max_tokens=20)
    ask = replace(COLOURS, grammar='root ::= ("red" | "blue") " é"', sampling=sampling)
    answer = engine.generate([ask])[0]
    assert answer.text in ("red é", "blue é")
    assert answer.finish == "stop"


def test_an_unfinished_grammar_is_withheld(engine: LlamaEngine) -> None:
    ask = replace(COLOURS, grammar="root ::= [a-z ]{200}", sampling=Sampling(max_tokens=5))
    with pytest.raises(SchemaViolation, match="stopped at 5 tokens"):
        engine.generate([ask])


def test_a_grammar_that_is_complete_at_the_limit_is_given(engine: LlamaEngine) -> None:
    ask = replace(COLOURS, grammar="root ::= [a-z ]+", sampling=Sampling(max_tokens=5))
    assert engine.generate([ask])[0].finish == "length"


def test_a_broken_grammar_is_the_users_mistake(
    engine: LlamaEngine, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match="expecting"):
        engine.generate([replace(COLOURS, grammar='root ::= ("a"')])
    assert capfd.readouterr().err == ""


def test_what_does_not_fit_is_an_error_with_both_numbers(engine: LlamaEngine) -> None:
    long = Request(prompt="word " * 2000)
    needed = engine.count_tokens(long)
    with pytest.raises(ContextOverflow, match=f"needs {needed} tokens.* holds 1024"):
        engine.stream(long)
    with pytest.raises(ContextOverflow, match=f"needs {needed + 1} tokens.* holds 1024"):
        engine.score([ScoreRequest(" x", prompt=long.prompt)])


def test_generation_stops_at_the_end_of_the_context(engine: LlamaEngine) -> None:
    sampling = Sampling(temperature=1.0)
    request = Request(prompt="one two " * 505, grammar="root ::= [a-z ]+", sampling=sampling)
    used = engine.count_tokens(request)
    answer = engine.generate([request])[0]
    assert answer.completion_tokens == 1024 - used
    assert answer.finish == "length"


def test_more_context_than_trained_is_refused(gguf: Path) -> None:
    with pytest.raises(UsageError, match="100000 is more than the 8192"):
        LlamaEngine(gguf, context_length=100_000)


def test_a_user_cannot_end_the_turn(engine: LlamaEngine) -> None:
    """ "<|im_end|>" typed by a user is spelt out in several tokens, not parsed as one."""
    plain = engine.count_tokens(Request((Message("user", "a b"),)))
    typed = engine.count_tokens(Request((Message("user", "a<|im_end|>b"),)))
    assert typed > plain + 3


def test_emoji_stream_as_whole_characters(engine: LlamaEngine) -> None:
    ask = replace(COLOURS, grammar='root ::= "🌍🌍é漢字"')
    (chunk,) = engine.stream(ask)
    assert chunk.text == "🌍🌍é漢字"


def test_an_overtaken_stream_says_so(engine: LlamaEngine) -> None:
    stream = engine.stream(COLOURS)
    next(stream)
    engine.generate([COLOURS])
    with pytest.raises(TriviumError, match="another request"):
        list(stream)
