"""A conversation as a document: Markdown to read on, JSON for programs, HTML to show.

Markdown and HTML hold the branch that is open; JSON holds the whole tree. JSON's form is described
in docs/sessions.md, and its `version` changes when a reader would have to.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Literal

from trivium.agent.base import Node, Session
from trivium.agent.sessions import Sessions
from trivium.engines.base import ToolCall
from trivium.retrieval.base import Citation

Form = Literal["md", "json", "html"]
VERSION = 1
SPEAKERS = {"user": "You", "assistant": "Assistant", "tool": "Tool", "summary": "Summary"}

# What json.dumps leaves as it is and a terminal would obey: C1 controls, bidirectional overrides.
_CONTROL = re.compile(r"[\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def export(sessions: Sessions, session: Session, form: Form) -> str:
    """The document, which ends with a newline.

    Raises:
        TriviumError: when the session's file cannot be read.
    """
    if form == "json":
        return _json(sessions, session)
    path = sessions.path(session.head)
    if form == "html":
        from trivium.agent.page import page

        return page(session, path)
    return "\n\n".join(_markdown(session, path)) + "\n"


def when(seconds: float) -> str:
    """Local date and time, to the minute."""
    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M}"


def called(path: Sequence[Node]) -> dict[str, ToolCall]:
    """The calls of a conversation, by the id that their results carry."""
    return {call.id: call for node in path for call in node.tool_calls}


def place(citation: Citation) -> str:
    page = f", page {citation.page}" if citation.page else ""
    return f"{citation.path}{page}, character {citation.start}"


def arguments(call: ToolCall, indent: int | None = None) -> str:
    return json.dumps(dict(call.arguments), ensure_ascii=False, indent=indent)


def _json(sessions: Sessions, session: Session) -> str:
    document = {
        "format": "trivium-session",
        "version": VERSION,
        "session": {
            "name": session.name,
            "model": session.model,
            "system": session.system,
            "created": session.created,
            "updated": session.updated,
        },
        "path": [node.id for node in sessions.path(session.head)],
        "messages": [_message(node) for node in sessions.tree(session.id)],
    }
    text = json.dumps(document, ensure_ascii=False, indent=2)
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def _message(node: Node) -> dict[str, object]:
    return {
        "id": node.id,
        "parent": node.parent,
        "role": node.role,
        "state": node.state,
        "created": node.created,
        "pinned": node.pinned,
        "content": node.content,
        "thinking": node.thinking,
        "source": node.source,
        "tool_calls": [asdict(call) for call in node.tool_calls],
        "tool_call_id": node.tool_call_id,
        "citations": [asdict(citation) for citation in node.citations],
        "attachments": [{"name": one.name, "kind": one.kind} for one in node.attachments],
        "covers": node.covers,
    }


def _markdown(session: Session, path: Sequence[Node]) -> Iterator[str]:
    """The document's blocks."""
    yield f"# {session.name}"
    model = f"{session.model}, " if session.model else ""
    yield f"*{model}{when(session.created)} to {when(session.updated)}*"
    if session.system:
        yield f"## System\n\n{_closed(session.system)}"
    calls = called(path)
    for node in path:
        yield f"## {SPEAKERS[node.role]}"
        if node.attachments:
            yield "Attached: " + ", ".join(_code(one.name) for one in node.attachments)
        if node.thinking:
            yield "Thinking:\n\n" + _fenced(node.thinking)
        if node.role == "tool":
            call = calls.get(node.tool_call_id or "")
            of = f" of {_code(call.name)}" if call else ""
            yield f"Result{of}:\n\n{_fenced(node.content)}"
        elif node.content.strip():
            yield _closed(node.content)
        for call in node.tool_calls:
            yield f"Call of {_code(call.name)}:\n\n{_fenced(arguments(call, 2), 'json')}"
        if node.state != "complete":
            yield f"*({node.state})*"
        if node.citations:
            yield "Sources: " + " ".join(label for label, _ in _labelled(node))
    for node in path:
        for label, citation in _labelled(node):
            quoted = " ".join(citation.text.split())
            yield f"{label}: {_code(place(citation))}: “{quoted}”"


def _labelled(node: Node) -> list[tuple[str, Citation]]:
    """Citations with their footnotes' labels, which are unique in the document."""
    return [(f"[^{node.id}-{n}]", one) for n, one in enumerate(node.citations, start=1)]


def _ticks(text: str, least: int) -> str:
    """More backticks in a row than `text` has."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    return "`" * max(least, longest + 1)


def _fenced(text: str, language: str = "") -> str:
    ticks = _ticks(text, 3)
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}"


def _code(text: str) -> str:
    text = " ".join(text.split()) or " "
    ticks = _ticks(text, 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{space}{text}{space}{ticks}"


def _closed(text: str) -> str:
    """`text` with its last code block closed: half an answer must not swallow what follows."""
    text = text.strip("\n")
    if "```" not in text and "~~~" not in text:
        return text
    from markdown_it import MarkdownIt

    last = next(reversed(MarkdownIt().parse(text)), None)
    if last is None or last.type != "fence" or last.level or last.map is None:
        return text
    lines = text.splitlines()[last.map[0] :]
    ended = len(lines) > 1 and re.fullmatch(rf" {{0,3}}{last.markup}+\s*", lines[-1])
    return text if ended else f"{text}\n{last.markup}"
