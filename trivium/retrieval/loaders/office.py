"""Word and PowerPoint files to text, structure kept as Markdown-like lines."""

import re
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any

from trivium.retrieval.loaders.base import Budget, Extracted, check_zip, table_rows

_HEADING = re.compile(r"heading (\d)", re.IGNORECASE)


def docx(data: bytes) -> Extracted:
    """Paragraphs and tables of the body; headings as "# " lines, list items as "- ".

    Headers, footers, footnotes and comments are left out.
    """
    check_zip(data)
    from docx import Document
    from docx.table import Table

    budget = Budget()
    parts = []
    for item in Document(BytesIO(data)).iter_inner_content():
        text = _docx_table(item) if isinstance(item, Table) else _docx_paragraph(item)
        if text.strip():
            parts.append(budget.spend(text))
    return Extracted("docx", ("\n\n".join(parts),))


def _docx_paragraph(paragraph: Any) -> str:
    text: str = paragraph.text
    # Word keeps the English names of its built-in styles whatever language it speaks.
    style: str = (paragraph.style.name if paragraph.style is not None else None) or ""
    heading = _HEADING.match(style)
    if heading or style == "Title":
        depth = min(int(heading[1]), 6) if heading else 1
        return "#" * max(depth, 1) + " " + " ".join(text.split()) if text.strip() else ""
    return f"- {text}" if style.startswith("List") and text.strip() else text


def _docx_table(table: Any) -> str:
    rows = []
    for row in table.rows:
        seen: dict[int, str] = {}  # a merged cell is listed once for each column it spans
        for cell in row.cells:
            seen.setdefault(id(cell._tc), cell.text)
        rows.append(list(seen.values()))
    return table_rows(rows)


def pptx(data: bytes) -> Extracted:
    """One page a slide: its title as a heading, then text, tables and the speaker's notes."""
    check_zip(data)
    from pptx import Presentation

    budget = Budget()
    pages = []
    for slide in Presentation(BytesIO(data)).slides:
        title = slide.shapes.title
        parts = []
        if title is not None and title.text_frame.text.strip():
            parts.append("# " + " ".join(title.text_frame.text.split()))
        skip = None if title is None else title.shape_id
        parts += _shapes(shape for shape in slide.shapes if shape.shape_id != skip)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            parts.append(slide.notes_slide.notes_text_frame.text)
        pages.append(budget.spend("\n\n".join(part for part in parts if part.strip())))
    return Extracted("pptx", tuple(pages), paged=True)


def _shapes(shapes: Iterable[Any]) -> Iterator[str]:
    for shape in shapes:
        if hasattr(shape, "shapes"):  # a group
            yield from _shapes(shape.shapes)
        elif shape.has_text_frame:
            yield "\n".join(p.text for p in shape.text_frame.paragraphs).replace("\v", "\n")
        elif getattr(shape, "has_table", False):
            yield table_rows([[cell.text for cell in row.cells] for row in shape.table.rows])
