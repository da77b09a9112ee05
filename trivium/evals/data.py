"""Rows of data from files that people keep: JSON Lines, CSV, Parquet, the tasks' own layouts."""

import os
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from trivium.errors import UsageError
from trivium.evals.base import Row
from trivium.tables import read_table, readable

if TYPE_CHECKING:
    from trivium.evals.suite import Data


def load_rows(data: "Data", folder: Path) -> list[Row]:
    """The rows that `data` means, in the file's order (or a sample's).

    Raises:
        UsageError: naming the file, and the line or column that is wrong.
    """
    file = locate(data.file, folder)
    raw = [
        (number, columns)
        for number, columns in enumerate(read(file, data.format))
        if all(_matches(columns, name, wanted, file) for name, wanted in data.where.items())
    ]
    if not raw:
        kept = f" that match {data.where}" if data.where else ""
        raise UsageError(f"{file} has no rows{kept}")
    if data.limit is not None and data.limit < len(raw):
        if data.seed is not None:
            chosen = random.Random(data.seed).sample(range(len(raw)), data.limit)  # noqa: S311
            raw = [raw[number] for number in sorted(chosen)]
        else:
            raw = raw[: data.limit]
    return _rows(raw, data, file)


def locate(name: str, folder: Path) -> Path:
    """Where `name` lies: beside the suite, under TRIVIUM_DATA, or among what was fetched.

    `name` is a file or folder, or `hf:org/name/path[@revision]`, a file of the hub that is fetched.

    Raises:
        UsageError: when it is in none of these places; saying how it is fetched, if it can be.
    """
    from trivium.evals.fetch import HUB, fetchable, fetched

    if name.startswith(HUB):
        if (kept := fetched(name)) is None:
            raise UsageError(f"{name} is not fetched; run: trivium eval fetch {name}")
        return kept
    path = Path(name).expanduser()
    if (beside := folder / path).exists():  # an absolute path stays what it is
        return beside
    where = os.environ.get("TRIVIUM_DATA")
    if where and (shared := Path(where).expanduser() / path).exists():
        return shared
    if kept := fetched(name):
        return kept
    looked = f"{beside}" + (f" or under TRIVIUM_DATA ({where})" if where else "")
    ways = [] if where else ["set TRIVIUM_DATA to the folder with your data sets"]
    if source := fetchable(name):
        ways.append(f"run: trivium eval fetch {source}")
    way = f"; {', or '.join(ways)}" if ways else ""
    raise UsageError(f"there is no {name} at {looked}{way}")


def read(file: Path, form: str | None) -> Iterator[Mapping[str, object]]:
    """The columns of each row of `file`: of a table, or in the layout `form` of a task.

    Raises:
        UsageError: when it cannot be read, naming the line.
    """
    from trivium.evals.tasks.loaders import LOADERS

    if form in LOADERS:
        yield from readable(file, LOADERS[form](file))
    else:
        yield from read_table(file, form)


def _matches(columns: Mapping[str, object], name: str, wanted: object, file: Path) -> bool:
    """CSV has only text, so values are compared as text."""
    if name not in columns:
        raise UsageError(f'{file} has no column "{name}"; it has {", ".join(columns)}')
    values = wanted if isinstance(wanted, list) else [wanted]
    return str(columns[name]) in map(str, values)


def _rows(raw: list[tuple[int, Mapping[str, object]]], data: "Data", file: Path) -> list[Row]:
    rows: dict[str, Row] = {}
    for number, columns in raw:
        for name in (data.id, data.target, data.cluster):
            if name is not None and name not in columns:
                raise UsageError(
                    f'{file}, row {number + 1} has no column "{name}"; it has {", ".join(columns)}'
                )
        key = str(number) if data.id is None else str(columns[data.id])
        if key in rows:
            raise UsageError(f'{file}, row {number + 1}: id "{key}" stands there already')
        target = None if data.target is None else columns[data.target]
        if data.labels:
            target = _label(target, data.labels, f"{file}, row {number + 1}")
        cluster = None if data.cluster is None else str(columns[data.cluster])
        inputs = {name: value for name, value in columns.items() if name != data.target}
        rows[key] = Row(key, inputs, target, cluster)
    return list(rows.values())


def _label(target: object, labels: Mapping[str, str], where: str) -> str:
    found = labels.get(str(target))
    if found is None:
        raise UsageError(f'{where}: the target "{target}" is none of {", ".join(labels)}')
    return found
