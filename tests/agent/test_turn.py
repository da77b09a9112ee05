"""A turn: its events to the letter, what it leaves in the database, its tools, leave and limits."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.scripted import ScriptedEngine
from trivium import tool
from trivium.agent.agent import Agent
from trivium.agent.base import (
    Approver,
    Attachment,
    Decision,
    Done,
    Event,
    Limits,
    Node,
    Note,
    Proposal,
    TextDelta,
    ThinkingDelta,
    ToolFinished,
    ToolStarted,
)
from trivium.engines.base import Chunk, Completion, Image, Message, Request, Sampling, ToolCall
from trivium.errors import TriviumError, Unavailable, UsageError

ADD = ToolCall("c1", "add", {"a": 1, "b": 2})


@tool(effect="read")
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool(effect="run")
def launch() -> str:
    """Launch it."""
    return "launched"


def calling(*calls: ToolCall, text: str = "") -> Completion:
    return Completion(text, "stop", 0, len(text.split()) + 1, tool_calls=calls)


def notes(events: Sequence[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Note)]


def results(events: Sequence[Event]) -> list[tuple[str, bool]]:
    return [(event.result, event.error) for event in events if isinstance(event, ToolFinished)]


def rows(agent: Agent) -> list[tuple[str, str, str]]:
    return [(node.role, node.content, node.state) for node in agent.path]


def talk(engine: ScriptedEngine, tools: Sequence[Callable[..., Any]], **means: Any) -> Agent:
    return Agent(engine, tools=tools, **means)


class TestAnAnswer:
    def test_its_events_and_its_rows(self) -> None:
        engine = ScriptedEngine("It is blue.")
        with Agent(engine, system="Be brief.") as agent:
            *deltas, done = agent.stream("What colour is the sky?")
            assert deltas == [TextDelta("It "), TextDelta("is "), TextDelta("blue.")]
            assert isinstance(done, Done)
            assert done.node == agent.path[-1]
            assert done.completion == Completion("It is blue.", "stop", 7, 3)
            assert done.context_tokens == 10
            assert rows(agent) == [
                ("user", "What colour is the sky?", "complete"),
                ("assistant", "It is blue.", "complete"),
            ]
            assert agent.path[1].parent == agent.path[0].id
        (request,) = engine.requests
        assert request.messages == (
            Message("system", "Be brief."),
            Message("user", "What colour is the sky?"),
        )

    def test_the_next_one_knows_what_was_said(self) -> None:
        engine = ScriptedEngine("Ada.", "Ada again.")
        with Agent(engine) as agent:
            assert agent.ask("Who?").content == "Ada."
            assert agent.ask("And?").content == "Ada again."
        assert [message.content for message in engine.requests[1].messages] == [
            "Who?", "Ada.", "And?",
        ]  # fmt: skip

    def test_thinking_is_told_and_kept_apart(self) -> None:
        class Thinker(ScriptedEngine):
            def stream(self, request: Request) -> Iterator[Chunk]:
                yield Chunk("", thinking="Hm. ")
                yield Chunk("", thinking="Well.")
                yield Chunk("Yes.", Completion("Yes.", "stop", 1, 3, thinking="Hm. Well."))

        with Agent(Thinker()) as agent:
            *deltas, done = agent.stream("Is it?")
            assert deltas == [ThinkingDelta("Hm. "), ThinkingDelta("Well."), TextDelta("Yes.")]
            assert isinstance(done, Done)
            assert (done.node.content, done.node.thinking) == ("Yes.", "Hm. Well.")

    def test_the_message_is_stored_before_the_model_is_asked(self) -> None:
        seen: list[list[tuple[str, str, str]]] = []
        engine = ScriptedEngine(lambda request: seen.append(rows(agent)) or "ok")  # type: ignore[func-returns-value]
        with Agent(engine) as agent:
            agent.ask("Hello")
        assert seen == [[("user", "Hello", "complete"), ("assistant", "", "writing")]]

    def test_what_the_engine_raises_is_raised_where_the_events_are_read(self) -> None:
        with Agent(ScriptedEngine(Unavailable("the server is gone"), "back")) as agent:
            with pytest.raises(Unavailable, match="the server is gone"):
                list(agent.stream("Hello"))
            assert rows(agent) == [("user", "Hello", "complete"), ("assistant", "", "interrupted")]
            assert agent.ask("Again").content == "back"

    def test_a_limit_of_the_answer_is_told(self) -> None:
        engine = ScriptedEngine(Completion("one two", "length", 0, 2))
        with Agent(engine, sampling=Sampling(max_tokens=2)) as agent:
            events = list(agent.stream("Count"))
        assert notes(events) == ["the answer was ended at its limit of 2 tokens"]
        assert engine.requests[0].sampling.max_tokens == 2

    @pytest.mark.parametrize("text", ["", "  \n"])
    def test_an_empty_message_is_refused_and_not_stored(self, text: str) -> None:
        with Agent(ScriptedEngine()) as agent:
            with pytest.raises(UsageError, match="the message is empty"):
                agent.stream(text)
            assert agent.path == []

    def test_one_turn_at_a_time(self) -> None:
        with Agent(ScriptedEngine(default="one two three")) as agent:
            running = agent.stream("first")
            next(running)
            with pytest.raises(TriviumError, match="an answer is being written"):
                next(agent.stream("second"))
            with pytest.raises(TriviumError, match="an answer is being written"):
                agent.undo()
            list(running)
            list(agent.stream("second"))
            assert len(agent.path) == 4


class TestAttachments:
    def test_text_goes_before_the_message_and_stays_with_it(self) -> None:
        engine = ScriptedEngine("Rain.")
        with Agent(engine) as agent:
            agent.ask("Sum up.", [Attachment("a.txt", "text", "It rains.")])
            assert agent.path[0].content == "Sum up."
            assert agent.path[0].attachments[0].text == "It rains."
        content = engine.requests[0].messages[0].content
        assert content.endswith("\nIt rains.\n</data>\n\nSum up.")

    def test_a_picture_needs_a_model_that_sees(self) -> None:
        picture = Attachment("a.png", "image", image=Image(b"\x89PNG", "image/png"))
        blind, seeing = ScriptedEngine(), ScriptedEngine("A cat.", sees_images=True)
        with Agent(blind) as agent, pytest.raises(UsageError, match="needs a model that sees"):
            agent.ask("What is it?", [picture])
        with Agent(seeing) as agent:
            agent.ask("What is it?", [picture])
        assert seeing.requests[0].messages[0].images == (Image(b"\x89PNG", "image/png"),)

    def test_an_attached_index_that_is_gone_is_told(self) -> None:
        with Agent(ScriptedEngine("ok")) as agent:
            events = list(agent.stream("Hi", [Attachment("docs", "index", index="gone")]))
            assert agent.path[-1].content == "ok"
        (note,) = notes(events)
        assert note.startswith("an attached index is not asked: ")


class TestTools:
    def test_a_call_its_result_and_the_answer(self) -> None:
        engine = ScriptedEngine(calling(ADD, text="Let me see."), "It is 3.")
        with talk(engine, [add]) as agent:
            events = list(agent.stream("1 + 2?"))
            assert events[:3] == [TextDelta("Let "), TextDelta("me "), TextDelta("see.")]
            assert events[3] == ToolStarted(ADD, "call add")
            finished = events[4]
            assert isinstance(finished, ToolFinished)
            assert (finished.call, finished.result, finished.error) == (ADD, "3", False)
            assert 0 <= finished.seconds < 5
            assert rows(agent) == [
                ("user", "1 + 2?", "complete"),
                ("assistant", "Let me see.", "complete"),
                ("tool", "3", "complete"),
                ("assistant", "It is 3.", "complete"),
            ]
            assert agent.path[1].tool_calls == (ADD,)
            assert agent.path[2].tool_call_id == "c1"
        assert [tool.name for tool in engine.requests[0].tools] == ["add"]
        assert engine.requests[1].messages[1:] == (
            Message("assistant", "Let me see.", (ADD,)),
            Message("tool", "3", tool_call_id="c1"),
        )

    def test_several_calls_run_one_after_the_other_in_their_order(self) -> None:
        running: list[str] = []

        @tool(effect="read")
        def slow(name: str) -> str:
            """Take a while."""
            running.append(name)
            time.sleep(0.02)
            running.append(name)
            return name

        calls = [ToolCall(f"c{n}", "slow", {"name": f"n{n}"}) for n in range(4)]
        with talk(ScriptedEngine(calling(*calls), "done"), [slow]) as agent:
            events = list(agent.stream("go n0 n1 n2 n3"))
            told = [event.call.id for event in events if isinstance(event, ToolFinished)]
            assert told == ["c0", "c1", "c2", "c3"]
            stored = [node.tool_call_id for node in agent.path if node.role == "tool"]
            assert stored == told
        assert running == [name for n in range(4) for name in (f"n{n}", f"n{n}")]

    def test_one_that_raises_leaves_the_turn_to_go_on(self) -> None:
        @tool(effect="read")
        def broken() -> str:
            """Break."""
            raise ZeroDivisionError("by zero")

        engine = ScriptedEngine(calling(ToolCall("c", "broken", {})), "Sorry.")
        with talk(engine, [broken]) as agent:
            events = list(agent.stream("try"))
            assert results(events) == [("broken failed: ZeroDivisionError: by zero", True)]
            assert agent.path[-1].content == "Sorry."

    def test_one_that_hangs_is_given_up(self) -> None:
        @tool(effect="read")
        def hang() -> str:
            """Hang."""
            time.sleep(3)
            return ""

        engine = ScriptedEngine(calling(ToolCall("c", "hang", {})), "Never mind.")
        with talk(engine, [hang], limits=Limits(tool_seconds=0.2)) as agent:
            began = time.monotonic()
            events = list(agent.stream("wait"))
            assert time.monotonic() - began < 2.5
            assert results(events) == [("hang did not end within 0.2 seconds", True)]
            assert agent.path[-1].content == "Never mind."

    def test_one_that_floods_is_shortened_where_it_says_so(self) -> None:
        @tool(effect="read")
        def flood() -> str:
            """Flood."""
            return "x" * 1_000_000

        engine = ScriptedEngine(calling(ToolCall("c", "flood", {})), "Much.")
        with talk(engine, [flood], limits=Limits(tool_characters=600)) as agent:
            ((result, error),) = results(list(agent.stream("pour")))
            assert not error
            assert len(result) < 1000
            assert "999,400 of 1,000,000 characters left out" in result

    def test_a_result_that_does_not_fit_the_context_is_left_out_with_a_note(self) -> None:
        @tool(effect="read")
        def long() -> str:
            """Say much."""
            return "word " * 300

        engine = ScriptedEngine(calling(ToolCall("c", "long", {})), "Too long.", context_length=200)
        with talk(engine, [long]) as agent:
            events = list(agent.stream("say"))
            (note,) = notes(events)
            assert note.startswith("the result of long was left out: the message needs 3")
            assert "but 150 of the context" in note
            ((result, error),) = results(events)
            assert error
            assert result.startswith("the result is too long to be read: ")
            assert agent.path[-1].content == "Too long."

    def test_an_unknown_tool_is_an_error_for_the_model(self) -> None:
        engine = ScriptedEngine(calling(ToolCall("c", "nothing", {})), "I see.")
        with talk(engine, [add]) as agent:
            ((result, error),) = results(list(agent.stream("go")))
            assert error
            assert result == "there is no tool 'nothing'; there are: add"

    def test_two_of_one_name_are_refused(self) -> None:
        twice = [add, add]
        with talk(ScriptedEngine(), twice) as agent, pytest.raises(UsageError, match="'add'"):
            agent.ask("go")

    def test_a_workspace_brings_the_built_in_ones(self, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("Rain at noon.")
        call = ToolCall("c", "read_file", {"path": "a.txt"})
        with Agent(ScriptedEngine(calling(call), "Rain."), workspace=tmp_path) as agent:
            ((result, error),) = results(list(agent.stream("Read a.txt")))
            assert not error
            assert "Rain at noon." in result

    def test_nothing_is_traced_whatever_the_environment_says(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import langsmith

        monkeypatch.setenv("LANGSMITH_TRACING", "true")
        monkeypatch.setenv("LANGSMITH_API_KEY", "x")
        sent: list[object] = []
        monkeypatch.setattr(langsmith.Client, "create_run", lambda *a, **k: sent.append(a))
        with talk(ScriptedEngine(calling(ADD), "3"), [add]) as agent:
            agent.ask("1 + 2?")
        assert sent == []


class TestLeave:
    def run(self, approve: Approver | None) -> tuple[list[Event], ScriptedEngine]:
        engine = ScriptedEngine(calling(ToolCall("c", "launch", {})), "So be it.")
        means = {"approve": approve} if approve else {}
        with talk(engine, [launch], **means) as agent:
            return list(agent.stream("launch")), engine

    def test_yes(self) -> None:
        asked: list[tuple[Proposal, threading.Thread]] = []

        def approve(proposal: Proposal) -> Decision:
            asked.append((proposal, threading.current_thread()))
            return "once"

        events, _ = self.run(approve)
        ((result, error),) = results(events)
        assert not error
        assert result.splitlines()[1] == "launched", "between the marks of data"
        ((proposal, thread),) = asked
        assert (proposal.tool, proposal.effect, proposal.title) == ("launch", "run", "call launch")
        assert thread is threading.current_thread(), "a terminal asks in its main thread"

    @pytest.mark.parametrize("approve", [None, lambda proposal: "no"])
    def test_no(self, approve: Approver | None) -> None:
        events, engine = self.run(approve)
        refused = "the user did not allow launch; do not try it again, go on without it"
        assert results(events) == [(refused, True)]
        assert not any(isinstance(event, ToolStarted) for event in events)
        assert engine.requests[1].messages[-1] == Message("tool", refused, tool_call_id="c")

    def test_an_approver_that_raises_ends_the_turn_and_allows_nothing(self) -> None:
        def approve(proposal: Proposal) -> Decision:
            raise KeyboardInterrupt

        engine = ScriptedEngine(calling(ToolCall("c", "launch", {})), "no")
        with talk(engine, [launch], approve=approve) as agent:
            with pytest.raises(KeyboardInterrupt):
                list(agent.stream("launch"))
            assert "launched" not in str(rows(agent))
            assert agent.ask("go on").content == "no"

    def test_session_lasts_for_the_agent(self) -> None:
        asked: list[Proposal] = []

        def approve(proposal: Proposal) -> Decision:
            asked.append(proposal)
            return "session"

        call = calling(ToolCall("c", "launch", {}))
        with talk(ScriptedEngine(call, "1", call, "2"), [launch], approve=approve) as agent:
            agent.ask("launch")
            agent.ask("launch once more")
        assert len(asked) == 1

    def test_a_call_made_of_a_documents_words_asks_though_it_only_reads(self) -> None:
        @tool(effect="read")
        def look(name: str) -> str:
            """Look something up."""
            return "found"

        asked: list[Proposal] = []

        def approve(proposal: Proposal) -> Decision:
            asked.append(proposal)
            return "no"

        call = calling(ToolCall("c", "look", {"name": "secret treasure map"}))
        paper = Attachment("a.txt", "text", "Look for the secret treasure map!")
        with talk(ScriptedEngine(call, "No."), [look], approve=approve) as agent:
            list(agent.stream("What does it say?", [paper]))
        assert [proposal.tainted for proposal in asked] == [True]

    def test_time_to_decide_is_not_the_turns(self) -> None:
        def approve(proposal: Proposal) -> Decision:
            time.sleep(0.7)
            return "once"

        import trivium.agent.middleware  # noqa: F401 - its import is not what is timed

        engine = ScriptedEngine(calling(ToolCall("c", "launch", {})), "Done.")
        limits = Limits(seconds=0.6)
        with talk(engine, [launch], approve=approve, limits=limits) as agent:
            assert agent.ask("launch").content == "Done."


class TestLimits:
    def test_the_last_step_has_to_answer(self) -> None:
        engine = ScriptedEngine(calling(ADD), calling(ADD), "Enough.")
        with talk(engine, [add], limits=Limits(steps=3)) as agent:
            events = list(agent.stream("1 2"))
            assert agent.path[-1].content == "Enough."
        assert notes(events) == ["model call 3 of 3: no more tools this turn"]
        assert [request.tool_choice for request in engine.requests] == ["auto", "auto", "none"]

    def test_a_model_that_calls_on_is_stopped(self) -> None:
        engine = ScriptedEngine(default=calling(ADD))
        with talk(engine, [add], limits=Limits(steps=2)) as agent:
            events = list(agent.stream("1 2"))
        assert notes(events)[-1] == (
            "the limit of 2 model calls a turn is reached; what was written is kept"
        )
        assert isinstance(events[-1], Done)
        assert len(engine.requests) == 2

    def test_tokens(self) -> None:
        engine = ScriptedEngine(calling(ADD, text="a b c d"), calling(ADD, text="e f g h"))
        with talk(engine, [add], limits=Limits(tokens=8)) as agent:
            events = list(agent.stream("1 2"))
        assert [request.sampling.max_tokens for request in engine.requests] == [8, 3]
        assert notes(events) == [
            "the limit of 8 new tokens a turn is reached; what was written is kept"
        ]

    def test_seconds(self) -> None:
        class Slow(ScriptedEngine):
            def stream(self, request: Request) -> Iterator[Chunk]:
                for chunk in super().stream(request):
                    time.sleep(0.05)
                    yield chunk

        with Agent(Slow("word " * 200), limits=Limits(seconds=0.3)) as agent:
            *_, note, done = agent.stream("go")
            assert note == Note(
                "the limit of 0.3 seconds a turn is reached; what was written is kept"
            )
            assert isinstance(done, Done)
            assert done.node.state == "interrupted"
            assert 1 <= done.node.content.count("word") <= 8


def test_nodes_are_shared_by_id() -> None:
    """What is read back is what was told."""
    with Agent(ScriptedEngine("x")) as agent:
        done = list(agent.stream("y"))[-1]
        assert isinstance(done, Done)
        assert agent.sessions.node(done.node.id) == done.node
        assert isinstance(done.node, Node)
