"""The values of evaluation: a row of data, a cell of the matrix, a record of what came out.

They are plain frozen data. Every number in every report can be traced to its records.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

Scores = Mapping[str, float | None]
"""Metric -> value of one record. None: the metric has no value here and is in no mean."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of data: what a prompt is filled with, and what should come out.

    `id` is unique within the data. `target` is a string, a number, a list of accepted answers, or
    None where there is none. Rows with an equal `cluster` (a paragraph, a document) are not
    independent of each other.
    """

    id: str
    inputs: Mapping[str, object]
    target: object = None
    cluster: str | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of the matrix: a model and a prompt, both by name."""

    model: str
    prompt: str


@dataclass(frozen=True, slots=True)
class Choice:
    """How likely a model found one of the offered answers, or a text when there is but one.

    `logprob` is natural and summed over `tokens` tokens. `unconditional` is the same text's after
    the bare lead-in instead of the whole prompt; None where it was not asked for.
    """

    text: str
    logprob: float
    tokens: int
    unconditional: float | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One evaluated row.

    `index` is unique within the run: reports are in its order. `fingerprint` is the engine's
    `Fingerprint.id`. `output` is None where nothing was generated, `choices` is empty where nothing
    was chosen between. `error` says why there is no result; such a record has no scores and is
    counted as failed, never as wrong. `scores` hold None for what could not be judged. `seconds`
    is the engine's own time for this row. `truncated`: the output was cut at `max_tokens`.
    """

    run: str
    index: int
    row: str
    repeat: int
    model: str
    fingerprint: str
    prompt: str
    prompt_hash: str
    inputs: Mapping[str, object]
    target: object
    output: str | None = None
    choices: tuple[Choice, ...] = ()
    scores: Scores = field(default_factory=dict)
    error: str | None = None
    cluster: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0
    truncated: bool = False

    @property
    def cell(self) -> Cell:
        return Cell(self.model, self.prompt)


Scorer = Callable[[Record], Scores]
"""Judges one record that has no error. It may raise `TriviumError`: the record is then failed."""

Summariser = Callable[[Sequence[Record]], Mapping[str, float]]
"""What only all records of a cell together have: corpus BLEU, macro F1, calibration."""
