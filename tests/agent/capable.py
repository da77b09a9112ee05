"""A server that plays a capable model: it calls tools, keeps schemas, thinks and sees.

It knows nothing. Arguments are filled from their schema: numbers are 3, texts are what the user put
into quotes, so that a test can say what it wants to read.
"""

import json
import re
from typing import Any

from tests.engines.server import Asked, Reply, delta

_QUOTED = re.compile(r"'([^']+)'")


def answer(asked: Asked) -> Reply:
    """What /v1/chat/completions answers."""
    body = asked.body
    tool = _tool(body)
    if tool is not None:
        call = _fill(tool["parameters"], _question(body))
        return Reply(events=[*_call(tool["name"], json.dumps(call)), *_end("tool_calls")])
    form = body.get("response_format")
    if form is not None:
        value = _fill(form["json_schema"]["schema"], _question(body))
        return Reply(events=[*_text(json.dumps(value)), *_end("stop")])
    said = "I see a picture." if "image_url" in json.dumps(body["messages"]) else "I am well."
    text = f"{said} And you, my friend?"
    for stop in body.get("stop", ()):
        text = text.split(stop)[0]
    return Reply(events=[delta(reasoning="Hm."), *_text(text), *_end("stop")])


def _question(body: Any) -> str:
    """The last words of the user."""
    content = [turn["content"] for turn in body["messages"] if turn["role"] == "user"][-1]
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content)


def _tool(body: Any) -> Any:
    """The tool to call: the demanded one, or the first when the user has the last word."""
    tools, choice = body.get("tools", []), body.get("tool_choice")
    functions = [tool["function"] for tool in tools]
    if isinstance(choice, dict):
        (named,) = (f for f in functions if f["name"] == choice["function"]["name"])
        return named
    wanted = choice == "required" or body["messages"][-1]["role"] == "user"
    return functions[0] if functions and choice != "none" and wanted else None


def _fill(schema: Any, question: str) -> dict[str, Any]:
    """A value of an object's schema; without properties, the quoted words are its keys."""
    quoted = _QUOTED.findall(question)
    if "properties" not in schema:
        return dict.fromkeys(quoted, "text")
    return {
        name: 3 if kind.get("type") == "integer" else (quoted or ["text"])[0]
        for name, kind in schema["properties"].items()
    }


def _call(name: str, arguments: str) -> list[Any]:
    """A call in three fragments, cut where it hurts."""
    half = len(arguments) // 2
    head = {"index": 0, "id": f"call_{name}", "function": {"name": name}}
    tail = [
        {"index": 0, "function": {"arguments": a}} for a in (arguments[:half], arguments[half:])
    ]
    return [delta(tool_calls=[fragment]) for fragment in (head, *tail)]


def _text(text: str) -> list[Any]:
    return [delta(content=piece) for piece in re.findall(r"\S+\s*", text)]


def _end(finish: str) -> list[Any]:
    usage = {
        "prompt_tokens": 20,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 16},
    }
    last = {"choices": [{"delta": {}, "finish_reason": finish}]}
    return [last, {"choices": [], "usage": usage}, "[DONE]"]
