"""The parts of a conversation as OpenAI's chat API writes them: turns, images, tools, calls.

https://platform.openai.com/docs/api-reference/chat, which vLLM, llama.cpp's server and others
follow. A call arrives in fragments, whose arguments are pieces of JSON text.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from trivium.engines.base import Finish, Image, Message, Request, Tool, ToolCall
from trivium.engines.constrain import check_json
from trivium.engines.tools import check_tools
from trivium.errors import SchemaViolation, UsageError

Object = dict[str, Any]


def check_request(request: Request) -> None:
    """Refuse what cannot be meant: images outside a user's turn, tools that cannot be offered.

    Raises:
        UsageError: naming what is wrong.
    """
    if any(message.images and message.role != "user" for message in request.messages):
        raise UsageError("images belong to a user's turn")
    check_tools(request)


def turns(messages: Sequence[Message]) -> list[Object]:
    """The conversation; images stand in it as data URLs (RFC 2397)."""
    return [_turn(message) for message in messages]


def _turn(message: Message) -> Object:
    turn: Object = {"role": message.role, "content": message.content}
    if message.images:
        text = [{"type": "text", "text": message.content}] if message.content else []
        turn["content"] = text + [_image(image) for image in message.images]
    if message.tool_calls:
        turn["content"] = message.content or None
        turn["tool_calls"] = [_call(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        turn["tool_call_id"] = message.tool_call_id
    return turn


def _image(image: Image) -> Object:
    from base64 import b64encode

    url = f"data:{image.media_type};base64,{b64encode(image.data).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


def _call(call: ToolCall) -> Object:
    arguments = json.dumps(dict(call.arguments), ensure_ascii=False)
    function = {"name": call.name, "arguments": arguments}
    return {"id": call.id, "type": "function", "function": function}


def tool_fields(request: Request) -> Object:
    """`tools` and `tool_choice`; nothing without tools, which servers refuse to see empty."""
    if not request.tools:
        return {}
    choice: object = request.tool_choice
    if choice not in ("auto", "none", "required"):
        choice = {"type": "function", "function": {"name": choice}}
    return {"tools": [_tool(tool) for tool in request.tools], "tool_choice": choice}


def _tool(tool: Tool) -> Object:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
    }
    return {"type": "function", "function": function}


@dataclass(slots=True)
class _Fragments:
    index: object
    id: str = ""
    name: str = ""
    arguments: str = ""


class CallReader:
    """Puts tool calls together from the fragments of a stream."""

    def __init__(self) -> None:
        self._calls: list[_Fragments] = []

    def take(self, fragments: Sequence[Mapping[str, Any]]) -> None:
        """Read the `tool_calls` of one delta."""
        for fragment in fragments:
            function = fragment.get("function") or {}
            id, name = fragment.get("id") or "", function.get("name") or ""
            call = self._of(fragment.get("index"), id, name)
            call.id = call.id or id
            call.name = call.name or name
            arguments = function.get("arguments") or ""
            # some servers send an object where the API has its text
            call.arguments += arguments if isinstance(arguments, str) else json.dumps(arguments)

    def _of(self, index: object, id: str, name: str) -> _Fragments:
        """The call that a fragment goes on with; without an index, the last one.

        Some servers number every call 0, so a new id that comes with a name begins another one.
        """
        for call in reversed(self._calls):
            if index is None or call.index == index:
                if name and id and call.id and id != call.id:
                    break
                return call
        self._calls.append(_Fragments(index))
        return self._calls[-1]

    def calls(self, request: Request, finish: Finish, tokens: int) -> tuple[ToolCall, ...]:
        """The whole calls of an answer that ended at `tokens` tokens.

        Raises:
            SchemaViolation: when one is of no tool, or its arguments break the tool's schema, or
                the request demanded a call and there is none.
        """
        tools = {tool.name: tool for tool in request.tools if request.tool_choice != "none"}
        made = tuple(_checked(call, tools, finish, tokens) for call in self._calls)
        _check_choice(request, made, finish, tokens)
        return made


def _checked(call: _Fragments, tools: Mapping[str, Tool], finish: Finish, tokens: int) -> ToolCall:
    tool = tools.get(call.name)
    if tool is None:
        offered = ", ".join(tools) or "none"
        raise SchemaViolation(f"the model calls the tool {call.name!r}; offered were: {offered}")
    text = call.arguments.strip() or "{}"  # how many servers write "no arguments"
    schema = {"type": "object"} | dict(tool.parameters)
    try:
        check_json(text, schema, finish, tokens)
    except SchemaViolation as error:
        raise SchemaViolation(f"the model's call of {call.name} is not valid: {error}") from error
    return ToolCall(call.id or f"call_{uuid4().hex[:12]}", call.name, json.loads(text))


def _check_choice(request: Request, made: Sequence[ToolCall], finish: Finish, tokens: int) -> None:
    if not request.tools or request.tool_choice in ("auto", "none"):
        return
    wanted = {request.tool_choice} if request.tool_choice != "required" else None
    if made and (wanted is None or {call.name for call in made} == wanted):
        return
    called = request.tool_choice if wanted else "a tool"
    if finish == "length":
        raise SchemaViolation(
            f"the output stopped at {tokens} tokens before it called {called}; raise max_tokens"
        )
    raise SchemaViolation(
        f"{called} had to be called and was not; does the server support tool_choice?"
    )
