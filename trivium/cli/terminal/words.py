"""Small things said in words: how long ago, and the beginning of a message."""

import time

from trivium.cli.console import clean

_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def age(created: float, now: float | None = None) -> str:
    """Seconds since 1970 as "3 h ago"."""
    seconds = (time.time() if now is None else now) - created
    for size, unit in _STEPS:
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "now"


def excerpt(text: str, length: int = 60) -> str:
    """The beginning of `text` in one line."""
    line = " ".join(clean(text).split())
    return line if len(line) <= length else f"{line[: length - 1].rstrip()}…"


def weights(count: int) -> str:
    """134515008 as "135M"."""
    return f"{count / 1e9:.3g}B" if count >= 1e9 else f"{count / 1e6:.0f}M"
