"""Pictures that were classified or scored, as Records and runs like those of any suite.

`trivium eval show` and `compare`, gates and group figures then read them as they read any run.
"""

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from trivium.errors import UsageError
from trivium.evals.base import Cell, Choice, Record, Row
from trivium.evals.data import read
from trivium.evals.intervals import Interval, estimate
from trivium.evals.paired import Paired, paired
from trivium.evals.runner import judge
from trivium.evals.scorers import build
from trivium.evals.scorers.base import Means
from trivium.evals.store import PlannedCell, Runs
from trivium.images.classify import Classified, class_of
from trivium.images.clip_score import Scored

_LEAST = 1e-300  # a probability of 0 has no logarithm
_PATHS, _TARGETS = ("image", "file", "path", "filepath"), ("label", "target", "class")


@dataclass(frozen=True, slots=True)
class Target:
    """A picture with the label that is right, and what else its table says of it (groups)."""

    path: str
    label: str
    columns: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class By:
    """What classified: the encoder's name and fingerprint, and the prompt or probe."""

    model: str
    fingerprint: str
    prompt: str
    prompt_hash: str


def of_folders(paths: Sequence[str | Path]) -> list[Target]:
    """The right labels of pictures that lie in folders named for them."""
    return [Target(str(path), class_of(path), {}) for path in paths]


def of_table(file: Path) -> list[Target]:
    """The pictures and labels of a table (CSV, JSON Lines, Parquet), paths relative to it.

    Raises:
        UsageError: when it cannot be read, or a row has no picture or no label.
    """
    targets = []
    for number, columns in enumerate(read(file, None), start=1):
        path = next((columns[one] for one in _PATHS if columns.get(one)), None)
        label = next((columns[one] for one in _TARGETS if columns.get(one) is not None), None)
        if not isinstance(path, str) or label is None:
            raise UsageError(
                f"{file}, row {number} has no image and label; its columns are "
                f"{', '.join(map(str, columns))}"
            )
        rest = {key: value for key, value in columns.items() if key not in (*_PATHS, *_TARGETS)}
        targets.append(Target(str(file.parent / path), str(label), rest))
    if not targets:
        raise UsageError(f"{file} has no rows")
    return targets


def store(
    runs: Runs,
    by: By,
    labels: Sequence[str],
    targets: Sequence[Target],
    classified: Sequence[Classified],
) -> str:
    """Store a run of classified pictures, one for each of `targets`; its id.

    Its metrics are those of the scorer "classification": accuracy, confidence, Brier, and for all
    rows together F1 and calibration error. Refused pictures are failed rows.
    """
    rows = [
        Row(_readable(one.path), {"image": _readable(one.path), **one.columns}, one.label)
        for one in targets
    ]
    said = {"labels": list(labels), "model": by.model, "prompt": by.prompt}
    plan = hashlib.sha256(
        json.dumps(
            [
                said,
                by.fingerprint,
                by.prompt_hash,
                [[row.id, row.inputs, row.target] for row in rows],
            ],
            default=str,
        ).encode()
    ).hexdigest()
    cells = [PlannedCell(Cell(by.model, by.prompt), by.prompt_hash)]
    described: dict[str, object] = {"name": "pictures", "method": "choose", **said}
    run_id = runs.begin("pictures", plan, described, cells, rows, len(rows))
    runs.set_fingerprint(run_id, by.model, by.fingerprint)
    scorers = build(["classification"], cast(Means, None))  # it asks no other model
    records = judge(list(_records(run_id, by, labels, rows, classified)), scorers)
    runs.commit(run_id, [(0, at, record) for at, record in enumerate(records)])
    sound = [record for record in records if record.error is None]
    totals: dict[str, float] = {}
    for scorer in scorers:
        totals |= scorer.summarise(sound) if scorer.summarise and sound else {}
    runs.finish(run_id, {0: {key: value for key, value in totals.items() if math.isfinite(value)}})
    return run_id


def _records(
    run_id: str,
    by: By,
    labels: Sequence[str],
    rows: Sequence[Row],
    classified: Sequence[Classified],
) -> Iterator[Record]:
    for index, (row, one) in enumerate(zip(rows, classified, strict=True)):
        record = Record(
            run_id, index, row.id, 0, by.model, by.fingerprint, by.prompt, by.prompt_hash,
            row.inputs, row.target,
        )  # fmt: skip
        if one.refused is not None:
            yield replace(record, error=one.refused)
            continue
        choices = tuple(
            Choice(label, math.log(max(share, _LEAST)), 1)
            for label, share in zip(labels, one.probabilities, strict=True)
        )
        yield replace(record, output=labels[one.best], choices=choices)


def better(before: Sequence[bool], after: Sequence[bool]) -> Paired:
    """Whether the second of two classifiers is right more often on the same pictures."""
    return paired([float(one) for one in before], [float(one) for one in after])


def mean_score(scored: Sequence[Scored]) -> Interval | None:
    """The mean CLIPScore with its interval; captions of one picture depend on each other."""
    rated = [one for one in scored if one.score is not None]
    if not rated:
        return None
    values: list[Any] = [one.score for one in rated]
    return estimate(values, clusters=[one.name for one in rated])


def _readable(path: str) -> str:
    """A path as text, whatever bytes it holds."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
