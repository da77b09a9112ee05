"""A server's tools as the chat offers them: named, shortened, behind a gate, or left out.

Names, descriptions and schemas are the server's own words. They reach the model's prompt, so they
are cut, and marked as what they are; a schema is taken only when it can be checked here, without
a look at any other address.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from langchain_core.tools import BaseTool, StructuredTool
from langchain_mcp_adapters.tools import convert_mcp_tool_to_langchain_tool
from mcp import ClientSession
from mcp.types import Tool

from trivium.agent.base import Effect, Gate, Preview
from trivium.agent.taint import visible
from trivium.config import McpServer

MOST_TOOLS = 64
NAME = 64
"""Characters of a tool's name, which is what OpenAI's interface takes."""
DESCRIPTION = 400
ARGUMENT = 120
"""Characters of the description of an argument."""
SCHEMA = 8000
"""Characters of a tool's whole schema."""


class McpTool(BaseTool):
    """A tool on a server. Its arguments reach the server as they are, whatever they are called."""

    remote: Callable[..., Any]
    call: Callable[["McpTool", Mapping[str, object]], str]

    def _run(self, /, **arguments: Any) -> str:
        return self.call(self, arguments)


def offered(
    name: str,
    server: McpServer,
    session: ClientSession,
    listed: Sequence[Tool],
    call: Callable[[McpTool, Mapping[str, object]], str],
) -> tuple[list[McpTool], list[str]]:
    """The tools that can be offered, and a sentence for each that cannot."""
    tools: list[McpTool] = []
    problems: list[str] = []
    for tool in listed[:MOST_TOOLS]:
        fault = _fault(tool)
        if fault:
            called = visible(tool.name)[:NAME]
            problems.append(
                f'the tool "{called}" of the MCP server "{name}" {fault}; it is left out'
            )
        else:
            tools.append(_made(name, server, session, tool, call))
    if len(listed) > MOST_TOOLS:
        problems.append(
            f'the MCP server "{name}" lists {len(listed)} tools; the first {MOST_TOOLS} are offered'
        )
    return tools, problems


def text_of(blocks: Sequence[Mapping[str, Any]], artifact: Mapping[str, Any] | None) -> str:
    """A result as text; pictures and files by their kind alone."""
    parts = [
        str(block.get("text", ""))
        if block["type"] == "text"
        else f"[{block['type']} {block.get('url') or block.get('mime_type') or ''}]"
        for block in blocks
    ]
    if not parts and artifact:
        return json.dumps(artifact["structured_content"], ensure_ascii=False)
    return "\n".join(parts)


def _made(
    name: str,
    server: McpServer,
    session: ClientSession,
    tool: Tool,
    call: Callable[[McpTool, Mapping[str, object]], str],
) -> McpTool:
    adapted = convert_mcp_tool_to_langchain_tool(session, tool)
    assert isinstance(adapted, StructuredTool)
    assert adapted.coroutine is not None
    words = _cut(tool.description or "", DESCRIPTION)
    schema = {"properties": {}} | _shortened(tool.inputSchema)
    effect: Effect = "network" if server.url else "run"
    return McpTool(
        name=f"{name}_{re.sub(r'[^A-Za-z0-9_-]', '_', tool.name)}"[:NAME],
        description=f'A tool of the MCP server "{name}", which says of it: {words or "nothing"}',
        args_schema=schema,
        metadata={"gate": Gate(effect, _preview(name, server, tool.name))},
        remote=adapted.coroutine,
        call=call,
    )


def _preview(name: str, server: McpServer, tool: str) -> Callable[[Mapping[str, object]], Preview]:
    where = server.url or list(server.command)

    def preview(arguments: Mapping[str, object]) -> Preview:
        shown = json.dumps(arguments, ensure_ascii=False, indent=2, default=str)
        return Preview(
            f'call {tool} of the MCP server "{name}"',
            f"server: {name} ({server.url or ' '.join(server.command)})\ntool: {tool}\n{shown}",
            # By what it is, not by what it is called: another program may take the name.
            json.dumps([where, tool, arguments], ensure_ascii=False, default=str, sort_keys=True),
        )

    return preview


def _fault(tool: Tool) -> str | None:
    """Why a tool cannot be offered, if so."""
    from jsonschema import Draft202012Validator, SchemaError

    schema = tool.inputSchema
    if len(json.dumps(_shortened(schema))) > SCHEMA:
        return "has a schema that is too long"
    for one in (schema, tool.outputSchema or {}):
        # A validator would fetch it.
        if any(not str(ref).startswith("#") for ref in _values(one, "$ref", "$dynamicRef")):
            return "has a schema that points elsewhere"
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError:
        return "has a schema that is not valid"
    if schema.get("type", "object") != "object" or not isinstance(
        schema.get("properties", {}), dict
    ):
        return "has a schema of no object"
    if "runtime" in schema.get("properties", {}):
        return 'has an argument "runtime", which cannot be passed on'
    return None


def _values(schema: object, *keys: str) -> Iterator[object]:
    """Every value that stands under one of `keys`, at any depth."""
    if isinstance(schema, Mapping):
        for key, value in schema.items():
            if key in keys:
                yield value
            yield from _values(value, *keys)
    elif isinstance(schema, list):
        for value in schema:
            yield from _values(value, *keys)


def _shortened(schema: Any) -> Any:
    """The schema with every description and title cut."""
    if isinstance(schema, Mapping):
        return {
            key: _cut(value, ARGUMENT)
            if key in ("description", "title") and isinstance(value, str)
            else _shortened(value)
            for key, value in schema.items()
        }
    if isinstance(schema, list):
        return [_shortened(value) for value in schema]
    return schema


def _cut(text: str, length: int) -> str:
    """One line of at most `length` characters, with nothing hidden in it."""
    line = " ".join(visible(text[: 4 * length]).split())
    return line if len(line) <= length else line[: length - 1] + "…"
