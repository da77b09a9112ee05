"""Records for the tests of statistics and reports: two models, two prompts, no chance."""

from collections.abc import Sequence

from trivium.evals.base import Record

EVIL = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>\x1b[31m"


def record(
    row: str,
    score: float | None = 1.0,
    *,
    run: str = "one",
    index: int = 0,
    model: str = "m",
    prompt: str = "p",
    repeat: int = 0,
    metric: str = "exact",
    error: str | None = None,
    cluster: str | None = None,
    output: str | None = "yes",
    inputs: str = "",
) -> Record:
    return Record(
        run,
        index,
        row,
        repeat,
        model,
        "engine",
        prompt,
        "hash",
        {"question": inputs or f"what is {row}?"},
        "yes",
        None if error else output,
        scores={} if error else {metric: score},
        error=error,
        cluster=cluster,
        prompt_tokens=10,
        completion_tokens=2,
        seconds=0.5,
    )


def run_of(scores: Sequence[float | None], **more: str) -> list[Record]:
    """One record a row, with these scores."""
    return [
        record(f"r{number}", score, index=number, **more)  # type: ignore[arg-type]
        for number, score in enumerate(scores)
    ]
