"""What a figure says, in plain words: for a person who decides and does not compute."""

from collections.abc import Sequence
from math import isfinite

from trivium.evals.fairness.base import FEW, About, Finding
from trivium.evals.intervals import CONFIDENCE, Interval
from trivium.evals.report.plots import number_
from trivium.evals.report.terminal import p_value

EVERY = "all rows"
"""How the rows of every group together are called."""


def group_name(group: str) -> str:
    return group or EVERY


def bounds(found: Interval | None) -> str:
    """An interval in words."""
    if found is None:
        return "no interval"
    if not (isfinite(found.low) or isfinite(found.high)):
        return "too few rows for an interval"
    return f"{number_(found.low)} to {number_(found.high)}"


def signed(found: Interval) -> str:
    """A difference; what rounding left of a zero is one."""
    return f"{round(found.mean, 12):+.4g}"


def value(finding: Finding) -> str:
    return "undefined" if finding.value is None else number_(finding.value)


def remark(finding: Finding) -> str:
    """Why a figure is undefined, or how much to trust it; empty where there is nothing to say."""
    if finding.value is None:
        return finding.note
    few = f"only {rows(finding.n)}" if finding.few else ""
    p = f"p {p_value(finding.p)}" if finding.p is not None else ""
    return "; ".join(part for part in (few, p, finding.note) if part)


def rows(n: int) -> str:
    return f"{n:,} row{'' if n == 1 else 's'}"


def bounded(finding: Finding) -> bool:
    """Whether the interval says something: few rows that all agree have none of any use."""
    found = finding.interval
    if found is None or not (isfinite(found.low) and isfinite(found.high)):
        return False
    return found.low < found.high or not finding.few


def state(finding: Finding) -> str:
    """ "ok", "off" or "open": is the ideal within the interval, outside of it, or not asked?"""
    if finding.value is None or finding.ideal is None:
        return "open"
    if finding.p is not None:  # corrected for its measure's other groups, which an interval is not
        return "off" if finding.p <= 1 - CONFIDENCE else "ok"
    if finding.interval is None or not bounded(finding):
        return "open"
    return "ok" if finding.interval.low <= finding.ideal <= finding.interval.high else "off"


def reading(finding: Finding) -> str:
    """One figure in one to three sentences, which stand below the name of its measure."""
    where = finding.group or EVERY.capitalize()
    if finding.value is None:
        return f"{where}: undefined, because {finding.note or 'nothing defines it'}."
    said = f"{where}: {number_(finding.value)}"
    interval = finding.interval
    if interval is None:
        said += f", from {rows(finding.n)}."
    elif not bounded(finding):
        said += f", from {rows(finding.n)}, too few for an interval."
    else:
        said += f", 95 % interval {bounds(interval)}, from {rows(finding.n)}."
        if finding.ideal is not None and finding.p is None:
            none = "No bias is shown: the" if finding.bias or finding.gap else "The"
            said += f" {_against(finding.ideal, interval, none)}"
    if finding.p is not None:
        shown = "A difference is shown" if state(finding) == "off" else "No difference is shown"
        said += f" {shown}: p {p_value(finding.p)}, corrected for the groups of its measure."
    if finding.few:
        said += f" Fewer than {FEW} rows: read it with care."
    return said


def _against(ideal: float, interval: Interval, opening: str) -> str:
    far = max(abs(interval.low - ideal), abs(interval.high - ideal))
    if interval.low <= ideal <= interval.high:
        return (
            f"{opening} interval holds the ideal of {number_(ideal)}. "
            f"Up to {number_(far)} away from it is not excluded."
        )
    side, least = (
        ("Above", interval.low - ideal)
        if interval.low > ideal
        else ("Below", ideal - interval.high)
    )
    return f"{side} the ideal of {number_(ideal)}, by {number_(least)} to {number_(far)}."


def readings(about: About, findings: Sequence[Finding]) -> list[tuple[str, str, list[str]]]:
    """For each measure: its name, what it means, and what was found, overall and by group."""
    told = []
    for measure in dict.fromkeys(one.measure for one in findings):
        mine = [one for one in findings if one.measure == measure]
        overall = [reading(one) for one in mine if not one.group]
        told.append((measure, about.readings.get(measure, ""), [*overall, *_by_group(mine)]))
    return told


def _by_group(findings: Sequence[Finding]) -> list[str]:
    groups = [one for one in findings if one.group]
    known = [one for one in groups if one.value is not None]
    said = []
    off = [one for one in known if state(one) == "off"]
    if off:
        names = ", ".join(f"{one.group} ({value(one)})" for one in sorted(off, key=_far)[::-1][:6])
        more = f" and {len(off) - 6} more" if len(off) > 6 else ""
        said.append(f"{_off(known)} in {len(off)} of {len(known)} groups: {names}{more}.")
    elif known and any(one.ideal is not None for one in known):
        said.append(f"{_off(known)} in none of {len(known)} groups.")
    elif len(known) > 1:
        low, high = min(known, key=_number), max(known, key=_number)
        said.append(
            f"From {value(low)} ({low.group}) to {value(high)} ({high.group}) "
            f"over {len(known)} groups."
        )
    undefined = len(groups) - len(known)
    if undefined:
        said.append(f"Undefined in {undefined} of {len(groups)} groups.")
    few = sum(one.few for one in known)
    if few:
        said.append(f"{few} of {len(groups)} groups have fewer than {FEW} rows.")
    return said


def _off(findings: Sequence[Finding]) -> str:
    tested = any(one.p is not None for one in findings)
    return "A difference is shown" if tested else "The interval excludes the ideal"


def _number(finding: Finding) -> float:
    return finding.value or 0.0


def _far(finding: Finding) -> float:
    return abs(_number(finding) - (finding.ideal or 0.0))
