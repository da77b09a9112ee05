"""The conversation as a whole: its tree, its session, its ends, wanted or not."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing, closing
from pathlib import Path

import pytest

from tests.scripted import ScriptedEngine
from trivium import tool
from trivium.agent.agent import Agent
from trivium.agent.base import Decision, Done, Event, Node, Note, Proposal, TextDelta, ToolStarted
from trivium.agent.sessions import Sessions
from trivium.agent.state import KvState
from trivium.engines.base import Chunk, Completion, Request, Sampling, ToolCall
from trivium.errors import StateMismatch, TriviumError, UsageError

ROOT = Path(__file__).parents[2]


class Slow(ScriptedEngine):
    """Takes its time for every word, and can be left in the middle of an answer."""

    closed_streams = 0

    def stream(self, request: Request) -> Iterator[Chunk]:
        try:
            for chunk in super().stream(request):
                time.sleep(0.01)
                yield chunk
        finally:
            self.closed_streams += 1


def said(agent: Agent) -> list[str]:
    return [node.content for node in agent.path]


class TestTree:
    @pytest.fixture
    def engine(self) -> ScriptedEngine:
        return ScriptedEngine(*"ABCDEF")

    @pytest.fixture
    def agent(self, engine: ScriptedEngine) -> Iterator[Agent]:
        with Agent(engine) as agent:
            agent.ask("one")
            agent.ask("two")
            yield agent

    def test_retry_answers_again_beside_the_first_answer(self, agent: Agent) -> None:
        first = agent.path[-1]
        *_, done = agent.retry()
        assert isinstance(done, Done)
        assert said(agent) == ["one", "A", "two", "C"]
        assert done.node.parent == first.parent
        assert [leaf.content for leaf in agent.sessions.branches(agent.session.id)] == ["C", "B"]

    def test_edit_says_something_else_in_its_place(self, agent: Agent) -> None:
        list(agent.edit("deux"))
        assert said(agent) == ["one", "A", "deux", "C"]

    def test_the_first_message_can_be_edited(self, agent: Agent) -> None:
        agent.undo()
        list(agent.edit("un"))
        assert said(agent) == ["un", "C"]

    def test_undo_takes_back_a_question_with_its_answer(self, agent: Agent) -> None:
        assert agent.undo().content == "two"
        assert said(agent) == ["one", "A"]
        agent.undo()
        assert said(agent) == []
        with pytest.raises(UsageError, match="nothing was said yet"):
            agent.undo()

    def test_nothing_to_answer_again(self) -> None:
        with Agent(ScriptedEngine()) as agent, pytest.raises(UsageError, match="nothing was said"):
            agent.retry()

    def test_switch_opens_another_branch(self, agent: Agent) -> None:
        leaf = agent.path[-1]
        list(agent.retry())
        agent.switch(leaf.id)
        assert said(agent) == ["one", "A", "two", "B"]
        with pytest.raises(UsageError):
            agent.switch(999)

    def test_fork_goes_on_in_a_copy(self, agent: Agent, engine: ScriptedEngine) -> None:
        old = agent.session
        forked = agent.fork("aside")
        assert (agent.session.name, forked.name) == ("aside", "aside")
        agent.ask("three")
        assert said(agent) == ["one", "A", "two", "B", "three", "C"]
        assert [n.content for n in agent.sessions.path(old.head)] == ["one", "A", "two", "B"]
        assert [m.content for m in engine.requests[-1].messages] == said(agent)[:-1]

    def test_retry_keeps_the_summary_that_the_message_was_answered_with(self) -> None:
        engine = ScriptedEngine("a " * 40, "Summary.", "b", "c", context_length=160)
        with Agent(engine) as agent:
            agent.ask("one " * 30)
            list(agent.stream("two " * 60))
            assert [n.role for n in agent.path[-2:]] == ["summary", "assistant"]
            events = list(agent.retry())
            assert not [event for event in events if isinstance(event, Note)]
            assert [node.role for node in agent.path][-3:] == ["user", "summary", "assistant"]

    def test_a_turn_begins_where_the_head_is_when_it_is_read(self, agent: Agent) -> None:
        later = agent.stream("four")
        agent.ask("three")
        list(later)
        assert said(agent)[-4:] == ["three", "C", "four", "D"]


class TestSession:
    def test_without_a_name_nothing_is_kept(self, home: Path) -> None:
        with Agent(ScriptedEngine("x")) as agent:
            agent.ask("y")
            kept = agent.sessions.file
            assert kept.is_file()
        assert not kept.exists()
        assert not (home / "sessions.db").exists()

    def test_a_named_one_is_gone_on_with(self) -> None:
        with Agent(ScriptedEngine("A"), session="notes", system="Be brief.") as agent:
            agent.ask("one")
        engine = ScriptedEngine("B", name="other")
        with Agent(engine, session="notes") as agent:
            agent.ask("two")
            assert said(agent) == ["one", "A", "two", "B"]
            assert agent.session.model == "other"
        assert [m.content for m in engine.requests[0].messages] == ["Be brief.", "one", "A", "two"]
        with Sessions() as sessions:
            assert [session.name for session in sessions.all()] == ["notes"]

    def test_one_without_a_name_in_a_store_is_named_by_its_first_message(self) -> None:
        with Sessions() as sessions:
            with Agent(ScriptedEngine("A"), sessions=sessions) as agent:
                agent.ask("Why is the sky blue?")
            assert [session.name for session in sessions.all()] == ["why-is-the-sky-blue"]

    def test_the_system_text_is_the_sessions(self) -> None:
        engine = ScriptedEngine("A", "B")
        with Agent(engine, session="s", system="One.") as agent:
            agent.system = "Two."
            agent.ask("hi")
        assert engine.requests[0].messages[0].content == "Two."
        with Sessions() as sessions:
            assert sessions.get("s").system == "Two."

    def test_a_second_chat_is_told(self) -> None:
        told = pytest.raises(TriviumError, match='"s" is open in another chat')
        with Agent(ScriptedEngine(), session="s"), told:
            Agent(ScriptedEngine(), session="s")
        Agent(ScriptedEngine(), session="s").close()

    def test_closing_twice_is_once(self) -> None:
        engine = ScriptedEngine()
        agent = Agent(engine, session="s")
        agent.close()
        agent.close()
        assert not engine.closed, "who gave the engine closes it"

    def test_an_engine_by_name_is_loaded_and_closed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        engine = ScriptedEngine("A")
        monkeypatch.setattr("trivium.agent.agent.load_engine", lambda name: engine)
        with Agent("some-model") as agent:
            assert agent.ask("hi").content == "A"
        assert engine.closed

    def test_a_name_that_cannot_be_leaves_nothing_open(self) -> None:
        with pytest.raises(UsageError, match="cannot name a session"):
            Agent(ScriptedEngine(), session="a/b")


class TestInterrupt:
    """Every way to end an answer early keeps what was written, marked, and the agent usable."""

    @pytest.fixture
    def engine(self) -> Slow:
        return Slow("word " * 500, "whole")

    @pytest.fixture
    def agent(self, engine: Slow) -> Iterator[Agent]:
        with Agent(engine) as agent:
            yield agent

    def kept(self, agent: Agent, engine: Slow, least: int) -> None:
        asked, half = agent.path
        assert asked.state == "complete"
        assert half.state == "interrupted"
        assert least <= half.content.count("word ") < 500
        assert engine.closed_streams == 1, "the engine was told"
        assert agent.ask("again").content == "whole"
        assert engine.requests[1].messages[1].content == half.content

    def test_stop(self, agent: Agent, engine: Slow) -> None:
        events: list[Event] = []
        for event in agent.stream("go"):
            events.append(event)
            if len(events) == 5:
                threading.Thread(target=agent.stop).start()
        done = events[-1]
        assert isinstance(done, Done)
        assert (done.node.state, done.completion) == ("interrupted", None)
        told = "".join(event.text for event in events if isinstance(event, TextDelta))
        assert told == done.node.content
        self.kept(agent, engine, 5)

    def test_leaving_the_loop(self, agent: Agent, engine: Slow) -> None:
        for number, _ in enumerate(agent.stream("go")):
            if number == 4:
                break
        self.kept(agent, engine, 5)

    def test_an_interrupt_while_waiting(self, agent: Agent, engine: Slow) -> None:
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            list(agent.stream("go"))
        timer.join()
        self.kept(agent, engine, 1)

    def test_an_interrupt_in_the_loop(self, agent: Agent, engine: Slow) -> None:
        with pytest.raises(KeyboardInterrupt):
            for _ in agent.stream("go"):
                signal.raise_signal(signal.SIGINT)
        self.kept(agent, engine, 1)

    def test_stop_without_a_turn_is_nothing(self, agent: Agent) -> None:
        agent.stop()
        events = agent.stream("go")
        assert isinstance(next(events), TextDelta)

    def test_closing(self, engine: Slow, tmp_path: Path) -> None:
        with Sessions(tmp_path / "s.db") as sessions:
            agent = Agent(engine, sessions=sessions, session="s")
            events = agent.stream("go")
            next(events)
            agent.close()
            assert sessions.path(sessions.get("s").head)[-1].state == "interrupted"

    def test_a_tool_that_runs(self) -> None:
        @tool(effect="read")
        def hang() -> str:
            """Hang."""
            time.sleep(5)
            return "late"

        engine = ScriptedEngine(
            Completion("", "stop", 0, 1, tool_calls=(ToolCall("c", "hang", {}),))
        )
        with Agent(engine, tools=[hang]) as agent:
            for event in agent.stream("wait"):
                if isinstance(event, ToolStarted):
                    began = time.monotonic()
                    threading.Timer(0.1, agent.stop).start()
            assert time.monotonic() - began < 3
            assert isinstance(event, Done)
            assert agent.path[-1].content == "hang was stopped by the user"
            engine.enqueue("ok")
            assert agent.ask("go on").content == "ok"

    def test_leave_that_comes_after_the_end(self) -> None:
        @tool
        def act() -> str:
            """Act."""
            return "acted"

        def approve(proposal: Proposal) -> Decision:
            agent.stop()  # while it is asked
            return "once"

        call = Completion("", "stop", 0, 1, tool_calls=(ToolCall("c", "act", {}),))
        with Agent(ScriptedEngine(call), tools=[act], approve=approve) as agent:
            *_, done = agent.stream("act")
            assert isinstance(done, Done)
            assert "acted" not in str(agent.sessions.tree(agent.session.id))


class TestAsync:
    def test_the_same_events(self) -> None:
        async def read(agent: Agent) -> list[Event]:
            return [event async for event in agent.astream("hi")]

        with Agent(ScriptedEngine("a b")) as agent:
            *deltas, done = asyncio.run(read(agent))
            assert deltas == [TextDelta("a "), TextDelta("b")]
            assert isinstance(done, Done)
            assert said(agent) == ["hi", "a b"]

    def test_the_loop_goes_on_meanwhile(self) -> None:
        async def both(agent: Agent) -> tuple[Node, int]:
            ticks = 0

            async def tick() -> None:
                nonlocal ticks
                while True:
                    await asyncio.sleep(0.01)
                    ticks += 1

            ticking = asyncio.create_task(tick())
            node = await agent.aask("hi")
            ticking.cancel()
            return node, ticks

        with Agent(Slow("word " * 30)) as agent:
            node, ticks = asyncio.run(both(agent))
        assert node.state == "complete"
        assert ticks > 5

    def test_cancelling_ends_the_answer(self) -> None:
        async def cancelled(agent: Agent) -> None:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(agent.aask("hi"), 0.2)

        with Agent(Slow("word " * 500, "whole")) as agent:
            asyncio.run(cancelled(agent))
            assert agent.path[-1].state == "interrupted"
            assert agent.ask("again").content == "whole"

    def test_leaving_the_loop(self) -> None:
        async def first(agent: Agent) -> Event:
            async with aclosing(agent.astream("hi")) as events:
                async for event in events:
                    return event
            raise AssertionError

        with Agent(Slow("word " * 500)) as agent:
            assert asyncio.run(first(agent)) == TextDelta("word ")
            assert agent.path[-1].state == "interrupted"

    def test_leave_is_asked_in_the_loops_thread(self) -> None:
        asked: list[threading.Thread] = []

        @tool
        def act() -> str:
            """Act."""
            return "acted"

        def approve(proposal: Proposal) -> Decision:
            asked.append(threading.current_thread())
            return "once"

        call = Completion("", "stop", 0, 1, tool_calls=(ToolCall("c", "act", {}),))
        with Agent(ScriptedEngine(call, "ok"), tools=[act], approve=approve) as agent:
            assert asyncio.run(agent.aask("act")).content == "ok"
        assert asked == [threading.current_thread()]

    def test_errors_come_out(self) -> None:
        engine = ScriptedEngine(TriviumError("broken"))
        with Agent(engine) as agent, pytest.raises(TriviumError, match="broken"):
            asyncio.run(agent.aask("hi"))


class Keeping(ScriptedEngine):
    """An engine whose state is the number of its tokens."""

    mismatch = False

    def save_state(self, file: Path) -> int:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("1200")
        return 1200

    def load_state(self, file: Path) -> int:
        if self.mismatch:
            raise StateMismatch("it is of other weights")
        return int(file.read_text())


class TestState:
    LONG = "word " * 1100

    def test_a_long_conversation_is_kept_and_reused(self) -> None:
        with Agent(Keeping("A"), session="s") as agent:
            agent.ask(self.LONG)
            file = agent.sessions.state_file(agent.session.id)
            assert not file.exists()
        assert file.is_file()
        engine = Keeping(Completion("B", "stop", 0, 1, reused_tokens=1101), "C")
        with Agent(engine, session="s") as agent:
            events = list(agent.stream("and"))
            assert events[0] == TextDelta("B")
            assert events[1] == Note(
                "reused 1,101 of 1,102 tokens of the conversation from its saved state"
            )
            assert not [e for e in agent.stream("more") if isinstance(e, Note)], "said once"

    def test_one_of_another_engine_is_dropped_with_a_note(self) -> None:
        with Agent(Keeping("A"), session="s") as agent:
            agent.ask(self.LONG)
            file = agent.sessions.state_file(agent.session.id)
        engine = Keeping("B")
        engine.mismatch = True
        with Agent(engine, session="s") as agent:
            events = list(agent.stream("and"))
            assert events[0] == Note(
                "the saved state was dropped, the conversation is read again: "
                "it is of other weights"
            )
            assert not file.exists()
            assert agent.path[-1].content == "B"

    @pytest.mark.parametrize("turns", [["short"], []])
    def test_a_short_one_is_not_worth_a_file(self, turns: list[str]) -> None:
        with Agent(Keeping("A"), session="s") as agent:
            for text in turns:
                agent.ask(text)
            file = agent.sessions.state_file(agent.session.id)
        assert not file.exists()

    def test_an_engine_that_cannot_is_left_alone(self, tmp_path: Path) -> None:
        state = KvState(tmp_path / "x.kv")
        state.file.write_text("1")
        assert state.load(ScriptedEngine()) is None
        state.save(ScriptedEngine(), 5000)
        assert state.file.read_text() == "1"

    def test_a_disk_that_is_full_costs_no_conversation(self) -> None:
        class Full(Keeping):
            def save_state(self, file: Path) -> int:
                raise TriviumError("no space left")

        with Agent(Full("A"), session="s") as agent:
            agent.ask(self.LONG)


@pytest.mark.model
@pytest.mark.usefixtures("real_models")
def test_a_real_conversation_goes_on_without_being_read_again() -> None:
    text = " ".join(f"Item {n} weighs {n * 7 % 13} kilograms." for n in range(110))
    sampling = Sampling(max_tokens=8)
    with Agent("smollm2-135m", session="s", sampling=sampling) as agent:
        *_, read = agent.stream(text)
    with Agent("smollm2-135m", session="s", sampling=sampling) as agent:
        events = list(agent.stream("Which is heaviest?"))
    done = events[-1]
    assert isinstance(read, Done)
    assert isinstance(done, Done)
    assert read.completion is not None
    assert done.completion is not None
    reused, prompt = done.completion.reused_tokens, done.completion.prompt_tokens
    assert reused > 0.75 * read.context_tokens > 750
    assert done.completion.timing.prefill < read.completion.timing.prefill / 2
    told = f"reused {reused:,} of {prompt:,} tokens of the conversation from its saved state"
    assert Note(told) in events


CHILD = """
import sys
from tests.agent.test_agent import Slow
from trivium.agent import recorder
from trivium.agent.agent import Agent
recorder.WRITES = 0.02
engine = Slow(" ".join(f"w{n}" for n in range(2000)))
with Agent(engine, session="killed") as agent:
    for n, event in enumerate(agent.stream("question " + sys.argv[1])):
        print(n, flush=True)
"""


def test_killed_in_the_middle_of_an_answer_twenty_times(home: Path) -> None:
    """Nothing committed is lost, and each half answer is kept, marked, and gone on from."""
    whole = [f"w{n}" for n in range(2000)]
    for round_ in range(20):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(round_)], stdout=subprocess.PIPE, cwd=ROOT
        )
        assert child.stdout is not None
        while child.stdout.readline().strip() != b"%d" % (8 + round_):
            assert child.poll() is None
        child.kill()
        child.wait()
    with Agent(ScriptedEngine("at last"), session="killed") as agent:
        path = agent.path
        assert [node.role for node in path] == ["user", "assistant"] * 20
        for round_, (asked, half) in enumerate(zip(path[::2], path[1::2], strict=True)):
            assert (asked.content, asked.state) == (f"question {round_}", "complete")
            assert half.state == "interrupted"
            written = half.content.split()
            assert len(written) >= 3
            assert written == whole[: len(written)]
        assert agent.ask("still there?").content == "at last"
    with closing(sqlite3.connect(home / "sessions.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
