"""Somebody's predictions for BBQ as records, so that they are measured without their model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trivium.errors import UsageError
from trivium.evals.base import Record
from trivium.evals.data import locate
from trivium.evals.fairness.bbq_data import CATEGORIES, Columns, bbq, item, numbered, one_of

ANSWER = "answer"
"""The column of predictions where none has "pred" in its name."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """One column of predictions. `missing` counts items of the data that have none."""

    column: str
    records: tuple[Record, ...]
    missing: int


def read_predictions(
    files: Sequence[Path], data: Path | None = None, columns: Sequence[str] = ()
) -> list[Predictions]:
    """The predictions in `files`: JSON Lines, CSV or Parquet.

    Rows are the authors' items with further columns, or have `category`, `example_id` and a
    prediction; the items of such rows come from `data`, or from `bbq` under TRIVIUM_DATA. Where
    `data` is given, all items are taken from there. A prediction is a text, or the number of an
    answer. `columns` name the predictions; without, all columns with "pred" in their name count, or
    else `answer`.

    Raises:
        UsageError: naming the file and the row that is wrong.
    """
    known = None if data is None else _items(data)
    names = list(columns)
    seen: dict[str, str] = {}
    records: dict[str, list[Record]] = {}
    for file in files:
        empty = True
        for number, row in numbered(file):
            empty, where = False, f"{file}, row {number}"
            names = names or _prediction_columns(row, where)
            if known is None and "answer_info" not in row:
                known = _items(locate("bbq", Path()))
            inputs = item(row, where) if known is None else _known(row, known, where)
            key = str(inputs["id"])
            if key in seen:
                raise UsageError(f"{where}: {key} was predicted already, in {seen[key]}")
            seen[key] = where
            for name in names:
                made = records.setdefault(name, [])
                made.append(_record(len(made), name, row, inputs, where))
        if empty:
            raise UsageError(f"{file} has no predictions")
    missing = 0 if known is None or data is None else len(known.keys() - seen.keys())
    return [Predictions(name, tuple(records[name]), missing) for name in names]


def _items(data: Path) -> dict[str, Columns]:
    return {str(one["id"]): one for one in bbq(data)}


def _known(row: Columns, known: Mapping[str, Columns], where: str) -> Columns:
    category = one_of(row, "category", CATEGORIES, where)
    if "example_id" not in row:
        raise UsageError(f'{where} has no column "example_id"; it has {", ".join(row)}')
    key = f"{category}/{row['example_id']}"
    if key not in known:
        raise UsageError(f"{where}: there is no item {key:.100} in the data")
    return known[key]


def _prediction_columns(row: Columns, where: str) -> list[str]:
    found = [name for name in row if "pred" in name.lower()]
    found = found or [name for name in row if name == ANSWER]
    if not found:
        raise UsageError(
            f'{where} has no column "{ANSWER}", nor one with "pred" in its name; name it with '
            f"--column, of {', '.join(row)}"
        )
    return found


def _record(index: int, name: str, row: Columns, inputs: Columns, where: str) -> Record:
    if name not in row:
        raise UsageError(f'{where} has no column "{name}"; it has {", ".join(row)}')
    answers = inputs["choices"]
    texts = [str(one) for one in answers] if isinstance(answers, list) else []
    said = _said(row[name], texts, f'{where}: the prediction in "{name}"')
    return Record(
        "", index, str(inputs["id"]), 0, "", "", name, "", inputs, inputs["label"], output=said
    )


def _said(value: object, answers: Sequence[str], where: str) -> str:
    """The text of a prediction that may be an answer's number."""
    if value is None:
        return ""
    if isinstance(value, str) and not value.strip().isdecimal():
        return value
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        number = float(value)
        if number in range(len(answers)):
            return answers[int(number)]
    raise UsageError(f"{where} is {value!r:.50}; a text, or 0, 1 or 2, would be an answer")
