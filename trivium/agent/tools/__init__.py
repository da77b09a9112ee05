"""What a model may do, each tool with its gate."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from trivium.agent.tools.base import gate_of
from trivium.agent.workspace import Workspace
from trivium.errors import UsageError

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from trivium.images.index import PictureIndex
    from trivium.retrieval.answer import Asker
    from trivium.retrieval.index import Index

__all__ = ["builtin_tools", "gate_of"]


def builtin_tools(
    workspace: Workspace,
    *,
    index: "Index | None" = None,
    asker: "Asker | None" = None,
    pictures: "PictureIndex | None" = None,
    allow: Collection[str] | None = None,
) -> "list[BaseTool]":
    """The tools that come with Trivium; of `allow` alone when it names some.

    `search_documents` needs an `index`, `ask_documents` an `asker`, `search_pictures` `pictures`.

    Raises:
        UsageError: when `allow` names one that is not there.
    """
    from trivium.agent.tools.calculate import calculator_tool
    from trivium.agent.tools.documents import ask_tool, search_tool
    from trivium.agent.tools.edit import editing_tools
    from trivium.agent.tools.files import reading_tools
    from trivium.agent.tools.pictures import pictures_tool
    from trivium.agent.tools.python import python_tool
    from trivium.agent.tools.shell import command_tool
    from trivium.agent.tools.web import fetch_tool

    tools = [
        *reading_tools(workspace),
        *editing_tools(workspace),
        command_tool(workspace),
        fetch_tool(),
        calculator_tool(),
        python_tool(),
        *([search_tool(index)] if index else []),
        *([ask_tool(asker)] if asker else []),
        *([pictures_tool(pictures)] if pictures else []),
    ]
    if allow is None:
        return tools
    names = [tool.name for tool in tools]
    unknown = [name for name in allow if name not in names]
    if unknown:
        raise UsageError(f"there is no tool {unknown[0]!r}; there are: {', '.join(names)}")
    return [tool for tool in tools if tool.name in allow]
