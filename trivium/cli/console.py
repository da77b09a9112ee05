"""What reaches the terminal: results on stdout, all else on stderr, never a control sequence.

Text from models and documents is data. It goes through `clean` before a terminal sees it, and it
is printed as text, never parsed as Rich markup.
"""

import json
import re
import sys
from collections.abc import Mapping
from enum import IntEnum
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


class Verbosity(IntEnum):
    QUIET = -1
    NORMAL = 0
    VERBOSE = 1
    DEBUG = 2


_verbosity = Verbosity.NORMAL

# ECMA-48: CSI and OSC/DCS/APC/PM/SOS strings whole, other escapes with their final byte,
# then every C0 and C1 control but tab and newline, and the bidi overrides that reorder a line.
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|\x9c|$)"
    r"|\x1b[ -/]*[0-~]?"
    r"|\x9b[0-?]*[ -/]*[@-~]"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]",
    re.DOTALL,
)


def clean(text: str) -> str:
    """`text` without terminal control sequences; tabs and newlines stay, CRLF becomes LF."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))


def set_verbosity(level: Verbosity) -> None:
    global _verbosity
    _verbosity = level


def verbosity() -> Verbosity:
    return _verbosity


@cache
def out() -> "Console":
    """Standard output: results alone. Not wrapped when it is not a terminal."""
    from rich.console import Console

    return Console(soft_wrap=not sys.stdout.isatty(), highlight=False, markup=False)


@cache
def err() -> "Console":
    """Standard error: notes, progress and errors."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False)


def note(message: str) -> None:
    """A line for a person, on stderr; silenced by -q."""
    if _verbosity > Verbosity.QUIET:
        err().print(clean(message), soft_wrap=True)


def detail(message: str) -> None:
    """A line that only -v shows, on stderr."""
    if _verbosity >= Verbosity.VERBOSE:
        err().print(clean(message), style="dim", soft_wrap=True)


def emit_json(value: Mapping[str, object] | list[object], *, line: bool = False) -> None:
    """One JSON document on stdout: indented, or one line for JSON lines."""
    text = json.dumps(value, ensure_ascii=False, indent=None if line else 2)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def progress() -> "Progress":
    """Progress on stderr that vanishes when done; silent under -q and without a terminal."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=err(),
        transient=True,
        disable=_verbosity <= Verbosity.QUIET or not err().is_terminal,
    )
