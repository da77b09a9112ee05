"""Asks candidates for rows, through the same asking, cache and scorers as every evaluation."""

from collections.abc import Sequence

from trivium.engines.base import Engine, Request
from trivium.errors import TriviumError, UsageError
from trivium.evals.asking import Asker
from trivium.evals.base import Record, Row
from trivium.evals.cache import Cache
from trivium.evals.optimize.base import Candidate, Outcome
from trivium.evals.plan import Plan
from trivium.evals.results import answer, offered_texts
from trivium.evals.runner import judge
from trivium.evals.scorers.base import Built
from trivium.evals.suite import Suite

LESS = frozenset(
    {"brier", "bits_per_byte", "seconds", "prompt_tokens", "completion_tokens", "cost"}
)
"""Metrics of which less is better."""


class Bench:
    """One model, one suite's rows, any candidate."""

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        cache: Cache,
        scorers: Sequence[Built],
        metric: str | None,
    ) -> None:
        self._plan, self._engine, self._cache, self._scorers = plan, engine, cache, scorers
        self._bare = any(scorer.needs_bare for scorer in scorers)
        self._metric = metric
        self._askers: dict[str, Asker] = {}
        self._prices: dict[str, dict[int, int]] = {}

    @property
    def metric(self) -> str:
        """The metric's name; known once a row has been judged."""
        return self._metric or ""

    @property
    def less(self) -> bool:
        return self._metric in LESS

    def ask(self, candidate: Candidate, rows: Sequence[int]) -> list[Outcome]:
        """What comes out for the rows of these numbers, a shard at a time.

        Raises:
            UsageError: when no scorer gives the metric.
            Unavailable: when the model is gone.
        """
        found: list[Outcome] = []
        size = self._plan.suite.shard
        suite = self._suite(candidate)
        for start in range(0, len(rows), size):
            numbers = rows[start : start + size]
            drafts = [self._draft(candidate, number) for number in numbers]
            chosen = [self._plan.rows[number] for number in numbers]
            records = answer(
                suite, drafts, chosen, self._asker(candidate), self._engine, self._cache,
                bare=self._bare,
            )  # fmt: skip
            for number, one in zip(numbers, judge(records, self._scorers), strict=True):
                found.append(self._outcome(candidate, number, one))
        return found

    def price(self, candidate: Candidate, rows: Sequence[int]) -> int:
        """At most so many tokens are asked and answered for these rows."""
        known = self._prices.setdefault(candidate.key, {})
        for number in rows:
            if number not in known:
                known[number] = self._row_price(candidate, number)
        return sum(known[number] for number in rows)

    def _outcome(self, candidate: Candidate, number: int, record: Record) -> Outcome:
        if record.error is not None:
            return Outcome(None, 0, error=record.error)
        tokens = record.prompt_tokens + record.completion_tokens
        if self._plan.suite.method != "generate":  # a scored prompt is not counted by engines
            tokens = self.price(candidate, [number])
        if self._metric is None:
            self._metric = next(iter(record.scores), None)
        if self._metric is None or self._metric not in record.scores:
            known = ", ".join(record.scores) or "none at all"
            raise UsageError(
                f"the suite's scorers give no {self._metric or 'metric'}; they give {known}"
            )
        score = record.scores[self._metric]
        if score is None:
            return Outcome(None, tokens, error=f"{self._metric} has no value for this row")
        output = None if record.truncated else record.output
        return Outcome(-score if self.less else score, tokens, output)

    def _row_price(self, candidate: Candidate, number: int) -> int:
        """Tokens of the prompt, and of the answer at most."""
        try:
            asked = self._asker(candidate).asked(self._plan.rows[number])
        except UsageError:  # it will fail, and cost nothing
            return 0
        prompt = self._engine.count_tokens(Request(asked.messages, asked.prompt))
        return prompt + self._answer_price(candidate, number)

    def _answer_price(self, candidate: Candidate, number: int) -> int:
        suite = self._plan.suite
        if suite.method == "generate":
            return suite.sampling.max_tokens
        texts = offered_texts(suite, self._draft(candidate, number))
        if isinstance(texts, TriviumError):
            return 0
        count = sum(self._engine.count_tokens(Request(prompt=one)) for one in texts)
        if self._bare:
            count = 2 * count + self._engine.count_tokens(Request(prompt=suite.bare))
        return count

    def _asker(self, candidate: Candidate) -> Asker:
        if candidate.key not in self._askers:
            self._askers[candidate.key] = Asker(
                self._suite(candidate), candidate.prompt, self._plan.pool, self._engine
            )
        return self._askers[candidate.key]

    def _suite(self, candidate: Candidate) -> Suite:
        """A candidate with its own examples wants none of the suite's."""
        update = {"examples": None} if candidate.own else {}
        return self._plan.suite.model_copy(update=update)

    def _draft(self, candidate: Candidate, number: int) -> Record:
        row: Row = self._plan.rows[number]
        prompt = candidate.prompt
        return Record(
            "optimize", number, row.id, 0, self._engine.name, self._engine.fingerprint.id,
            prompt.name, prompt.hash, row.inputs, row.target, cluster=row.cluster,
        )  # fmt: skip
