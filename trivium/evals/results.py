"""Asks a model for the rows of a shard, all at once, and fills their records."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from trivium.engines.base import Engine, Message, Request, Sampling, ScoreRequest
from trivium.errors import TriviumError, UsageError
from trivium.evals.asking import Asked, Asker
from trivium.evals.base import Choice, Record, Row
from trivium.evals.cache import Cache
from trivium.evals.suite import Suite


def answer(
    suite: Suite,
    drafts: Sequence[Record],
    rows: Sequence[Row],
    asker: Asker,
    engine: Engine,
    cache: Cache,
    *,
    bare: bool,
) -> list[Record]:
    """`drafts`, of `rows`, with an output, with choices, or with an error.

    `bare` asks for the unconditional log-probabilities as well.

    Raises:
        Unavailable: when the model is gone.
    """
    asked = [_asked(asker, row) for row in rows]
    if suite.method == "generate":
        return _written(suite, drafts, asked, engine, cache)
    return _scored(suite, drafts, asked, engine, cache, bare)


def _asked(asker: Asker, row: Row) -> Asked | TriviumError:
    try:
        return asker.asked(row)
    except UsageError as error:
        return error


def _written(
    suite: Suite,
    drafts: Sequence[Record],
    asked: Sequence[Asked | TriviumError],
    engine: Engine,
    cache: Cache,
) -> list[Record]:
    requests = [
        Request(one.messages, one.prompt, _sampling(suite, draft.repeat), one.schema)
        for draft, one in zip(drafts, asked, strict=True)
        if isinstance(one, Asked)
    ]
    results = iter(cache.generate(engine, requests))
    records = []
    for draft, one in zip(drafts, asked, strict=True):
        result = next(results) if isinstance(one, Asked) else one
        if isinstance(result, TriviumError):
            records.append(replace(draft, error=str(result)))
            continue
        records.append(
            replace(
                draft,
                output=result.text,
                prompt_tokens=result.prompt_tokens,
                completion_tokens=result.completion_tokens,
                seconds=result.timing.prefill + result.timing.decode,
                truncated=result.finish == "length",
            )
        )
    return records


def _scored(
    suite: Suite,
    drafts: Sequence[Record],
    asked: Sequence[Asked | TriviumError],
    engine: Engine,
    cache: Cache,
    bare: bool,
) -> list[Record]:
    """Every choice of every row is one request; equal prompts stand beside each other."""
    texts = [offered_texts(suite, draft) for draft in drafts]
    requests: list[ScoreRequest] = []
    for one, offered in zip(asked, texts, strict=True):
        if isinstance(one, Asked) and not isinstance(offered, TriviumError):
            requests += _requests(suite, one, offered, bare)
    results = iter(cache.score(engine, requests))
    records = []
    for draft, one, offered in zip(drafts, asked, texts, strict=True):
        if isinstance(one, TriviumError) or isinstance(offered, TriviumError):
            error = one if isinstance(one, TriviumError) else offered
            records.append(replace(draft, error=str(error)))
        else:
            records.append(_chosen(draft, offered, results, bare))
    return records


def _requests(suite: Suite, asked: Asked, texts: Sequence[str], bare: bool) -> list[ScoreRequest]:
    lead = "" if suite.chat else suite.delimiter
    found = [ScoreRequest(lead + text, asked.messages, asked.prompt) for text in texts]
    if bare:
        # the bare lead-in stands where the prompt stood: a user's turn, or plain text
        messages = (Message("user", suite.bare),) if suite.chat else ()
        prompt = "" if suite.chat else suite.bare
        found += [ScoreRequest(lead + text, messages, prompt) for text in texts]
    return found


def _chosen(
    draft: Record, texts: Sequence[str], results: Iterator[Choice | TriviumError], bare: bool
) -> Record:
    """The record with its choices, taken from the front of `results`."""
    found = [next(results) for _ in range(len(texts) * (2 if bare else 1))]
    for result in found:
        if isinstance(result, TriviumError):
            return replace(draft, error=str(result))
        if math.isnan(result.logprob):
            return replace(draft, error="the model gave no number for a log-probability")
    sound = [result for result in found if isinstance(result, Choice)]
    choices = tuple(
        Choice(
            text,
            sound[at].logprob,
            sound[at].tokens,
            sound[len(texts) + at].logprob if bare else None,
        )
        for at, text in enumerate(texts)
    )
    return replace(draft, choices=choices, completion_tokens=sum(one.tokens for one in choices))


def offered_texts(suite: Suite, draft: Record) -> list[str] | TriviumError:
    """What is scored for a row: its choices, or its target."""
    if suite.method == "likelihood":
        if not isinstance(draft.target, str) or not draft.target:
            return UsageError(f"row {draft.row} has no text as its target to measure")
        return [draft.target]
    if isinstance(suite.choices, str):
        found = draft.inputs.get(suite.choices)
        if not isinstance(found, list) or not found or not all(isinstance(x, str) for x in found):
            return UsageError(f'row {draft.row} has no list of texts in "{suite.choices}"')
        return found
    return list(suite.choices or ())


def _sampling(suite: Suite, repeat: int) -> Sampling:
    said = suite.sampling
    return Sampling(
        temperature=said.temperature,
        top_p=said.top_p,
        top_k=said.top_k,
        min_p=said.min_p,
        seed=said.seed + repeat,
        max_tokens=said.max_tokens,
        stop=tuple(said.stop),
    )
