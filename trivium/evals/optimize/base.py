"""The values of a search for a better prompt."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from trivium.evals.paired import Paired
from trivium.prompts.base import Prompt

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A prompt to be tried. `origin` says how it came about.

    `own`: its own examples stand in place of those of the suite's few-shot section.
    """

    prompt: Prompt
    origin: str
    own: bool = False

    @property
    def key(self) -> str:
        """Equal for candidates that ask the same."""
        return f"{self.prompt.hash} {self.own}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out for one row: a score of which more is better, or None and why.

    `output` is what was written, where it was written whole; `tokens` are those of the prompt and
    of the answer.
    """

    score: float | None
    tokens: int
    output: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """What a search is told.

    `metric` None is the first one of the suite's scorers. `instructions` are tried besides the
    shipped phrasings and `proposals` ones of the model. `shots` None is as many examples as the
    prompt shows already, or `search.SHOTS`.
    """

    metric: str | None = None
    budget: int = 200_000
    seed: int = 0
    instructions: tuple[str, ...] = ()
    proposals: int = 8
    shots: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a search stands. `gain`: of the best candidate, on the training rows."""

    stage: str
    spent: int
    tried: int
    gain: float


@dataclass(frozen=True, slots=True)
class Result:
    """What a search came to. `best` is None when no candidate was better beyond noise.

    `test` is by how much the chosen candidate is better than the prompt as it was on the held-out
    rows; None when none got that far. `before` and `after` are the metric's means there. `less`:
    less of the metric is better. `left_out` counts test rows without a score on a side.
    `exhausted`: the budget ended the search.
    """

    metric: str
    less: bool
    best: Candidate | None
    chosen: Candidate | None
    reason: str
    test: Paired | None
    before: float | None
    after: float | None
    rows: Mapping[Part, int]
    left_out: int
    tried: int
    spent: int
    exhausted: bool
