"""Searches without a model: every score is drawn, from what a candidate is worth."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from trivium.evals.optimize.base import Candidate, Outcome, Part
from trivium.evals.optimize.trials import Trials
from trivium.prompts.base import Prompt

START = Candidate(Prompt("p", "{{ x }}", "as it is"), "as it is")
PARTS: dict[Part, Sequence[int]] = {
    "train": range(40),
    "validation": range(40, 60),
    "test": range(60, 100),
}


def candidate(number: int, own: bool = False) -> Candidate:
    return Candidate(replace(START.prompt, system=f"number {number}"), f"number {number}", own)


def neighbours(of: Candidate) -> Iterator[Candidate]:
    for step in range(6):
        yield Candidate(
            replace(of.prompt, system=f"{of.prompt.system}.{step}"[-60:]), "exchanged", True
        )


def trials(
    worth: Callable[[Candidate], float],
    seed: int = 0,
    budget: int = 10**9,
    parts: dict[Part, Sequence[int]] = PARTS,
) -> Trials:
    """A row is right with the probability `worth`; it costs 10 tokens, and 12 are its bound."""

    drawn: dict[str, list[float]] = {}

    def ask(one: Candidate, rows: Sequence[int]) -> list[Outcome]:
        if one.key not in drawn:
            dice = random.Random(f"{seed} {one.key}")
            drawn[one.key] = [float(dice.random() < worth(one)) for _ in range(100)]
        return [Outcome(drawn[one.key][row], 10) for row in rows]

    return Trials(START, parts, ask, lambda one, rows: 12 * len(rows), budget)
