"""The branch of a session that is open, as a model reads it: appended to, counted, made to fit."""

from collections.abc import Sequence
from dataclasses import replace

from trivium.agent import context
from trivium.agent.base import Node, Note
from trivium.agent.sessions import Sessions
from trivium.agent.summary import Write, summarise
from trivium.engines.base import Engine, Message, Request, Sampling


class Branch:
    """The path to a session's head, kept in step with the store by the one who appends to it."""

    def __init__(
        self, engine: Engine, sessions: Sessions, session_id: int, system: str, sampling: Sampling
    ) -> None:
        self.engine = engine
        self.sessions = sessions
        self.session_id = session_id
        self.system = system
        self.sampling = sampling
        self.path = sessions.path(sessions.session(session_id).head)

    def append(self, node: Node) -> Node:
        """Store a complete node at the end."""
        self.path.append(self.sessions.append(self.session_id, node))
        return self.path[-1]

    def begin(self, node: Node) -> Node:
        """Store a draft at the end, to be written and finished."""
        self.path.append(self.sessions.begin(self.session_id, node))
        return self.path[-1]

    def finish(self, node: Node) -> Node:
        """End the draft at the end."""
        self.path[-1] = self.sessions.finish(node)
        return self.path[-1]

    def turn(self) -> list[Node]:
        """The last turn: the user's message and what followed."""
        return context.turns(context.view(self.path).rest)[-1]

    def messages(self, path: Sequence[Node] | None = None) -> tuple[Message, ...]:
        path = self.path if path is None else path
        return context.messages(path, self.system, images=self.engine.sees_images)

    def count(self, request: Request, path: Sequence[Node] | None = None) -> int:
        """Tokens of the prompt, with the tools of `request`."""
        return self.engine.count_tokens(replace(request, messages=self.messages(path)))

    def to_cover(self, request: Request, *coming: Node) -> tuple[Node, ...]:
        """The oldest nodes that must give way to a summary, so that `coming` fit and an answer.

        Raises:
            ContextOverflow: when that does not make enough room.
        """
        return context.to_cover(
            [*self.path, *coming],
            lambda path: self.count(request, path),
            self.engine.context_length - context.reserve(self.engine, self.sampling.max_tokens),
            context.summary_tokens(self.engine),
        )

    def cover(self, nodes: Sequence[Node], request: Request, write: Write) -> Note:
        """Put a summary of `nodes`, the oldest ones, at the end; what it saved.

        Raises:
            ContextOverflow: when the context is too short to summarise anything.
        """
        before = self.count(request)
        record = context.view(self.path).summary
        known = [record] if record else []
        limit = context.summary_tokens(self.engine)
        text = summarise(self.engine, write, [*known, *nodes], limit)
        self.append(Node("summary", text, covers=nodes[-1].id))
        return Note(
            f"summarised {len(nodes)} older messages: the conversation now takes "
            f"{self.count(request):,} tokens of the context instead of {before:,}"
        )
