"""LangChain's messages as Trivium's, and a completion as a message of LangChain.

A message's content may be text or a list of blocks, in the shapes of several vendors; LangChain's
own `content_blocks` brings them to one.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    InputTokenDetails,
    SystemMessage,
    ToolCallChunk,
    ToolMessage,
    UsageMetadata,
)
from langchain_core.messages import ToolCall as LangChainCall

from trivium.engines.base import Completion, Engine, Image, Message, Role, Tool, ToolCall
from trivium.errors import UsageError

_CHAT_ROLES: Mapping[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
}
_OWN_THOUGHTS = {"reasoning", "thinking", "redacted_thinking"}
"""What a model thought is not part of the conversation that it is shown again."""


def to_messages(messages: Sequence[BaseMessage]) -> tuple[Message, ...]:
    """A conversation of LangChain as an engine takes it.

    Raises:
        UsageError: for content that no engine takes: audio, files, an image without its bytes or
            outside a user's turn, a call whose arguments are not JSON.
    """
    return tuple(_to_message(message) for message in messages)


def _to_message(message: BaseMessage) -> Message:
    role = _role(message)
    content = _content(message, role)
    if isinstance(message, AIMessage):
        return Message(role, content.text, tool_calls=_calls(message))
    if isinstance(message, ToolMessage):
        text = content.text
        if message.status == "error" and not text.lower().startswith("error"):
            text = f"Error: {text}"
        return Message(role, text, tool_call_id=message.tool_call_id)
    return Message(role, content.text, images=content.images)


def _role(message: BaseMessage) -> Role:
    if isinstance(message, SystemMessage):
        return "system"
    if isinstance(message, HumanMessage):
        return "user"
    if isinstance(message, AIMessage):
        return "assistant"
    if isinstance(message, ToolMessage):
        return "tool"
    if isinstance(message, ChatMessage) and message.role in _CHAT_ROLES:
        return _CHAT_ROLES[message.role]
    role = getattr(message, "role", message.type)
    raise UsageError(f"a message of the role {role!r} has no place in a conversation")


@dataclass(frozen=True, slots=True)
class _Content:
    text: str
    images: tuple[Image, ...] = ()


def _content(message: BaseMessage, role: Role) -> _Content:
    if isinstance(message.content, str):
        return _Content(message.content)
    texts, images = [], []
    for block in message.content_blocks:
        kind = block["type"]
        if kind in ("text", "text-plain"):
            texts.append(str(block.get("text") or ""))
        elif kind == "image" and role == "user":
            images.append(_image(block))
        elif kind == "image":
            raise UsageError(f"an image stands in a message of the role {role!r}, not of the user")
        elif role != "assistant" or not _said_elsewhere(block):
            raise UsageError(f"a message holds content of the kind {_kind(block)!r}, not text")
    return _Content("".join(texts), tuple(images))


def _said_elsewhere(block: Mapping[str, Any]) -> bool:
    """Whether an assistant's block is its thinking, or a call that `tool_calls` holds as well."""
    return _kind(block) in {*_OWN_THOUGHTS, "tool_call", "tool_call_chunk", "tool_use"}


def _kind(block: Mapping[str, Any]) -> str:
    value = block.get("value")
    inner = value.get("type") if isinstance(value, Mapping) else None
    return str(inner or block["type"])


def _image(block: Mapping[str, Any]) -> Image:
    data, media_type = block.get("base64"), block.get("mime_type")
    if not isinstance(data, str):
        raise UsageError("an image must come with its bytes (base64): no URL is opened for it")
    if not isinstance(media_type, str):
        raise UsageError('an image needs its "mime_type", such as image/png')
    try:
        return Image(base64.b64decode(data, validate=True), media_type)
    except binascii.Error as error:
        raise UsageError(f"an image is not valid base64: {error}") from error


def _calls(message: AIMessage) -> tuple[ToolCall, ...]:
    for broken in message.invalid_tool_calls:
        raise UsageError(
            f"the conversation holds a call of {broken['name']} whose arguments are not JSON"
        )
    return tuple(
        ToolCall(call["id"] or f"call_{at}", call["name"], dict(call["args"]))
        for at, call in enumerate(message.tool_calls)
    )


def to_message(completion: Completion, engine: Engine) -> AIMessage:
    """What a model answered, as LangChain keeps it."""
    return AIMessage(
        completion.text,
        tool_calls=[
            LangChainCall(name=call.name, args=dict(call.arguments), id=call.id, type="tool_call")
            for call in completion.tool_calls
        ],
        additional_kwargs=thinking_of(completion.thinking),
        usage_metadata=usage_of(completion),
        response_metadata=metadata_of(completion, engine),
    )


def call_chunks(completion: Completion) -> list[ToolCallChunk]:
    """The calls as the last piece of a stream holds them: their arguments are JSON text."""
    return [
        ToolCallChunk(
            name=call.name,
            args=json.dumps(dict(call.arguments), ensure_ascii=False),
            id=call.id,
            index=at,
            type="tool_call_chunk",
        )
        for at, call in enumerate(completion.tool_calls)
    ]


def thinking_of(text: str) -> dict[str, Any]:
    """LangChain turns this key into a "reasoning" block."""
    return {"reasoning_content": text} if text else {}


def usage_of(completion: Completion) -> UsageMetadata:
    """Tokens, of which `cache_read` were in the KV cache already."""
    usage = UsageMetadata(
        input_tokens=completion.prompt_tokens,
        output_tokens=completion.completion_tokens,
        total_tokens=completion.prompt_tokens + completion.completion_tokens,
    )
    if completion.reused_tokens:
        usage["input_token_details"] = InputTokenDetails(cache_read=completion.reused_tokens)
    return usage


def metadata_of(completion: Completion, engine: Engine) -> dict[str, Any]:
    """JSON values alone, so that LangChain's serialisers and stores can keep them."""
    return {
        "model_provider": "trivium",
        "model_name": engine.name,
        "finish_reason": "tool_calls" if completion.tool_calls else completion.finish,
        "fingerprint": engine.fingerprint.id,
    }


def to_tool(tool: Mapping[str, Any]) -> Tool:
    """A tool in OpenAI's form, which is also LangChain's.

    Raises:
        UsageError: for a vendor's own tool, which runs on the vendor's machines.
    """
    function = tool.get("function")
    if tool.get("type") != "function" or not isinstance(function, Mapping):
        raise UsageError(f"a tool of the type {tool.get('type')!r} runs nowhere here")
    return Tool(
        str(function["name"]),
        str(function.get("description") or ""),
        dict(function.get("parameters") or {"type": "object", "properties": {}}),
    )


def to_choice(choice: str | bool | Mapping[str, Any] | None) -> str:
    """LangChain's ways to name a `Request.tool_choice`: "any", True and OpenAI's form among them.

    Raises:
        UsageError: for a form that is none of these.
    """
    if choice is None or choice is False:
        return "auto"
    if choice is True or choice == "any":
        return "required"
    if isinstance(choice, str):
        return choice
    function = choice.get("function")
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        raise UsageError(f"tool_choice {dict(choice)!r} names no function")
    return str(function["name"])


def to_schema(response_format: Mapping[str, Any] | None) -> Mapping[str, object] | None:
    """The JSON Schema of OpenAI's `response_format`.

    Raises:
        UsageError: for a form that holds none.
    """
    if response_format is None or response_format.get("type") == "text":
        return None
    if response_format.get("type") == "json_object":
        return {"type": "object"}
    described = response_format.get("json_schema")
    schema = described.get("schema") if isinstance(described, Mapping) else None
    if not isinstance(schema, Mapping):
        raise UsageError(f"response_format {dict(response_format)!r} holds no JSON Schema")
    return dict(schema)
