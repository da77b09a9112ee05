"""A second look at the best passages, by a model that reads question and passage together."""

import math
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from trivium.engines.base import Engine, Message, ScoreRequest
from trivium.errors import UsageError
from trivium.retrieval.base import Reranker

BY_MODEL = "model"

_ASK = (
    "Passage: {passage}\n\nQuestion: {question}\n\n"
    "Does the passage hold the answer to the question? Reply with Yes or No."
)


def load_reranker(name: str | None, engine: Engine | None) -> Reranker | None:
    """The reranker that a setting means: none, the chat model itself, or a cross-encoder.

    Raises:
        UsageError: for "model" without a model.
        Unavailable: when the cross-encoder is not there.
    """
    if name is None:
        return None
    if name == BY_MODEL:
        if engine is None:
            raise UsageError('the reranker "model" needs a chat model; give one with --model')
        return EngineReranker(engine)
    from trivium.models import store

    return CrossEncoderReranker(store.resolve(name))


class CrossEncoderReranker:
    """Any cross-encoder that sentence-transformers knows; its score is the model's own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def _model(self) -> Any:
        from sentence_transformers import CrossEncoder

        return CrossEncoder(str(self._folder), local_files_only=True)

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        if not passages:
            return []
        pairs = [(query, passage) for passage in passages]
        return [float(score) for score in self._model.predict(pairs, show_progress_bar=False)]


class EngineReranker:
    """The chat model's own relevance: how much likelier it says Yes than No, as a log-odds."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        requests = []
        for passage in passages:
            ask = Message("user", _ASK.format(passage=passage, question=query))
            requests += [ScoreRequest(word, messages=(ask,)) for word in ("Yes", "No")]
        scores = [score.logprob for score in self._engine.score(requests)]
        odds = [yes - no for yes, no in zip(scores[::2], scores[1::2], strict=True)]
        return [odd if math.isfinite(odd) else -math.inf for odd in odds]
