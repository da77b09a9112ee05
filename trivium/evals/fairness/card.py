"""Findings for machines: JSON, and the section of a model card about fairness.

The card's JSON has the shape of the Hugging Face model index (`model-index` of a model card's
metadata), so that the hub and its tools read it; what that shape has no place for (undefined
figures, limits) stands beside it. JSON has no infinity: a bound that the data do not give is null.
"""

import time
from collections.abc import Sequence
from math import isfinite
from typing import Any

from trivium.evals.fairness import readings
from trivium.evals.fairness.base import Finding
from trivium.evals.fairness.compare import Change, Comparison
from trivium.evals.fairness.measure import Measured, RunMeasures
from trivium.evals.intervals import CONFIDENCE, Interval
from trivium.evals.report.table import escaped, interval_json

TASKS = {
    "generate": "text-generation",
    "choose": "multiple-choice",
    "likelihood": "text-generation",
}
"""What a suite does -> the hub's name of the task."""


def run_json(run: RunMeasures) -> dict[str, Any]:
    """Everything that was measured on a run."""
    about = run.about
    return {
        "run": run.run.id,
        "complete": run.run.complete,
        "benchmark": {
            "name": about.name,
            "title": about.title,
            "version": about.version,
            "paper": about.paper,
            "licence": about.licence,
            "what": about.what,
            "limits": list(about.limits),
        },
        "data": {"rows": run.rows, "sha256": run.data_hash},
        "date": _day(run),
        "cells": [
            {
                "model": cell.cell.model,
                "fingerprint": cell.fingerprint,
                "prompt": cell.cell.prompt,
                "prompt_hash": cell.prompt_hash,
                "records": cell.records,
                "failed": cell.failed,
                "findings": [finding_json(one) for one in cell.findings],
                "cases": [
                    {"row": one.row, "group": one.group, "amount": one.amount, "text": one.text}
                    for one in cell.cases
                ],
            }
            for cell in run.cells
        ],
    }


def finding_json(one: Finding) -> dict[str, Any]:
    return {
        "measure": one.measure,
        "group": one.group,
        "value": one.value,
        **_bounds(one.interval),
        "n": one.n,
        "ideal": one.ideal,
        "p": one.p,
        "gap": one.gap,
        "bias": one.bias,
        "few": one.few,
        "note": one.note,
        "reading": readings.reading(one),
    }


def comparison_json(found: Comparison) -> dict[str, Any]:
    pairing = found.pairing
    return {
        "a": {"model": found.a.model, "prompt": found.a.prompt},
        "b": {"model": found.b.model, "prompt": found.b.prompt},
        "pairs": pairing.pairs,
        "left_out": pairing.left_out,
        "changes": [_change_json(one) for one in found.changes],
    }


def _change_json(one: Change) -> dict[str, Any]:
    return {
        "measure": one.measure,
        "group": one.group,
        "a": one.a,
        "b": one.b,
        "difference": None if one.difference is None else interval_json(one.difference),
        "ideal": one.ideal,
        "farther_from_ideal": None if one.distance is None else interval_json(one.distance),
        "n": one.n,
        "p": one.p if one.difference else None,
        "p_holm": one.p_holm if one.difference else None,
        "verdict": one.verdict,
        "note": one.note,
    }


def card_json(runs: Sequence[RunMeasures]) -> dict[str, Any]:
    """`model-index` with one model for each name, and beside it `fairness`."""
    models: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        for cell in run.cells:
            models.setdefault(cell.cell.model, []).append(_result(run, cell))
    return {
        "model-index": [{"name": name, "results": results} for name, results in models.items()],
        "fairness": [
            {
                "benchmark": run.about.name,
                "paper": run.about.paper,
                "licence": run.about.licence,
                "limits": list(run.about.limits),
                "undefined": [
                    {"model": cell.cell.model, "prompt": cell.cell.prompt}
                    | {"measure": one.measure, "group": one.group, "why": one.note}
                    for cell in run.cells
                    for one in cell.findings
                    if one.value is None
                ],
            }
            for run in runs
        ],
    }


def _result(run: RunMeasures, cell: Measured) -> dict[str, Any]:
    method = str(run.run.described.get("method", "generate"))
    return {
        "task": {"type": TASKS.get(method, "text-generation"), "name": "Fairness"},
        "dataset": {
            "type": run.about.name,
            "name": run.about.title,
            "revision": run.about.version,
            "args": {
                "rows": run.rows,
                "sha256": run.data_hash,
                "prompt": cell.cell.prompt,
                "prompt_hash": cell.prompt_hash,
                "engine": cell.fingerprint,
                "failed": cell.failed,
                "date": _day(run),
            },
        },
        "metrics": [
            {
                "type": one.measure,
                "name": f"{one.measure} ({one.group})" if one.group else one.measure,
                "value": one.value,
                "args": {
                    "group": one.group,
                    **_bounds(one.interval),
                    "confidence": CONFIDENCE,
                    "n": one.n,
                    "ideal": one.ideal,
                    "p": one.p,
                },
                "verified": False,
            }
            for one in cell.findings
            if one.value is not None
        ],
    }


def card_markdown(runs: Sequence[RunMeasures]) -> str:
    """A section to put into a model card: the figures, how to read them, the limits."""
    text = "## Fairness\n"
    for run in runs:
        about = run.about
        text += (
            f"\n### {escaped(about.title)}\n\n{escaped(about.what)}\n\n"
            f"Version {escaped(about.version)}, {run.rows:,} rows "
            f"(SHA-256 `{run.data_hash[:16]}`), {_day(run)}. Source: {escaped(about.paper)}.\n"
        )
        for cell in run.cells:
            text += (
                f"\nModel **{escaped(cell.cell.model)}** (engine `{cell.fingerprint}`), prompt "
                f"{escaped(cell.cell.prompt)} (`{cell.prompt_hash[:16]}`); "
                f"{cell.failed:,} of {cell.records:,} records failed.\n\n"
                "| measure | group | value | 95 % interval | rows | ideal | remark |\n"
                "|---|---|---:|---:|---:|---:|---|\n"
            )
            text += "".join(_line(one) for one in cell.findings)
        meanings = [
            f"- **{escaped(measure)}**: {escaped(meaning)}\n"
            for measure, meaning in about.readings.items()
        ]
        limits = [f"- {escaped(limit)}\n" for limit in about.limits]
        text += "\nHow to read it:\n\n" + "".join(meanings) if meanings else ""
        text += "\nLimits:\n\n" + "".join(limits) if limits else ""
    return text


def _line(one: Finding) -> str:
    ideal = "" if one.ideal is None else f"{one.ideal:g}"
    bounds = "" if one.value is None else readings.bounds(one.interval)
    cells = (
        escaped(one.measure),
        escaped(readings.group_name(one.group)),
        readings.value(one),
        bounds,
        f"{one.n:,}",
        ideal,
        escaped(readings.remark(one)),
    )
    return f"| {' | '.join(cells)} |\n"


def _bounds(found: Interval | None) -> dict[str, Any]:
    if found is None:
        return {"low": None, "high": None, "method": None}
    low, high = (bound if isfinite(bound) else None for bound in (found.low, found.high))
    return {"low": low, "high": high, "method": found.method}


def _day(run: RunMeasures) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(run.run.created))
