"""Group metrics: what a classifier does for each group, and how far apart the groups are.

They need no benchmark: any run whose rows have a column with groups and whose answers decide
between one positive label and the rest. Figures agree with fairlearn's `MetricFrame` (Bird et al.
2020, MSR-TR-2020-32), except that what a group cannot define is undefined there, and no zero.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import hypot

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trivium.errors import UsageError
from trivium.evals.base import Record
from trivium.evals.fairness.base import About, Case, Finding
from trivium.evals.fairness.resample import resampled
from trivium.evals.intervals import CONFIDENCE, Codes, Floats, Interval, codes, estimate
from trivium.evals.scorers.classes import calibration_error
from trivium.evals.scorers.likelihood import probabilities, raw
from trivium.evals.scorers.text import accepted, normalise

Mask = NDArray[np.bool_]
BINS = 10


@dataclass(frozen=True, slots=True)
class Decisions:
    """What a classifier decided, as arrays of shape (n,).

    `labels` is None where nobody knows what is right; `confidence` is the probability of the
    decision made, None where a model only wrote. Rows of one `cluster` depend on each other.
    """

    groups: NDArray[np.str_]
    selected: Mask
    labels: Mask | None = None
    confidence: Floats | None = None
    clusters: Codes | None = None

    @property
    def names(self) -> list[str]:
        return [str(name) for name in np.unique(self.groups)]


RATES = {
    "selection rate": ("", "no rows"),
    "TPR": ("positive", "no row of it has the positive label"),
    "FPR": ("negative", "no row of it has the negative label"),
    "accuracy": ("", "no rows"),
}
"""Rate of a group -> the rows that it is over, and why it may be undefined."""


def rate(decisions: Decisions, name: str) -> tuple[Floats, Mask]:
    """The values of which a rate is the mean, and the rows that it is over; both (n,).

    Selection rate: P(selected). TPR: P(selected | positive). FPR: P(selected | negative).
    Accuracy: P(selected = positive).
    """
    selected, labels = decisions.selected, decisions.labels
    everywhere = np.ones(selected.size, np.bool_)
    if name == "selection rate":
        return selected.astype(np.float64), everywhere
    if labels is None:
        raise UsageError(f"{name} needs labels: a target for each row")
    if name == "accuracy":
        return (selected == labels).astype(np.float64), everywhere
    return selected.astype(np.float64), labels if name == "TPR" else ~labels


def group_findings(decisions: Decisions) -> list[Finding]:
    """Each rate overall and by group with its interval, then gaps and ratios between groups.

    Demographic parity difference and ratio are the highest selection rate minus, and the lowest
    over, the other; equalised odds (Hardt, Price & Srebro 2016) are the worse one of those of TPR
    and FPR.
    """
    names = list(RATES) if decisions.labels is not None else ["selection rate"]
    found: list[Finding] = []
    for name in names:
        found += _rates(decisions, name)
    if decisions.labels is not None and decisions.confidence is not None:
        found += _calibration(decisions)
    return found + _gaps(decisions)


def _rates(decisions: Decisions, name: str) -> list[Finding]:
    values, over = rate(decisions, name)
    found = []
    for group in ("", *decisions.names):
        here = over & _of(decisions, group)
        n = int(here.sum())
        if n == 0:
            found.append(Finding(name, group, None, 0, note=RATES[name][1]))
            continue
        clusters = None if decisions.clusters is None else decisions.clusters[here]
        interval = estimate(values[here], None, clusters)
        found.append(Finding(name, group, interval.mean, n, interval))
    return found


def _calibration(decisions: Decisions) -> list[Finding]:
    labels, sure = decisions.labels, decisions.confidence
    assert labels is not None
    assert sure is not None
    right = decisions.selected == labels
    found = []
    for group in ("", *decisions.names):
        at = np.flatnonzero(_of(decisions, group))

        def ece(draw: Codes, at: Codes = at) -> float:
            here = at[draw]
            return calibration_error(list(sure[here]), list(right[here]), BINS)

        value = ece(np.arange(at.size))
        clusters = None if decisions.clusters is None else decisions.clusters[at]
        found.append(
            Finding(
                "calibration error",
                group,
                value,
                int(at.size),
                resampled(ece, int(at.size), clusters, resamples=200),
                ideal=0.0,
            )
        )
    return found


GAPS = (
    ("demographic parity difference", ("selection rate",), False),
    ("demographic parity ratio", ("selection rate",), True),
    ("equalised odds difference", ("TPR", "FPR"), False),
    ("equalised odds ratio", ("TPR", "FPR"), True),
    ("accuracy gap", ("accuracy",), False),
)
"""Measure, the rates of which it is the worst one, and whether it is a ratio."""


def _gaps(decisions: Decisions) -> list[Finding]:
    known = decisions.labels is not None
    return [
        _gap(decisions, measure, rates, as_ratio)
        for measure, rates, as_ratio in GAPS
        if known or rates == ("selection rate",)
    ]


def _gap(decisions: Decisions, measure: str, rates: Sequence[str], as_ratio: bool) -> Finding:
    n, groups = decisions.selected.size, decisions.names
    plain = Finding(measure, "", None, n, ideal=1.0 if as_ratio else 0.0, gap=True)
    if len(groups) < 2:
        return replace(plain, note="fewer than two groups")
    # so many intervals are looked at together (Bonferroni)
    many = len(rates) * (len(groups) if as_ratio else len(groups) * (len(groups) - 1) // 2)
    confidence = 1 - (1 - CONFIDENCE) / many
    without: list[str] = []
    spans: list[Interval] = []
    for rate_name in rates:
        sides = {
            group: side
            for group in groups
            if (side := _side(decisions, rate_name, group, confidence)) is not None
        }
        without += [group for group in groups if group not in sides]
        if len(sides) < 2:
            return replace(plain, note=f"fewer than two groups define {rate_name}")
        span = (ratio if as_ratio else difference)(list(sides.values()))
        if span is None:
            return replace(plain, note=f"{rate_name} is 0 in every group")
        spans.append(span)
    worst = min if as_ratio else max
    value, low, high = (
        worst(getattr(span, key) for span in spans) for key in ("mean", "low", "high")
    )
    names = ", ".join(dict.fromkeys(without))
    note = f"one class alone in {names}, which is left out of that rate" if names else ""
    interval = Interval(value, low, high, n, spans[0].method)
    return replace(plain, value=value, interval=interval, note=note)


def _side(decisions: Decisions, name: str, group: str, confidence: float) -> Interval | None:
    """A group's rate with its interval; None where it is undefined."""
    values, over = rate(decisions, name)
    here = over & _of(decisions, group)
    if not here.any():
        return None
    clusters = None if decisions.clusters is None else decisions.clusters[here]
    return estimate(values[here], None, clusters, confidence)


def difference(rates: Sequence[Interval]) -> Interval:
    """The highest rate minus the lowest, within bounds that hold for every pair of groups at once.

    The interval of a pair is Newcombe's (1998, Stat Med 17:873, method 10), which combines those
    of both rates; a bootstrap of the highest minus the lowest would never reach 0. Groups that
    share clusters are taken for independent, which is wide where they agree.
    """
    found = []
    for one, other in combinations(rates, 2):
        a, b = (one, other) if one.mean >= other.mean else (other, one)
        apart = a.mean - b.mean
        low = apart - hypot(a.mean - a.low, b.high - b.mean)
        high = apart + hypot(a.high - a.mean, b.mean - b.low)
        found.append((apart, max(0.0, low), min(1.0, max(high, -low))))
    value, low, high = (max(column) for column in zip(*found, strict=True))
    return Interval(value, low, high, sum(one.n for one in rates), "newcombe")


def ratio(rates: Sequence[Interval]) -> Interval | None:
    """The lowest rate over the highest, and all that it may be while every rate is in its interval.

    None where all rates are 0.
    """
    most = max(one.mean for one in rates)
    if most == 0:
        return None
    low = min(one.low for one in rates) / max(one.high for one in rates)
    top = max(one.low for one in rates)
    high = min(1.0, min(one.high for one in rates) / top) if top > 0 else 1.0
    value = min(one.mean for one in rates) / most
    return Interval(value, low, high, sum(one.n for one in rates), "projected")


def _of(decisions: Decisions, group: str) -> Mask:
    if not group:
        return np.ones(decisions.groups.size, np.bool_)
    found: Mask = decisions.groups == group
    return found


class GroupMetrics:
    """Group metrics as a benchmark: over the records of any run."""

    def __init__(self, column: str, positive: str) -> None:
        """`column` holds a row's group, and `positive` is the answer that counts as selected."""
        self.column, self.positive = column, positive
        self.ABOUT = _about(column, positive)

    def findings(self, records: Sequence[Record]) -> list[Finding]:
        return group_findings(self.decisions(records))

    def cases(self, records: Sequence[Record], count: int = 10) -> list[Case]:
        """The wrong decisions of which the model was the surest."""
        well = [one for one in records if one.error is None]
        decided = self.decisions(records)
        if decided.labels is None:
            return []
        sure = decided.confidence if decided.confidence is not None else np.ones(len(well))
        wrong = np.flatnonzero(decided.selected != decided.labels)
        worst = wrong[np.argsort(-sure[wrong], kind="stable")][:count]
        return [
            Case(
                well[at].row,
                str(decided.groups[at]),
                float(sure[at]),
                f"{dict(well[at].inputs)}\n→ {said(well[at])}; right: {well[at].target}",
            )
            for at in worst
        ]

    def decisions(self, records: Sequence[Record]) -> Decisions:
        """The records without an error, as arrays.

        Raises:
            UsageError: when a row has no such column, or no answer is the positive label.
        """
        well = [one for one in records if one.error is None]
        for one in well:
            if self.column not in one.inputs:
                columns = ", ".join(one.inputs)
                raise UsageError(f'row {one.row} has no column "{self.column}"; it has {columns}')
            if one.inputs[self.column] in (None, ""):
                raise UsageError(f'row {one.row} has no group: its "{self.column}" is empty')
        wanted = normalise(self.positive)
        answers = [normalise(said(one)) for one in well]
        targets = [one.target for one in well]
        known = set(answers) | {normalise(text) for one in targets for text in accepted(one)}
        known |= {normalise(choice.text) for one in well for choice in one.choices}
        if well and wanted not in known:
            raise UsageError(
                f'"{self.positive}" is neither an answer nor a target; some that are: '
                + ", ".join(sorted(known)[:5])
            )
        labelled = bool(well) and all(target is not None for target in targets)
        chose = bool(well) and all(one.choices for one in well)
        return Decisions(
            np.array([str(one.inputs[self.column]) for one in well], dtype=np.str_),
            np.array([answer == wanted for answer in answers], np.bool_),
            np.array([wanted in map(normalise, accepted(one)) for one in targets], np.bool_)
            if labelled
            else None,
            np.array([max(probabilities(one.choices, raw)) for one in well]) if chose else None,
            codes([repr((one.cluster is None, one.cluster or one.row)) for one in well])
            if well
            else None,
        )


def said(record: Record) -> str:
    """The likeliest choice, or what was written."""
    if record.choices:
        return max(record.choices, key=raw).text.strip()
    return (record.output or "").strip()


def decided(
    groups: ArrayLike,
    selected: ArrayLike,
    labels: ArrayLike | None = None,
    confidence: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
) -> Decisions:
    """Decisions of plain sequences.

    Raises:
        UsageError: when they are not of one length.
    """
    made = Decisions(
        np.asarray(groups, dtype=np.str_),
        np.asarray(selected, np.bool_),
        None if labels is None else np.asarray(labels, np.bool_),
        None if confidence is None else np.asarray(confidence, np.float64),
        None if clusters is None else codes(clusters),
    )
    for name in ("groups", "labels", "confidence", "clusters"):
        values = getattr(made, name)
        if values is not None and values.size != made.selected.size:
            raise UsageError(f"{made.selected.size} decisions and {values.size} {name}")
    return made


def _about(column: str, positive: str) -> About:
    return About(
        "groups",
        f"Decisions by {column}",
        "1",
        "Hardt, Price & Srebro 2016, Equality of Opportunity in Supervised Learning; "
        "definitions of fairlearn's MetricFrame",
        "none: the rows are your own",
        f'How often each {column} gets the answer "{positive}", and how often rightly.',
        {
            "selection rate": f'Share of rows that got "{positive}".',
            "TPR": f'Of the rows that deserve "{positive}", the share that got it.',
            "FPR": f'Of the rows that do not deserve "{positive}", the share that got it.',
            "accuracy": "Share of rows that were decided rightly.",
            "calibration error": "How far the model's confidence is from how often it is right.",
            "demographic parity difference": "Highest selection rate minus the lowest.",
            "demographic parity ratio": "Lowest selection rate over the highest; "
            "below 0.8 breaks the four-fifths rule.",
            "equalised odds difference": "The larger of the gaps in TPR and in FPR.",
            "equalised odds ratio": "The smaller of the ratios of TPR and of FPR.",
            "accuracy gap": "Accuracy of the best group minus that of the worst.",
        },
        (
            "The highest and the lowest of several groups differ by chance alone, the more so the "
            "smaller and the more numerous they are: read the interval, which allows for that, "
            "not the value.",
            "Equal rates are not justice: demographic parity ignores labels, and labels may "
            "themselves be biased.",
        ),
    )
