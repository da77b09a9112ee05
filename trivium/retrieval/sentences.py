"""Where sentences begin and end, by rules, in one pass over the text.

Layout decides first: a blank line, a heading, a list item or a table row ends what stood before it.
Within such a block a stop ends a sentence unless what surrounds it says otherwise: an abbreviation,
an initial, a number in front of a list item, a small letter after it. The rules are those that
Kiss and Strunk (2006, "Unsupervised Multilingual Sentence Boundary Detection") name orthographic,
with fixed lists in place of learned ones, so that the same text always gives the same spans.
"""

import re
from collections.abc import Iterator

# Never the end of a sentence: a name or an explanation follows.
_LEADS = frozenset(
    "dr mr mrs ms mx prof rev hon gen sen rep gov pres capt cmdr col lt maj sgt st ste mt mme"
    " mlle messrs vs e.g i.e cf viz resp esp approx ca incl excl bzw z.b d.h u.a".split()
)
# Not the end before a number: "Fig. 3", "No. 7", "Jan. 5".
_NUMBERED = frozenset(
    "no nos nr fig figs eq eqs sec secs ch chap chs vol vols p pp art arts tab ref refs app para"
    " ver ex op par cl bd abs jan feb mar apr jun jul aug sep sept oct nov dec".split()
)
# The end only when the next word is one that opens sentences.
_TRAILS = frozenset(
    "etc inc ltd co corp llc plc bros jr sr esq al ed eds dept univ assn est ft".split()
)
_OPENERS = frozenset(
    "A An And As At Although Because But By Do Does For From Had Has He Her Here His How However I"
    " If In Is It Its Many Most Moreover My No Nor Not On One Once Or Our She Since So Some Such"
    " That The Their Then There Therefore These They This Those Thus To Under Was We Were What When"
    " Where Which While Who Why With Yet You Your".split()
)

_STOP = re.compile(
    # Possessive, and begun only at a run's first stop: linear however many stops stand in a row.
    r"(?<![.!?…])(?P<stop>[.!?…]++)(?P<close>(?:\[\d{1,3}\]|[\"'”’»)\]}*_])*+)(?=\s|\Z)"
    r"|(?P<cjk>[。！？｡؟।۔]++)[\"'”’」』）】〉》]*+"  # noqa: RUF001
)
_LINE = re.compile(r"[^\n\f\u2029]*(?:[\n\f\u2029]|\Z)")
_ALONE = re.compile(r"[^\S\n]*(?:#{1,6}\s|\||```|~~~|={3,}\s*\Z|-{3,}\s*\Z)")
_BULLET = re.compile(r"[^\S\n]*(?:[-*+•‣◦–]|1[.)]|\(?[a-z1]\))\s")
_NUMBER = re.compile(r"[^\S\n]*\(?\d{1,3}[.)]\s")
_MARKER = re.compile(r"\s*(?:[-*+•‣◦–]\s+)?\(?(?:\d{1,3}|[A-Za-z]|[ivxIVX]{1,5})\Z")
_WORD = re.compile(r"[^\W_][\w.'’-]*\Z")
_ACRONYM = re.compile(r"(?:[^\W\d_]{1,2}\.)+[^\W\d_]{1,2}\Z")
_NEXT = re.compile(r"\s*[\"'“‘«(\[{¿¡*_]*(?P<word>[\w'’]{0,20})")  # noqa: RUF001
_WINDOW = 32  # characters before a stop that can hold an abbreviation


def sentences(text: str) -> list[tuple[int, int]]:
    """Half-open character spans of the sentences of `text`.

    The spans are in order, disjoint and free of white space at both ends, and together they cover
    every character that is not white space. Time is linear in the length of the text.
    """
    spans: list[tuple[int, int]] = []
    for start, end in _blocks(text):
        begin = start
        for cut in _cuts(text, start, end):
            _add(spans, text, begin, cut)
            begin = cut
        _add(spans, text, begin, end)
    return spans


def _add(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    body = piece.strip()
    if body:
        start += len(piece) - len(piece.lstrip())
        spans.append((start, start + len(body)))


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    """Ranges that no sentence crosses; together they are the whole text but blank lines."""
    start = 0
    in_list = False
    for match in _LINE.finditer(text):
        begin, end = match.span()
        line = match[0]
        body = line.strip()
        if not body:
            if start < begin:
                yield start, begin
            start = end
        elif _ALONE.match(line) or "\t" in body:
            if start < begin:
                yield start, begin
            yield begin, end
            start, in_list = end, False
        elif _BULLET.match(line) or ((in_list or start == begin) and _NUMBER.match(line)):
            if start < begin:
                yield start, begin
            start, in_list = begin, True
        elif start == begin:
            in_list = False
        if line.endswith(("\f", "\u2029")):
            if start < end:
                yield start, end
            start = end
    if start < len(text):
        yield start, len(text)


def _cuts(text: str, start: int, end: int) -> Iterator[int]:
    """Positions within a block after which a new sentence begins."""
    small: bool | None = None  # written without capitals, so that they cannot be asked for
    for match in _STOP.finditer(text, start, end):
        after = match.end()
        if after >= end:
            return
        if match["cjk"]:
            yield after
            continue
        following = _NEXT.match(text, after, min(end, after + 200))
        word = following["word"] if following else ""
        if word[:1].islower():
            if small is None:
                block = text[start:end]
                small = block == block.lower()
            if match["close"] or not (small or match["stop"][-1] in "!?"):
                continue
        if match["stop"] != "." or _ends(text, start, match.start(), word):
            yield after


def _ends(text: str, start: int, stop: int, following: str) -> bool:
    """Does the single full stop at `stop` end a sentence, given the word that follows?"""
    low = max(start, stop - _WINDOW)
    before = text[low:stop]
    if low == start and _MARKER.match(before):
        return False  # "1. Install" is one item
    found = _WORD.search(before)
    if not found:
        return True
    word = found[0]
    key = word.lower()
    if key in _LEADS:
        return False
    if key in _NUMBERED:
        return not following[:1].isdigit()
    initial = len(word) == 1 and word.isupper()
    if initial or key in _TRAILS or _ACRONYM.match(word):
        return following in _OPENERS
    return True
