"""Scorers of log-likelihoods: the choice, its calibration, and the perplexity of a text."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from trivium.errors import TriviumError
from trivium.evals.base import Choice, Record, Scores
from trivium.evals.scorers import classes
from trivium.evals.scorers import likelihood as measures
from trivium.evals.scorers.base import Built, each, wanted, written
from trivium.evals.scorers.text import accepted, normalise

Normalisation = Literal["raw", "character", "byte", "token", "unconditional"]


def _choice(means: Any, normalise: list[Normalisation] | None = None) -> Built:
    """Whether the likeliest choice is the target, by each normalisation.

    `accuracy` is of the raw log-probabilities, `accuracy_byte` and so on of the others.
    """
    kinds = normalise or ["raw"]

    def one(record: Record) -> Scores:
        right = _right(record)
        scores = {}
        for kind in kinds:
            at = measures.chosen(record.choices, measures.NORMALISATIONS[kind])
            scores[_metric(kind)] = float(at in right)
        return scores

    return Built(each(one), needs_bare="unconditional" in kinds)


def _cross_entropy(means: Any) -> Built:
    """-ln of the probability on the right choices: smooth where accuracy jumps."""

    def one(record: Record) -> Scores:
        logprobs = [choice.logprob for choice in _choices(record)]
        right = [logprobs[at] for at in _right(record)]
        return {"cross_entropy": _log_sum(logprobs) - _log_sum(right)}

    return Built(each(one))


def _log_sum(values: Sequence[float]) -> float:
    """ln of the sum of exponentials, for values of any size."""
    highest = max(values)
    return highest + math.log(math.fsum(math.exp(value - highest) for value in values))


def _multi_truth(means: Any) -> Built:
    """Share of the probability on the right answers, where several are: TruthfulQA's mc2."""

    def one(record: Record) -> Scores:
        shares = measures.probabilities(_choices(record), measures.raw)
        return {"mc2": math.fsum(shares[at] for at in _right(record))}

    return Built(each(one))


def _classification(
    means: Any,
    labels: list[str] | None = None,
    normalise: Normalisation = "raw",
    bins: int = 10,
) -> Built:
    """A report by class. With choices: Brier and calibration error too.

    Without choices, what was written counts as the label whose words come first in it, of `labels`.
    """
    measure, metric = measures.NORMALISATIONS[normalise], _metric(normalise)

    def one(record: Record) -> Scores:
        if not record.choices:
            said = _said(written(record), labels or [])
            return {"accuracy": float(said in accepted(wanted(record)))}
        right = _right(record)
        shares = measures.probabilities(record.choices, measure)
        return {
            metric: float(measures.chosen(record.choices, measure) in right),
            "confidence": max(shares),
            "brier": classes.brier(shares, right[0]),
        }

    def summarise(records: Sequence[Record]) -> Mapping[str, float]:
        gold, said = [], []
        for record in records:
            if record.choices:
                at = measures.chosen(record.choices, measure)
                gold.append(record.choices[_right(record)[0]].text.strip())
                said.append(record.choices[at].text.strip())
            else:
                gold.append(accepted(wanted(record))[0])
                said.append(_said(written(record), labels or []))
        report = classes.classification(said, gold)
        sure = [one for record in records if (one := record.scores.get("confidence")) is not None]
        if len(sure) == len(records):
            right = [bool(record.scores[metric]) for record in records]
            report["ece"] = classes.calibration_error(sure, right, bins)
        return report

    return Built(each(one), summarise, needs_bare=normalise == "unconditional")


def _likelihood(means: Any) -> Built:
    """How well the model predicts the target: bits a byte (of UTF-8), perplexity a token."""

    def one(record: Record) -> Scores:
        choice = _choices(record)[0]
        size = len(choice.text.encode())
        return {"bits_per_byte": measures.bits(choice.logprob) / size if size else None}

    def summarise(records: Sequence[Record]) -> Mapping[str, float]:
        texts = [record.choices[0] for record in records]
        logprob = math.fsum(choice.logprob for choice in texts)
        size, words = (
            sum(len(choice.text.encode()) for choice in texts),
            sum(len(choice.text.split()) for choice in texts),
        )
        return {
            "corpus_bits_per_byte": measures.bits(logprob) / max(1, size),
            "perplexity": measures.perplexity(logprob, max(1, sum(one.tokens for one in texts))),
            "word_perplexity": measures.perplexity(logprob, max(1, words)),
        }

    return Built(each(one), summarise)


BUILDERS: dict[str, Callable[..., Built]] = {
    "choice": _choice,
    "mc2": _multi_truth,
    "cross_entropy": _cross_entropy,
    "classification": _classification,
    "likelihood": _likelihood,
}


def _metric(normalise: str) -> str:
    return "accuracy" if normalise == "raw" else f"accuracy_{normalise}"


def _choices(record: Record) -> Sequence[Choice]:
    if not record.choices:
        raise TriviumError("this scorer needs log-probabilities: method choose or likelihood")
    return record.choices


def _right(record: Record) -> list[int]:
    """Positions of the choices that are targets: by text, or by number where the target is one.

    Raises:
        TriviumError: when the target is none of the choices.
    """
    choices, target = _choices(record), wanted(record)
    texts = [choice.text.strip() for choice in choices]
    right = []
    for one in target if isinstance(target, list) else [target]:
        if isinstance(one, int) and not isinstance(one, bool) and 0 <= one < len(choices):
            right.append(one)
        elif str(one).strip() in texts:
            right.append(texts.index(str(one).strip()))
        else:
            raise TriviumError(f"the target {one!r:.100} is none of the choices {texts!r:.300}")
    return right


def _said(output: str, labels: Sequence[str]) -> str:
    """The label that comes first in a text, or "" when none does."""
    padded = f" {normalise(output)} "
    found = [(at, one) for one in labels if (at := padded.find(f" {normalise(one)} ")) >= 0]
    return min(found)[1] if found else ""
