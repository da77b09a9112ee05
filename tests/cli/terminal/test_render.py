"""A turn's events on the screen, to the letter."""

import pytest

from tests.cli.terminal.screen import Terminal
from trivium.agent.base import (
    Done,
    Event,
    Node,
    Note,
    TextDelta,
    ThinkingDelta,
    ToolFinished,
    ToolStarted,
)
from trivium.agent.taint import mark, unmarked
from trivium.cli.terminal.render import Screen, one_line
from trivium.cli.terminal.status import status
from trivium.engines.base import Completion, Timing, ToolCall
from trivium.retrieval.base import Citation

CALL = ToolCall("1", "calculate", {"expression": "6*7"})


def completion(reused: int = 0) -> Completion:
    return Completion("42", "stop", 1000, 30, timing=Timing(0.5, 1.5), reused_tokens=reused)


def done(text: str = "42", **node: object) -> Done:
    return Done(Node("assistant", text, **node), completion(), 1030)  # type: ignore[arg-type]


def shown(*events: Event, verbose: bool = False) -> list[str]:
    terminal = Terminal()
    ticks = iter(range(10_000))
    Screen(terminal.console, verbose=verbose, clock=lambda: float(next(ticks))).play(events)
    return terminal.lines


def test_an_answer_stands_under_an_empty_line() -> None:
    assert shown(TextDelta("It is "), TextDelta("**42**."), done()) == ["", "It is 42."]


def test_the_last_event_is_returned() -> None:
    end = done()
    assert Screen(Terminal().console).play([TextDelta("42"), end]) is end
    assert Screen(Terminal().console).play([]) is None


def test_a_tool_is_one_line_between_two_parts_of_the_answer() -> None:
    lines = shown(
        TextDelta("Let me see."),
        ToolStarted(CALL, "calculate 6*7"),
        ToolFinished(CALL, "42\nexactly", False, 0.25),
        TextDelta("\n\nIt is 42."),
        done(),
    )
    assert lines == ["", "Let me see.", "", "✓ calculate 0.2 s  42 exactly", "", "It is 42."]


def test_a_tool_that_failed_is_marked() -> None:
    lines = shown(ToolFinished(CALL, "division by zero", True, 0.0), done())
    assert lines == ["", "✗ calculate 0.0 s  division by zero"]


def test_a_long_result_is_cut_to_the_line() -> None:
    lines = shown(ToolFinished(CALL, "long " * 50, False, 0.0), done())
    assert len(lines) == 2
    assert lines[1].endswith("…")


def test_the_fences_around_a_result_are_for_the_model() -> None:
    marked = mark("42\nexactly", "the tool calculate")
    assert unmarked(marked) == "42\nexactly"
    assert unmarked(marked + "x") == marked + "x"
    lines = shown(ToolFinished(CALL, marked, False, 0.0), done())
    assert lines == ["", "✓ calculate 0.0 s  42 exactly"]


def test_thinking_is_folded_to_a_line() -> None:
    lines = shown(ThinkingDelta("Six times "), ThinkingDelta("seven."), TextDelta("42"), done())
    assert lines[1].startswith("thought for ")
    assert lines[1].endswith(" s, 3 words")
    assert lines[2:] == ["", "42"]


def test_verbose_shows_the_thoughts_and_the_notes_of_detail() -> None:
    events = (Note("searched for X", detail=True), ThinkingDelta("Hm."), TextDelta("42"), done())
    assert [line for line in shown(*events) if "searched" in line or "Hm." in line] == []
    lines = shown(*events, verbose=True)
    assert lines[1] == "· searched for X"
    assert lines[3] == "  Hm."


def test_a_note_is_shown_where_it_happens() -> None:
    lines = shown(Note("summarised 4 older messages"), TextDelta("42"), done())
    assert lines == ["", "· summarised 4 older messages", "", "42"]


def test_citations_follow_the_answer_with_their_places() -> None:
    citation = Citation("/docs/sea.md", None, 12, 30, "The sea is salt.", "0" * 64, 0.9)
    lines = shown(TextDelta("It is salt."), done(citations=(citation,)))
    assert lines == [
        "",
        "It is salt.",
        "",
        "[1] /docs/sea.md, character 12",
        "    “The sea is salt.”",
    ]


def test_nothing_that_comes_from_outside_is_obeyed() -> None:
    evil = "\x1b[2J\x1b]0;title\x07[red]"
    call = ToolCall("1", "calculate", {})
    lines = shown(
        ToolStarted(call, evil + "a\nb"),
        ToolFinished(call, evil, True, 0.0),
        Note(evil),
        ThinkingDelta(evil),
        TextDelta(evil + "end"),
        done(citations=(Citation(evil, None, 0, 1, evil, "", 1.0),)),
        verbose=True,
    )
    assert lines[1] == "✗ calculate 0.0 s  [red]"
    assert lines[-2:] == ["[1] [red], character 0", "    “[red]”"]


def test_what_was_written_stays_when_the_turn_breaks_off() -> None:
    def events() -> object:
        yield TextDelta("Half an ans")
        raise KeyboardInterrupt

    terminal = Terminal()
    with pytest.raises(KeyboardInterrupt):
        Screen(terminal.console).play(events())  # type: ignore[arg-type]
    assert terminal.lines == ["", "Half an ans"]


def test_a_branch_is_recalled_from_its_last_question_on() -> None:
    terminal = Terminal()
    path = [
        Node("user", "old"),
        Node("assistant", "older"),
        Node("user", "What is\nit?"),
        Node("tool", "result"),
        Node("assistant", "# It\n\nis", state="interrupted"),
    ]
    Screen(terminal.console).recall(path)
    assert terminal.lines == ["> What is", "it?", "", "It", "", "is", "interrupted"]


def test_one_line_is_one_line() -> None:
    assert one_line(" a\n\tb\x1b[1m\r\n c ") == "a b c"


class TestStatus:
    def test_speed_context_and_reuse(self) -> None:
        end = Done(Node("assistant", "42"), completion(reused=900), 1030)
        assert status(end, 8192).plain == "20.0 tokens/s · 1,030 of 8,192 tokens · 900 reused"

    def test_an_interrupted_answer_has_no_speed(self) -> None:
        end = Done(Node("assistant", "4", state="interrupted"), None, 1030)
        assert status(end, 8192).plain == "interrupted · 1,030 of 8,192 tokens"

    def test_a_crowded_context_is_a_warning(self) -> None:
        end = Done(Node("assistant", "42"), None, 900)
        assert [span.style for span in status(end, 1000).spans] == ["yellow"]
        assert [span.style for span in status(end, 2000).spans if span.style] == []
