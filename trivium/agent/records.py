"""A message as a row of `sessions.db` and back: structured parts as JSON, pictures in base64."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from trivium.agent.base import Attachment, Node
from trivium.engines.base import Image, ToolCall
from trivium.retrieval.base import Citation

COLUMNS = (
    "id, session, parent, role, content, state, created, pinned, thinking, source, "
    "tool_calls, tool_call_id, citations, attachments, covers"
)
STORED = COLUMNS.removeprefix("id, ")


def to_row(node: Node) -> tuple[object, ...]:
    """The values of `STORED`."""
    return (
        node.session,
        node.parent,
        node.role,
        storable(node.content),
        node.state,
        node.created,
        node.pinned,
        storable(node.thinking),
        storable(node.source),
        _json([asdict(call) for call in node.tool_calls]),
        None if node.tool_call_id is None else storable(node.tool_call_id),
        _json([asdict(citation) for citation in node.citations]),
        _json([_attachment(one) for one in node.attachments]),
        node.covers,
    )


def from_row(row: Sequence[Any]) -> Node:
    """The message of a row of `COLUMNS`."""
    (key, session, parent, role, content, state, created, pinned, thinking, source) = row[:10]
    (calls, call_id, citations, attachments, covers) = row[10:]
    return Node(
        role,
        content,
        key,
        session,
        parent,
        state,
        created,
        bool(pinned),
        thinking,
        source,
        tuple(ToolCall(**one) for one in _list(calls)),
        call_id,
        tuple(Citation(**one) for one in _list(citations)),
        tuple(_attached(one) for one in _list(attachments)),
        covers,
    )


def storable(text: str) -> str:
    """`text` with what UTF-8 cannot hold (lone surrogates) as "?"."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def _json(values: list[dict[str, object]]) -> str:
    return storable(json.dumps(values, ensure_ascii=False)) if values else ""


def _list(text: str) -> list[dict[str, Any]]:
    return json.loads(text) if text else []


def _attachment(one: Attachment) -> dict[str, object]:
    row: dict[str, object] = {"name": one.name, "kind": one.kind}
    row |= {"text": one.text} if one.text else {}
    row |= {"index": one.index} if one.index else {}
    if one.image:
        data = base64.b64encode(one.image.data).decode()
        row["image"] = {"data": data, "media_type": one.image.media_type}
    return row


def _attached(row: Mapping[str, Any]) -> Attachment:
    image = row.get("image")
    return Attachment(
        row["name"],
        row["kind"],
        row.get("text", ""),
        row.get("index", ""),
        Image(base64.b64decode(image["data"]), image["media_type"]) if image else None,
    )
