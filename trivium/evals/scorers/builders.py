"""The scorers that suites can name: options in, a scorer of records out."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, validate_call

from trivium.errors import TriviumError, UsageError
from trivium.evals.base import Record, Scores
from trivium.evals.scorers import choosing, judge, sources, text, tone
from trivium.evals.scorers.base import Built, each, wanted, written

Tolerance = Annotated[float, Field(ge=0)]
BUILDERS: dict[str, Callable[..., Built]] = {}


def _scorer(name: str) -> Callable[[Callable[..., Built]], Callable[..., Built]]:
    def add(builder: Callable[..., Built]) -> Callable[..., Built]:
        # a scorer's options come from a file that a user wrote; `means` is ours
        BUILDERS[name] = validate_call(config={"arbitrary_types_allowed": True})(builder)
        return builder

    return add


def _match(name: str, measure: Callable[[str, str], float]) -> Built:
    return Built(each(lambda record: {name: text.best(measure, written(record), wanted(record))}))


@_scorer("exact")
def _exact(means: Any) -> Built:
    return _match("exact", text.exact)


@_scorer("normalised")
def _normalised(means: Any) -> Built:
    return _match("normalised", text.normalised)


@_scorer("contains")
def _contains(means: Any) -> Built:
    return _match("contains", text.contains)


@_scorer("f1")
def _f1(means: Any) -> Built:
    return _match("f1", text.token_f1)


@_scorer("numeric")
def _numeric(means: Any, tolerance: Tolerance = 0.0) -> Built:
    return _match("numeric", lambda said, target: text.numeric(said, target, tolerance))


@_scorer("regex")
def _regex(means: Any, pattern: str | None = None, group: int | None = None) -> Built:
    """Without a group: does the pattern (or the target) match? With one: is it the target?"""
    import regex

    def compiled(source: str) -> Any:
        try:
            return regex.compile(source)
        except regex.error as error:
            raise UsageError(f'the scorer "regex": {source!r} is no pattern: {error}') from error

    fixed = None if pattern is None else compiled(pattern)

    def one(record: Record) -> Scores:
        try:
            found = (fixed or compiled(str(wanted(record)))).search(written(record), timeout=1.0)
        except TimeoutError as error:
            raise TriviumError(f"the pattern took over 1 s on row {record.row}") from error
        if group is None or found is None:
            return {"regex": float(found is not None)}
        try:
            said = str(found[group])
        except IndexError as error:
            raise TriviumError(f'the pattern has no group {group}; "group" is too high') from error
        return {"regex": text.best(text.exact, said, wanted(record))}

    return Built(each(one))


@_scorer("schema")
def _schema(means: Any, schema: dict[str, Any]) -> Built:
    """1 when the output is JSON that keeps the schema."""
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise UsageError(f'the scorer "schema": {error.message}') from error
    validator = Draft202012Validator(schema)

    def one(record: Record) -> Scores:
        try:
            value = json.loads(written(record))
        except (json.JSONDecodeError, RecursionError):
            return {"schema": 0.0}
        return {"schema": float(validator.is_valid(value))}

    return Built(each(one))


@_scorer("rouge")
def _rouge(means: Any, kinds: list[Literal["rouge1", "rouge2", "rougeL"]] | None = None) -> Built:
    chosen = kinds or ["rouge1", "rouge2", "rougeL"]

    def one(record: Record) -> Scores:
        said = written(record)
        scored = [text.rouge(said, target, chosen) for target in text.accepted(wanted(record))]
        return {kind: max(found[kind] for found in scored) for kind in chosen}

    return Built(each(one))


@_scorer("translation")
def _translation(means: Any, lower: bool = False) -> Built:
    """Corpus BLEU and chrF by sacrebleu, in [0, 100]; chrF of each sentence as well."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    sentence = CHRF()

    def one(record: Record) -> Scores:
        references = text.accepted(wanted(record))
        return {"chrf": float(sentence.sentence_score(written(record), references).score)}

    def summarise(records: Sequence[Record]) -> Mapping[str, float]:
        said = [written(record) for record in records]
        found = [text.accepted(record.target) for record in records]
        most = max(map(len, found))
        # sacrebleu wants one list a reference; a row with fewer repeats its last one
        columns = [[row[min(at, len(row) - 1)] for row in found] for at in range(most)]
        bleu, chrf = BLEU(lowercase=lower), CHRF()
        return {
            "bleu": float(bleu.corpus_score(said, columns).score),
            "corpus_chrf": float(chrf.corpus_score(said, columns).score),
        }

    return Built(each(one), summarise)


@_scorer("similarity")
def _similarity(means: Any) -> Built:
    """Cosine of the embeddings of output and target, the best of several targets."""

    def many(records: Sequence[Record]) -> list[Scores | TriviumError]:
        texts = list(
            dict.fromkeys(
                one
                for record in records
                for one in (written(record), *text.accepted(wanted(record)))
            )
        )
        vector = dict(zip(texts, means.embed(texts), strict=True))

        def cosine(said: str, target: str) -> float:
            return math.fsum(a * b for a, b in zip(vector[said], vector[target], strict=True))

        return [
            {"similarity": max(cosine(written(r), one) for one in text.accepted(r.target))}
            for r in records
        ]

    return Built(many)


@_scorer("judge")
def _judge(
    means: Any,
    model: str,
    criterion: str,
    low: int = 1,
    high: int = 5,
    gold: str | None = None,
) -> Built:
    if low >= high:
        raise UsageError(f'the scorer "judge": low = {low} is not below high = {high}')
    return judge.pointwise(means, model, criterion, low, high, gold)


@_scorer("judge_pair")
def _judge_pair(means: Any, model: str, criterion: str) -> Built:
    return judge.pairwise(means, model, criterion)


@_scorer("rag")
def _rag(means: Any, contexts: str = "contexts", relevant: str = "relevant") -> Built:
    """Answers from sources; the columns hold the sources, and the numbers of the relevant ones."""

    def one(record: Record) -> Scores:
        said, target = written(record), record.target
        accepted = [] if target is None else text.accepted(target)
        given, right = record.inputs.get(contexts), record.inputs.get(relevant)
        scores: dict[str, float | None] = {
            "refusal": float(sources.refuses(said) != bool(accepted))
        }
        if isinstance(given, list) and accepted:
            scores["context_recall"] = sources.context_recall([str(c) for c in given], accepted)
        if isinstance(right, list):
            numbers = [int(number) for number in right]
            scores["citation_precision"] = sources.citation_precision(said, numbers)
        return scores

    return Built(each(one))


@_scorer("latency")
def _latency(means: Any) -> Built:
    return Built(each(lambda record: {"seconds": record.seconds}))


@_scorer("tokens")
def _tokens(means: Any) -> Built:
    return Built(
        each(
            lambda record: {
                "prompt_tokens": float(record.prompt_tokens),
                "completion_tokens": float(record.completion_tokens),
            }
        )
    )


@_scorer("cost")
def _cost(means: Any, prompt: Tolerance, completion: Tolerance) -> Built:
    """What a row costs at these prices for a million tokens."""
    return Built(
        each(
            lambda record: {
                "cost": (record.prompt_tokens * prompt + record.completion_tokens * completion)
                / 1e6
            }
        )
    )


for _name, _builder in (choosing.BUILDERS | tone.BUILDERS).items():
    _scorer(_name)(_builder)
