"""What reaches the terminal: results on stdout, all else on stderr, never a control sequence.

Text from models and documents is data. It goes through `clean` before a terminal sees it, and it
is printed as text, never parsed as Rich markup.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.text import Text


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


# What JSON itself lets stand raw: DEL, the 8-bit controls, the bidi overrides, and the lone
# surrogates by which a name carries bytes that are no text.
_JSON_CONTROL = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


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
    """One JSON document on stdout: indented, or one line for JSON lines.

    Characters that a terminal would obey are escaped, which leaves the values as they are.
    """
    text = json.dumps(value, ensure_ascii=False, indent=None if line else 2)
    text = _JSON_CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def short(path: str) -> str:
    """Relative to the working folder when it lies in there."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path


def place(number: int, path: str, page: int | None, start: int, heading: str = "") -> "Text":
    """Where a numbered passage or quotation stands, as a line."""
    from rich.text import Text

    text = Text(f"[{number}] ", "cyan")
    text.append(clean(short(path)), "bold")
    where = f", page {page}" if page else ""
    text.append(f"{where}, character {start}", "dim")
    if heading:
        text.append(f"  {clean(heading)}", "dim italic")
    return text


def indented(text: "Text") -> None:
    """Print four columns in: wrapped for a terminal, line by line as it is for a pipe."""
    from rich.padding import Padding

    if out().is_terminal:
        out().print(Padding(text, (0, 0, 0, 4), expand=False))
    else:
        for line in text.plain.split("\n"):
            out().print(f"    {line}".rstrip())


def size(count: int) -> str:
    """Bytes for a person, in powers of ten as disks are sold."""
    if count >= 1_000_000_000:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 1_000_000 else f"{count / 1e3:.0f} kB"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str] = ()) -> None:
    """A table for a person, tab-separated lines without a header for a pipe.

    `styles` may give each row one of Rich's styles.
    """
    if not out().is_terminal:
        for row in rows:
            cells = (clean(cell).replace("\t", " ").replace("\n", " ") for cell in row)
            sys.stdout.write("\t".join(cells) + "\n")
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=SIMPLE_HEAD, show_header=any(header))
    for title in header:
        shown.add_column(Text(title))
    for number, row in enumerate(rows):
        style = styles[number] if styles else ""
        shown.add_row(*(Text(clean(cell), style) for cell in row))
    out().print(shown)


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
        redirect_stdout=sys.stdout.isatty(),  # else results would go to stderr, above the bar
        disable=_verbosity <= Verbosity.QUIET or not err().is_terminal,
    )
