"""Markdown as it is written: a finished block is printed once, only the unfinished tail repaints.

Rendering the whole answer again for every token costs a time that grows with its square, and
flickers. CommonMark decides its blocks line by line, and only the last one can still change; so
what stands before it is final (https://spec.commonmark.org/0.31.2/#phase-1-block-structure).
"""

import time
from collections.abc import Callable

from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.markdown import CodeBlock, Heading, Markdown
from rich.segment import Segment, SegmentLines
from rich.syntax import Syntax
from rich.theme import Theme

from trivium.cli.console import clean

REPAINT = 0.1
"""Seconds between two paintings of the tail, at least."""
SHARE = 0.02
"""Of the time that passes, what painting may take: a block that is slow to render waits longer."""
WINDOW = 12
"""Lines of the tail that are repainted; what has grown above them stays as it was printed."""
MEASURE = 100
"""Columns of running text: longer lines are hard to read. Code and tables take what there is."""

Line = list[Segment]

_THEME = Theme(
    {
        "markdown.h1": "bold",
        "markdown.h2": "bold",
        "markdown.h3": "bold italic",
        "markdown.code": "cyan",
        "markdown.block_quote": "italic",
        "markdown.item.bullet": "dim",
        "markdown.item.number": "dim",
        "markdown.table.header": "bold",
        "markdown.table.border": "dim",
        "markdown.link": "none",
        "markdown.link_url": "dim",
    }
)

# HTML is shown as the text that it is: a terminal renders none, and it would vanish.
_PARSER = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


class MarkdownStream:
    """Prints Markdown that arrives in pieces. `clock` tells seconds and never goes back."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.perf_counter) -> None:
        self._console = console
        self._clock = clock
        self._received = ""
        self._done = 0  # characters of the cleaned text whose blocks are printed
        self._printed = 0  # lines of the block after those that are printed as well
        self._due = 0.0
        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )

    def feed(self, text: str) -> None:
        """Take more of the answer; paint it when the last painting was long enough ago."""
        self._received += text
        start = self._clock()
        if start < self._due or not self._console.is_terminal:
            return
        self._paint()
        end = self._clock()
        self._due = end + max(REPAINT, (end - start) / SHARE)

    def close(self) -> None:
        """Print what is left. The stream takes nothing after that."""
        with self._console:
            for block in blocks(clean(self._received)[self._done :]):
                self._finish(block)
            if self._live.is_started:
                self._live.update("")
                self._live.stop()

    def _paint(self) -> None:
        finished, tail = settled(clean(self._received)[self._done :])
        if not tail.strip():
            return
        with self._console:  # one write, so that nothing half done is seen
            self._live.start()
            for block in finished:
                self._finish(block)
            lines = self._render(tail)
            grown = len(lines) - self._window(tail)
            if grown > self._printed:
                self._print(lines[self._printed : grown])
                self._printed = grown
            tail_lines = SegmentLines(lines[self._printed :], new_lines=True)
            self._live.update(tail_lines, refresh=True)

    def _finish(self, block: str) -> None:
        self._print(self._render(block)[self._printed :])
        self._printed = 0
        self._done += len(block)

    def _print(self, lines: list[Line]) -> None:
        """Above the tail, which is taken away until it is painted again."""
        self._live.update("")
        if lines:
            self._console.print(SegmentLines(lines, new_lines=True), end="", soft_wrap=True)

    def _window(self, block: str) -> int:
        """How many lines may still change: a table's columns move until its last row."""
        room = max(1, self._console.height - 4)
        return room if _parse(block)[0].type == "table_open" else min(room, WINDOW)

    def _render(self, block: str) -> list[Line]:
        """A block's lines, with an empty one before it unless it is the first."""
        tokens = _PARSER.parse(block)
        if not tokens:  # a link's definition: nothing to see
            return []
        wide = tokens[0].type in ("fence", "code_block", "table_open")
        width = self._console.width if wide else min(self._console.width, MEASURE)
        options = self._console.options.update(width=width)
        with self._console.use_theme(_THEME):
            rendered = self._console.render_lines(_Page(tokens), options, pad=False)
        lines = [_trimmed(line) for line in rendered]
        while lines and not lines[0]:
            del lines[0]
        while lines and not lines[-1]:
            del lines[-1]
        return [[], *lines] if self._done else lines


def blocks(text: str) -> list[str]:
    """`text` cut where its top-level blocks begin; joined, they are `text` again."""
    starts = [token.map[0] for token in _parse(text) if token.level == 0 and token.map]
    offsets, line, at = [], 0, 0
    for start in starts[1:]:
        while line < start:
            at = text.index("\n", at) + 1
            line += 1
        offsets.append(at)
    ends = [*offsets, len(text)]
    return [text[a:b] for a, b in zip([0, *offsets], ends, strict=True)] if starts else []


def settled(text: str) -> tuple[list[str], str]:
    """The blocks of `text` that are what they will be whatever follows, and the rest.

    Only whole lines decide: "#" is a heading, but as the beginning of "#1" it goes on with a
    paragraph.
    """
    whole = text.rfind("\n") + 1
    finished = blocks(text[:whole])[:-1]
    return finished, text[sum(map(len, finished)) :]


def _parse(text: str) -> list[Token]:
    """The blocks alone: inline markup decides nothing about where they end."""
    tokens: list[Token] = []
    _PARSER.block.parse(text, _PARSER, {}, tokens)
    return tokens


def _trimmed(line: Line) -> Line:
    """`line` without the blanks at its end, which would be copied with it."""
    line = list(line)
    while line:
        text, style, _ = line[-1]
        if style and style.bgcolor and not style.bgcolor.is_default:
            break
        if kept := text.rstrip():
            line[-1] = Segment(kept, style)
            break
        del line[-1]
    return line


class _Heading(Heading):
    """A heading at the left margin, where the eye is."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield self.text


class _Code(CodeBlock):
    """Highlighted in the terminal's own sixteen colours, which go with its background."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Syntax(
            str(self.text).rstrip("\n"),
            self.lexer_name,
            theme="ansi_dark",
            background_color="default",
            word_wrap=True,
            padding=(0, 2),
        )


class _Page(Markdown):
    """Rich's Markdown over tokens that are parsed here.

    A link's address is spelt out, so that nothing hides where it leads, and a line that the model
    ended is a line's end.
    """

    elements = Markdown.elements | {
        "heading_open": _Heading,
        "fence": _Code,
        "code_block": _Code,
    }

    def __init__(self, tokens: list[Token]) -> None:
        super().__init__("", hyperlinks=False)
        for token in tokens:
            for child in token.children or ():
                if child.type == "softbreak":
                    child.type = "hardbreak"
                elif child.info == "auto":  # <https://…> would stand there twice
                    child.type, child.tag = "text", ""
        self.parsed = tokens
