"""What a built scorer is, and what it may call upon while it judges."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from trivium.engines.base import Completion, Request
from trivium.errors import TriviumError
from trivium.evals.base import Record, Scorer, Scores, Summariser

Many = Callable[[Sequence[Record]], Sequence[Scores | TriviumError]]


@dataclass(frozen=True, slots=True)
class Built:
    """A scorer with its options: judges many records at once, each by itself or with an error.

    `summarise` adds what only all records of a cell have. `needs_bare` asks for the choices'
    unconditional log-probabilities.
    """

    many: Many
    summarise: Summariser | None = None
    needs_bare: bool = False


class Means(Protocol):
    """What a scorer may use besides the record: other models, through the run's cache."""

    def generate(
        self, model: str, requests: Sequence[Request]
    ) -> Sequence[Completion | TriviumError]:
        """Answers of a judge, loaded once for the run."""

    def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """Unit vectors of the default embedder."""


def each(scorer: Scorer) -> Many:
    """A scorer of one record as a scorer of many, in which one's error is not the others'."""

    def many(records: Sequence[Record]) -> list[Scores | TriviumError]:
        results: list[Scores | TriviumError] = []
        for record in records:
            try:
                results.append(scorer(record))
            except TriviumError as error:
                results.append(error)
        return results

    return many


def written(record: Record) -> str:
    """The record's output.

    Raises:
        TriviumError: when nothing was generated.
    """
    if record.output is None:
        raise TriviumError("this scorer judges a written answer; use it with method: generate")
    return record.output


def wanted(record: Record) -> object:
    """The record's target.

    Raises:
        TriviumError: when the row has none.
    """
    if record.target is None:
        raise TriviumError(f"row {record.row} has no target to judge by")
    return record.target
