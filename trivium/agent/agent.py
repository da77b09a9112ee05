"""The conversation: an engine with memory, tools and documents, one turn at a time.

    with Agent("smollm2-135m", session="notes") as agent:
        for event in agent.stream("Hello!"):
            ...

A turn is a stream of events (`trivium.agent.base.Event`), the same ones whether it is read with
`stream` or `astream`, in a terminal or a script.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from trivium.agent import context
from trivium.agent.approval import Approvals
from trivium.agent.base import (
    Approver,
    Attachment,
    Decision,
    Done,
    Event,
    Limits,
    Node,
    Note,
    Session,
    refuse,
)
from trivium.agent.branch import Branch
from trivium.agent.means import Attached, tools_of
from trivium.agent.sessions import Sessions
from trivium.agent.state import KvState
from trivium.agent.turn import Ended, Item, Means, Question, Turn
from trivium.closing import Closing
from trivium.engines.base import Engine, Request, Sampling
from trivium.engines.load import load_engine
from trivium.errors import TriviumError, UsageError

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from trivium.retrieval.index import Index

LIMITS = Limits()
SAMPLING = Sampling()

At = Callable[[], int | None]
"""Gives the node under which a turn goes on; asked when the turn begins."""

_SIGHTED = "an attached picture needs a model that sees, and {name} does not; choose another model"


class Agent(Closing):
    """A conversation with a model. A context manager: leaving it closes what it opened.

    `sampling`, `tools`, `index`, `engine`, `approve` and `system` may be set between turns. Every
    method may raise what the engine and the store raise: `Unavailable`, `TriviumError`, and
    `ContextOverflow` when a message alone does not fit (it is then not on the branch).
    """

    def __init__(
        self,
        engine: Engine | str,
        *,
        tools: "Sequence[BaseTool | Callable[..., Any]]" = (),
        session: str | None = None,
        system: str = "",
        index: "Index | Sequence[Index] | None" = None,
        approve: Approver = refuse,
        workspace: Path | None = None,
        limits: Limits = LIMITS,
        sampling: Sampling = SAMPLING,
        sessions: Sessions | None = None,
    ) -> None:
        """Go on with the session named `session`, or begin one of that name.

        Without a name a new session is begun in `sessions`; without that too, the conversation is
        forgotten in the end. An engine given by name is loaded here and closed in the end.

        `tools` are LangChain tools, functions marked by `trivium.tool`, or plain functions, which
        need leave to run; with a `workspace`, the built-in tools work in that folder beside them.
        `approve` gives leave, in the thread that reads the events; without it, only what reads is
        allowed. Questions are put to `index` first, so that answers carry citations. `system` goes
        before everything; when empty, it is the session's own.

        Raises:
            TriviumError: when another chat has the session open.
            Unavailable: when the model is not there.
        """
        self.tools = tools
        self.index = index
        self.approve = approve
        self.workspace = workspace
        self.limits = limits
        self.sampling = sampling
        self._approvals = Approvals(approve)
        self._turn: Turn | None = None
        self._last: tuple[int, int] | None = None  # the head, and the tokens that it takes
        self._attached = Attached()
        self._forgotten = False
        self._owned = ExitStack()
        self._held = ExitStack()
        try:
            self.engine = self._load(engine)
            self.sessions = sessions or self._store(session)
            self._hold(self._find(session))
            if system:
                self.system = system
        except BaseException:
            self._owned.close()
            raise

    # Turns

    def stream(
        self, text: str, attachments: Sequence[Attachment] = ()
    ) -> Generator[Event, None, None]:
        """Say something: the events of the turn, of which `Done` is the last.

        Leaving the loop early, or an interrupt in it, ends the answer and keeps what was written.

        Raises:
            UsageError: for an empty message, and a picture that the model cannot see.
            TriviumError: while another turn is running.
        """
        return self._read(self._message(text, attachments), self._head)

    def ask(self, text: str, attachments: Sequence[Attachment] = ()) -> Node:
        """Say something and wait for the answer, which is "interrupted" when a limit ended it."""
        for event in self.stream(text, attachments):
            if isinstance(event, Done):
                node = event.node
        return node

    def retry(self) -> Generator[Event, None, None]:
        """Have the last message answered again, on a branch of its own."""
        place = _asked_at(self.path).id
        return self._read(None, lambda: place)

    def edit(self, text: str) -> Generator[Event, None, None]:
        """Say `text` in place of the last message, with its attachments, on a branch of its own."""
        last = _last_message(self.path)
        return self._read(self._message(text, last.attachments), lambda: last.parent)

    async def astream(
        self, text: str, attachments: Sequence[Attachment] = ()
    ) -> AsyncGenerator[Event, None]:
        """Like `stream`. `approve` is called in the event loop's thread, and may block it."""
        loop, items = asyncio.get_running_loop(), asyncio.Queue[Item]()
        turn = self._begin(
            self._message(text, attachments),
            self._head,
            lambda item: loop.call_soon_threadsafe(items.put_nowait, item),
        )
        try:
            while not isinstance(item := await items.get(), Ended):
                if isinstance(item, Question):
                    self._decide(item)
                else:
                    yield self._heard(item)
            if item.error:
                raise item.error
        finally:
            turn.stop()
            await asyncio.to_thread(self._end, turn)

    async def aask(self, text: str, attachments: Sequence[Attachment] = ()) -> Node:
        """Like `ask`."""
        async for event in self.astream(text, attachments):
            if isinstance(event, Done):
                node = event.node
        return node

    def stop(self) -> None:
        """End the answer that is being written, from any thread; what was written is kept."""
        if turn := self._turn:
            turn.stop()

    # The tree

    @property
    def engine(self) -> Engine:
        return self._engine

    @engine.setter
    def engine(self, engine: Engine) -> None:
        """Another engine has another cache, and counts tokens in its own way."""
        self._engine = engine
        self._last = None

    @property
    def session(self) -> Session:
        return self.sessions.session(self._id)

    @property
    def path(self) -> list[Node]:
        """The open branch, root first."""
        return self.sessions.path(self.session.head)

    @property
    def system(self) -> str:
        """What the model is told before everything else; kept in the session."""
        return self.session.system

    @system.setter
    def system(self, text: str) -> None:
        self.sessions.set_system(self._id, text)
        self._last = None

    def undo(self) -> Node:
        """Go back to before the last message, which is returned and stays in the tree."""
        last = _last_message(self.path)
        self._move(last.parent)
        return last

    def switch(self, node_id: int | None) -> None:
        """Open the branch that ends with this message; None is before the first one."""
        self._move(node_id)

    def fork(self, name: str | None = None) -> Session:
        """Go on in a copy of this branch, a session of its own, and leave this one as it is."""
        self._free()
        head = _last(self.path).id
        forked = self.sessions.fork(self._id, head, name)
        self._save()
        self._hold(forked)
        return forked

    def pin(self, node_id: int, pinned: bool = True) -> None:
        """Keep a message in the context whatever is summarised, or no longer."""
        self.sessions.pin(node_id, pinned)
        self._last = None

    def compact(self) -> Note:
        """Have all that was said summarised now; the messages stay in the tree."""
        self._free()
        branch = self._branch()
        said = context.view(branch.path).rest
        if not said:
            return Note("there is nothing to summarise yet")
        self._last = None
        return branch.cover(said, Request(), lambda request: self.engine.generate([request])[0])

    @property
    def context_used(self) -> int:
        """Tokens that the open branch takes, with the answer; tools count once they were used."""
        head = self.session.head
        if head is None and not self.system:
            return 0
        if self._last is None or self._last[0] != head:
            self._last = (head or 0, self._branch().count(Request()))
        return self._last[1]

    @property
    def context_length(self) -> int:
        return self.engine.context_length

    def close(self) -> None:
        """End the turn, keep the KV cache, close what the agent opened. Safe to call twice."""
        if turn := self._turn:
            self._end(turn)
        self._save()
        self._attached.close()
        self._held.close()
        self._owned.close()

    # One turn

    def _read(self, message: Node | None, at: At) -> Generator[Event, None, None]:
        items = SimpleQueue[Item]()
        turn = self._begin(message, at, items.put)
        try:
            while not isinstance(item := items.get(), Ended):
                if isinstance(item, Question):
                    self._decide(item)
                else:
                    yield self._heard(item)
            if item.error:
                raise item.error
        finally:
            self._end(turn)

    def _begin(self, message: Node | None, at: At, post: Callable[[Item], object]) -> Turn:
        """Start a turn after the node `at`."""
        self._free()
        head = at()
        if head != self._head():
            self.sessions.set_head(self._id, head)
        if self.session.model != self.engine.name:
            self.sessions.set_model(self._id, self.engine.name)
        offered = self.tools or self.workspace
        means = Means(
            self._branch(),
            self.limits,
            self._approvals,
            self._kv,
            indexes=self._indexes,
            tools=(lambda: tools_of(self.tools, self.workspace)) if offered else None,
        )
        self._turn = Turn(means, message, post)
        self._turn.start()
        return self._turn

    def _decide(self, question: Question) -> None:
        decision: Decision = "no"
        try:
            decision = self.approve(question.proposal)
        finally:
            question.answer(decision)

    def _heard(self, event: Event) -> Event:
        if isinstance(event, Done):
            self._last = (event.node.id, event.context_tokens)
        return event

    def _end(self, turn: Turn) -> None:
        turn.stop()
        turn.join()
        if self._turn is turn:
            self._turn = None

    def _free(self) -> None:
        if self._turn is not None:
            raise TriviumError("an answer is being written; wait for it, or stop it")

    def _message(self, text: str, attachments: Sequence[Attachment]) -> Node:
        if not text.strip() and not attachments:
            raise UsageError("the message is empty")
        if any(a.kind == "image" for a in attachments) and not self.engine.sees_images:
            raise UsageError(_SIGHTED.format(name=self.engine.name))
        return Node("user", text, attachments=tuple(attachments))

    def _branch(self) -> Branch:
        return Branch(self.engine, self.sessions, self._id, self.system, self.sampling)

    def _head(self) -> int | None:
        return self.session.head

    def _move(self, head: int | None) -> None:
        self._free()
        self.sessions.set_head(self._id, head)

    def _indexes(self, path: Sequence[Node], post: Callable[[Note], object]) -> "list[Index]":
        """The index, and those of what is attached to the messages of a branch."""
        index = self.index
        given = [] if index is None else list(index) if isinstance(index, Sequence) else [index]
        return given + self._attached.indexes(path, given, post)

    # Opening and closing

    def _load(self, engine: Engine | str) -> Engine:
        if not isinstance(engine, str):
            return engine
        loaded = load_engine(engine)
        self._owned.callback(loaded.close)
        return loaded

    def _store(self, session: str | None) -> Sessions:
        """The user's store, or one that is forgotten."""
        if session is not None:
            return self._owned.enter_context(Sessions())
        self._forgotten = True
        folder = self._owned.enter_context(TemporaryDirectory(prefix="trivium-"))
        return self._owned.enter_context(Sessions(Path(folder) / "sessions.db"))

    def _find(self, name: str | None) -> Session:
        if name is not None:
            with suppress(UsageError):
                return self.sessions.get(name)
        return self.sessions.create(name, model=self.engine.name)

    def _hold(self, session: Session) -> None:
        """Make `session` the one that is talked in."""
        with ExitStack() as held:
            held.enter_context(self.sessions.hold(session.id))
            self._held.close()
            self._held = held.pop_all()
        self._id = session.id
        self._kv = KvState(self.sessions.state_file(session.id))

    def _save(self) -> None:
        """Keep the KV cache, if this agent filled it with the open branch."""
        if self._last and not self._forgotten and self._last[0] == self.session.head:
            self._kv.save(self.engine, self._last[1])
        self._last = None


def _last(path: Sequence[Node]) -> Node:
    if not path:
        raise UsageError("nothing was said yet")
    return path[-1]


def _last_message(path: Sequence[Node]) -> Node:
    """The user's last message on a branch."""
    said = [node for node in path if node.role == "user"]
    return _last(said)


def _asked_at(path: Sequence[Node]) -> Node:
    """The node under which a new answer to the last message begins."""
    place = path.index(_last_message(path))
    follow = path[place + 1 :]
    answered = next((n for n, node in enumerate(follow) if node.role != "summary"), len(follow))
    return path[place + answered]
