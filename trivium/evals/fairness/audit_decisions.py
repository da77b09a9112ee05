"""How decisions, numbers and orders of two groups differ, as findings."""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from trivium.evals.base import Record
from trivium.evals.fairness import shifts
from trivium.evals.fairness.drawn import Drawn, Reader, difference, p_text, rate, shift
from trivium.evals.fairness.pairs import Contrast, Family, Repeats, as_original, axis_of
from trivium.evals.paired import mcnemar

MANY_LABELS = 6
"""With more labels than these only flips are told, not the shift of each label."""


def flips(made: Sequence[Family], labels: Sequence[str]) -> list[Drawn]:
    """How many originals are decided otherwise in at least one counterfactual, overall, by axis.

    With repeats, also how much more often decisions differ than between two answers to one text.
    """
    axes = dict.fromkeys(axis_of(one[0]) for family in made for one in family.variants)
    found = []
    for axis in ("", *axes):
        values, above = [], []
        for family in made:
            variants = [v for v in family.variants if axis in ("", axis_of(v[0]))]
            if not variants:
                continue
            values.append(_any_flip(family.original, variants, labels))
            known = [
                more
                for one in variants
                if (more := shifts.above_noise(_said(family.original, labels), _said(one, labels)))
                is not None
            ]
            above += [fmean(known)] if known else []
        note = _floor(made, labels)
        found.append(Drawn(rate("flips", axis, values, bias=not above, note=note)))
        if above:
            found.append(Drawn(rate("flips above noise", axis, above, bias=True, share=False)))
    return found


def _said(answers: Repeats, labels: Sequence[str]) -> list[str]:
    return [shifts.decision(one, labels) for one in answers]


def _any_flip(original: Repeats, variants: Sequence[Repeats], labels: Sequence[str]) -> float:
    """Over the repeats, how often some counterfactual is decided otherwise."""
    said = {one.repeat: shifts.decision(one, labels) for one in original}
    flips: dict[int, bool] = {}
    for variant in variants:
        for one in variant:
            if one.repeat in said:
                differs = shifts.decision(one, labels) != said[one.repeat]
                flips[one.repeat] = flips.get(one.repeat, False) or differs
    return fmean(flips.values()) if flips else 0.0


def _floor(made: Sequence[Family], labels: Sequence[str]) -> str:
    """How often the same text is decided otherwise the next time; "" without repeats."""
    noise = [
        value
        for family in made
        if (value := shifts.noise(_said(family.original, labels))) is not None
    ]
    return f"two answers to one text differ in {fmean(noise):.1%}" if noise else ""


def decisions(contrast: Contrast, labels: Sequence[str]) -> list[Drawn]:
    said = [tuple(_said(side, labels) for side in sides) for sides in contrast.pairs]
    changed = [shifts.disagreement(a, b) for a, b in said]
    repeated = any(len(a) > 1 and len(b) > 1 for a, b in said)
    found = [
        Drawn(rate("flips", contrast.name, changed, bias=not repeated, note=_directions(said)))
    ]
    if repeated:
        above = [v for a, b in said if (v := shifts.above_noise(a, b)) is not None]
        found.append(Drawn(rate("flips above noise", contrast.name, above, bias=True, share=False)))
    for label in labels if len(labels) <= MANY_LABELS else ():
        found += shift(
            f"share of {label}", contrast, _says(label, labels), family="share", share=True
        )
        if contrast.pairs[0][0][0].choices:
            found += shift(
                f"probability of {label}", contrast, _sure_of(label), family="probability"
            )
    return found


def _says(label: str, labels: Sequence[str]) -> Reader:
    return lambda one: float(shifts.decision(one, labels) == label)


def _sure_of(label: str) -> Reader:
    return lambda one: shifts.probability(one, label)


def _directions(said: Sequence[tuple[list[str], ...]]) -> str:
    """The flips by their direction, the reference's decision first, with McNemar's p of a pair."""
    counted = Counter((a[0], b[0]) for a, b in said if a[0] != b[0])
    parts = []
    for (was, now), count in counted.most_common(3):
        back = counted[now, was]
        parts.append(
            f"{was} → {now} {count} (back {back}, McNemar p {p_text(mcnemar(count, back))})"
        )
    return ", ".join(parts)


def ranks(contrast: Contrast) -> list[Drawn]:
    """Kendall's tau of both orders, and by how many places the swapped items move."""
    taus, places = [], []
    for (a, *_), (b, *_) in contrast.pairs:
        first, second = (shifts.ranking(as_original(one)) for one in (a, b))
        tau = shifts.kendall(first, second)
        if tau is not None:
            taus.append(tau)
        swapped = _swapped_items(a) | _swapped_items(b)
        moved = shifts.place_shift(first, second, swapped)
        if moved is not None:
            places.append((0.0, moved))
    orders = rate("Kendall tau", contrast.name, taus, ideal=1.0, bias=True, share=False)
    return [
        Drawn(orders),
        difference("place shift", contrast.name, places, family="place shift"),
    ]


def _swapped_items(record: Record) -> set[str]:
    """The items of an order that read otherwise once their words are turned back."""
    kept, raw = shifts.ranking(as_original(record)), shifts.ranking(record.output or "")
    return {one for one, other in zip(kept, raw, strict=False) if one != other}
