"""Runs a plan: each shard is asked, judged and stored whole, so that a run can stop anywhere.

A run that was interrupted goes on where it stopped; what it then holds is byte for byte what it
would have held, because a shard depends on nothing but the plan and the model.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING, Any

from trivium.engines.base import Engine
from trivium.errors import TriviumError, UsageError
from trivium.evals.asking import Asker
from trivium.evals.base import Record, Scores
from trivium.evals.helpers import Helpers
from trivium.evals.plan import Item, Plan
from trivium.evals.results import answer
from trivium.evals.scorers import build
from trivium.evals.scorers.base import Built
from trivium.evals.store import Runs

if TYPE_CHECKING:
    from trivium.evals.cache import Cache

Loader = Callable[[str], Engine]
DEFAULT = {"generate": ("exact",), "choose": ("choice",), "likelihood": ("likelihood",)}
"""The scorers of a suite that names none."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands after a shard. `eta`: seconds to go at the pace of the latest shards."""

    model: str
    done: int
    total: int
    resumed: int
    failed: int
    eta: float | None


Watch = Callable[[Progress], None]


def run(
    plan: Plan,
    load: Loader,
    *,
    runs: Runs,
    cache: "Cache",
    custom: Mapping[str, Callable[..., Any]] | None = None,
    retry_failed: bool = False,
    watch: Watch = lambda progress: None,
) -> str:
    """Carry out `plan` and return the run's id. An unfinished run of the same plan goes on.

    `load` gives the engine of a model's name; one is loaded at a time, and closed. `retry_failed`
    asks the failed rows of the newest run of this plan again, and nothing else that is stored.

    Raises:
        UsageError: when a model is not the one that the run began with.
        Unavailable: when a model cannot be loaded, or has gone away; what is stored stays.
        KeyboardInterrupt: as it comes; the run then goes on with the next call.
    """
    with Helpers(load, cache) as helpers:
        scorers = build(plan.suite.scorers or DEFAULT[plan.suite.method], helpers, custom)
        run_id = _open(plan, runs, retry_failed)
        with _alone(runs, run_id):
            work = _Work(plan, run_id, runs, cache, scorers, watch, retry_failed)
            for model in plan.models():
                work.model(model, helpers)
            runs.finish(run_id, _totals(plan, runs, run_id, scorers))
    return run_id


def _open(plan: Plan, runs: Runs, retry_failed: bool) -> str:
    """The run to go on with, or a new one."""
    earlier = runs.of_plan(plan.hash)
    if retry_failed:
        if not earlier:
            raise UsageError("there is no run of this suite, model and data whose rows had failed")
        return earlier[0].id
    unfinished = [one.id for one in earlier if not one.complete]
    if unfinished:
        return unfinished[0]
    from trivium.evals.suite import described

    return runs.begin(
        plan.suite.name, plan.hash, described(plan.suite), plan.cells, plan.rows, plan.total
    )


@contextmanager
def _alone(runs: Runs, run_id: str) -> Iterator[None]:
    """Nobody else runs this; the lock ends with the process, however it ends."""
    from filelock import FileLock, Timeout

    file = runs.file.with_name(f"{run_id}.lock")
    try:
        with FileLock(file, timeout=0):
            yield
    except Timeout as error:
        raise UsageError(f"the run {run_id} is going on in another process; wait for it") from error
    file.unlink(missing_ok=True)


class _Work:
    """One run under way."""

    def __init__(
        self,
        plan: Plan,
        run_id: str,
        runs: Runs,
        cache: "Cache",
        scorers: Sequence[Built],
        watch: Watch,
        retry_failed: bool,
    ) -> None:
        self._plan = plan
        self._run = run_id
        self._runs = runs
        self._cache = cache
        self._scorers = scorers
        self._watch = watch
        failed = runs.stored(run_id, failed=True)
        self._done = runs.stored(run_id, failed=False) | (set() if retry_failed else failed)
        self._failed = 0 if retry_failed else len(failed)
        self._resumed = len(self._done)
        self._mark = ""
        self._pace: deque[tuple[int, float]] = deque(maxlen=16)

    def model(self, name: str, helpers: Helpers) -> None:
        """All cells of a model that have something left to do; else it is not even loaded."""
        cells = [at for at, one in enumerate(self._plan.cells) if one.cell.model == name]
        per_cell = self._plan.total // len(self._plan.cells)
        left = [
            at
            for at in cells
            if not self._done.issuperset(range(at * per_cell, (at + 1) * per_cell))
        ]
        self._report(name)
        if not left:
            return
        engine = helpers.engine(name)
        if self._plan.suite.masked and not engine.fingerprint.settings.get("masked"):
            raise UsageError(
                f"the suite {self._plan.suite.name} is for masked models, named mlm:FOLDER; "
                f"{name} writes from left to right"
            )
        self._mark = engine.fingerprint.id
        self._check(name, cells[0])
        for cell in left:
            asker = Asker(self._plan.suite, self._plan.prompts[cell], self._plan.pool, engine)
            for shard in self._plan.shards(cell, asker):
                items = [item for item in shard if item.index not in self._done]
                if items:
                    self._shard(items, engine, asker)
        helpers.release(name)

    def _check(self, model: str, cell: int) -> None:
        """The engine is the one that the run began with."""
        known = self._runs.cells(self._run)[cell].fingerprint
        if known is None:
            self._runs.set_fingerprint(self._run, model, self._mark)
        elif known != self._mark:
            raise UsageError(
                f"{model} has changed since the run {self._run} began ({known} then, "
                f"{self._mark} now); delete the run with: trivium eval rm {self._run}"
            )

    def _shard(self, items: Sequence[Item], engine: Engine, asker: Asker) -> None:
        began = time.monotonic()
        drafts = [self._draft(item) for item in items]
        rows = [self._plan.rows[item.row] for item in items]
        bare = any(scorer.needs_bare for scorer in self._scorers)
        answered = answer(self._plan.suite, drafts, rows, asker, engine, self._cache, bare=bare)
        records = judge(answered, self._scorers)
        self._runs.commit(
            self._run,
            [(item.cell, item.row, one) for item, one in zip(items, records, strict=True)],
        )
        self._done |= {item.index for item in items}
        self._failed += sum(one.error is not None for one in records)
        self._pace.append((len(items), time.monotonic() - began))
        self._report(engine.name)

    def _draft(self, item: Item) -> Record:
        """The record of an item before anything is asked."""
        row, planned = self._plan.rows[item.row], self._plan.cells[item.cell]
        return Record(
            self._run,
            item.index,
            row.id,
            item.repeat,
            planned.cell.model,
            self._mark,
            planned.cell.prompt,
            planned.prompt_hash,
            row.inputs,
            row.target,
            cluster=row.cluster,
        )

    def _report(self, model: str) -> None:
        rows, seconds = (
            (sum(part) for part in zip(*self._pace, strict=True)) if self._pace else (0, 0)
        )
        left = self._plan.total - len(self._done)
        eta = seconds / rows * left if rows else None
        done, total = len(self._done), self._plan.total
        self._watch(Progress(model, done, total, self._resumed, self._failed, eta))


def judge(records: Sequence[Record], scorers: Sequence[Built]) -> list[Record]:
    """The records with the scores of all `scorers`; those with an error stay as they are.

    A record that one scorer cannot judge is failed whole: half a set of scores would be in some
    means and not in others.
    """
    sound = [at for at, record in enumerate(records) if record.error is None]
    judged = list(records)
    for scorer in scorers:
        asked = [at for at in sound if judged[at].error is None]
        if not asked:
            break
        found: Sequence[Scores | TriviumError]
        try:
            found = scorer.many([judged[at] for at in asked])
        except TriviumError as error:
            found = [error] * len(asked)
        for at, result in zip(asked, map(_finite, found), strict=True):
            if isinstance(result, TriviumError):
                judged[at] = replace(judged[at], scores={}, error=str(result))
            else:
                judged[at] = replace(judged[at], scores={**judged[at].scores, **result})
    return judged


def _finite(result: Scores | TriviumError) -> Scores | TriviumError:
    """Scores that can be averaged; an infinite or undefined one is an error."""
    if not isinstance(result, TriviumError):
        for metric, value in result.items():
            if value is not None and not isfinite(value):
                return TriviumError(f"{metric} came out as {value}, which is no score")
    return result


def _totals(
    plan: Plan, runs: Runs, run_id: str, scorers: Sequence[Built]
) -> dict[int, dict[str, float]]:
    """The corpus metrics of each cell, from its stored records without an error."""
    summarisers = [one.summarise for one in scorers if one.summarise]
    if not summarisers:
        return {}
    per_cell = plan.total // len(plan.cells)
    totals: dict[int, dict[str, float]] = {}
    sound: list[Record] = []
    for record in runs.records(run_id):
        if record.error is None:
            sound.append(record)
        if record.index % per_cell == per_cell - 1:
            found: dict[str, float] = {}
            for summarise in summarisers if sound else ():
                found |= summarise(sound)
            finite = {metric: value for metric, value in found.items() if isfinite(value)}
            totals[record.index // per_cell] = finite
            sound = []
    return totals
