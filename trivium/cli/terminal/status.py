"""The figures under an answer: how fast, how much of the context, what was not computed again."""

from typing import TYPE_CHECKING

from rich.text import Text

if TYPE_CHECKING:
    from trivium.agent.base import Done

CROWDED = 0.8
"""The share of the context from which on its figure is shown as a warning."""


def status(done: "Done", context_length: int) -> Text:
    """One line, such as "42.1 tokens/s · 1,234 of 8,192 tokens · 1,100 reused"."""
    parts = []
    if done.node.state == "interrupted":
        parts.append(Text("interrupted", "yellow"))
    completion = done.completion
    if completion is not None and completion.timing.decode > 0:
        speed = completion.completion_tokens / completion.timing.decode
        parts.append(Text(f"{speed:.1f} tokens/s"))
    share = done.context_tokens / context_length if context_length else 0.0
    used = f"{done.context_tokens:,} of {context_length:,} tokens"
    parts.append(Text(used, "yellow" if share >= CROWDED else ""))
    if completion is not None and completion.reused_tokens:
        parts.append(Text(f"{completion.reused_tokens:,} reused"))
    line = Text(" · ").join(parts)
    line.style = "dim"
    return line
