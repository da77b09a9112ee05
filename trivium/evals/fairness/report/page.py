"""The report for a committee: one HTML file without a script, without a network, printable.

What models and data say is escaped, and a content security policy lets nothing load or run.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from trivium.evals.columns import label
from trivium.evals.compare import left_out
from trivium.evals.fairness import readings
from trivium.evals.fairness.base import FEW, Finding
from trivium.evals.fairness.compare import Comparison
from trivium.evals.fairness.measure import Measured, RunMeasures
from trivium.evals.fairness.report.forest import Mark, forest
from trivium.evals.gates import Verdict
from trivium.evals.report.plots import number_
from trivium.evals.report.terminal import p_value

COLOURS = 6


@dataclass(frozen=True, slots=True)
class Told:
    """One measure of a run: what it means, what was found, and the plot of its groups."""

    measure: str
    meaning: str
    said: Sequence[tuple[Measured, Sequence[str]]]
    plot: Markup


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison as the page shows it."""

    title: str
    found: Comparison
    plot: Markup


def page(
    runs: Sequence[RunMeasures],
    comparisons: Sequence[tuple[str, Comparison]] = (),
    verdicts: Sequence[Verdict] = (),
    notes: Sequence[str] = (),
) -> str:
    """The file. `comparisons` come with the title of their benchmark; `notes` are said openly."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "number": number_,
        "label": label,
        "p": p_value,
        "left_out": left_out,
        "value": readings.value,
        "bounds": readings.bounds,
        "remark": readings.remark,
        "signed": readings.signed,
        "state": readings.state,
        "group": readings.group_name,
        "day": lambda seconds: time.strftime("%Y-%m-%d", time.localtime(seconds)),
    }
    models = list(dict.fromkeys(cell.cell.model for run in runs for cell in run.cells))
    return environment.from_string(_read("page.html")).render(
        title="Fairness of " + (models[0] if len(models) == 1 else f"{len(models)} models"),
        runs=runs,
        told={at: told(run) for at, run in enumerate(runs)},
        headlines={at: headlines(run) for at, run in enumerate(runs)},
        comparisons=[Compared(name, found, _changes(name, found)) for name, found in comparisons],
        verdicts=verdicts,
        notes=notes,
        few_rows=FEW,
        colours=COLOURS,
        style=Markup(_read("page.css")),  # noqa: S704 - a file of this package
    )


def told(run: RunMeasures) -> list[Told]:
    """Every measure of a run, in the benchmark's order."""
    said = [(cell, readings.readings(run.about, cell.findings)) for cell in run.cells]
    measures = dict.fromkeys(one.measure for cell in run.cells for one in cell.findings)
    return [
        Told(
            measure,
            run.about.readings.get(measure, ""),
            [(cell, lines) for cell, found in said for name, _, lines in found if name == measure],
            _groups(run, measure),
        )
        for measure in measures
    ]


def headlines(run: RunMeasures) -> list[tuple[int, Measured, list[Finding]]]:
    """What stands on top: each cell's figures of bias and gaps over all rows, else all of them."""
    found = []
    for number, cell in enumerate(run.cells):
        overall = [one for one in cell.findings if not one.group]
        judged = [one for one in overall if one.bias or one.gap]
        found.append((number % COLOURS, cell, judged or overall))
    return found


def _groups(run: RunMeasures, measure: str) -> Markup:
    """A row for each group, in it a mark for each cell."""
    of = [{one.group: one for one in cell.findings if one.measure == measure} for cell in run.cells]
    groups = dict.fromkeys(group for found in of for group in found)
    rows = [
        (
            readings.group_name(group),
            [
                Mark(number % COLOURS, one.value, one.interval, one.n, one.note)
                for number, found in enumerate(of)
                if (one := found.get(group)) is not None
            ],
        )
        for group in groups
    ]
    ideal = next((one.ideal for found in of for one in found.values()), None)
    return forest(f"{measure} by group", rows, ideal)


def _changes(name: str, found: Comparison) -> Markup:
    rows = [
        (
            f"{one.measure}, {one.group}" if one.group else one.measure,
            [Mark(0, one.difference.mean, one.difference, one.n)],
        )
        for one in found.changes
        if one.difference is not None and not one.group
    ]
    return forest(f"{name}: B minus A", rows, 0.0, "no change") if rows else Markup()


def _read(name: str) -> str:
    return files("trivium.evals.fairness.report").joinpath(name).read_text(encoding="utf-8")
