"""LangChain's messages as an engine's, and what no engine takes."""

from typing import Any

import pytest
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

from trivium.agent.chat_model import to_messages
from trivium.engines.base import (
    Completion,
    Image,
    Message,
    ToolCall,
)
from trivium.errors import UsageError

CALL = ToolCall("c1", "add", {"a": 2, "b": 3, "note": "é"})
CALLING = Completion("Let me see.", "stop", 0, 9, tool_calls=(CALL,), reused_tokens=1)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (SystemMessage("Be brief."), Message("system", "Be brief.")),
        (HumanMessage("Hello", name="ann"), Message("user", "Hello")),
        (AIMessage("Hi"), Message("assistant", "Hi")),
        (ChatMessage(role="developer", content="Be brief."), Message("system", "Be brief.")),
        (
            AIMessage("", tool_calls=[{"name": "add", "args": {"a": 1}, "id": "c9"}]),
            Message("assistant", "", tool_calls=(ToolCall("c9", "add", {"a": 1}),)),
        ),
        (ToolMessage("5", tool_call_id="c9"), Message("tool", "5", tool_call_id="c9")),
        (
            ToolMessage("no such file", tool_call_id="c9", status="error"),
            Message("tool", "Error: no such file", tool_call_id="c9"),
        ),
        (
            ToolMessage("Error: timeout", tool_call_id="c9", status="error"),
            Message("tool", "Error: timeout", tool_call_id="c9"),
        ),
        (
            HumanMessage([{"type": "text", "text": "One "}, "two"]),
            Message("user", "One two"),
        ),
        (
            ToolMessage([{"type": "text", "text": "5"}], tool_call_id="c9"),
            Message("tool", "5", tool_call_id="c9"),
        ),
        (
            AIMessage(
                [
                    {"type": "thinking", "thinking": "Hm", "signature": "x"},
                    {"type": "reasoning", "reasoning": "Hm"},
                    {"type": "text", "text": "I add."},
                    {"type": "tool_use", "id": "c9", "name": "add", "input": {"a": 1}},
                ],
                tool_calls=[{"name": "add", "args": {"a": 1}, "id": "c9"}],
            ),
            Message("assistant", "I add.", tool_calls=(ToolCall("c9", "add", {"a": 1}),)),
        ),
    ],
)
def test_messages_cross_over(message: BaseMessage, expected: Message) -> None:
    assert to_messages([message]) == (expected,)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "base64": "iVBORw==", "mime_type": "image/png"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
        {"type": "image", "source_type": "base64", "data": "iVBORw==", "mime_type": "image/png"},
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw=="},
        },
    ],
    ids=["langchain", "openai", "langchain v0", "anthropic"],
)
def test_images_of_every_vendor(block: dict[str, Any]) -> None:
    message = HumanMessage([{"type": "text", "text": "Look"}, block])
    assert to_messages([message]) == (
        Message("user", "Look", images=(Image(b"\x89PNG", "image/png"),)),
    )


IMAGE = {"type": "image", "base64": "iVBORw==", "mime_type": "image/png"}


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (HumanMessage([{"type": "image", "url": "http://x/cat.png"}]), "no URL is opened"),
        (HumanMessage([{**IMAGE, "base64": "?!"}]), "not valid base64"),
        (HumanMessage([{"type": "image", "base64": "iVBORw=="}]), "mime_type"),
        (SystemMessage([IMAGE]), "of the role 'system', not of the user"),
        (ToolMessage([IMAGE], tool_call_id="c"), "of the role 'tool', not of the user"),
        (HumanMessage([{"type": "audio", "base64": "AA==", "mime_type": "audio/wav"}]), "'audio'"),
        (HumanMessage([{"type": "hologram", "data": 1}]), "kind 'hologram'"),
        (AIMessage([{"type": "hologram", "data": 1}]), "kind 'hologram'"),
        (ChatMessage(role="referee", content="Stop"), "role 'referee'"),
        (RemoveMessage(id="1"), "role 'remove'"),
        (
            AIMessage(
                "",
                invalid_tool_calls=[
                    {
                        "name": "add",
                        "args": "{",
                        "id": "c",
                        "error": None,
                        "type": "invalid_tool_call",
                    }
                ],
            ),
            "call of add whose arguments are not JSON",
        ),
    ],
)
def test_what_no_engine_takes(message: BaseMessage, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        to_messages([message])
