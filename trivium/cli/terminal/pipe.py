"""`trivium chat` without a terminal: one message in, one answer out, nobody to ask for leave."""

import sys
from typing import TYPE_CHECKING

from trivium.cli import console
from trivium.cli.terminal.opening import Options, open_chat

if TYPE_CHECKING:
    from trivium.agent.agent import Agent
    from trivium.agent.base import Done, ToolFinished
    from trivium.config import Settings
    from trivium.engines.base import Completion, Sampling


def answer(
    message: str, options: Options, settings: "Settings", sampling: "Sampling", as_json: bool
) -> None:
    """Answer `message` and print the answer, or the whole turn as a JSON document.

    Raises:
        TriviumError: when the turn cannot be had.
    """
    from trivium.agent.base import Done, Note, ToolFinished, refuse

    opened = open_chat(options, settings, refuse, sampling)
    done: Done | None = None
    calls: list[ToolFinished] = []
    notes = opened.take_notes()
    try:
        for note in notes:
            console.note(note)
        for event in opened.agent.stream(message, opened.attachments):
            if isinstance(event, Done):
                done = event
            elif isinstance(event, ToolFinished):
                calls.append(event)
                console.detail(f"{event.call.name}: {'failed' if event.error else 'done'}")
            elif isinstance(event, Note):
                (console.detail if event.detail else console.note)(event.text)
                notes += [] if event.detail else [event.text]
        assert done is not None, "a turn ends with Done or an error"
        if as_json:
            console.emit_json(document(opened.agent, done, calls, notes))
        else:
            sys.stdout.write(console.clean(done.node.content).rstrip("\n") + "\n")
    finally:
        opened.close()


def document(
    agent: "Agent", done: "Done", calls: "list[ToolFinished]", notes: list[str]
) -> dict[str, object]:
    """A turn as docs/chat.md describes it."""
    from dataclasses import asdict

    from trivium.agent.taint import unmarked

    node, completion = done.node, done.completion
    return {
        "answer": node.content,
        "thinking": node.thinking,
        "session": agent.session.name,
        "message": node.id,
        "model": agent.engine.name,
        "state": node.state,
        "finish": completion.finish if completion else None,
        "usage": _usage(completion)
        | {
            "context_tokens": done.context_tokens,
            "context_length": agent.context_length,
        },
        "citations": [asdict(citation) for citation in node.citations],
        "tool_calls": [
            {
                "name": event.call.name,
                "arguments": dict(event.call.arguments),
                "result": unmarked(event.result),
                "error": event.error,
                "seconds": round(event.seconds, 3),
            }
            for event in calls
        ],
        "notes": notes,
    }


def _usage(completion: "Completion | None") -> dict[str, object]:
    """Of the turn's last call of the model."""
    if completion is None:
        return {}
    return {
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "reused_tokens": completion.reused_tokens,
        "prefill_seconds": round(completion.timing.prefill, 3),
        "decode_seconds": round(completion.timing.decode, 3),
    }
