"""Sets of examples for a prompt, drawn from the training rows and exchanged one by one.

Bootstrapping (Khattab et al. 2023, DSPy, arXiv:2310.03714): what the model itself answers well
shows it the way, steps and all; where rows have an answer to show, that is an example as well.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median

from trivium.evals.base import Row
from trivium.evals.optimize.base import Candidate, Outcome
from trivium.prompts.base import Example, Prompt, Shots
from trivium.prompts.lint import lint
from trivium.prompts.select import selector
from trivium.prompts.values import as_text

DRAWS = 12
"""Sets drawn for each instruction."""
LARGEST = 200
"""Examples in a pool."""
EXCHANGES = 2
"""Others that are tried in the place of each example."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Solved rows: `right` as the model solved them, `gold` as the data do."""

    right: tuple[Example, ...]
    gold: tuple[Example, ...]

    @property
    def all(self) -> tuple[Example, ...]:
        """Each once; a row that the model answers in other words than the data is there twice."""
        return (*self.right, *(one for one in self.gold if one not in self.right))


def make_pool(
    prompt: Prompt, rows: Sequence[Row], outcomes: Sequence[Outcome], *, written: bool
) -> Pool:
    """What the training `rows` can show, given what came out for the first of them.

    `written`: the answers are the model's own words; otherwise it chose, and what it chose rightly
    is the data's answer. An answer is right when it scores 1, or for finer scores no less than half
    of the rows.
    """
    scores = [one.score for one in outcomes if one.score is not None]
    enough = 1.0 if set(scores) <= {0.0, 1.0} else median(scores)
    right, gold = [], []
    for number, row in enumerate(rows):
        target = _target(row)
        if target is not None:
            gold.append(_example(prompt, row, target))
        outcome = outcomes[number] if number < len(outcomes) else None
        if outcome is None or outcome.score is None or outcome.score < enough:
            continue
        said = outcome.output if written else target
        if said and said.strip():
            right.append(_example(prompt, row, said.strip()))
    return Pool(_sound(prompt, right), _sound(prompt, gold))


def sets(candidate: Candidate, pool: Pool, shots: int, seed: int) -> Iterator[Candidate]:
    """Sets of `shots` examples drawn at random, and with all answers in equal numbers, in turn
    from what the model solved and from what the data solve."""
    pools = [one for one in (pool.right, pool.gold) if one]
    for number in range(DRAWS if pools and shots else 0):
        chosen = pools[number % len(pools)]
        name = ("balanced", "random")[number // len(pools) % 2]
        drawn = selector(name, chosen, shots, seed + number)({})
        yield from _with(candidate.prompt, drawn, "examples drawn")


def neighbours(candidate: Candidate, pool: Pool, seed: int) -> Iterator[Candidate]:
    """Each example exchanged for others of the pool, then each swapped with the next one."""
    shown = list(candidate.prompt.examples)
    dice = random.Random(f"{seed} {candidate.key}")  # noqa: S311 - repeatable, not secret
    others = [one for one in pool.all if one.inputs not in [example.inputs for example in shown]]
    for at in range(len(shown)):
        for other in dice.sample(others, min(EXCHANGES, len(others))):
            made = [*shown[:at], other, *shown[at + 1 :]]
            yield from _with(candidate.prompt, made, "an example exchanged")
    for at in range(len(shown) - 1):
        made = [*shown[:at], shown[at + 1], shown[at], *shown[at + 2 :]]
        yield from _with(candidate.prompt, made, "examples in another order")


def _with(prompt: Prompt, examples: Sequence[Example], origin: str) -> Iterator[Candidate]:
    """`prompt` with these examples, unless they are too long together."""
    made = replace(prompt, examples=tuple(examples), shots=Shots())
    if adds_nothing(made, prompt):
        yield Candidate(made, origin, own=True)


def adds_nothing(made: Prompt, base: Prompt) -> bool:
    """Whether `made` is as sound as `base`: lint finds nothing that it does not find there."""
    known = {(one.rule, one.message) for one in lint(base)}
    return all((one.rule, one.message) in known for one in lint(made))


def _sound(prompt: Prompt, examples: Sequence[Example]) -> tuple[Example, ...]:
    """The examples that can stand in a prompt's file by themselves."""
    bare = replace(prompt, examples=(), shots=Shots())
    found = [one for one in examples if adds_nothing(replace(bare, examples=(one,)), bare)]
    return tuple(found[:LARGEST])


def _example(prompt: Prompt, row: Row, output: str) -> Example:
    names = [one.name for one in prompt.variables if row.inputs.get(one.name) is not None]
    return Example({name: as_text(row.inputs[name]) for name in names}, output)


def _target(row: Row) -> str | None:
    """What an example says: one of the accepted answers is enough."""
    target = row.target
    if isinstance(target, list):
        target = target[0] if target else None
    return None if target is None or target == "" else as_text(target)
