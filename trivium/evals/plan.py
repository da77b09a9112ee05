"""What a run will do, fixed before it begins: every item, its number, and its shard."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trivium.errors import UsageError
from trivium.evals.asking import Asker, inline
from trivium.evals.base import Cell, Row
from trivium.evals.data import load_rows, locate
from trivium.evals.store import PlannedCell
from trivium.evals.suite import Data, Inline, Suite, described
from trivium.prompts.base import Prompt
from trivium.prompts.files import find_prompt, load_prompt


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to ask. `index` is unique within the run: by cell, then row, then repeat."""

    index: int
    cell: int
    row: int
    repeat: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A suite with its rows read and its prompts loaded. `hash` covers all that decides records.

    `cells` and `prompts` are parallel; `pool` holds the solved rows of the few-shot section.
    """

    suite: Suite
    rows: tuple[Row, ...]
    pool: tuple[Row, ...]
    cells: tuple[PlannedCell, ...]
    prompts: tuple[Prompt, ...]
    hash: str

    @property
    def total(self) -> int:
        return len(self.cells) * len(self.rows) * self.suite.repeats

    def models(self) -> list[str]:
        """The models in their order, each once."""
        return list(dict.fromkeys(planned.cell.model for planned in self.cells))

    def item(self, index: int) -> Item:
        rest, repeat = divmod(index, self.suite.repeats)
        cell, row = divmod(rest, len(self.rows))
        return Item(index, cell, row, repeat)

    def shards(self, cell: int, asker: Asker) -> Iterator[tuple[Item, ...]]:
        """A cell's items, `suite.shard` at a time, equal prefixes of prompts beside each other."""
        order = sorted(range(len(self.rows)), key=lambda row: asker.order(self.rows[row]))
        repeats, size = self.suite.repeats, self.suite.shard
        first = cell * len(self.rows) * repeats
        indices = [first + row * repeats + repeat for row in order for repeat in range(repeats)]
        for start in range(0, len(indices), size):
            yield tuple(self.item(index) for index in indices[start : start + size])


def make_plan(
    suite: Suite, models: Sequence[str], *, data: Path | None = None, limit: int | None = None
) -> Plan:
    """Read the rows and the prompts of `suite`, for `models` (the suite's own when empty).

    `data` and `limit` stand in for those of the suite.

    Raises:
        UsageError: when a row, prompt or model is not there or cannot be meant.
    """
    source = suite.data
    if data is not None:
        source = source.model_copy(update={"file": str(data.expanduser().absolute())})
    if limit is not None:
        source = source.model_copy(update={"limit": limit})
    rows = tuple(load_rows(source, suite.folder))
    examples = suite.examples
    pool: tuple[Row, ...] = ()
    if examples and examples.k:
        pool = tuple(load_rows(_beside(examples.data, source, data), suite.folder))
    prompts = [_prompt(given, suite, rows[0]) for given in suite.prompts]
    before = [_prompt(name, suite, rows[0]) for name in suite.system_prompts]
    prompts += [_behind(system, prompt) for system in before for prompt in prompts]
    return plan_rows(suite, rows, prompts, models, pool)


def plan_rows(
    suite: Suite,
    rows: Sequence[Row],
    prompts: Sequence[Prompt],
    models: Sequence[str],
    pool: Sequence[Row] = (),
) -> Plan:
    """The plan of `suite` over rows and prompts that are there already.

    Raises:
        UsageError: when no model is named, or two prompts have one name.
    """
    names = list(dict.fromkeys(models or suite.models))
    if not names:
        raise UsageError(f"the suite {suite.name} names no models; give one with --model")
    repeated = {one.name for one in prompts if [p.name for p in prompts].count(one.name) > 1}
    if repeated:
        raise UsageError(f'the suite {suite.name} has two prompts named "{repeated.pop()}"')
    pairs = [(model, prompt) for model in names for prompt in prompts]
    cells = tuple(PlannedCell(Cell(model, prompt.name), prompt.hash) for model, prompt in pairs)
    digest = _hash(suite, rows, pool, cells)
    return Plan(suite, tuple(rows), tuple(pool), cells, tuple(p for _, p in pairs), digest)


def code_file(suite: Suite) -> Path | None:
    """Where the suite's own scorers lie."""
    return None if suite.code is None else locate(suite.code, suite.folder)


def _beside(examples: Data, source: Data, given: Path | None) -> Data:
    """Examples of the same file as the rows follow where `--data` leads."""
    if given is None or examples.file != source.file:
        return examples
    return examples.model_copy(update={"file": source.file})


def _prompt(given: str | Inline, suite: Suite, row: Row) -> Prompt:
    if isinstance(given, Inline):
        return inline(given, row.inputs)
    beside = suite.folder / given
    return load_prompt(beside) if beside.is_file() else find_prompt(given)


def _behind(system: Prompt, prompt: Prompt) -> Prompt:
    """`prompt` with the system part of `system` before its own; its answers are asked alike."""
    from jinja2 import meta
    from jinja2.sandbox import SandboxedEnvironment

    if not system.system.strip():
        raise UsageError(f'the prompt "{system.name}" has no system part to put before others')
    used = meta.find_undeclared_variables(SandboxedEnvironment().parse(system.system))
    used -= {one.name for one in prompt.variables}
    return replace(
        prompt,
        name=f"{prompt.name}+{system.name}",
        system="\n\n".join(filter(None, (system.system.strip(), prompt.system))),
        variables=(*prompt.variables, *(one for one in system.variables if one.name in used)),
    )


def _hash(
    suite: Suite, rows: Sequence[Row], pool: Sequence[Row], cells: Sequence[PlannedCell]
) -> str:
    digest = hashlib.sha256()

    def add(value: object) -> None:
        digest.update(json.dumps(value, sort_keys=True, default=str).encode() + b"\n")

    plain: Mapping[str, object] = described(suite)
    add({key: value for key, value in plain.items() if key not in ("data", "prompts")})
    add([(one.cell.model, one.cell.prompt, one.prompt_hash) for one in cells])
    for row in (*rows, *pool):
        add([row.id, dict(row.inputs), row.target, row.cluster])
    code = code_file(suite)
    if code is not None:
        digest.update(code.read_bytes())
    return digest.hexdigest()
