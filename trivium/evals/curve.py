"""Score against size: a suite over k solved examples, or over a family of models.

Each point is an ordinary stored run. All points of a curve are means over the same rows, so that a
law is fitted to what changed and not to which rows happened to come out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np

from trivium.closing import Closing
from trivium.engines.base import Engine
from trivium.errors import TriviumError, UsageError
from trivium.evals.base import Record
from trivium.evals.curve_fit import Fit, Law, fit, logistic, power_law
from trivium.evals.intervals import Codes, Floats, Interval, codes, estimate
from trivium.evals.plan import Plan, make_plan
from trivium.evals.runner import Loader
from trivium.evals.scorers.choosing import BUILDERS
from trivium.evals.store import Runs
from trivium.evals.suite import Suite

LOSSES = frozenset({"bits_per_byte", "cross_entropy", "brier"})
"""Metrics of which less is better, and which fall towards a limit."""
SMOOTH = "cross_entropy"
"""What is shown beside accuracy, for it has no threshold (Schaeffer et al. 2023)."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A finished run at one size: k, or a number of parameters."""

    size: float
    label: str
    run: str


@dataclass(frozen=True, slots=True)
class Point:
    """A mean with its interval. `x` is what laws see: the parameters, or k + 1, as k may be 0."""

    size: float
    label: str
    run: str
    x: float
    interval: Interval


@dataclass(frozen=True, slots=True)
class Guess:
    """What a law says at a size; `beyond` the sizes that were measured."""

    law: str
    size: float
    interval: Interval
    beyond: bool


@dataclass(frozen=True, slots=True)
class Curve:
    """A metric of one prompt (and of one model, where k varies) over the sizes.

    `rows` have a value at every point; `left_out` have not, and are in no point. `chance` is the
    expected score of guessing, where it is known. `unfitted` says why laws are missing. `best` is
    the law that AICc prefers, None where it cannot choose.
    """

    model: str
    prompt: str
    metric: str
    over: str
    points: tuple[Point, ...]
    rows: int
    left_out: int
    chance: float | None
    fits: tuple[Fit, ...]
    unfitted: tuple[str, ...]
    best: str | None

    def guesses(self, size: float) -> list[Guess]:
        """What each law says at `size`, with the interval of its curve there."""
        sizes = [point.size for point in self.points]
        made = []
        for one in self.fits:
            middle, low, high = one.at(np.array([to_x(self.over, size)]))
            said = Interval(float(middle[0]), float(low[0]), float(high[0]), one.units, "bootstrap")
            made.append(Guess(one.law.name, size, said, not min(sizes) <= size <= max(sizes)))
        return made


class Lent(Closing):
    """A model that stays loaded over several runs: a run closes what it is lent, to no effect."""

    def __init__(self, name: str, load: Loader) -> None:
        self._name = name
        self._load = load
        self._engine: Engine | None = None

    @property
    def engine(self) -> Engine:
        """The model, loaded when it is first wanted."""
        if self._engine is None:
            self._engine = self._load(self._name)
        return self._engine

    def load(self, name: str) -> Engine:
        """This model, or another one that judges."""
        return cast("Engine", _Borrowed(self.engine)) if name == self._name else self._load(name)

    def close(self) -> None:
        """Free the model."""
        if self._engine is not None:
            self._engine.close()


class _Borrowed:
    """An engine whose closing is its owner's affair."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    def close(self) -> None:
        """Leave it open."""


def shot_plans(
    suite: Suite,
    model: str,
    shots: Sequence[int],
    *,
    data: Path | None = None,
    limit: int | None = None,
) -> list[Plan]:
    """The plan of `suite` with each number of examples.

    Raises:
        UsageError: when the suite has no examples, or fewer than are asked for.
    """
    section = suite.examples
    if section is None:
        raise UsageError(
            f"the suite {suite.name} has no examples to vary; give it an examples section with data"
        )
    plans = []
    for k in shots:
        varied = suite.model_copy(update={"examples": section.model_copy(update={"k": k})})
        plans.append(make_plan(varied, [model], data=data, limit=limit))
    most = max(zip(shots, plans, strict=True), key=lambda pair: pair[0])
    _require_examples(*most)
    return plans


def _require_examples(k: int, plan: Plan) -> None:
    """Every row finds `k` examples: a point with fewer would be another point's double."""
    section = plan.suite.examples
    match = section.match if section else None
    own = 1 if section and section.data.file == plan.suite.data.file else 0
    groups: dict[str, int] = {}
    for row in plan.pool:
        key = str(row.inputs.get(match)) if match else ""
        groups[key] = groups.get(key, 0) + 1
    for row in plan.rows if k else ():
        key = str(row.inputs.get(match)) if match else ""
        there = groups.get(key, 0) - own  # a row is no example of its own
        if there < k:
            named = f' for "{key}"' if match else ""
            raise UsageError(f"there are {there} examples{named}, too few for {k} shots")


def finished(runs: Runs, plan: Plan, engine: Engine) -> str | None:
    """A complete run of `plan` by this very engine, if there is one: it need not be run again."""
    mark = engine.fingerprint.id
    for one in runs.of_plan(plan.hash):
        if one.complete and all(cell.fingerprint == mark for cell in runs.cells(one.id)):
            return one.id
    return None


def curves(
    runs: Runs, measured: Sequence[Measured], over: str, wanted: Sequence[str] = ()
) -> list[Curve]:
    """A curve for each prompt and metric of the runs, which are of one suite and the same rows.

    Args:
        over: "shots" or "parameters".
        wanted: metrics; by default the first one, and cross-entropy where choices were scored.

    Raises:
        UsageError: when sizes repeat, or a metric or common rows are missing.
    """
    ordered = sorted(measured, key=lambda one: one.size)
    for one, other in pairwise(ordered):
        if one.size == other.size:
            raise UsageError(f"{one.label} and {other.label} have one size; a curve needs several")
    if len(ordered) < 2:
        raise UsageError("a curve needs at least two sizes")
    read = [_read(runs.records(one.run)) for one in ordered]
    prompts = list(read[0])
    found = []
    for prompt in prompts:
        tables = [one[prompt] for one in read]
        known = list(dict.fromkeys(name for table in tables for name in table.values))
        missing = [name for name in wanted if name not in known]
        if missing:
            raise UsageError(f'no metric "{missing[0]}" of single rows; there are {_listed(known)}')
        names = list(wanted) or [*known[:1], *([SMOOTH] if SMOOTH in known[1:] else [])]
        if not names:
            raise UsageError(f"all rows failed; see: trivium eval show {ordered[0].run} --failed")
        found += [_curve(name, over, prompt, ordered, tables) for name in names]
    return found


def to_x(over: str, size: float) -> float:
    """A size as laws take it, which must be above 0."""
    return size + 1 if over == "shots" else size


@dataclass(slots=True)
class _Table:
    """A run's values by metric and row (with all repeats), and each row's cluster and chance."""

    model: str
    values: dict[str, dict[str, list[float]]]
    clusters: dict[str, str]
    chances: dict[str, float]
    every: set[str]


def _read(records: Iterable[Record]) -> dict[str, _Table]:
    smooth = BUILDERS[SMOOTH](None)
    tables: dict[str, _Table] = {}
    for record in records:
        table = tables.setdefault(record.prompt, _Table(record.model, {}, {}, {}, set()))
        table.every.add(record.row)
        if record.error is not None:
            continue
        table.clusters[record.row] = record.cluster or f"\0{record.row}"
        scores: Mapping[str, float | None] = record.scores
        if len(record.choices) > 1:
            (said,) = smooth.many([record])
            if not isinstance(said, TriviumError):
                scores = {**scores, **said}
            right = len(record.target) if isinstance(record.target, list) else 1
            table.chances[record.row] = right / len(record.choices)
        for name, value in scores.items():
            if value is not None:
                table.values.setdefault(name, {}).setdefault(record.row, []).append(value)
    return tables


def _curve(
    metric: str, over: str, prompt: str, ordered: Sequence[Measured], tables: Sequence[_Table]
) -> Curve:
    every = set().union(*(table.every for table in tables))
    rows = [
        row
        for row in tables[0].values.get(metric, {})
        if all(row in table.values.get(metric, {}) for table in tables)
    ]
    if len(rows) < 2:
        raise UsageError(f"{len(rows)} rows have {metric} at every point; a curve needs two")
    columns = [[table.values[metric][row] for row in rows] for table in tables]
    clusters = codes([tables[0].clusters[row] for row in rows])
    points = tuple(
        Point(one.size, one.label, one.run, to_x(over, one.size), _mean(column, clusters))
        for one, column in zip(ordered, columns, strict=True)
    )
    means = np.array([[np.mean(values) for values in column] for column in columns]).T
    known = [tables[0].chances[row] for row in rows if row in tables[0].chances]
    guessed = metric == "mc2" or metric.startswith("accuracy")
    chance = float(np.mean(known)) if guessed and len(known) == len(rows) else None
    x = np.array([point.x for point in points])
    fits, unfitted = _fits(_laws(metric, np.log(x), means, chance), x, means, clusters)
    if not fits and not unfitted:
        unfitted = [f"no law is fitted to {metric}, which is neither a loss nor between 0 and 1"]
    marks = [(one.aicc, one.law.name) for one in fits if one.aicc is not None]
    best = min(marks)[1] if marks and len(marks) == len(fits) else None
    return Curve(
        tables[0].model if over == "shots" else "",
        prompt,
        metric,
        over,
        points,
        len(rows),
        len(every) - len(rows),
        chance,
        tuple(fits),
        tuple(unfitted),
        best,
    )


def _mean(column: Sequence[Sequence[float]], clusters: Codes) -> Interval:
    values = [value for row in column for value in row]
    rows = np.repeat(np.arange(len(column)), [len(row) for row in column])
    return estimate(values, rows, clusters[rows])


def _laws(metric: str, z: Floats, means: Floats, chance: float | None) -> list[Law]:
    if metric in LOSSES:
        return [power_law(z)]
    if means.min() >= 0 and means.max() <= 1:
        return [logistic(z, chance or 0.0), power_law(z, top=1.0)]
    return []


def _fits(
    laws: Sequence[Law], x: Floats, means: Floats, clusters: Codes
) -> tuple[list[Fit], list[str]]:
    fits, unfitted = [], []
    for law in laws:
        try:
            fits.append(fit(law, x, means, clusters))
        except UsageError as error:
            unfitted.append(str(error))
    return fits, unfitted


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "none"
