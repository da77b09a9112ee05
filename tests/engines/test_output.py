"""The sorting of an answer, without a model: tokens are the pieces of a test."""

from collections.abc import Sequence

import pytest

from trivium.engines.base import Tool
from trivium.engines.output import Output
from trivium.engines.text import ThinkingStream
from trivium.engines.tools import HERMES, LLAMA, Calls, ToolFormat

TOOLS = (Tool("now", "", {}), Tool("nowhere", "", {}))


def output(form: ToolFormat = HERMES, choice: str = "auto", stop: Sequence[str] = ()) -> Output:
    return Output(stop, thinking=ThinkingStream(), calls=Calls(form, TOOLS, choice))


def run(out: Output, *pieces: bytes) -> str:
    """The text that is shown; a call begins where `out` says so."""
    shown = ""
    for piece in pieces:
        if opening := out.opens(piece):
            out.begin_call(*opening)
        shown += out.push(piece).text
        if out.stopped:
            break
    shown += out.finish().text
    assert shown == out.text
    return shown


@pytest.mark.parametrize(
    "pieces",
    [
        [b"Well. ", b"<tool_call>", b"x"],
        [b"Well. <", b"tool", b"_call", b">x"],
        [b"Well.", b" <tool_call", b">", b"x"],
    ],
)
def test_a_call_begins_however_its_opening_is_cut(pieces: list[bytes]) -> None:
    out = output()
    assert run(out, *pieces) == "Well. "
    assert out.call == "<tool_call>x"


def test_what_only_looks_like_an_opening_is_text() -> None:
    out = output()
    pieces = [b"<tool_", b"calls> <t", b"ool_call", b" >", b" \xc3", b"\xa9"]
    assert run(out, *pieces) == "<tool_calls> <tool_call > é"
    assert out.call is None


def test_a_stop_string_ends_the_text_and_not_a_call() -> None:
    out = output(stop=["END"])
    assert run(out, b"a", b"EN", b"D", b"<tool_call>") == "a"
    assert out.stopped
    assert out.call is None
    called = output(stop=["END"])
    assert run(called, b"a", b"<tool_call>", b"END", b"b") == "a"
    assert called.call == "<tool_call>ENDb"


def test_the_opening_tells_what_is_written_and_what_is_not() -> None:
    out = output()
    out.push(b"So <tool")
    assert out.opens(b"_calls") is None
    out.push(b"_call")
    assert out.opens(b">\n") == ("<tool_call", ">")


def test_where_calls_have_no_mark_they_begin_the_answer_with_a_tools_name() -> None:
    out = output(LLAMA)
    assert run(out, b"\n", b'{"name": "', b'now", ', b'"parameters": {', b"}}") == "\n"
    assert out.call == '{"name": "now", "parameters": {}}'
    other = output(LLAMA)
    assert run(other, b'{"name": "', b"Ann", b'"}') == '{"name": "Ann"}'
    later = output(LLAMA)
    text = b'So: {"name": "now", "parameters": {}}'
    assert run(later, text[:3], text[3:]) == text.decode()
    assert (other.call, later.call) == (None, None)


def test_thoughts_call_nothing_and_the_answer_after_them_may() -> None:
    out = output()
    assert run(out, b"<think>", b"<tool_call>", b"?", b"</think>", b"\n\n", b"<tool_call>") == ""
    assert (out.thinking, out.call) == ("<tool_call>?", "<tool_call>")


def test_without_leave_to_call_the_text_ends_there() -> None:
    out = output(choice="none")
    assert run(out, b"Well. ", b"<tool_call>", b"x") == "Well. "
    assert (out.call, out.stopped) == (None, True)
