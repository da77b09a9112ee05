"""A picture as text that a terminal shows: kitty's and iTerm's protocols, sixel, half blocks.

kitty: the kitty graphics protocol (sw.kovidgoyal.net/kitty/graphics-protocol). iTerm: its inline
images (iterm2.com/documentation-images.html). Sixel: DEC's VT330/VT340 programmer reference,
chapter 14. Half blocks: U+2580 in two colours of 24 bits, which most terminals have.
"""

import base64
from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from trivium.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

Protocol = Literal["kitty", "iterm", "sixel", "blocks"]
PROTOCOLS: tuple[Protocol, ...] = get_args(Protocol)

CELL = (10, 20)
"""Pixels of a character cell, where the terminal cannot be asked: its usual proportions."""
_CHUNK = 4096  # the most that kitty takes at once, in base64
_COLOURS = 256


def detect(
    environ: Mapping[str, str], is_terminal: bool, said: str | None = None
) -> Protocol | None:
    """How this terminal shows pictures; None for a pipe, and for one that cannot.

    Told by what terminals say of themselves, without asking them: `TERM`, `TERM_PROGRAM`,
    `KITTY_WINDOW_ID`, `LC_TERMINAL`, `COLORTERM`. Under tmux and screen, which keep pictures to
    themselves, half blocks. `said` is what the user wants: a protocol, "off" or "auto".

    Raises:
        UsageError: when `said` is nothing of that.
    """
    if said in PROTOCOLS:
        return said
    if said not in (None, "auto", "off"):
        raise UsageError(f'thumbnails "{said}" is not one of {", ".join(PROTOCOLS)}, auto, off')
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    if said == "off" or not is_terminal or term in ("", "dumb", "linux"):
        return None
    if not (environ.get("TMUX") or environ.get("STY") or term.startswith(("screen", "tmux"))):
        if term in ("xterm-kitty", "xterm-ghostty") or environ.get("KITTY_WINDOW_ID"):
            return "kitty"
        if program in ("iTerm.app", "WezTerm") or environ.get("LC_TERMINAL") == "iTerm2":
            return "iterm"
        if term.startswith(("foot", "mlterm", "contour")) or "sixel" in term:
            return "sixel"
    deep = environ.get("COLORTERM") in ("truecolor", "24bit") and "NO_COLOR" not in environ
    return "blocks" if deep else None


def thumbnail(image: "Image", protocol: Protocol, width: int = 20) -> str:
    """An RGB picture at most `width` columns wide and half as many rows high, in its proportions.

    It ends without a newline; half blocks have one between their rows.
    """
    if protocol == "blocks":
        return _blocks(_fitted(image, width, width))  # a cell is two pixels high
    small = _fitted(image, width * CELL[0], width // 2 * CELL[1])
    columns = max(1, round(small.width / CELL[0]))
    if protocol == "kitty":
        return _kitty(_png(small), columns)
    if protocol == "iterm":
        return _iterm(_png(small), columns)
    return _sixel(small)


def _fitted(image: "Image", width: int, height: int) -> "Image":
    """As large as fits, never enlarged."""
    share = min(1.0, width / image.width, height / image.height)
    size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
    return image if size == image.size else image.resize(size)


def _png(image: "Image") -> bytes:
    held = BytesIO()
    image.save(held, "PNG")
    return held.getvalue()


def _kitty(png: bytes, columns: int) -> str:
    text = base64.b64encode(png).decode()
    parts = [text[at : at + _CHUNK] for at in range(0, len(text), _CHUNK)]
    shown = []
    for number, part in enumerate(parts):
        # q=2: the terminal is not to answer into the shell's input
        head = f"a=T,f=100,c={columns},q=2," if number == 0 else ""
        shown.append(f"\x1b_G{head}m={int(number < len(parts) - 1)};{part}\x1b\\")
    return "".join(shown)


def _iterm(png: bytes, columns: int) -> str:
    text = base64.b64encode(png).decode()
    return f"\x1b]1337;File=inline=1;size={len(png)};width={columns}:{text}\x07"


def _blocks(image: "Image") -> str:
    """Upper half in the foreground's colour, lower half in the background's."""
    pixels = np.asarray(image, np.uint8)
    rows = []
    for top in range(0, len(pixels), 2):
        upper = pixels[top]
        lower = pixels[top + 1] if top + 1 < len(pixels) else None
        cells = []
        for column, (r, g, b) in enumerate(upper.tolist()):
            below = ""
            if lower is not None:
                below = "\x1b[48;2;{};{};{}m".format(*lower[column].tolist())
            cells.append(f"\x1b[38;2;{r};{g};{b}m{below}\u2580")
        rows.append("".join(cells) + "\x1b[0m")
    return "\n".join(rows)


def _sixel(image: "Image") -> str:
    """256 colours; six rows at a time, one colour after the other over the same band."""
    reduced = image.quantize(_COLOURS)
    palette = np.array(reduced.getpalette() or [], np.uint8).reshape(-1, 3)
    indices = np.asarray(reduced, np.uint8)
    height, width = indices.shape
    shown = [f'\x1bP0;1q"1;1;{width};{height}']
    for colour in np.unique(indices).tolist():
        red, green, blue = (round(int(value) * 100 / 255) for value in palette[colour])
        shown.append(f"#{colour};2;{red};{green};{blue}")
    weights = 1 << np.arange(6)
    for top in range(0, height, 6):
        band = indices[top : top + 6]
        lines = []
        for colour in np.unique(band).tolist():
            bits = ((band == colour) * weights[: len(band), None]).sum(axis=0)
            lines.append(f"#{colour}{_runs(bits)}")
        shown.append("$".join(lines) + "-")
    return "".join(shown) + "\x1b\\"


def _runs(bits: "np.typing.NDArray[np.int64]") -> str:
    """Sixels, 0 to 63 each, with what is repeated written as "!" and a number."""
    starts = np.flatnonzero(np.diff(bits, prepend=-1))
    lengths = np.diff(np.append(starts, len(bits)))
    return "".join(
        f"!{length}{chr(63 + bit)}" if length > 3 else chr(63 + bit) * length
        for bit, length in zip(bits[starts].tolist(), lengths.tolist(), strict=True)
    )
