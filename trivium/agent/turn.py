"""One turn: a message, what the documents and the model have to say to it, and the tools it uses.

The work is done in a thread of its own, which posts events. Whoever reads them answers its
questions too, so that a terminal can ask its user in its main thread.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from trivium.agent.approval import Approvals
from trivium.agent.base import (
    Decision,
    Event,
    Limits,
    Node,
    Note,
    Proposal,
    ToolFinished,
    ToolStarted,
)
from trivium.agent.branch import Branch
from trivium.agent.recorder import Recorder, Stopped
from trivium.agent.state import KvState
from trivium.engines.base import Completion, Request, ToolCall
from trivium.errors import ContextOverflow
from trivium.retrieval.base import Citation

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from trivium.agent.execute import Executor
    from trivium.retrieval.index import Index


@dataclass(frozen=True, slots=True)
class Question:
    """A call that needs leave; the worker waits for `answer`."""

    proposal: Proposal
    reply: "SimpleQueue[Decision]" = field(default_factory=SimpleQueue)

    def answer(self, decision: Decision) -> None:
        self.reply.put(decision)


@dataclass(frozen=True, slots=True)
class Ended:
    """The last item of a turn. `error` is to be raised where the events are read."""

    error: BaseException | None = None


Item = Event | Question | Ended


@dataclass(frozen=True, slots=True)
class Means:
    """What a turn may use. The functions are called in its thread, where they may take their time:
    `tools` and `indexes` are often imported, opened or loaded at their first use.
    """

    branch: Branch
    limits: Limits
    approvals: Approvals
    state: KvState
    indexes: "Callable[[Sequence[Node], Callable[[Note], object]], list[Index]]"
    tools: "Callable[[], list[BaseTool]] | None"


class Turn:
    """Answers `message`, or the branch as it stands when that is None."""

    def __init__(self, means: Means, message: Node | None, post: Callable[[Item], object]) -> None:
        self._means = means
        self._message = message
        self._post = post
        self._branch = means.branch
        self._recorder = Recorder(means.branch, means.limits, post)
        self._executor: Executor | None = None
        self._call_began = 0.0
        self._thread = threading.Thread(target=self._work, name="turn", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the turn soon, from any thread; what was written is kept."""
        self._recorder.cancel.set()
        if self._executor:
            self._executor.stop()

    def join(self) -> None:
        self._thread.join()

    def ask(self, proposal: Proposal) -> Decision:
        """An approver for the worker: it asks whoever reads the events. After the end it is no."""
        question = Question(proposal)
        asked = time.monotonic()
        self._post(question)
        decision: Decision | None = None
        while decision is None and not self._recorder.cancel.is_set():
            with suppress(Empty):
                decision = question.reply.get(timeout=0.1)
        self._recorder.wait(time.monotonic() - asked)
        return "no" if decision is None or self._recorder.cancel.is_set() else decision

    def _work(self) -> None:
        error: BaseException | None = None
        try:
            self._run()
        except BaseException as raised:  # it belongs to whoever reads the events
            error = raised
        self._post(Ended(error))

    def _run(self) -> None:
        before = self._branch.path[-1].id if self._branch.path else None
        self._means.approvals.approver = self.ask
        try:
            self._listen()
            self._resume()
            self._answer()
        except Stopped as stopped:
            if str(stopped):
                self._post(Note(f"{stopped}; what was written is kept"))
        except ContextOverflow:
            answer = self._recorder.answer
            if self._message and (answer is None or not answer.content):
                # the message stays in the tree, but the branch must not stumble over it again
                self._branch.sessions.set_head(self._branch.session_id, before)
            raise
        self._post(self._recorder.done())

    def _listen(self) -> None:
        """Store the message; with documents at hand, as the question and what they say to it."""
        waiting = [*self._branch.path, *([self._message] if self._message else [])]
        opened = self._means.indexes(waiting, self._post)
        if not opened:
            if self._message:
                self._branch.append(self._message)
            return
        if self._message:  # a draft until the passages are found, and kept whatever happens
            self._branch.begin(self._message)
        place = max(n for n, node in enumerate(self._branch.path) if node.role == "user")
        asked = self._branch.path[place]
        source = asked.source
        try:
            source = self._consult(opened, asked, self._branch.path[:place])
        finally:
            if self._message:
                self._branch.finish(replace(asked, state="complete", source=source))

    def _consult(self, indexes: "list[Index]", asked: Node, history: Sequence[Node]) -> str:
        """The passages and the question; the answer's citations will come from them."""
        from trivium.agent.documents import consult

        self._recorder.check()
        consulted = consult(indexes, self._branch.engine, asked.content, history)
        if consulted.standalone != asked.content:
            self._post(Note(f"searched for: {consulted.standalone}", detail=True))
        if not consulted.answerable:
            self._post(Note("the documents have nothing on this; the answer is the model's own"))
            return ""

        def cite(text: str) -> tuple[Citation, ...]:
            claims = consulted.attribute(text)
            cited = tuple(dict.fromkeys(c for claim in claims for c in claim.citations))
            if not cited:  # what `ask` would quote instead is told, not passed off as support
                best = consulted.quotation().citations[0]
                self._post(
                    Note(
                        "nothing in the documents supports this answer; they say "
                        f"“{' '.join(best.text.split())}” ({best.path}, character {best.start})"
                    )
                )
            return cited

        self._recorder.cite = cite
        return consulted.source

    def _resume(self) -> None:
        """Take the saved KV cache at the first turn, and tell what it was good for."""
        state = self._means.state
        if dropped := state.load(self._branch.engine):
            self._post(dropped)

        def tell(completion: Completion) -> None:
            if note := state.reused(completion):
                self._post(note)

        self._recorder.on_completion = tell

    def _answer(self) -> None:
        tools = self._means.tools() if self._means.tools else []
        if not tools:
            # Straight from the engine: without tools LangChain's loop is one call, and importing
            # it would cost a second or two before the first token.
            self._recorder.generate([Request()])
            return
        from trivium.agent.execute import Executor
        from trivium.agent.middleware import run

        self._executor = Executor(
            tools,
            self._means.approvals,
            self._means.limits,
            trusted=self._trusted,
            untrusted=self._untrusted,
            on_start=self._started,
        )
        run(self._recorder, tools, self._call)

    def _call(self, call: ToolCall) -> tuple[str, bool]:
        """Run a call, tell of it, and store what came of it."""
        assert self._executor is not None
        self._recorder.check()
        self._call_began = time.monotonic()
        result, error = self._executor.run(call)
        seconds = time.monotonic() - self._call_began
        if reason := self._recorder.why_not(Node("tool", result, tool_call_id=call.id)):
            self._post(Note(f"the result of {call.name} was left out: {reason}"))
            result, error = f"the result is too long to be read: {reason}", True
        self._branch.append(Node("tool", result, tool_call_id=call.id))
        self._post(ToolFinished(call, result, error, seconds))
        return result, error

    def _started(self, call: ToolCall, title: str) -> None:
        self._call_began = time.monotonic()  # the user's time to decide is not the tool's
        self._post(ToolStarted(call, title))

    def _trusted(self) -> str:
        """What the user said."""
        said = [node.content for node in self._branch.path if node.role == "user"]
        return "\n".join([self._branch.system, *said])

    def _untrusted(self) -> list[str]:
        """What the model read that nobody in the chat has said."""
        read: list[str] = []
        for node in self._branch.path:
            if node.role in ("tool", "summary"):
                read.append(node.content)
            read += [text for a in node.attachments for text in (a.name, a.text) if text]
            if node.source:
                read.append(node.source)
        return read
