"""The structure of a document: its blocks, the headings above them, and where a block can open."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from trivium.retrieval.base import Document
from trivium.retrieval.sentences import sentences

_PROSE = ("sentences",)
_LINES = ("lines", "sentences")
_CODE = ("paragraphs", "lines")
_TRAIL = " > "
# Past this the parser's time is better spent on sentences; only headings are looked for.
_MARKDOWN_MAX = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Block:
    """A span that belongs together. `joints` names the ways to open it, the coarsest first."""

    start: int
    end: int
    joints: tuple[str, ...] = _PROSE
    trail: str = ""
    page: int = 0
    is_heading: bool = False


def blocks(document: Document) -> Iterator[Block]:
    """The blocks of a document in order: disjoint, none blank, together all text that is not."""
    find = _FINDERS.get(document.kind, _paragraphs)
    text = document.text
    bounds = [*document.pages, len(text)] if document.pages else [0, len(text)]
    for page, (low, high) in enumerate(pairwise(bounds)):
        at = 0
        part = text[low:high]
        trail = ""
        for block in find(part):
            # Whatever a parser passes over (link definitions, say) is still text.
            yield from _whole(part, at, block.start, low, page, trail)
            yield from _moved(part, block, low, page)
            at, trail = block.end, block.trail
        yield from _whole(part, at, len(part), low, page, trail)


def _whole(text: str, start: int, end: int, by: int, page: int, trail: str) -> Iterator[Block]:
    if start < end:
        yield from _moved(text, Block(start, end, _LINES, trail), by, page)


def _moved(text: str, block: Block, by: int, page: int) -> Iterator[Block]:
    span = _trim(text, block.start, block.end)
    if span:
        yield replace(block, start=span[0] + by, end=span[1] + by, page=page)


def _trim(text: str, start: int, end: int) -> tuple[int, int] | None:
    """A span without blank lines at its start, whose indentation stays, and blanks at its end."""
    piece = text[start:end]
    body = piece.strip()
    if not body:
        return None
    first = len(piece) - len(piece.lstrip())
    line = piece.rfind("\n", 0, first) + 1
    return start + line, start + first + len(body)


def joints(text: str, start: int, end: int, way: str) -> Iterator[tuple[int, int]]:
    """Open a span at its sentences, lines or paragraphs."""
    part = text[start:end]
    if way == "sentences":
        for low, high in sentences(part):
            yield start + low, start + high
        return
    for low, high in _runs(part) if way == "paragraphs" else _lines(part):
        span = _trim(part, low, high)
        if span:
            yield start + span[0], start + span[1]


def _lines(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        yield start, end
        start = end


def _runs(text: str) -> Iterator[tuple[int, int]]:
    """Paragraphs: runs of lines that are not blank."""
    begin = -1
    for start, end in _lines(text):
        if text[start:end].isspace():
            if begin >= 0:
                yield begin, start
            begin = -1
        elif begin < 0:
            begin = start
    if begin >= 0:
        yield begin, len(text)


def _paragraphs(text: str) -> Iterator[Block]:
    for start, end in _runs(text):
        yield Block(start, end)


def _records(text: str) -> Iterator[Block]:
    for start, end in _runs(text):
        yield Block(start, end, _LINES)


def _rows(text: str) -> Iterator[Block]:
    for start, end in _lines(text):
        yield Block(start, end)


def _sheets(text: str) -> Iterator[Block]:
    """Rows under the "# " line of their sheet, before which alone a line is blank."""
    trail = ""
    above = True
    for start, end in _lines(text):
        line = text[start:end].rstrip("\n")
        is_heading = above and line.startswith("# ")
        if is_heading:
            trail = line[2:].strip()
        yield Block(start, end, trail=trail, is_heading=is_heading)
        above = not line.strip()


def _definitions(text: str) -> Iterator[Block]:
    """Code, cut where a line without indentation follows a blank one: at top-level definitions."""
    begin = 0
    blank = False
    for start, end in _lines(text):
        if text[start:end].isspace():
            blank = True
            continue
        if blank and start > begin and text[start] not in " \t})]":
            yield Block(begin, start, _CODE)
            begin = start
        blank = False
    yield Block(begin, len(text), _CODE)


class _Trail:
    """The headings above the place where a reader stands."""

    def __init__(self) -> None:
        self._open: list[tuple[int, str]] = []

    def enter(self, level: int, title: str) -> None:
        while self._open and self._open[-1][0] >= level:
            self._open.pop()
        self._open.append((level, title))

    def __str__(self) -> str:
        return _TRAIL.join(title for _, title in self._open if title)


_ATX = re.compile(r" {0,3}(#{1,6})[ \t]+(\S.*)")
_LINK = re.compile(r"!?\[([^\]\n]{0,200})\]\([^)\n]{0,500}\)")


def _title(source: str) -> str:
    """A heading's words without its marks."""
    words = _LINK.sub(r"\1", source).replace("`", "").replace("**", "").rstrip("# ")
    return " ".join(words.split())[:120]


def _markdown(text: str) -> Iterator[Block]:
    """Top-level blocks of CommonMark with tables, found by markdown-it; nothing is rendered."""
    if len(text) > _MARKDOWN_MAX:
        yield from _headed_paragraphs(text)
        return
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])
    matter = _front_matter(text)
    # The parser would take it for a heading; its lines are blanked so that numbers still hold.
    source = "\n" * text.count("\n", 0, matter) + text[matter:]
    begins = [start for start, _ in _lines(text)] + [len(text)]
    trail = _Trail()
    try:
        tokens = parser.parse(source)
    except Exception:  # a fault of the parser must not cost the document
        yield from _headed_paragraphs(text)
        return
    if matter:
        yield Block(0, matter, _LINES)
    for index, token in enumerate(tokens):
        if token.level or token.map is None or token.nesting < 0:
            continue
        first, last = token.map
        start, end = begins[first], begins[min(last, len(begins) - 1)]
        if token.type == "heading_open":
            trail.enter(int(token.tag[1]), _title(tokens[index + 1].content))
            yield Block(start, end, trail=str(trail), is_heading=True)
        elif token.type in ("fence", "code_block", "html_block"):
            yield Block(start, end, _CODE, str(trail))
        elif token.type == "table_open":
            yield Block(start, end, _LINES, str(trail))
        else:
            yield Block(start, end, trail=str(trail))


def _front_matter(text: str) -> int:
    """The length of the YAML between "---" lines that some tools put before Markdown."""
    if not text.startswith("---\n"):
        return 0
    close = text.find("\n---\n", 3, 64 * 1024)
    return close + 5 if close >= 0 else 0


def _headed_paragraphs(text: str) -> Iterator[Block]:
    trail = _Trail()
    for start, end in _runs(text):
        heading = _ATX.match(text, start, end)
        if heading:
            trail.enter(len(heading[1]), _title(heading[2]))
            yield Block(start, heading.end(), trail=str(trail), is_heading=True)
            start = heading.end()
        if start < end:
            yield Block(start, end, trail=str(trail))


_ADORNMENT = re.compile(r"([=\-~^\"'`#*+.:_<>])\1{2,}[ \t]*\Z")


def _rst(text: str) -> Iterator[Block]:
    """Paragraphs under section titles: a line underlined, perhaps overlined, with one character.

    Levels follow the order in which the styles first appear (reStructuredText, "Sections").
    """
    styles: list[tuple[str, bool]] = []
    trail = _Trail()
    for start, end in _runs(text):
        lines = text[start:end].rstrip("\n").split("\n", 3)
        over = len(lines) >= 3 and bool(_ADORNMENT.match(lines[0]))
        at = 1 if over else 0
        under = _ADORNMENT.match(lines[at + 1]) if len(lines) > at + 1 else None
        if under and lines[at].strip() and not _ADORNMENT.match(lines[at]):
            style = (under[1], over)
            if style not in styles:
                styles.append(style)
            trail.enter(styles.index(style), _title(lines[at].strip()))
            length = sum(len(line) + 1 for line in lines[: at + 2])
            close = min(end, start + length)
            yield Block(start, close, trail=str(trail), is_heading=True)
            start = close
        if start < end:
            yield Block(start, end, trail=str(trail))


_FINDERS: dict[str, Callable[[str], Iterator[Block]]] = {
    "markdown": _markdown,
    "html": _markdown,
    "docx": _markdown,
    "pptx": _markdown,
    "notebook": _markdown,
    "rst": _rst,
    "code": _definitions,
    "table": _rows,
    "xlsx": _sheets,
    "json": _records,
}
