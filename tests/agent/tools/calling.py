"""Calling a tool by its name, past its gate, and asking its gate what it would show."""

from collections.abc import Sequence

from langchain_core.tools import BaseTool

from trivium.agent.base import Preview
from trivium.agent.execute import validated
from trivium.agent.tools import gate_of


def find(tools: Sequence[BaseTool], name: str) -> BaseTool:
    return next(tool for tool in tools if tool.name == name)


def call(tools: Sequence[BaseTool], name: str, /, **arguments: object) -> str:
    """The tool's result; what it raises is raised."""
    tool = find(tools, name)
    return str(tool.invoke(validated(tool, arguments)))


def preview(tools: Sequence[BaseTool], name: str, /, **arguments: object) -> Preview:
    tool = find(tools, name)
    return gate_of(tool).preview(validated(tool, arguments))
