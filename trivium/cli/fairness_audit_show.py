"""What `trivium fairness audit` prints: what was swapped, how answers changed, the worst rows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trivium.cli import console

if TYPE_CHECKING:
    from trivium.evals.fairness.audit_plan import Variants
    from trivium.evals.fairness.base import Finding
    from trivium.evals.fairness.measure import Measured
    from trivium.evals.intervals import Interval

CASES = 3
"""So many changed answers are shown in a terminal; the report has more."""

MAIN = ("flips above noise", "flips", "score shift", "Kendall tau", "sentiment shift")
"""The first figure of each task, which has a column of its own."""


def show_made(variants: "Variants", rows: int) -> None:
    """On stderr: the counterfactuals of each axis, and which rows were left out and why."""
    count = len(variants.rows) - variants.originals
    console.note(
        f"{variants.originals:,} of {rows:,} rows can be swapped, into {count:,} counterfactuals"
    )
    skips = variants.skips
    axes = dict.fromkeys(axis for axis, _ in (*variants.made, *skips.rows))
    for name in axes:
        made = [f"{group} {n}" for (axis, group), n in variants.made.items() if axis == name]
        left = [
            f"{reason} {n}" + (f" ({example})" if (example := skips.examples[axis, reason]) else "")
            for (axis, reason), n in skips.rows.items()
            if axis == name
        ]
        console.note(
            f"  {name}: {', '.join(made) or 'none'}"
            + (f"; left out: {', '.join(left)}" if left else "")
        )


def show_variants(variants: "Variants", as_json: bool) -> None:
    """What would be asked: each counterfactual with what was replaced."""
    from trivium.evals.fairness.pairs import swapped_columns

    originals = {row.id: row for row in variants.rows if row.id == row.cluster}
    made = [row for row in variants.rows if row.id != row.cluster]
    shown = [(row, swapped_columns(originals[str(row.cluster)].inputs, row.inputs)) for row in made]
    if as_json:
        lines: list[object] = [
            {"row": row.id, "replaced": row.inputs["audit_swaps"]}
            | {name: row.inputs[name] for name in names}
            for row, names in shown
        ]
        console.emit_json({"counterfactuals": lines})
        return
    console.table(
        ("row", "text"),
        [(row.id, " / ".join(str(row.inputs[name]) for name in names)) for row, names in shown],
    )


def show_cell(cell: "Measured", run: str) -> None:
    """Every figure in a pipe; in a terminal a line for each group, then the whole in words."""
    from trivium.evals.columns import label

    if console.out().is_terminal:
        console.note(f"{label(cell.cell)}: each group against the first of its axis, same rows")
        _groups(cell.findings)
    else:
        _every(cell)
    _in_words(cell.findings)
    for case in cell.cases[:CASES]:
        console.note(f"row {case.row} ({case.text.splitlines()[0]})")
        for line in case.text.splitlines()[1:]:
            console.note(f"    {line}")
    if cell.failed:
        console.note(
            f"{cell.failed:,} of {cell.records:,} records failed and are in no figure; "
            f"see: trivium eval show {run} --failed"
        )


def _every(cell: "Measured") -> None:
    from trivium.evals.fairness.readings import bounds, group_name, remark, value

    console.table(
        (),
        [
            (
                cell.cell.model,
                cell.cell.prompt,
                one.measure,
                group_name(one.group),
                value(one),
                bounds(one.interval) if one.value is not None and one.interval else "",
                f"{one.n:,}",
                remark(one),
            )
            for one in cell.findings
        ],
    )


def _groups(findings: "Sequence[Finding]") -> None:
    """A line for each group: its first figure, and the surest of its shifts."""
    from trivium.evals.fairness.readings import group_name

    lines, styles = [], []
    for group in dict.fromkeys(one.group for one in findings if one.measure != "co-occurrence"):
        mine = [one for one in findings if one.group == group]
        first = min(mine, key=_rank)
        others = [one for one in mine if one.gap and one is not first and one.value]
        surest = min(others, key=lambda one: (_p(one), -abs(one.value or 0.0)), default=None)
        told = "" if surest is None else f"{surest.measure} {_signed(surest)}"
        tested = [one.p for one in (first, surest) if one is not None and one.p is not None]
        p = min(tested, default=1.0)
        lines.append(
            (group_name(group), f"{first.n:,}", _signed(first), told, f"{p:.2g}" if tested else "")
        )
        styles.append("bold" if p <= 0.05 or (first.bias and first.value) else "")
    name = min(findings, key=_rank).measure
    console.table(
        ("group", "rows", f"{name} (95%)", "surest shift (95%)", "p, Holm"), lines, styles
    )


def _rank(one: "Finding") -> int:
    return MAIN.index(one.measure) if one.measure in MAIN else len(MAIN)


def _signed(one: "Finding") -> str:
    """A figure with its bounds: shares in percent, and shifts with their sign."""
    if one.value is None:
        return "undefined"
    percent = one.measure.startswith(("flips", "share of", "probability of", "refusal", "length"))
    factor, form = (100, ".1f") if percent else (1, ".2f")
    sign = "+" if one.gap else ""
    bounds = _bounds(one.interval, factor, form)
    return f"{one.value * factor:{sign}{form}}{'%' if percent else ''}{bounds}"


def _bounds(found: "Interval | None", factor: int, form: str) -> str:
    from math import isfinite

    if found is None or not (isfinite(found.low) and isfinite(found.high)):
        return ""
    return f" ({found.low * factor:{form}} to {found.high * factor:{form}})"


def _p(one: "Finding") -> float:
    return 1.0 if one.p is None else one.p


def _in_words(findings: "Sequence[Finding]") -> None:
    from trivium.evals.fairness.base import FEW

    flips = next((one for one in findings if one.measure == "flips" and not one.group), None)
    if flips is not None and flips.value is not None:
        rows = round(flips.value * flips.n)
        said = f"{rows:,} of {flips.n:,} rows are" if rows != 1 else f"1 of {flips.n:,} rows is"
        if flips.bias:
            console.note(f"{said} decided otherwise in at least one counterfactual")
        else:
            console.note(f"{flips.note}; what differs beyond that is above noise")
    tested = [one for one in findings if one.p is not None]
    sure = [one for one in tested if _p(one) <= 0.05]
    for one in sure:
        console.note(f"sure after Holm's correction: {one.measure}, {one.group}: {_signed(one)}")
    if tested and not sure:
        console.note(f"no shift is sure after Holm's correction ({len(tested)} tests)")
    for one in findings:
        if one.measure == "co-occurrence":
            console.note(f"word: {one.group}: log-odds {one.value:+.2f}, {one.note}")
    few = [one for one in findings if one.measure in MAIN and " vs " in one.group and one.few]
    if few:
        console.note(
            f"{len(few)} groups have fewer than {FEW} rows: their intervals are wide, and no "
            "difference that is shown does not mean that there is none"
        )
