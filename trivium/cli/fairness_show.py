"""What `trivium fairness` prints: every figure with its interval, and what it says in words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trivium.cli import console
from trivium.errors import GateFailed

if TYPE_CHECKING:
    from trivium.evals.fairness.base import Finding
    from trivium.evals.fairness.compare import Comparison
    from trivium.evals.fairness.measure import RunMeasures
    from trivium.evals.gates import Verdict


def show(measured: "RunMeasures") -> None:
    """A table for each model and prompt on stdout; what it says in words on stderr."""
    from trivium.evals.columns import label
    from trivium.evals.fairness.readings import bounds, group_name, readings, remark, value

    for cell in measured.cells:
        names: tuple[str, ...] = (cell.cell.model, cell.cell.prompt)
        if console.out().is_terminal:  # a heading there, columns in a pipe
            console.note(f"{measured.about.title}: {label(cell.cell)}")
            names = ()
        rows = [
            (
                *names,
                one.measure,
                group_name(one.group),
                value(one),
                bounds(one.interval) if one.value is not None else "",
                f"{one.n:,}",
                remark(one),
            )
            for one in cell.findings
        ]
        header = ("measure", "group", "value", "95% interval", "rows", "")
        console.table(header, rows, [_style(one) for one in cell.findings])
        for measure, meaning, lines in readings(measured.about, cell.findings):
            console.note(f"{measure}: {meaning}" if meaning else measure)
            for line in lines:
                console.note(f"  {line}")
        if cell.failed:
            console.note(
                f"{cell.failed:,} of {cell.records:,} records failed and are in no figure; "
                f"see: trivium eval show {measured.run.id} --failed"
            )
    for limit in measured.about.limits:
        console.note(f"limit: {limit}")


def require(verdicts: "Sequence[Verdict]") -> None:
    """Say which gates fail and how many hold.

    Raises:
        GateFailed: when one does not hold.
    """
    from trivium.evals.columns import label

    lost = [f"{label(one.cell)}: {one.reason}" for one in verdicts if not one.passed]
    for said in lost[1:]:
        console.note(f"gate FAILS: {said}")
    if lost:
        more = f"; and {len(lost) - 1:,} more" if len(lost) > 1 else ""
        raise GateFailed(f"{len(lost):,} of {len(verdicts):,} gates failed: {lost[0]}{more}")
    if verdicts:
        console.note(f"all {len(verdicts):,} gates hold")


def show_comparison(found: "Comparison") -> None:
    from trivium.evals.columns import label
    from trivium.evals.compare import left_out
    from trivium.evals.fairness.readings import bounds, group_name, signed
    from trivium.evals.report.plots import number_
    from trivium.evals.report.terminal import p_value

    rows = [
        (
            one.measure,
            group_name(one.group),
            "undefined" if one.a is None else number_(one.a),
            "undefined" if one.b is None else number_(one.b),
            signed(one.difference) if one.difference else "",
            bounds(one.difference) if one.difference else "",
            signed(one.distance) if one.distance else "",
            bounds(one.distance) if one.distance else "",
            f"{one.n:,}",
            p_value(one.p_holm) if one.difference else "",
            one.verdict,
            one.note,
        )
        for one in found.changes
    ]
    header = ("measure", "group", "A", "B", "B minus A", "95%", "from ideal", "95%", "rows")
    styles = ["bold" if one.difference and one.clear else "" for one in found.changes]
    console.note(f"A is {label(found.a)}, B is {label(found.b)}")
    console.table((*header, "p, Holm", "B is", ""), rows, styles)
    clear = [one for one in found.changes if one.verdict in ("fairer", "less fair")]
    said = (
        "; ".join(f"B is {one.verdict} in {one.measure}, {group_name(one.group)}" for one in clear)
        or "no figure shows that B is fairer or less fair"
    )
    console.note(f"{said} ({found.pairing.pairs:,} rows on both sides)")
    if found.pairing.left_out:
        console.note(f"left out: {left_out(found.pairing)}")


def _style(one: "Finding") -> str:
    from trivium.evals.fairness.readings import state

    if one.value is None:
        return "dim"
    return "bold" if state(one) == "off" else "yellow" if one.few else ""
