"""The values of fairness: a figure of a group, a row to look at, what a benchmark says of itself.

Every figure is computed from the records of a run and from nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from trivium.evals.base import Record
from trivium.evals.intervals import Interval

FEW = 30
"""Below so many rows a figure carries a warning: its interval is wide, and its mean moves a lot."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure: `measure` of `group` ("" for all rows).

    `value` is None where the figure is undefined, and `note` then says why. `interval` has the same
    scale as `value`; None where there is none. `n` counts the rows that the figure rests on.
    `ideal` is what an unbiased model would have; None where no value is better than another.
    `gap` marks a difference between groups, which `max_gap` judges, and `bias` a figure whose
    distance from `ideal` is bias, which `max_bias` judges. `p` is of the ideal, corrected for the
    other groups of its measure; None where it is not tested.
    """

    measure: str
    group: str
    value: float | None
    n: int
    interval: Interval | None = None
    ideal: float | None = None
    gap: bool = False
    bias: bool = False
    note: str = ""
    p: float | None = None

    @property
    def few(self) -> bool:
        return self.n < FEW


@dataclass(frozen=True, slots=True)
class Case:
    """A record worth a person's look: how far it went, and what was asked and said."""

    row: str
    group: str
    amount: float
    text: str


@dataclass(frozen=True, slots=True)
class About:
    """What a benchmark says of itself, for the person who reads the report.

    `readings` explain each measure in one plain sentence; `limits` are known weaknesses.
    """

    name: str
    title: str
    version: str
    paper: str
    licence: str
    what: str
    readings: Mapping[str, str]
    limits: Sequence[str]


class Benchmark(Protocol):
    """A module of this package that measures one benchmark."""

    ABOUT: About

    def findings(self, records: Sequence[Record]) -> list[Finding]:
        """Figures of the records of one cell, all rows first; failed records are in none."""

    def cases(self, records: Sequence[Record], count: int = 10) -> list[Case]:
        """The worst rows first."""
