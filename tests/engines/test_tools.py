"""Formats, grammars and checks of tool calls; the real model under them."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.engines import templates
from trivium.engines import writing
from trivium.engines.base import Message, Request, Sampling, Tool, ToolCall
from trivium.engines.constrain import prefixed
from trivium.engines.llama import LlamaEngine
from trivium.engines.native import Weights
from trivium.engines.sampler import Grammar, LogitsSource, Sampler
from trivium.engines.templates import ChatTemplate
from trivium.engines.tools import (
    HERMES,
    LLAMA,
    MISTRAL,
    MISTRAL_NAMED,
    Calls,
    ToolFormat,
    check_tools,
    find_format,
)
from trivium.errors import SchemaViolation, UsageError

FORMATS = {"hermes": HERMES, "llama": LLAMA, "mistral": MISTRAL, "named": MISTRAL_NAMED}
every_format = pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)

ADD = Tool(
    "add",
    "Add two numbers.",
    {
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
)
NOTE = Tool(
    "notes.write",
    "Keep a note.",
    {
        "type": "object",
        "properties": {"tags": {"type": "array", "items": {"$ref": "#/$defs/Tag"}, "maxItems": 2}},
        "required": ["tags"],
        "$defs": {"Tag": {"enum": ["red", "blue"]}},
    },
)
NOW = Tool("now", "The time.", {"type": "object", "properties": {}})
TOOLS = (ADD, NOTE, NOW)
ASK = Request((Message("user", "What is 2 plus 3?"),), tools=TOOLS)


def calls_of(*found: tuple[str, dict[str, Any]]) -> list[ToolCall]:
    return [ToolCall(f"call{at}", name, arguments) for at, (name, arguments) in enumerate(found)]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(st.text(), values, max_size=3)


@every_format
@given(st.lists(st.tuples(st.sampled_from(["add", "notes.write"]), objects), min_size=1))
def test_what_is_written_is_read_back(
    form: ToolFormat, found: list[tuple[str, dict[str, object]]]
) -> None:
    """Whatever the arguments spell: quotes, braces, the marks of calls."""
    found = found[:1] if form.single else found
    assert form.parse(form.write(calls_of(*found))) == found


def test_the_layouts_are_those_that_models_were_trained_on() -> None:
    two = calls_of(("add", {"a": 1, "b": 2}), ("now", {}))
    assert HERMES.write(two) == (
        '<tool_call>\n{"name": "add", "arguments": {"a": 1, "b": 2}}\n</tool_call>\n'
        '<tool_call>\n{"name": "now", "arguments": {}}\n</tool_call>'
    )
    assert LLAMA.write(two[:1]) == '{"name": "add", "parameters": {"a": 1, "b": 2}}'
    assert MISTRAL.write(two) == (
        '[TOOL_CALLS] [{"name": "add", "arguments": {"a": 1, "b": 2}}, '
        '{"name": "now", "arguments": {}}]'
    )
    assert MISTRAL_NAMED.write(two) == (
        '[TOOL_CALLS]add[ARGS]{"a": 1, "b": 2}[TOOL_CALLS]now[ARGS]{}'
    )
    assert HERMES.write([]) == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected at character 0"),
        ("<tool_call>\n", "expected at character 0"),
        ('<tool_call>\n{"name": "add"}', 'no \'", "arguments": \''),
        ('<tool_call>\n{"name": "add", "arguments": [1]}\n</tool_call>', "are no object"),
        ('<tool_call>\n{"name": "add", "arguments": {"a"', "Expecting ':'"),
        ('<tool_call>\n{"name": "add", "arguments": {}}\n</tool_call> so', "expected at"),
    ],
)
def test_what_is_no_call_is_not_read_as_one(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        HERMES.parse(text)


@pytest.mark.parametrize(
    ("template", "form"),
    [
        (templates.QWEN, HERMES),
        (templates.LLAMA3, LLAMA),
        (templates.MISTRAL, MISTRAL),
        ("[TOOL_CALLS][{{ x }}]", replace(MISTRAL, opening="[TOOL_CALLS][")),
        ("[TOOL_CALLS]{{ name }}[ARGS]", MISTRAL_NAMED),
        (templates.CODER, None),
        ("{{ messages }}", None),
    ],
)
def test_the_template_tells_the_format(template: str, form: ToolFormat | None) -> None:
    assert find_format(template) == form


def test_rules_are_renamed_and_texts_are_not() -> None:
    rule = r'root ::= "root \" x" [a-z\]root] other-1 {2,3} | 2fa'
    assert prefixed(rule, "t-") == r't-root ::= "root \" x" [a-z\]root] t-other-1 {2,3} | t-2fa'


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"schema": {}}, "not both"),
        ({"grammar": 'root ::= "a"'}, "not both"),
        ({"messages": (), "prompt": "x"}, "need a conversation"),
        ({"tools": (ADD, ADD)}, "two tools are called add"),
        ({"tools": (replace(ADD, name='a"b'),)}, "cannot be a tool's name"),
        ({"tools": (replace(ADD, name=""),)}, "cannot be a tool's name"),
        ({"tools": (replace(ADD, parameters={"type": "objekt"}),)}, "tool add has unusable"),
        ({"tool_choice": "subtract"}, "none of add, notes.write, now"),
        ({"tools": (), "tool_choice": "required"}, "there are no tools"),
    ],
)
def test_tools_that_cannot_be_meant(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        check_tools(replace(ASK, **change))


def read(text: str, *, finish: Any = "stop", choice: str = "auto") -> tuple[ToolCall, ...]:
    return Calls(HERMES, TOOLS, choice).read(text, finish, 7, "seed")


def test_calls_are_held_against_their_schemas() -> None:
    (call,) = read(HERMES.write(calls_of(("add", {"a": 1, "b": 2}))))
    assert (call.name, call.arguments) == ("add", {"a": 1, "b": 2})
    with pytest.raises(SchemaViolation, match="the call of add breaks its schema at"):
        read(HERMES.write(calls_of(("add", {"a": 1}))))
    with pytest.raises(SchemaViolation, match="called subtract, which is none"):
        read(HERMES.write(calls_of(("subtract", {}))))
    with pytest.raises(SchemaViolation, match="called now, which is none"):
        read(HERMES.write(calls_of(("now", {}))), choice="add")
    with pytest.raises(SchemaViolation, match="stopped at 7 tokens inside a tool call"):
        read('<tool_call>\n{"name": "add"', finish="length")
    with pytest.raises(SchemaViolation, match="cannot be read"):
        read('<tool_call>\n{"name": "add"')


def test_ids_are_nine_letters_and_digits_and_follow_from_the_call() -> None:
    text = HERMES.write(calls_of(("now", {}), ("add", {"a": 1, "b": 2})))
    ids = [call.id for call in read(text)]
    assert ids == [call.id for call in read(text)]
    assert len(set(ids)) == 2
    assert all(len(one) == 9 and one.isalnum() for one in ids)
    assert ids[0] != Calls(HERMES, TOOLS, "auto").read(text, "stop", 7, "other")[0].id


@every_format
def test_a_call_made_twice_counts_once(form: ToolFormat) -> None:
    calls = Calls(form, TOOLS, "auto")
    one = form.write(calls_of(("now", {})))
    assert calls.repeat(one) is None
    if form.single:
        return
    twice = form.write(calls_of(("now", {}), ("now", {}))).removesuffix(form.closing)
    assert calls.repeat(f"{twice}{form.separator}"[: len(twice) + 1]) == twice
    assert [call.name for call in calls.read(twice, "stop", 7, "seed")] == ["now"]


@pytest.fixture(scope="module")
def engine(model_cache: Path) -> Iterator[LlamaEngine]:
    gguf = model_cache / "smollm2-135m" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    engine = LlamaEngine(gguf, name="smollm2-135m", context_length=1024, threads=1)
    yield engine
    engine.close()


@pytest.fixture
def weights(engine: LlamaEngine) -> Weights:
    return engine._weights


def admits(weights: Weights, gbnf: str, text: str) -> bool:
    grammar = Grammar(weights, gbnf)
    try:
        return grammar.admits(weights, text)
    finally:
        grammar.close()


@pytest.mark.model
@every_format
def test_the_grammar_admits_valid_calls_alone(weights: Weights, form: ToolFormat) -> None:
    gbnf = form.grammar(TOOLS)
    added, noted = ("add", {"a": 1, "b": -2}), ("notes.write", {"tags": ["red", "blue"]})
    assert admits(weights, gbnf, form.write(calls_of(added)))
    assert admits(weights, gbnf, form.write(calls_of(noted)))
    assert admits(weights, gbnf, form.write(calls_of(noted, added))) is not form.single
    assert not admits(weights, gbnf, "Hello")
    assert not admits(weights, gbnf, form.write(calls_of(("add", {"a": 1}))))
    assert not admits(weights, gbnf, form.write(calls_of(("add", {"tags": ["red"]}))))
    assert not admits(weights, gbnf, form.write(calls_of(("notes.write", {"tags": ["green"]}))))
    assert not admits(weights, gbnf, form.write(calls_of(("subtract", {}))))
    assert not admits(weights, form.grammar(TOOLS, most=1), form.write(calls_of(added, noted)))


@pytest.mark.model
@pytest.mark.parametrize(
    ("parameters", "arguments"),
    [
        ({"properties": {"x": {}}, "required": ["x"]}, {"x": "a"}),
        ({"properties": {"x": {"title": "X"}}, "required": ["x"]}, {"x": [1]}),
        ({"properties": {"x": {"type": "string", "pattern": "a"}}}, {"x": "cat"}),
        ({"properties": {"x": {"type": "string", "pattern": "^(?=a).*$"}}}, {"x": "abc"}),
        ({"properties": {"x": {"$ref": "https://example.com/x.json"}}}, {"y": 1}),
        ({}, {"anything": {"goes": True}}),
    ],
)
def test_schemas_beyond_grammars_still_make_calls(
    weights: Weights, parameters: dict[str, object], arguments: dict[str, object]
) -> None:
    tool = Tool("odd", "", parameters)
    text = HERMES.write(calls_of(("odd", arguments)))
    assert admits(weights, HERMES.grammar([tool]), text)


@pytest.mark.model
@pytest.mark.parametrize("source", [None, templates.QWEN, templates.LLAMA3, templates.MISTRAL])
def test_a_demanded_call_is_valid_in_every_format(
    engine: LlamaEngine, monkeypatch: pytest.MonkeyPatch, source: str | None
) -> None:
    if source is not None:
        template = ChatTemplate(source, model="smollm2-135m")
        monkeypatch.setitem(engine._renderer.__dict__, "_tool_template", template)
    ask = replace(ASK, tool_choice="add", sampling=Sampling(max_tokens=60))
    *_, last = engine.stream(ask)
    done = last.completion
    assert done is not None
    (call,) = done.tool_calls
    assert (call.name, done.text, done.finish) == ("add", "", "stop")
    assert set(call.arguments) == {"a", "b"}


@pytest.mark.model
def test_a_call_repeats_with_its_id_and_hot_sampling_keeps_the_schema(engine: LlamaEngine) -> None:
    ask = replace(ASK, tools=(ADD, NOTE), tool_choice="notes.write")
    hot = replace(ask, sampling=Sampling(temperature=1.8, seed=5, max_tokens=60))
    first, second = engine.generate([hot, hot])
    assert first.tool_calls == second.tool_calls
    (call,) = first.tool_calls
    assert set(json.loads(json.dumps(call.arguments["tags"]))) <= {"red", "blue"}


@pytest.mark.model
def test_a_call_cut_by_the_limit_is_withheld(engine: LlamaEngine) -> None:
    with pytest.raises(SchemaViolation, match="stopped at 5 tokens inside a tool call"):
        engine.generate([replace(ASK, tool_choice="required", sampling=Sampling(max_tokens=5))])


@pytest.mark.model
def test_tools_count_and_plain_questions_are_as_before(engine: LlamaEngine) -> None:
    plain = replace(ASK, tools=(), sampling=Sampling(max_tokens=4))
    assert engine.count_tokens(ASK) > engine.count_tokens(plain) + 60
    assert engine.generate([replace(ASK, sampling=Sampling(max_tokens=1))])[0].prompt_tokens == (
        engine.count_tokens(ASK)
    )


class ScriptedSampler(Sampler):
    """Says `script` token by token; a grammar takes over where the engine puts one."""

    script: ClassVar[str] = ""

    def __init__(self, weights: Weights, sampling: Sampling, grammar: Grammar | None) -> None:
        super().__init__(weights, sampling, grammar)
        tokens = weights.tokenize(self.script, special=False)
        self._next = iter([*tokens, weights.eos])

    def choose(self, context: LogitsSource) -> int:
        return next(self._next) if self._grammar is None else super().choose(context)


@pytest.fixture
def says(engine: LlamaEngine, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets the model say a text, and returns the chunks that come of it."""
    monkeypatch.setattr(writing, "Sampler", ScriptedSampler)

    def run(script: str, request: Request = ASK) -> list[Any]:
        monkeypatch.setattr(ScriptedSampler, "script", script)
        return list(engine.stream(request))

    return run


@pytest.mark.model
@pytest.mark.parametrize("before", ["", "I shall add them.\n", "a < b <tool> <tool_"])
def test_a_call_may_follow_text(says: Any, before: str) -> None:
    """The script goes astray after the opening; the grammar does not let it."""
    chunks = says(f"{before}<tool_call>oh well")
    done = chunks[-1].completion
    assert "".join(chunk.text for chunk in chunks) == done.text == before
    assert len(done.tool_calls) == 1
    assert done.tool_calls[0].name in {"add", "notes.write", "now"}


@pytest.mark.model
def test_text_streams_at_once_and_ends_without_a_call(says: Any) -> None:
    chunks = says("The tag <tool_calls> is none, nor <tool_call")
    done = chunks[-1].completion
    assert len([chunk for chunk in chunks if chunk.text]) > 5
    assert "".join(chunk.text for chunk in chunks) == done.text
    assert done.text == "The tag <tool_calls> is none, nor <tool_call"
    assert done.tool_calls == ()


@pytest.mark.model
def test_no_call_begins_where_none_is_allowed(says: Any) -> None:
    done = says("So: <tool_call>x", replace(ASK, tool_choice="none"))[-1].completion
    assert (done.text, done.tool_calls, done.finish) == ("So: ", (), "stop")


@pytest.mark.model
def test_thinking_is_apart_and_calls_nothing(says: Any) -> None:
    chunks = says("<think>\nA <tool_call>\nmay do.\n</think>\n\nNo tool helps.")
    done = chunks[-1].completion
    assert done.thinking == "A <tool_call>\nmay do."
    assert "".join(chunk.thinking for chunk in chunks) == done.thinking
    assert (done.text, done.tool_calls) == ("No tool helps.", ())
    after = says("<think>Add.</think>\n\n<tool_call>")[-1].completion
    assert (after.thinking, after.text, len(after.tool_calls)) == ("Add.", "", 1)


@pytest.mark.model
def test_a_template_may_open_the_thinking(
    says: Any, engine: LlamaEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then a grammar waits for its end."""
    template = ChatTemplate("{{ messages[0].content }}<think>\n", model="smollm2-135m")
    monkeypatch.setitem(engine._renderer.__dict__, "_template", template)
    monkeypatch.setitem(engine._renderer.__dict__, "_tool_template", template)
    plain = says("Hm.</think>Yes.", replace(ASK, tools=()))[-1].completion
    assert (plain.thinking, plain.text) == ("Hm.", "Yes.")
    forced = says("Hm.</think>Yes.", replace(ASK, tool_choice="now"))[-1].completion
    assert (forced.thinking, forced.text) == ("Hm.", "")
    assert forced.tool_calls[0].name == "now"
    schema = {"enum": ["yes", "no"]}
    checked = says("Hm.</think>Yes.", replace(ASK, tools=(), schema=schema))[-1]
    assert (checked.thinking, json.loads(checked.text)) in (("Hm.", "yes"), ("Hm.", "no"))


@pytest.mark.model
def test_llama_calls_stand_at_the_beginning_alone(
    says: Any, engine: LlamaEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = ChatTemplate(templates.LLAMA3, model="smollm2-135m")
    monkeypatch.setitem(engine._renderer.__dict__, "_tool_template", template)
    opening = '{"name": "now", "parameters": oh'
    assert says(opening)[-1].completion.tool_calls[0].name == "now"
    for text in (f"For example {opening}", '{"name": "Ann", "parameters": 3}'):
        done = says(text)[-1].completion
        assert (done.text, done.tool_calls) == (text, ())
