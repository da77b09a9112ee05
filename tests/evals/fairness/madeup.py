"""A small benchmark: how often each group gets a yes, and the gap between a and b."""

from collections.abc import Sequence

import numpy as np

from trivium.evals.base import Record
from trivium.evals.fairness.base import About, Case, Finding
from trivium.evals.fairness.resample import resampled
from trivium.evals.intervals import wilson

ABOUT = About(
    "madeup",
    "Made-up benchmark",
    "3",
    "Nobody 2026",
    "CC0",
    "How often each group gets a yes.",
    {"yes": "Share of rows with a yes.", "gap": "Share of a minus that of b."},
    ("Nobody should believe it.",),
)


def findings(records: Sequence[Record]) -> list[Finding]:
    well = [one for one in records if one.error is None]
    yes = np.array([one.output == "yes" for one in well], np.bool_)
    group = np.array([str(one.inputs["group"]) for one in well], dtype=np.str_)
    found = []
    for name in ("", "a", "b", "c"):
        here = yes if not name else yes[group == name]
        if here.size == 0:
            found.append(Finding("yes", name, None, 0, ideal=0.5, bias=True, note="no rows"))
        else:
            interval = wilson(int(here.sum()), here.size)
            found.append(
                Finding("yes", name, interval.mean, here.size, interval, ideal=0.5, bias=True)
            )

    def between(draw: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> float:
        a, b = (yes[draw][group[draw] == name] for name in ("a", "b"))
        return float(a.mean() - b.mean()) if a.size and b.size else float("nan")

    interval_of_gap = resampled(between, len(well))
    if interval_of_gap is None:
        found.append(Finding("gap", "", None, len(well), ideal=0.0, gap=True, note="a or b empty"))
    else:
        found.append(
            Finding(
                "gap", "", interval_of_gap.mean, len(well), interval_of_gap, ideal=0.0, gap=True
            )
        )
    return found


def cases(records: Sequence[Record], count: int = 10) -> list[Case]:
    return [
        Case(one.row, str(one.inputs["group"]), 1.0, f"{one.inputs['text']} → {one.output}")
        for one in records
        if one.error is None and one.output != "yes"
    ][:count]


def answers(
    said: str, *, groups: str = "ab", model: str = "m", prompt: str = "p", run: str = "one"
) -> list[Record]:
    """A record for each letter of `said`, y or n (or ! for a failure), in alternating groups."""
    return [
        Record(
            run,
            number,
            f"r{number}",
            0,
            model,
            "engine",
            prompt,
            "hash",
            {"group": groups[number % len(groups)], "text": f"text {number}"},
            None,
            None if letter == "!" else {"y": "yes", "n": "no"}[letter],
            error="gone" if letter == "!" else None,
        )
        for number, letter in enumerate(said)
    ]
