"""From a document to passages: structure first, then sentences, then tokens.

A document is a row of blocks (paragraphs, lists, table rows, definitions in code), each under a
trail of headings and on a page. Blocks are packed into passages up to the embedder's limit without
crossing a heading or a page; a block too long is opened at its own joints first.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from trivium.retrieval.base import Document, Passage
from trivium.retrieval.blocks import Block, blocks, joints

TokenOffsets = Callable[[str], Sequence[tuple[int, int]]]

# Tokenizers see text a window at a time: long enough to be quick, short enough for memory.
_WINDOW = 64 * 1024
# A token may stand for any number of characters (WordPiece reads a word of 101 as one unknown
# token), but a passage of such tokens would be no passage.
_CHARACTERS_PER_TOKEN = 20


def split(document: Document, token_offsets: TokenOffsets, max_tokens: int) -> list[Passage]:
    """Passages of at most `max_tokens` tokens, in order, disjoint, together all of the text.

    `token_offsets` gives the character spans of a text's tokens in order; it is called on windows
    of the text that end at white space. A tokenizer that looks across white space (byte-level BPE)
    may see one or two tokens more in a passage that stands alone. For every passage
    `document.text[start:end] == text`, and its `page` is the one on which it starts.
    """
    tokens = _Tokens(document.text, token_offsets)
    passages = []
    for start, end, heading in _pack(_units(document, tokens, max_tokens), tokens, max_tokens):
        passages.append(
            Passage(
                text=document.text[start:end],
                path=document.path,
                start=start,
                end=end,
                sha256=document.sha256,
                page=document.page_at(start),
                heading=heading,
            )
        )
    return passages


class _Tokens:
    """Where the tokens of a whole text lie, in two arrays that bisection searches."""

    def __init__(self, text: str, token_offsets: TokenOffsets) -> None:
        self.text = text
        self.starts = array("q")
        self.ends = array("q")
        for begin, end in _windows(text):
            for start, stop in token_offsets(text[begin:end]):
                self.starts.append(begin + start)
                self.ends.append(begin + stop)

    def count(self, start: int, end: int) -> int:
        """Tokens that share a character with `[start, end)`."""
        return max(0, bisect_left(self.starts, end) - bisect_right(self.ends, start))

    def fits(self, start: int, end: int, limit: int) -> bool:
        return end - start <= limit * _CHARACTERS_PER_TOKEN and self.count(start, end) <= limit

    def cut(self, start: int, end: int, limit: int) -> int:
        """The farthest end of a piece from `start` that fits, at white space if one is near."""
        first = bisect_right(self.ends, start)
        last = first + limit
        farthest = min(end, start + limit * _CHARACTERS_PER_TOKEN)
        if last < len(self.starts):
            farthest = min(farthest, self.starts[last])
        if farthest == end:
            return end
        farthest = max(farthest, start + 1)
        for place in range(farthest, max(start, farthest - (farthest - start) // 4), -1):
            if self.text[place - 1].isspace():
                return place
        return farthest


def _windows(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(text):
        end = start + _WINDOW
        if end < len(text):
            gap = max(text.rfind("\n", start + _WINDOW // 2, end), text.rfind(" ", end - 1024, end))
            end = gap + 1 if gap > start else end
        yield start, min(end, len(text))
        start = end


@dataclass(frozen=True, slots=True)
class _Unit:
    """A piece that packing does not open. Passages close early at `goal` tokens, to be even."""

    block: Block
    start: int
    end: int
    goal: int
    opens: bool  # the first piece of a block that fits no passage


def _units(document: Document, tokens: _Tokens, limit: int) -> Iterator[_Unit]:
    for block in blocks(document):
        if tokens.fits(block.start, block.end, limit):
            yield _Unit(block, block.start, block.end, limit, False)
            continue
        total = tokens.count(block.start, block.end)
        goal = ceil(total / max(1, ceil(total / limit)))
        opens = True
        for start, end in _pieces(
            document.text, block.start, block.end, block.joints, tokens, limit
        ):
            yield _Unit(block, start, end, goal, opens)
            opens = False


def _pieces(
    text: str, start: int, end: int, ways: tuple[str, ...], tokens: _Tokens, limit: int
) -> Iterator[tuple[int, int]]:
    """Open a span at the coarsest joints; open again what is still too long, at last anywhere."""
    if tokens.fits(start, end, limit):
        yield start, end
    elif ways:
        for left, right in joints(text, start, end, ways[0]):
            yield from _pieces(text, left, right, ways[1:], tokens, limit)
    else:
        while start < end:
            cut = tokens.cut(start, end, limit)
            if text[start:cut].strip():
                yield start, start + len(text[start:cut].rstrip())
            start = cut


def _pack(units: Iterator[_Unit], tokens: _Tokens, limit: int) -> Iterator[tuple[int, int, str]]:
    """Join neighbours while they fit; a heading waits for what follows it on its page."""
    held: _Unit | None = None
    start = end = 0
    only_headings = False
    for unit in units:
        if held is not None:
            same = held.block.page == unit.block.page
            same = same and (only_headings or held.block.trail == unit.block.trail)
            full = tokens.count(start, end) >= held.goal and not only_headings
            # A long block begins a passage of its own rather than fill up the last one.
            apart = unit.opens and not only_headings and tokens.count(start, end) > limit // 4
            if not same or full or apart or not tokens.fits(start, unit.end, limit):
                yield start, end, held.block.trail
                held = None
        if held is None:
            start, only_headings = unit.start, True
        only_headings = only_headings and unit.block.is_heading
        held, end = unit, unit.end
    if held is not None:
        yield start, end, held.block.trail
