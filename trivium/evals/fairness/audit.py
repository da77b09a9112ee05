"""What an audit by counterfactuals shows: does an answer change when nothing but the person does?

Every group is held against the first group of its axis, over the same rows; a shift is the group
minus that reference. Figures come from the records of a run and from nothing else.
"""

from collections.abc import Sequence

from trivium.evals.base import Record
from trivium.evals.fairness import shifts
from trivium.evals.fairness.audit_about import ABOUT
from trivium.evals.fairness.audit_decisions import decisions, flips, ranks
from trivium.evals.fairness.audit_plan import MARK
from trivium.evals.fairness.audit_texts import texts
from trivium.evals.fairness.base import Case, Finding
from trivium.evals.fairness.drawn import Drawn, corrected, shift
from trivium.evals.fairness.pairs import (
    Family,
    as_original,
    axis_of,
    contrasts,
    described,
    families,
)

__all__ = ["ABOUT", "cases", "findings"]

SHOWN = 240
"""So many letters of a text are shown in a case."""


def findings(records: Sequence[Record]) -> list[Finding]:
    """The figures of one cell: overall, by axis, then each group against its reference."""
    made = families(records)
    if not made:
        why = "no row has both an answer and a counterfactual with one"
        return [Finding("flips", "", None, 0, ideal=0.0, bias=True, note=why)]
    task, labels = _task(made)
    drawn: list[Drawn] = []
    if task == "classify":
        drawn += flips(made, labels)
    for contrast in contrasts(made):
        if task == "classify":
            drawn += decisions(contrast, labels)
        elif task == "score":
            drawn += shift("score shift", contrast, shifts.score)
        elif task == "rank":
            drawn += ranks(contrast)
        else:
            drawn += texts(contrast)
        if contrast.pairs[0][0][0].output is not None:
            drawn += shift("refusal gap", contrast, _refuses, share=True)
    return corrected(drawn)


def _refuses(record: Record) -> float:
    return float(shifts.refused(record.output or ""))


def _task(made: Sequence[Family]) -> tuple[str, tuple[str, ...]]:
    inputs = made[0].original[0].inputs
    labels = inputs.get(f"{MARK}labels")
    named = tuple(map(str, labels)) if isinstance(labels, list) else ()
    return str(inputs.get(f"{MARK}task", "text")), named


def cases(records: Sequence[Record], count: int = 10) -> list[Case]:
    """The counterfactuals whose answers are farthest from their original's."""
    made = families(records)
    if not made:
        return []
    task, labels = _task(made)
    found = []
    for family in made:
        for variant in family.variants:
            amount = _amount(task, labels, family.original[0], variant[0])
            if amount > 0:
                found.append(_case(family.original[0], variant[0], amount, labels))
    return sorted(found, key=lambda one: -one.amount)[:count]


def _amount(task: str, labels: Sequence[str], a: Record, b: Record) -> float:
    if task == "classify":
        flipped = shifts.decision(a, labels) != shifts.decision(b, labels)
        shift = max(
            (
                abs(x - y)
                for label in labels
                if (x := shifts.probability(a, label)) is not None
                and (y := shifts.probability(b, label)) is not None
            ),
            default=0.0,
        )
        return float(flipped) + shift
    if task == "score":
        one, other = shifts.score(a), shifts.score(b)
        return 0.0 if one is None or other is None else abs(one - other)
    if task == "rank":
        tau = shifts.kendall(*(shifts.ranking(as_original(one)) for one in (a, b)))
        return 0.0 if tau is None else 1 - tau
    from trivium.evals.scorers.text import rouge

    return 1 - rouge(as_original(a), as_original(b), ["rougeL"])["rougeL"]


def _case(original: Record, variant: Record, amount: float, labels: Sequence[str]) -> Case:
    swaps, was, now = described(original, variant)
    inputs = variant.inputs
    group = f"{axis_of(variant)}: {inputs[f'{MARK}from']} → {inputs[f'{MARK}group']}"
    lines = (
        f"{_cut(was)} ⇒ {_answer(original, labels)}",
        f"{_cut(now)} ⇒ {_answer(variant, labels)}",
    )
    return Case(variant.row, group, amount, f"{swaps}\n{lines[0]}\n{lines[1]}")


def _answer(record: Record, labels: Sequence[str]) -> str:
    if not record.choices:
        return _cut(record.output or "")
    said = shifts.decision(record, labels)
    return f"{said} ({shifts.probability(record, said):.0%})"


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"
