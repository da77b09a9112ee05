"""Sample documents of every format, built in the test so that none lies in the repository."""

import io
import zipfile
from typing import Any


def pdf(*pages: str, password: str | None = None) -> bytes:
    """A PDF with one line of text a page, locked when a password is given."""
    from pypdf import PdfReader, PdfWriter
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    canvas = Canvas(buffer)
    for text in pages:
        canvas.drawString(72, 720, text)
        canvas.showPage()
    canvas.save()
    if password is None:
        return buffer.getvalue()
    writer = PdfWriter(clone_from=PdfReader(buffer))
    writer.encrypt(user_password=password, algorithm="RC4-128")
    locked = io.BytesIO()
    writer.write(locked)
    return locked.getvalue()


def scan() -> bytes:
    """A PDF whose one page is an image."""
    from PIL import Image
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    canvas = Canvas(buffer)
    canvas.drawImage(ImageReader(Image.new("RGB", (8, 8), "grey")), 72, 600, 200, 200)
    canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def _saved(book: Any) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def docx() -> bytes:
    from docx import Document

    document = Document()
    document.add_heading("Guide", level=1)
    document.add_paragraph("Read this first.")
    document.add_heading("Install", level=2)
    document.add_paragraph("Run the installer.", style="List Bullet")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(
        [cell for row in table.rows for cell in row.cells],
        ["Part", "Price", "Bolt", "3"],
        strict=True,
    ):
        cell.text = text
    return _saved(document)


def pptx() -> bytes:
    from pptx import Presentation

    deck = Presentation()
    for title, body in (("First", "Tides rise."), ("Second", "Tides fall.")):
        slide = deck.slides.add_slide(deck.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = body
    slide.notes_slide.notes_text_frame.text = "Say why."
    return _saved(deck)


def xlsx() -> bytes:
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Staff"
    for row in (["Name", "Age"], ["Ada", 36], ["Alan", None]):
        sheet.append(row)
    book.create_sheet("Empty")
    return _saved(book)


def notebook() -> bytes:
    import nbformat

    module: Any = nbformat  # it has no types
    v4 = module.v4

    cells = [v4.new_markdown_cell("# Study\n\nWe count."), v4.new_code_cell("print(1 + 1)")]
    text: str = module.writes(v4.new_notebook(cells=cells))
    return text.encode()


def zip_bomb(name: str = "word/document.xml", unpacked: int = 64 * 1024 * 1024) -> bytes:
    """A zip with one member of zeros, a thousandth of its unpacked size."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as container:
        container.writestr(name, bytes(unpacked))
    return buffer.getvalue()
