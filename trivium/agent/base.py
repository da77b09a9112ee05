"""The values of a conversation: what is kept, what happens in a turn, and who may do what.

Plain frozen data, so that the store, the turn loop, the tools and the terminal know nothing of each
other. A conversation is a tree of nodes; a branch is the path from its root to a leaf.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from trivium.engines.base import Completion, Image, ToolCall
from trivium.retrieval.base import Citation

NodeRole = Literal["user", "assistant", "tool", "summary"]
State = Literal["complete", "writing", "interrupted"]
Effect = Literal["read", "write", "run", "network"]
Decision = Literal["no", "once", "session", "always"]


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file or folder that the user put beside a message.

    A "text" stands in the prompt whole, an "index" is searched when a question is asked, an "image"
    goes to a model that sees. `name` is what the user called it; `text` is extracted text; `index`
    names the index that holds it.
    """

    name: str
    kind: Literal["text", "index", "image"]
    text: str = ""
    index: str = ""
    image: Image | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A message in the tree. `id` 0 is not stored yet. `created` is in seconds since 1970.

    `state` is "writing" while an answer grows, and "interrupted" when it never ended. A "summary"
    stands for its path up to and with the node `covers`, which stays in the tree. `source` is what
    the model was shown instead of `content` (passages and question, say), empty when the same.
    """

    role: NodeRole
    content: str
    id: int = 0
    session: int = 0
    parent: int | None = None
    state: State = "complete"
    created: float = 0.0
    pinned: bool = False
    thinking: str = ""
    source: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    citations: tuple[Citation, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    covers: int | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A conversation. `head` is the leaf of the branch that is open; times are in seconds."""

    id: int
    name: str
    model: str
    system: str
    created: float
    updated: float
    head: int | None
    messages: int


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the answer. Untrusted: clean it before a terminal sees it."""

    text: str


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    """More of what a reasoning model thinks before it answers."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A call that was let through and runs now."""

    call: ToolCall
    title: str


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """A call's end. `result` is what the model sees; `error`: it failed or was refused."""

    call: ToolCall
    result: str
    error: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Note:
    """Something the user should know: older turns summarised, a state dropped, a limit reached.

    A `detail` is for those who asked for more (`-v`).
    """

    text: str
    detail: bool = False


@dataclass(frozen=True, slots=True)
class Done:
    """The end of a turn: the stored answer and the model's last completion, with its figures.

    `context_tokens` is what prompt and answer took of the context.
    """

    node: Node
    completion: Completion | None
    context_tokens: int


Event = TextDelta | ThinkingDelta | ToolStarted | ToolFinished | Note | Done


@dataclass(frozen=True, slots=True)
class Proposal:
    """A call that needs leave. `title` is one line; `detail` the diff, the command or the URL.

    `pattern` is what "always" would allow from now on, exactly. `tainted` tells that the arguments
    come only from documents, tools or the web: such a call is asked about every time.
    """

    tool: str
    arguments: Mapping[str, object]
    effect: Effect
    title: str
    detail: str
    pattern: str
    tainted: bool = False


Approver = Callable[[Proposal], Decision]
"""Asks the user; called in the thread that reads the events."""


def refuse(proposal: Proposal) -> Decision:
    """The approver where nobody can be asked."""
    return "no"


@dataclass(frozen=True, slots=True)
class Preview:
    """What a call would do, to show before it does: see `Proposal`."""

    title: str
    detail: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Gate:
    """What a tool's calls need leave for, and how to show one. Stands in a tool's metadata."""

    effect: Effect
    preview: Callable[[Mapping[str, object]], Preview]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one turn may use: model calls, seconds, new tokens, characters of a tool's result."""

    steps: int = 20
    seconds: float = 300.0
    tokens: int = 8192
    tool_seconds: float = 60.0
    tool_characters: int = 16_000


@dataclass(frozen=True, slots=True)
class Found:
    """A message that a search over all sessions found; `excerpt` marks the words with [ and ]."""

    session: str
    node: Node
    excerpt: str
    score: float = field(default=0.0)
