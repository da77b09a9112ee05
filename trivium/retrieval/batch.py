"""Many questions from a JSON Lines file, answered into another, resumable after any crash.

The output is append-only: one complete line per question, flushed to the disk. On the next run the
lines that are there are kept, a torn last line is cut off, and only the rest is asked.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from trivium.errors import TriviumError, UsageError
from trivium.retrieval.answer import Answer


@dataclass(frozen=True, slots=True)
class Question:
    """A row of the input: `id` is the user's own, or the question's hash."""

    id: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a batch stands after a question."""

    done: int
    total: int
    resumed: int
    not_found: int


def read_questions(file: Path) -> list[Question]:
    """Rows `{"question": ..., "id": ...}`; "id" is optional and must not repeat.

    Raises:
        UsageError: naming the line that is not such a row.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the questions in {file}: {error}") from error
    questions: dict[str, Question] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        question = _question(file, number, line)
        earlier = questions.setdefault(question.id, question)
        if earlier is not question:
            raise UsageError(
                f'{file}, line {number}: id "{question.id}" stands already in line {earlier.line}; '
                "give every question an id of its own"
            )
    if not questions:
        raise UsageError(f'{file} holds no questions; each line is {{"question": "..."}}')
    return list(questions.values())


def _question(file: Path, number: int, line: str) -> Question:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise UsageError(f"{file}, line {number} is not JSON: {error}") from error
    text = row.get("question") if isinstance(row, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise UsageError(f'{file}, line {number} has no "question" with text in it')
    given = row.get("id")
    key = str(given) if given is not None else hashlib.sha256(text.encode()).hexdigest()[:16]
    return Question(key, text, number)


def run(
    questions: list[Question], output: Path, ask: Callable[[str], Answer], run_id: str
) -> Iterator[Progress]:
    """Ask what is not answered yet and append each answer to `output`.

    `run_id` names model, index and settings: a file begun with another is not continued.

    Raises:
        UsageError: when `output` holds something else.
        TriviumError: when it cannot be written.
    """
    with _opened(output) as file:
        earlier = _earlier(file, output, run_id)
        wanted = {question.id for question in questions}
        kept = {key: found for key, found in earlier.items() if key in wanted}
        missing = sum(not found for found in kept.values())
        yield Progress(len(kept), len(questions), len(kept), missing)
        done = len(kept)
        for question in questions:
            if question.id in kept:
                continue
            answer = ask(question.text)
            _append(file, output, {"id": question.id, "run": run_id} | answer.to_dict())
            done += 1
            missing += not answer.found
            yield Progress(done, len(questions), len(kept), missing)


def _opened(output: Path) -> BinaryIO:
    try:
        return output.open("ab+")
    except OSError as error:
        raise TriviumError(f"cannot write {output}: {error.strerror}") from error


def _append(file: BinaryIO, output: Path, row: Mapping[str, object]) -> None:
    try:
        file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        raise TriviumError(
            f"cannot write {output}: {error.strerror}; what is answered so far is kept"
        ) from error


def _earlier(file: BinaryIO, output: Path, run_id: str) -> dict[str, bool]:
    """Ids answered already and whether something was found; a torn last line is cut off."""
    file.seek(0)
    answered: dict[str, bool] = {}
    whole = 0
    for line in file:
        if not line.endswith(b"\n"):
            break
        try:
            row = json.loads(line)
            key, begun, found = row["id"], row["run"], row["found"]
        except (json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as error:
            raise UsageError(
                f"{output} is not an answer file of this command; choose another -o"
            ) from error
        if begun != run_id:
            raise UsageError(
                f"{output} was begun with another model, index or setting (run {begun}, now "
                f"{run_id}); choose another -o, or delete it to start again"
            )
        answered[str(key)] = bool(found)
        whole += len(line)
    file.truncate(whole)
    file.seek(0, os.SEEK_END)
    return answered
