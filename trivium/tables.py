"""Rows of the tables that people keep: JSON Lines, CSV with a header, Parquet."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from trivium.errors import UsageError

Columns = Mapping[str, object]

SUFFIXES = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet",
}  # fmt: skip


def read_table(file: Path, form: str | None = None) -> Iterator[Columns]:
    """The columns of each row of `file`, of the form that its ending says when `form` is None.

    Raises:
        UsageError: when it cannot be read, naming the line.
    """
    form = form or SUFFIXES.get(file.suffix.lower())
    if form not in _READERS:
        raise UsageError(f"{file} is not .jsonl, .csv, .tsv or .parquet; say its format")
    yield from readable(file, _READERS[form](file))


def readable(file: Path, rows: Iterator[Columns]) -> Iterator[Columns]:
    """`rows`, which are read from `file`; what the disk and UTF-8 refuse becomes a sentence.

    Raises:
        UsageError: when it cannot be read.
    """
    try:
        yield from rows
    except UnicodeDecodeError as error:
        raise UsageError(not_utf8(file, error)) from error
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror or error}") from error


def not_utf8(file: Path, error: UnicodeDecodeError) -> str:
    """Where a file leaves UTF-8: `error` knows the position in a buffer and not the line."""
    if file.is_file():
        with file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    line.decode()
                except UnicodeDecodeError as found:
                    byte = f"byte 0x{line[found.start]:02x}"
                    return f"{file}, line {number} is not UTF-8: {byte}; save all of it as UTF-8"
    return f"{file} is not UTF-8: {error.reason}"


def _jsonl(file: Path) -> Iterator[Columns]:
    with file.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                raise UsageError(f"{file}, line {number} is not JSON: {error}") from error
            if not isinstance(row, dict):
                raise UsageError(f'{file}, line {number} is not an object such as {{"q": "..."}}')
            yield row


def _csv(file: Path) -> Iterator[Columns]:
    """A header, then rows as long as it."""
    dialect = "excel-tab" if file.suffix.lower() == ".tsv" else "excel"
    with file.open(encoding="utf-8-sig", newline="") as lines:
        table = csv.reader(lines, dialect, strict=True)
        try:
            header = next(table, [])
            for row in table:
                if not row:
                    continue
                if len(row) != len(header):
                    raise UsageError(
                        f"{file}, line {table.line_num} has {len(row)} columns, "
                        f"but the header has {len(header)}"
                    )
                yield dict(zip(header, row, strict=True))
        except csv.Error as error:
            raise UsageError(f"{file}, line {table.line_num} is not CSV: {error}") from error


def _parquet(file: Path) -> Iterator[Columns]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(file) as table:
            for batch in table.iter_batches():
                yield from batch.to_pylist()
    except pa.ArrowException as error:
        raise UsageError(f"{file} is not Parquet that can be read: {error}") from error


_READERS: dict[str | None, Callable[[Path], Iterator[Columns]]] = {
    "jsonl": _jsonl,
    "csv": _csv,
    "parquet": _parquet,
}
