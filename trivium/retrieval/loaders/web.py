"""HTML to text: headings as "# " lines, lists as "- ", tables as rows, nothing run or fetched."""

import re
from typing import TYPE_CHECKING

from trivium.retrieval.loaders.base import Extracted, table_rows
from trivium.retrieval.loaders.text import decode, tidy

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag

_DROPPED = (
    "script style noscript template nav svg iframe object embed canvas audio video head button"
    " select dialog".split()
)
_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_BLOCKS = frozenset(
    "address article aside blockquote body dd details div dl dt fieldset figcaption figure footer"
    " form header hr html main ol p pre section summary table ul".split()
)
_SPACE = re.compile(r"[^\S\u00a0]+")
_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w-]{2,40})", re.IGNORECASE)


def html(data: bytes) -> Extracted:
    """The visible text of a page, in reading order."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(tidy(_source(data)), "lxml")
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    for tag in soup.find_all(_DROPPED):
        tag.decompose()
    body = _text(soup)
    if title and not soup.find("h1"):
        body = f"# {' '.join(title.split())}\n\n{body}"
    return Extracted("html", (body,))


def _source(data: bytes) -> str:
    """The page in the encoding that it declares, where that is neither UTF-8 nor unknown."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        declared = _CHARSET.search(data[:4096])
        if declared:
            try:
                return data.decode(declared[1].decode("ascii"), errors="replace")
            except LookupError:
                pass
        return decode(data)


def _text(soup: "BeautifulSoup") -> str:
    """Walk the tree with a stack of our own, since pages nest deeper than Python may recurse."""
    from bs4.element import NavigableString, PreformattedString, Tag

    out: list[str] = []
    stack: list[object] = [soup]
    verbatim = 0
    while stack:
        node = stack.pop()
        if isinstance(node, PreformattedString):
            continue  # comments, doctypes, processing instructions
        if isinstance(node, NavigableString):
            out.append(str(node) if verbatim else _SPACE.sub(" ", str(node)))
        elif isinstance(node, str):
            out.append(node)
            verbatim -= node == "\n```\n\n"
        elif isinstance(node, Tag):
            before, after = _around(node)
            if node.name == "table" and not node.find("table"):
                out.append(f"\n\n{_table(node)}\n\n")
                continue
            verbatim += node.name == "pre"
            out.append(before)
            stack.append(after)
            stack.extend(reversed(node.contents))
    return _settle("".join(out))


def _around(tag: "Tag") -> tuple[str, str]:
    """What stands before and after a tag's content."""
    name = tag.name
    if name in _HEADINGS:
        return "\n\n" + _HEADINGS[name], "\n\n"
    if name == "pre":
        return "\n\n```\n", "\n```\n\n"
    if name == "li":
        return "\n- ", ""
    if name == "br":
        return "\n", ""
    if name in ("td", "th"):
        return " ", " "
    if name == "tr":
        return "\n", "\n"
    return ("\n\n", "\n\n") if name in _BLOCKS else ("", "")


def _table(table: "Tag") -> str:
    rows = [
        [cell.get_text(" ", strip=True) for cell in row.find_all(["td", "th"])]
        for row in table.find_all("tr")
    ]
    caption = table.caption.get_text(" ", strip=True) if table.caption else ""
    return "\n\n".join(part for part in (caption, table_rows(rows)) if part)


def _settle(text: str) -> str:
    """One blank line between blocks, no white space at line ends; code keeps its lines."""
    pieces = re.split(r"(\n```\n.*?\n```\n)", text, flags=re.DOTALL)
    for index in range(0, len(pieces), 2):
        piece = re.sub(r"[^\S\n]*\n[^\S\n]*", "\n", pieces[index])
        piece = re.sub(r"\n-\n+", "\n- ", piece)  # <li><p>
        piece = re.sub(r"\n(#{1,6}) \s*", r"\n\1 ", piece)
        pieces[index] = re.sub(r"\n{3,}", "\n\n", piece).strip()
    return "\n\n".join(piece.strip("\n") for piece in pieces if piece)
