"""A prompt over many rows into a JSON Lines file, resumable after any crash.

The output is append-only: whole lines, flushed to the disk a chunk at a time. On the next run the
lines that are there are kept, a torn last one is cut off, and only the rest is asked.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from trivium.engines.base import Completion, Engine, Request, Sampling
from trivium.errors import TriviumError, UsageError
from trivium.evals.asking import Select, own_examples
from trivium.evals.base import Row
from trivium.evals.cache import ask_each
from trivium.paths import atomic_write
from trivium.prompts.base import Prompt

CHUNK = 64
"""Rows that are asked together."""


@dataclass(frozen=True, slots=True)
class State:
    """Where a batch stands after a chunk."""

    done: int
    total: int
    resumed: int
    failed: int


def batch_id(prompt: Prompt, engine: Engine, sampling: Sampling) -> str:
    """Names what decides the answers: a file begun with another is not continued."""
    parts = [prompt.hash, engine.fingerprint.id, repr(sampling)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def run_batch(
    prompt: Prompt,
    rows: Sequence[Row],
    engine: Engine,
    output: Path,
    sampling: Sampling,
    *,
    retry_failed: bool = False,
) -> Iterator[State]:
    """Fill `prompt` for each row that is not answered in `output`, ask, and append the answers.

    `retry_failed` takes the failed rows out of `output` first, so that they are asked again.

    Raises:
        UsageError: when `output` holds something else.
        Unavailable: when the model is gone; what is answered so far is kept.
        TriviumError: when `output` cannot be written.
    """
    name = batch_id(prompt, engine, sampling)
    if retry_failed and output.exists():
        _drop_failed(output, name)
    with _opened(output) as file:
        earlier = {line["id"]: line for line in _lines(file, output, name)}
        _go_to_end(file, output)
        select = own_examples(prompt, engine)
        left = [row for row in rows if row.id not in earlier]
        resumed = len(rows) - len(left)
        done = resumed
        failed = sum(earlier[row.id]["error"] is not None for row in rows if row.id in earlier)
        yield State(done, len(rows), resumed, failed)
        for start in range(0, len(left), CHUNK):
            chunk = left[start : start + CHUNK]
            answers = _answers(prompt, select, chunk, engine, sampling)
            _append(file, output, [_line(name, *pair) for pair in zip(chunk, answers, strict=True)])
            done += len(chunk)
            failed += sum(isinstance(one, TriviumError) for one in answers)
            yield State(done, len(rows), resumed, failed)


def _answers(
    prompt: Prompt, select: Select, rows: Sequence[Row], engine: Engine, sampling: Sampling
) -> list[Completion | TriviumError]:
    """An answer or an error for each row; a row that does not fill the prompt is not asked."""
    found: dict[int, Completion | TriviumError] = {}
    requests: dict[int, Request] = {}
    for at, row in enumerate(rows):
        try:
            filled = prompt.render(row.inputs, select(row.inputs))
        except UsageError as error:
            found[at] = error
        else:
            requests[at] = Request(filled.messages, sampling=sampling, schema=filled.schema)
    answers = ask_each(engine.generate, list(requests.values()))
    found |= dict(zip(requests, answers, strict=True))
    return [found[at] for at in range(len(rows))]


def _line(name: str, row: Row, answer: Completion | TriviumError) -> dict[str, object]:
    line: dict[str, object] = {"id": row.id, "run": name, "output": None, "error": None}
    if isinstance(answer, TriviumError):
        return line | {"error": str(answer)}
    return line | {
        "output": answer.text,
        "truncated": answer.finish == "length",
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
    }


def _opened(output: Path) -> BinaryIO:
    try:
        return output.open("ab+")
    except OSError as error:
        raise TriviumError(f"cannot write {output}: {error.strerror}") from error


def _lines(file: BinaryIO, output: Path, name: str) -> Iterator[dict[str, object]]:
    """The whole lines of an earlier run.

    Raises:
        UsageError: when a line is none of this command, or of another prompt or model.
    """
    file.seek(0)
    for line in file:
        if not line.endswith(b"\n"):
            return
        try:
            row = json.loads(line)
            begun = row["run"]
            _ = row["id"], row["error"], row["output"]
        except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
            raise UsageError(
                f"{output} is not an answer file of this command; choose another -o"
            ) from error
        if begun != name:
            raise UsageError(
                f"{output} was begun with another prompt, model or setting (run {begun}, now "
                f"{name}); choose another -o, or delete it to start again"
            )
        yield row


def _go_to_end(file: BinaryIO, output: Path) -> None:
    """Cut off a torn last line, and stand where the next one begins."""
    whole = 0
    file.seek(0)
    for line in file:
        whole += len(line) if line.endswith(b"\n") else 0
    try:
        file.truncate(whole)
    except OSError as error:
        raise TriviumError(f"cannot write {output}: {error.strerror}") from error
    file.seek(0, os.SEEK_END)


def _append(file: BinaryIO, output: Path, lines: Sequence[Mapping[str, object]]) -> None:
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    try:
        file.write(text.encode("utf-8", "backslashreplace"))
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        raise TriviumError(
            f"cannot write {output}: {error.strerror}; what is answered so far is kept"
        ) from error


def _drop_failed(output: Path, name: str) -> None:
    with output.open("rb") as file:
        kept = [line for line in _lines(file, output, name) if line["error"] is None]
    with atomic_write(output) as new:
        for line in kept:
            new.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
