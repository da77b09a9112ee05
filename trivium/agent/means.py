"""What a turn may use, made ready in its thread: imports, opens and loads at the first use."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trivium.agent.base import Node, Note
from trivium.errors import TriviumError

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from trivium.retrieval.base import Embedder
    from trivium.retrieval.index import Index


def tools_of(
    tools: "Sequence[BaseTool | Callable[..., Any]]", workspace: Path | None
) -> "list[BaseTool]":
    """`tools` as LangChain's, and the built-in ones for a folder, where none has their name."""
    from langchain_core.tools import BaseTool

    from trivium.agent.tools.user import as_tool

    given = [tool if isinstance(tool, BaseTool) else as_tool(tool) for tool in tools]
    if workspace is None:
        return given
    from trivium.agent.tools import builtin_tools
    from trivium.agent.workspace import Workspace

    names = {tool.name for tool in given}
    return given + [t for t in builtin_tools(Workspace(workspace)) if t.name not in names]


class Attached:
    """The indexes of what is attached to messages; each is opened once and closed in the end."""

    def __init__(self) -> None:
        self._open: dict[str, Index] = {}
        self._stack = ExitStack()

    def indexes(
        self, path: Sequence[Node], beside: "Sequence[Index]", post: Callable[[Note], object]
    ) -> "list[Index]":
        """Those that the messages of a branch name. `beside` are others, asked together with them.

        One that cannot be opened is left out, with a note.
        """
        names = dict.fromkeys(
            a.index for node in path for a in node.attachments if a.kind == "index"
        )
        found = []
        for name in names:
            try:
                if name not in self._open:
                    self._open[name] = self._opened(name, beside)
                found.append(self._open[name])
            except TriviumError as error:
                post(Note(f"an attached index is not asked: {error}"))
        return found

    def close(self) -> None:
        self._stack.close()
        self._open.clear()

    def _opened(self, name: str, beside: "Sequence[Index]") -> "Index":
        from trivium.retrieval.index import Index

        embedder = beside[0].embedder if beside else _embedder()
        return self._stack.enter_context(Index.open(name, embedder=embedder))


def _embedder() -> "Embedder":
    from trivium.config import load_settings
    from trivium.retrieval.embed import load_embedder

    return load_embedder(load_settings().embedder)
