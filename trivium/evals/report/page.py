"""A run, or two and their comparison, as one HTML file that needs no network and no server.

What models and data say is never markup: the tables are escaped, the rows are text nodes, and a
content security policy lets the page's own script run, by its hash, and nothing else load.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from trivium.evals.columns import label
from trivium.evals.compare import Comparison, left_out, pair_records, same_contents
from trivium.evals.gates import Verdict
from trivium.evals.intervals import Floats, is_proportion
from trivium.evals.report import plots
from trivium.evals.report.pack import Side, pack
from trivium.evals.report.terminal import p_value
from trivium.evals.summary import CellScores, metrics


@dataclass(frozen=True, slots=True)
class Shown:
    """A run of the page; `facts` are lines about it, such as when it was made."""

    side: Side
    table: tuple[CellScores, ...]
    facts: Mapping[str, str]


def page(
    title: str,
    runs: Sequence[Shown],
    comparison: Comparison | None = None,
    verdicts: Sequence[Verdict] = (),
) -> Iterator[str]:
    """The file, in parts to be written one after the other."""
    counterparts = _counterparts(runs, comparison)
    packed = pack([one.side for one in runs], counterparts)
    script = _read("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "number": plots.number_,
        "label": label,
        "p": p_value,
        "left_out": left_out,
    }
    head = environment.from_string(_read("page.html")).render(
        title=title,
        runs=runs,
        comparison=comparison,
        moved=comparison is not None and any(one.a != one.b for one in comparison.effects),
        verdicts=verdicts,
        metrics=list(dict.fromkeys(name for one in runs for name in metrics(one.table))),
        plots=_plots(runs, comparison),
        digest=digest,
        style=Markup(_read("page.css")),  # noqa: S704 - a file of this package
    )
    yield head.rstrip() + "\n"
    for key, text in packed.blocks:
        yield f'<script type="application/octet-stream" id="{key}">{text}</script>\n'
    layout = json.dumps(packed.layout, ensure_ascii=True).replace("<", "\\u003c")
    yield f'<script type="application/json" id="layout">{layout}</script>\n'
    yield f"<script>{script}</script>\n</body>\n</html>\n"


def _counterparts(runs: Sequence[Shown], comparison: Comparison | None) -> list[int]:
    sizes = [one.side.columns.cell.size for one in runs]
    found = np.full(sum(sizes), -1, np.int64)
    if comparison is not None:
        a, b = runs[0].side.columns, runs[-1].side.columns
        offset = sizes[0] if len(runs) == 2 else 0
        for one in comparison.pairings:
            at_a, at_b = pair_records(a, b, one.a, one.b)
            same = same_contents(a, b, at_a, at_b)
            at_a, at_b = at_a[same], at_b[same]
            found[at_b + offset] = at_a
            if len(runs) == 2:
                found[at_a] = at_b + offset
    return [int(value) for value in found]


def _plots(runs: Sequence[Shown], comparison: Comparison | None) -> list[tuple[str, Markup]]:
    """Effects first, then means, then how the values are spread."""
    drawn: list[tuple[str, Markup]] = []

    def name(run: Shown, cell: CellScores) -> str:
        letter = f"{'AB'[runs.index(run)]}: " if len(runs) > 1 else ""
        return letter + label(cell.cell)

    if comparison is not None:
        for metric in dict.fromkeys(one.metric for one in comparison.effects):
            rows = [
                (label(one.b), one.interval) for one in comparison.effects if one.metric == metric
            ]
            title = f"Difference in {metric}, B minus A"
            drawn.append((title, plots.intervals(title, rows, zero=True)))
    for metric in dict.fromkeys(name for run in runs for name in metrics(run.table)):
        means = [
            (name(run, cell), interval)
            for run in runs
            for cell in run.table
            if (interval := cell.score(metric)) is not None
        ]
        if means:
            drawn.append((f"Mean {metric}", plots.intervals(metric, means)))
        spread = [
            (name(run, cell), values)
            for run in runs
            for number, cell in enumerate(run.table)
            if (values := _values(run, metric, number)).size
        ]
        if spread and not all(is_proportion(values) for _, values in spread):
            drawn.append((f"Spread of {metric}", plots.histogram(metric, spread)))
    return drawn


def _values(run: Shown, metric: str, number: int) -> Floats:
    columns = run.side.columns
    if metric not in columns.scores:
        return np.empty(0)
    values = columns.scores[metric][(columns.cell == number) & ~columns.failed]
    found: Floats = values[~np.isnan(values)]
    return found


def _read(name: str) -> str:
    return files("trivium.evals.report").joinpath(name).read_text(encoding="utf-8")
