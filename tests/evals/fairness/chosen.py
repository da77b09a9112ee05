"""Records of rows that were chosen between, without a model."""

from collections.abc import Sequence

from trivium.evals.base import Choice, Record


def chosen(
    row: str,
    texts: Sequence[str],
    logprobs: Sequence[float],
    *,
    target: str | None = None,
    tokens: Sequence[int] | None = None,
    error: str | None = None,
    index: int = 0,
    **inputs: object,
) -> Record:
    """A record whose choices are `texts`, as likely as `logprobs`; `inputs` are its columns."""
    counts = tokens or [1] * len(texts)
    choices = tuple(map(Choice, texts, logprobs, counts))
    return Record(
        "run", index, row, 0, "m", "engine", "p", "hash", inputs, target,
        choices=() if error else choices, error=error,
    )  # fmt: skip
