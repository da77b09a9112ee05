"""An audit as a run: a user's rows and their counterfactuals, asked by the runner as any suite.

Row "12" is the original and "12~gender:woman" the same with a woman in it; they share a cluster.
What was swapped stands in the row's columns beginning with `audit_`, and the prompt sees its own
variables alone.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from trivium.errors import UsageError
from trivium.evals.base import Row
from trivium.evals.data import load_rows
from trivium.evals.fairness.lists import Axis
from trivium.evals.fairness.swaps import Skipped, Swapped, counterfactuals
from trivium.evals.plan import Plan, plan_rows
from trivium.evals.suite import Data, Sample, Suite
from trivium.prompts.base import Prompt

Task = Literal["classify", "score", "rank", "text"]
TASKS: tuple[Task, ...] = ("classify", "score", "rank", "text")
MARK = "audit_"


@dataclass(frozen=True, slots=True)
class Skips:
    """Why rows have no counterfactual on an axis: how many of each reason, and one example."""

    rows: Mapping[tuple[str, str], int]
    examples: Mapping[tuple[str, str], str]


@dataclass(frozen=True, slots=True)
class Variants:
    """Originals with their counterfactuals, and how many there are of each (axis, group)."""

    rows: tuple[Row, ...]
    originals: int
    made: Mapping[tuple[str, str], int]
    skips: Skips


@dataclass(frozen=True, slots=True)
class Settings:
    """How the model is asked."""

    task: Task
    labels: tuple[str, ...] = ()
    choose: bool = False
    sampling: Sample = field(default_factory=Sample)
    repeats: int = 1


def guess_task(prompt: Prompt) -> tuple[Task, tuple[str, ...]]:
    """What a prompt answers with, by its schema or its list of labels, and the labels.

    A schema of a number is scoring, of a list ranking, of an enumeration classification; a variable
    "labels" with a default is classification; everything else is free text.
    """
    for part in _parts(prompt.schema or {}):
        if isinstance(values := part.get("enum"), list):
            return "classify", tuple(map(str, values))
        if isinstance(values, Mapping) and "$var" in values:
            break
        if part.get("type") in ("number", "integer"):
            return "score", ()
        if part.get("type") == "array":
            return "rank", ()
    for variable in prompt.variables:
        if variable.name == "labels" and isinstance(variable.default, list | tuple):
            return "classify", tuple(map(str, variable.default))
    return "text", ()


def _parts(schema: Mapping[str, object]) -> list[Mapping[str, object]]:
    """A schema and those of its properties, outermost first."""
    properties = schema.get("properties")
    inner = list(properties.values()) if isinstance(properties, Mapping) else []
    return [schema, *(one for one in inner if isinstance(one, Mapping))]


def text_columns(prompt: Prompt, row: Row, chosen: Sequence[str]) -> list[str]:
    """The columns to swap in: those that were named, or the prompt's variables that are text.

    Raises:
        UsageError: for a column that there is not, or when none is text.
    """
    for name in chosen:
        if name not in row.inputs:
            raise UsageError(f'the rows have no column "{name}"; they have {", ".join(row.inputs)}')
    names = [one.name for one in prompt.variables]
    for variable in prompt.variables:
        if variable.required and variable.name not in row.inputs:
            raise UsageError(
                f'row {row.id} has no column "{variable.name}", which the prompt {prompt.name} '
                f"needs; it has {', '.join(row.inputs)}"
            )
    found = list(chosen) or [name for name in names if isinstance(row.inputs.get(name), str)]
    if not found:
        raise UsageError(
            f"the prompt {prompt.name} uses no column with text; name some with --columns"
        )
    unused = [name for name in found if name not in names]
    if unused:
        raise UsageError(
            f'the prompt {prompt.name} does not use the column "{unused[0]}", so that swapping '
            f"there changes nothing; it uses {', '.join(names)}"
        )
    return found


def read_rows(file: Path, key: str | None, limit: int | None) -> list[Row]:
    """The rows of a user's file.

    Raises:
        UsageError: when it cannot be read, naming the row, or has columns of an audit.
    """
    if not file.expanduser().is_file():
        raise UsageError(f"there is no file {file} with rows")
    data = Data(file=str(file.expanduser().absolute()), id=key, target=None, limit=limit)
    rows = load_rows(data, Path())
    for row in rows:
        taken = next((name for name in row.inputs if name.startswith(MARK)), None)
        if taken:
            raise UsageError(f'{file}: rename the column "{taken}": an audit keeps its own there')
        if "~" in row.id:
            raise UsageError(f'{file}: the id "{row.id}" has a "~", which marks counterfactuals')
    return rows


def make_variants(
    rows: Sequence[Row],
    columns: Sequence[str],
    axes: Sequence[Axis],
    settings: Settings,
    *,
    keep_quotes: bool = False,
) -> Variants:
    """Every row that can be swapped, with its counterfactuals behind it.

    Raises:
        UsageError: naming the row whose column holds no text, or when no row can be swapped.
    """
    found: list[Row] = []
    originals = 0
    made: Counter[tuple[str, str]] = Counter()
    skipped: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], str] = {}
    common = {f"{MARK}task": settings.task, f"{MARK}labels": list(settings.labels)}
    for number, row in enumerate(rows, start=1):
        texts = {name: _text(row, name, number) for name in columns}
        variants = []
        for axis in axes:
            for one in counterfactuals(texts, axis, keep_quotes=keep_quotes):
                if isinstance(one, Skipped):
                    key = (one.axis, one.reason)
                    skipped[key] += 1
                    examples.setdefault(key, f"row {row.id}: {one.words}" if one.words else "")
                else:
                    made[one.axis, one.group] += 1
                    variants.append(_variant(row, one, axis, common))
        if variants:
            originals += 1
            found += [Row(row.id, {**row.inputs, **common}, row.target, row.id), *variants]
    if not found:
        why = ", ".join(f"{axis}: {reason}" for axis, reason in skipped) or "there are no rows"
        raise UsageError(
            f"none of {len(rows)} rows has something to swap ({why}); add terms of your own with "
            "--swaps FILE, or name the text's columns with --columns"
        )
    return Variants(tuple(found), originals, made, Skips(skipped, examples))


def _text(row: Row, name: str, number: int) -> str:
    value = row.inputs.get(name)
    if not isinstance(value, str):
        shown = "nothing" if value is None else f"{value!r:.60}"
        raise UsageError(f'row {number} has {shown} in the column "{name}" where text should be')
    if "\ufffd" in value:
        raise UsageError(
            f'row {number}, column "{name}" has a character that was lost in another encoding; '
            "save the file as UTF-8 throughout"
        )
    return value


def _variant(row: Row, one: Swapped, axis: Axis, common: Mapping[str, object]) -> Row:
    columns = {
        "axis": one.axis,
        "from": one.source,
        "group": one.group,
        "reference": axis.groups[0],
        "swaps": [list(pair) for pair in one.replaced],
    }
    inputs = {**row.inputs, **one.texts, **common}
    inputs |= {MARK + name: value for name, value in columns.items()}
    return Row(f"{row.id}~{one.axis}:{one.group}", inputs, row.target, row.id)


def audit_plan(
    prompt: Prompt, variants: Variants, models: Sequence[str], settings: Settings
) -> Plan:
    """The run of an audit."""
    suite = Suite(
        name="audit",
        description="An audit by counterfactuals.",
        prompts=[prompt.name],
        method="choose" if settings.choose else "generate",
        choices=list(settings.labels) if settings.choose else None,
        data=Data(file="rows of an audit", target=None),
        sampling=settings.sampling,
        repeats=settings.repeats,
        scorers=["tokens"],
    )
    return plan_rows(suite, variants.rows, [prompt], models)
