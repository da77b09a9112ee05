"""The records of an audit in pairs: each group's answers beside those of its axis's first group."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from trivium.evals.base import Record
from trivium.evals.fairness.audit_plan import MARK
from trivium.evals.fairness.lists import AXES, Axis, load_axes
from trivium.evals.fairness.shifts import words
from trivium.evals.fairness.swaps import Swapped, counterfactuals

Repeats = tuple[Record, ...]
"""The answers to one text, in the order of their repeats."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """A group against the reference of its axis: the answers of both, one pair a row."""

    axis: str
    group: str
    reference: str
    pairs: tuple[tuple[Repeats, Repeats], ...]

    @property
    def name(self) -> str:
        return f"{self.axis}: {self.group} vs {self.reference}"


@dataclass(frozen=True, slots=True)
class Family:
    """An original with its counterfactuals, of every axis or of one."""

    original: Repeats
    variants: tuple[Repeats, ...]


def axis_of(record: Record) -> str:
    """The axis that a counterfactual was swapped on; "" for an original."""
    return str(record.inputs.get(f"{MARK}axis", ""))


def families(records: Sequence[Record]) -> list[Family]:
    """Originals that have an answer, each with those of its counterfactuals that have one."""
    by_row: dict[str, list[Record]] = {}
    for record in records:
        if record.error is None:
            by_row.setdefault(record.row, []).append(record)
    answers = {
        row: tuple(sorted(found, key=lambda one: one.repeat)) for row, found in by_row.items()
    }
    variants: dict[str, list[Repeats]] = {}
    for found in answers.values():
        if axis_of(found[0]):
            variants.setdefault(str(found[0].cluster), []).append(found)
    return [Family(answers[row], tuple(made)) for row, made in variants.items() if row in answers]


def contrasts(found: Sequence[Family]) -> list[Contrast]:
    """Every group of every axis against its reference, over the rows that have both."""
    pairs: dict[tuple[str, str, str], list[tuple[Repeats, Repeats]]] = {}
    for family in found:
        by_axis: dict[str, list[Repeats]] = {}
        for variant in family.variants:
            by_axis.setdefault(axis_of(variant[0]), []).append(variant)
        for axis, variants in by_axis.items():
            reference = str(variants[0][0].inputs[f"{MARK}reference"])
            groups = {str(one[0].inputs[f"{MARK}group"]): one for one in variants}
            groups[str(variants[0][0].inputs[f"{MARK}from"])] = family.original
            for group, answers in groups.items():
                if group != reference and reference in groups:
                    key = (axis, group, reference)
                    pairs.setdefault(key, []).append((groups[reference], answers))
    return [Contrast(*key, tuple(made)) for key, made in pairs.items()]


def as_original(record: Record) -> str:
    """An answer with its group's words turned back into the original's.

    Where the rules of swapping do not carry the whole answer back, the words that were swapped in
    the question are, one for one; what then still differs is the model's.
    """
    text = record.output or ""
    name = axis_of(record)
    if not name:
        return text
    source, group = (str(record.inputs[MARK + key]) for key in ("from", "group"))
    if name in AXES:
        for one in counterfactuals({"text": text}, _axis(name)):
            if isinstance(one, Swapped) and (one.source, one.group) == (group, source):
                return one.texts["text"]
    back: dict[str, set[str]] = {}
    for old, new in _swaps(record):
        back.setdefault(new.lower(), set()).add(old)
    plain = {new: min(olds) for new, olds in back.items() if len({o.lower() for o in olds}) == 1}
    if not plain:
        return text
    longest = "|".join(re.escape(one) for one in sorted(plain, key=len, reverse=True))
    pattern = re.compile(rf"(?<!\w)(?:{longest})(?!\w)", re.IGNORECASE)
    return pattern.sub(lambda found: plain.get(found[0].lower(), found[0]), text)


def designed_words(contrast: Contrast) -> set[str]:
    """Words that differ between the groups because they were swapped, or belong to a group."""
    found: set[str] = set()
    for sides in contrast.pairs:
        for record in (side[0] for side in sides):
            found |= {word for pair in _swaps(record) for one in pair for word in words(one)}
    if contrast.axis in AXES:
        for term in _axis(contrast.axis).terms:
            found |= {word for form in term.forms.values() for word in words(form)}
    return found


def described(original: Record, variant: Record) -> tuple[str, str, str]:
    """What was replaced, the original's swapped text, and the counterfactual's."""
    swaps = ", ".join(f"{old} → {new}" for old, new in _swaps(variant))
    changed = swapped_columns(original.inputs, variant.inputs)
    was, now = (
        " / ".join(str(one.inputs[name]) for name in changed) for one in (original, variant)
    )
    return swaps, was, now


def swapped_columns(original: Mapping[str, object], variant: Mapping[str, object]) -> list[str]:
    """The columns in which a counterfactual is not its original."""
    return [
        name
        for name, value in original.items()
        if not name.startswith(MARK) and variant.get(name) != value
    ]


def _swaps(record: Record) -> list[tuple[str, str]]:
    found = record.inputs.get(f"{MARK}swaps", [])
    return [(str(old), str(new)) for old, new in found] if isinstance(found, list) else []


@cache
def _axis(name: str) -> Axis:
    return load_axes([name])[0]
