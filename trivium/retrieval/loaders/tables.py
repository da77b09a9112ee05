"""Spreadsheets and delimited text: one line a row, each value beside the name of its column."""

import csv
from collections.abc import Iterable, Iterator
from io import BytesIO, StringIO

from trivium.retrieval.loaders.base import Budget, Extracted, check_zip
from trivium.retrieval.loaders.text import decode, tidy

_DELIMITERS = ",;\t|"
_SAMPLE = 16 * 1024


def csv_text(data: bytes, delimiter: str | None = None) -> Extracted:
    """Rows of a delimited file; the delimiter is taken from the first lines unless given."""
    text = tidy(decode(data))
    csv.field_size_limit(2**31 - 1)  # a column of whole articles is not an error
    reader = csv.reader(StringIO(text), delimiter=delimiter or _delimiter(text[:_SAMPLE]))
    budget = Budget(2 * len(text) + 64 * 1024 * 1024)
    return Extracted("table", ("\n".join(budget.spend(line) for line in _lines(reader)),))


def _delimiter(sample: str) -> str:
    """The delimiter that stands equally often, and most often, in the first lines."""
    lines = sample.splitlines()[:20]
    lines = lines[:-1] if len(lines) > 1 and len(sample) == _SAMPLE else lines
    try:
        return csv.Sniffer().sniff("\n".join(lines), _DELIMITERS).delimiter
    except csv.Error:
        return max(_DELIMITERS, key=(lines[0] if lines else "").count)


def xlsx(data: bytes) -> Extracted:
    """Every sheet under a "# " line with its name: the values last computed, not the formulas."""
    check_zip(data)
    from openpyxl import load_workbook

    budget = Budget()
    parts = []
    book = load_workbook(BytesIO(data), read_only=True, data_only=True)
    try:
        for sheet in book.worksheets:
            sheet.reset_dimensions()  # a file may claim 16,384 columns
            rows = ([_cell(value) for value in row] for row in sheet.iter_rows(values_only=True))
            lines = [budget.spend(line) for line in _lines(rows)]
            if lines:
                parts.append("\n".join([f"# {sheet.title}", *lines]))
    finally:
        book.close()
    return Extracted("xlsx", ("\n\n".join(parts),))


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def _lines(rows: Iterable[list[str]]) -> Iterator[str]:
    """Each row as one line with tabs between its cells, "name: value" when there is a header."""
    header: list[str] | None = None
    first = True
    for row in rows:
        cells = [" ".join(cell.split()) for cell in row]
        if not any(cells):
            continue
        if first:
            first = False
            if _is_header(cells):
                header = cells
            yield "\t".join(cells).strip()
        elif header is None:
            yield "\t".join(cells).strip()
        else:
            names = header + [""] * (len(cells) - len(header))
            pairs = zip(names, cells, strict=False)
            yield "\t".join(f"{name}: {cell}" if name else cell for name, cell in pairs if cell)


def _is_header(cells: list[str]) -> bool:
    """Names of columns differ from each other and are not numbers."""
    named = [cell for cell in cells if cell]
    if len(named) < 2 or len(set(named)) < len(named):
        return False
    return not any(cell.lstrip("+-").replace(".", "").replace(",", "").isdigit() for cell in named)
