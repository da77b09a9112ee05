"""A model as a judge, held to a JSON Schema; pairs are shown in both orders."""

import json
from collections.abc import Mapping, Sequence

from trivium.engines.base import Completion, Message, Request, Sampling
from trivium.errors import TriviumError
from trivium.evals.base import Record, Scores
from trivium.evals.scorers.base import Built, Means, written
from trivium.evals.scorers.classes import kappa

_POINT = """Judge an answer.
Criterion: {criterion}
Give a whole number from {low} (worst) to {high} (best).

Question:
{question}
{reference}
Answer to judge:
{answer}"""

_PAIR = """Two answers to one question follow. Which of them is better?
Criterion: {criterion}
Say "A", "B", or "tie" when neither is better. Length and order are no merit.

Question:
{question}

Answer A:
{one}

Answer B:
{other}"""

_CHOICES = ("A", "B", "tie")


def pointwise(
    means: Means, model: str, criterion: str, low: int, high: int, gold: str | None
) -> Built:
    """`judge` in [low, high]; with `gold`, a column of human marks, also the kappa with them."""
    schema = _schema({"score": {"type": "integer", "enum": list(range(low, high + 1))}})

    def many(records: Sequence[Record]) -> list[Scores | TriviumError]:
        texts = [
            _POINT.format(
                criterion=criterion,
                low=low,
                high=high,
                question=_question(record),
                answer=written(record),
                reference=_reference(record),
            )
            for record in records
        ]
        return [
            one if isinstance(one, TriviumError) else {"judge": float(str(one))}
            for one in _ask(means, model, texts, schema, "score")
        ]

    def summarise(records: Sequence[Record]) -> Mapping[str, float]:
        pairs = [
            (str(round(mark)), str(record.inputs[gold or ""]))
            for record in records
            if gold in record.inputs and (mark := record.scores.get("judge")) is not None
        ]
        return {"judge_kappa": kappa(*zip(*pairs, strict=True))} if pairs else {}

    return Built(many, summarise if gold else None)


def pairwise(means: Means, model: str, criterion: str) -> Built:
    """The output against the target as a rival answer, asked in both orders.

    `judge_wins` is 1 when the output is preferred, 0 when the rival is, and 1/2 for a tie or when
    the preference moves with the order; `judge_steady` is 1 when it does not move.
    """
    schema = _schema({"better": {"type": "string", "enum": list(_CHOICES)}})

    def many(records: Sequence[Record]) -> list[Scores | TriviumError]:
        texts = []
        for record in records:
            rival, answer = str(record.target), written(record)
            for one, other in ((answer, rival), (rival, answer)):
                texts.append(
                    _PAIR.format(
                        criterion=criterion, question=_question(record), one=one, other=other
                    )
                )
        verdicts = _ask(means, model, texts, schema, "better")
        return [
            _of_both(first, second)
            for first, second in zip(verdicts[::2], verdicts[1::2], strict=True)
        ]

    return Built(many)


def _of_both(first: object, second: object) -> Scores | TriviumError:
    """One verdict from both orders; the second has the rival as A."""
    for one in (first, second):
        if isinstance(one, TriviumError):
            return one
    turned = {"A": "B", "B": "A", "tie": "tie"}[str(second)]
    steady = first == turned
    wins = {"A": 1.0, "B": 0.0, "tie": 0.5}[str(first)] if steady else 0.5
    return {"judge_wins": wins, "judge_steady": float(steady)}


def _ask(
    means: Means, model: str, texts: Sequence[str], schema: Mapping[str, object], key: str
) -> list[object]:
    """The value of `key` in each verdict, or the error."""
    requests = [
        Request((Message("user", text),), sampling=Sampling(max_tokens=32), schema=schema)
        for text in texts
    ]
    return [_value(one, key) for one in means.generate(model, requests)]


def _value(verdict: Completion | TriviumError, key: str) -> object:
    if isinstance(verdict, TriviumError):
        return verdict
    try:
        return json.loads(verdict.text)[key]
    except (json.JSONDecodeError, KeyError, TypeError):
        return TriviumError(f"the judge gave no verdict but {verdict.text!r:.100}")


def _schema(properties: Mapping[str, object]) -> Mapping[str, object]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _question(record: Record) -> str:
    return "\n".join(f"{name}: {value}" for name, value in record.inputs.items())


def _reference(record: Record) -> str:
    return "" if record.target is None else f"\nA right answer:\n{record.target}\n"
