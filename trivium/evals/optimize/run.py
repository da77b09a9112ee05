"""A whole search: split, search on train, choose on validation, test on what nobody has seen."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from trivium.engines.base import Completion
from trivium.evals.base import Row
from trivium.evals.cache import Cache
from trivium.evals.helpers import Helpers
from trivium.evals.optimize.base import Candidate, Options, Part, Progress, Result
from trivium.evals.optimize.bench import Bench
from trivium.evals.optimize.demonstrations import Pool, make_pool, neighbours, sets
from trivium.evals.optimize.instructions import (
    PHRASINGS,
    instructed,
    proposals,
    proposed,
    read_instructions,
)
from trivium.evals.optimize.search import SHOTS, search
from trivium.evals.optimize.split import split, unlike
from trivium.evals.optimize.trials import Trials
from trivium.evals.paired import paired
from trivium.evals.plan import Plan
from trivium.evals.runner import DEFAULT
from trivium.evals.scorers import build
from trivium.paths import home
from trivium.prompts.base import Prompt

SOLVED = 4
"""Solved training rows that the proposing model sees."""
PROPOSING = 0.1
"""At most this share of the budget goes to proposals."""
_HELD_OUT: tuple[Part, Part] = ("validation", "test")


def state_file(plan: Plan) -> Path:
    """Where the answers of a search are kept: the same command finds them there and goes on."""
    name = f"{plan.prompts[0].name}-{plan.hash[:16]}.db"
    return home() / "optimize" / name


def optimize(
    plan: Plan,
    helpers: Helpers,
    cache: Cache,
    options: Options,
    *,
    proposer: str | None = None,
    custom: Mapping[str, Callable[..., Any]] | None = None,
    watch: Callable[[Progress], None] = lambda progress: None,
) -> Result:
    """Search for a better prompt than the one of `plan`, on its rows.

    A search is a function of the plan, the options and the model's answers. `cache` keeps those,
    with their tokens: after a crash the same search runs through what it knows at no cost, counts
    it as it did before, and goes on.

    Args:
        plan: one model, one prompt.
        helpers: load its model, and those that judge, through `cache`.
        proposer: the model that proposes instructions; the same one when None.

    Raises:
        UsageError: when the rows or the budget are too few, or no scorer gives the metric.
        Unavailable: when a model is gone; what it has answered is kept.
    """
    start = Candidate(described(plan), "as it is")
    names = [one.name for one in start.prompt.variables]
    parts = split(plan.rows, names, options.seed, start.prompt.examples)
    held_out = [plan.rows[number] for part in _HELD_OUT for number in parts[part]]
    plan = replace(plan, pool=unlike(plan.pool, held_out, names))
    scorers = build(plan.suite.scorers or DEFAULT[plan.suite.method], helpers, custom)
    model = plan.cells[0].cell.model
    bench = Bench(plan, helpers.engine(model), cache, scorers, options.metric)
    trials = Trials(start, parts, bench.ask, bench.price, options.budget, watch)
    trials.begin()
    train = [plan.rows[number] for number in parts["train"]]
    trials.allow(1, "proposals")
    asked = _listed(start.prompt, options)
    if options.proposals:
        asked += _proposed(trials, start.prompt, train, options, helpers, cache, proposer or model)
        if proposer not in (None, model):
            helpers.release(proposer or model)
    examples = _Sets(trials, train, options, written=plan.suite.method == "generate")
    finalists = search(trials, asked, examples.sets, examples.neighbours)
    return _tested(plan, trials, bench, finalists)


def described(plan: Plan) -> Prompt:
    """The plan's prompt; one that is written in the suite gets the words that a file needs."""
    prompt = plan.prompts[0]
    if prompt.path is not None:
        return prompt
    variables = tuple(
        replace(one, description=f"The column {one.name} of a row.") for one in prompt.variables
    )
    description = plan.suite.description or f"The prompt of the suite {plan.suite.name}."
    return replace(prompt, variables=variables, description=description)


def _listed(base: Prompt, options: Options) -> list[Candidate]:
    own = [instructed(base, one, "an instruction of your list") for one in options.instructions]
    shipped = [instructed(base, one, "a general phrasing") for one in read_instructions(PHRASINGS)]
    return [one for one in (*own, *shipped) if one is not None]


def _proposed(
    trials: Trials,
    base: Prompt,
    train: Sequence[Row],
    options: Options,
    helpers: Helpers,
    cache: Cache,
    proposer: str,
) -> list[Candidate]:
    """What a model proposes, as far as its share of the budget goes."""
    sample = train[0].inputs
    gold = make_pool(base, train, (), written=False).gold
    engine = helpers.engine(proposer)
    requests = proposals(base, sample, gold[:SOLVED], options.proposals, options.seed)
    price = max(engine.count_tokens(one) + (one.sampling.max_tokens or 0) for one in requests)
    affordable = int(min(PROPOSING * options.budget, trials.left) / price)
    answers = cache.generate(engine, requests[:affordable])
    written = [one for one in answers if isinstance(one, Completion)]
    trials.charge(sum(one.prompt_tokens + one.completion_tokens for one in written))
    found = [proposed(base, sample, one.text) for one in written]
    return [one for one in found if one is not None]


class _Sets:
    """Sets of examples for a candidate, from the rows that it solves itself."""

    def __init__(
        self, trials: Trials, train: Sequence[Row], options: Options, *, written: bool
    ) -> None:
        self._trials, self._train, self._options = trials, train, options
        self._written = written
        self._pools: dict[str, Pool] = {}

    def sets(self, candidate: Candidate) -> Iterable[Candidate]:
        return sets(candidate, self._pool(candidate), self._shots(candidate), self._options.seed)

    def neighbours(self, candidate: Candidate) -> Iterable[Candidate]:
        return neighbours(candidate, self._pool(candidate), self._options.seed)

    def _pool(self, candidate: Candidate) -> Pool:
        """One for each instruction: its examples come from what it solves without others."""
        key = candidate.prompt.system
        if key not in self._pools:
            known = self._trials.known(candidate)
            self._pools[key] = make_pool(
                candidate.prompt, self._train, known, written=self._written
            )
        return self._pools[key]

    def _shots(self, candidate: Candidate) -> int:
        if self._options.shots is not None:
            return self._options.shots
        shown = candidate.prompt.shots.k
        return (len(candidate.prompt.examples) if shown is None else shown) or SHOTS


def _tested(plan: Plan, trials: Trials, bench: Bench, finalists: Sequence[Candidate]) -> Result:
    """The finalist that is best on validation, held against the prompt as it is on the test."""
    sizes: dict[Part, int] = {part: len(rows) for part, rows in trials.parts.items()}
    result = partial(
        Result, bench.metric, bench.less, rows=sizes, tried=trials.tried,
        exhausted=trials.exhausted,
    )  # fmt: skip
    nothing = partial(result, None, test=None, before=None, after=None, left_out=0)
    if not finalists:
        return nothing(None, "nothing was better on the training rows", spent=trials.spent)
    trials.stage = "validation"
    gains = [(trials.gain(one, "validation"), one) for one in finalists]
    gain, chosen = max(gains, key=lambda pair: pair[0])
    if gain <= 0:
        reason = "what was better on the training rows was not on the validation rows"
        return nothing(None, reason, spent=trials.spent)
    trials.stage = "test"
    pairs = trials.pairs(chosen, "test", sizes["test"])
    both = [(ours, theirs) for ours, theirs in pairs if theirs is not None]
    left_out = sizes["test"] - len(both)
    if not both:
        return nothing(chosen, "all test rows failed", spent=trials.spent)
    before = [ours for ours, _ in both]
    after = [theirs for _, theirs in both]
    test = paired(before, after, clusters=_clusters(plan, trials, chosen))
    best, reason = None, "the interval of the difference on the held-out rows reaches 0"
    if len(both) < len(pairs):
        reason = f"it fails on {len(pairs) - len(both)} test rows that the prompt as it is answers"
    elif test.effect.low > 0:
        best, reason = chosen, "the whole interval of the difference is above 0"
    sign = -1 if bench.less else 1
    return result(
        best, chosen, reason, test=test, before=sign * sum(before) / len(before),
        after=sign * sum(after) / len(after), left_out=left_out, spent=trials.spent,
    )  # fmt: skip


def _clusters(plan: Plan, trials: Trials, chosen: Candidate) -> list[str] | None:
    """The clusters of the test rows that both have answered; None where rows have none."""
    numbers = trials.parts["test"]
    known = zip(
        numbers, trials.known(trials.start, "test"), trials.known(chosen, "test"), strict=True
    )
    rows = [plan.rows[n] for n, ours, theirs in known if None not in (ours.score, theirs.score)]
    if all(row.cluster is None for row in rows):
        return None
    return [f"row {row.id}" if row.cluster is None else f"cluster {row.cluster}" for row in rows]
