"""What models have said, by the content of the question: a second run costs nothing.

A key is the hash of the engine's fingerprint and of all of a request that can change its answer,
so that an entry is never stale. Only results are kept, never errors.
"""

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar, cast

from trivium.closing import Closing
from trivium.database import Database
from trivium.engines.base import (
    Completion,
    Engine,
    Message,
    PartialFailure,
    Request,
    ScoreRequest,
    Timing,
)
from trivium.errors import TriviumError, Unavailable
from trivium.evals.base import Choice
from trivium.paths import ensure, home

Ask = TypeVar("Ask")
Result = TypeVar("Result")


def _m001_initial(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE answers (key BLOB PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")


class Cache(Closing):
    """Completions and log-probabilities on the disk. `hits` counts what did not cost anything."""

    def __init__(self, file: Path | None = None, *, enabled: bool = True) -> None:
        """Open `file`, or the user's own. Unless `enabled`, nothing is taken from it.

        Raises:
            TriviumError: when it is damaged or cannot be written.
        """
        self.file = file or home() / "cache.db"
        self.hits = 0
        self._enabled = enabled
        if not self.file.exists() and os.access(ensure(self.file.parent), os.W_OK):
            self.file.touch(mode=0o600)  # it holds what was asked, for its owner alone
        self._db = Database(self.file, (_m001_initial,), "delete it: it holds nothing but copies")

    def close(self) -> None:
        self._db.close()

    def generate(
        self, engine: Engine, requests: Sequence[Request]
    ) -> list[Completion | TriviumError]:
        """An answer or an error for every request, in order.

        Raises:
            Unavailable: when the model answers none of them.
        """
        mark = engine.fingerprint.id
        keys = [_generate_key(mark, request) for request in requests]
        return self._through(keys, requests, engine.generate, _dump_completion, _load_completion)

    def score(
        self, engine: Engine, requests: Sequence[ScoreRequest]
    ) -> list[Choice | TriviumError]:
        """How likely each continuation is, or an error, in order.

        Raises:
            Unavailable: when the model answers none of them.
        """
        mark = engine.fingerprint.id
        keys = [_score_key(mark, request) for request in requests]

        def ask(missing: Sequence[ScoreRequest]) -> list[Choice]:
            return [
                Choice(request.continuation, score.logprob, len(score.tokens))
                for request, score in zip(missing, engine.score(missing), strict=True)
            ]

        return self._through(keys, requests, ask, _dump_choice, _load_choice)

    def _through(
        self,
        keys: Sequence[bytes],
        requests: Sequence[Ask],
        ask: Callable[[Sequence[Ask]], Sequence[Result]],
        dump: Callable[[Result], str],
        load: Callable[[str], Result],
    ) -> list[Result | TriviumError]:
        found: dict[bytes, Result | TriviumError] = {
            key: load(value) for key, value in self._get(set(keys) if self._enabled else set())
        }
        self.hits += sum(key in found for key in keys)
        missing = {
            key: request for key, request in zip(keys, requests, strict=True) if key not in found
        }
        fresh = dict(zip(missing, ask_each(ask, list(missing.values())), strict=True))
        self._put(
            (key, dump(result))
            for key, result in fresh.items()
            if not isinstance(result, TriviumError)
        )
        found |= fresh
        return [found[key] for key in keys]

    def _get(self, keys: set[bytes]) -> list[tuple[bytes, str]]:
        found: list[tuple[bytes, str]] = []
        wanted = sorted(keys)
        for start in range(0, len(wanted), 500):  # SQLite takes so many "?" everywhere
            part = wanted[start : start + 500]
            marks = ", ".join("?" * len(part))
            sql = f"SELECT key, value FROM answers WHERE key IN ({marks})"  # noqa: S608 - "?" marks
            found += ((bytes(key), str(value)) for key, value in self._db.read(sql, part))  # type: ignore[call-overload]
        return found

    def _put(self, entries: Iterable[tuple[bytes, str]]) -> None:
        values = list(entries)
        if values:
            with self._db.write() as db:
                db.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", values)


def ask_each(
    ask: Callable[[Sequence[Ask]], Sequence[Result]], requests: Sequence[Ask]
) -> list[Result | TriviumError]:
    """Every request's result or error; all at once where possible, halved around what fails.

    Raises:
        Unavailable: when neither all of them nor the first nor the last alone get an answer: it is
            the model that is gone, and not a row that is odd.
    """
    if not requests:
        return []
    try:
        return _results(ask, requests)
    except TriviumError as error:
        if isinstance(error, Unavailable):
            for probe in (requests[:1], requests[-1:]):
                try:
                    ask(probe)
                    break
                except Unavailable:
                    continue
                except TriviumError:
                    break  # it answered, if only to refuse
            else:
                raise
        return _halved(ask, requests, error)


def _results(
    ask: Callable[[Sequence[Ask]], Sequence[Result]], requests: Sequence[Ask]
) -> list[Result | TriviumError]:
    """What `ask` returns, or the results and errors of an engine that knows which ones failed."""
    try:
        return list(ask(requests))
    except PartialFailure as failure:
        return cast("list[Result | TriviumError]", list(failure.results))


def _halved(
    ask: Callable[[Sequence[Ask]], Sequence[Result]], requests: Sequence[Ask], error: TriviumError
) -> list[Result | TriviumError]:
    if len(requests) == 1:
        return [error]
    results: list[Result | TriviumError] = []
    half = len(requests) // 2
    for part in (requests[:half], requests[half:]):
        try:
            results += _results(ask, part)
        except TriviumError as inner:
            results += _halved(ask, part, inner)
    return results


def _digest(*parts: str) -> bytes:
    """A hash in which no two lists of parts read alike."""
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode("utf-8", "surrogatepass")
        digest.update(len(raw).to_bytes(8, "big"))
        digest.update(raw)
    return digest.digest()


def _messages(messages: Sequence[Message]) -> Iterable[str]:
    for message in messages:
        yield message.role
        yield message.content
        for image in message.images:
            yield hashlib.sha256(image.data).hexdigest()


def _generate_key(mark: str, request: Request) -> bytes:
    rest = json.dumps(
        [
            asdict(request.sampling),
            request.schema,
            request.grammar,
            [asdict(tool) for tool in request.tools],
            request.tool_choice,
        ],
        sort_keys=True,
        default=dict,
    )
    return _digest("generate", mark, rest, request.prompt, *_messages(request.messages))


def _score_key(mark: str, request: ScoreRequest) -> bytes:
    return _digest(
        "score", mark, request.continuation, request.prompt, *_messages(request.messages)
    )


def _dump_completion(one: Completion) -> str:
    times = (one.timing.prefill, one.timing.decode)
    return json.dumps(
        [one.text, one.finish, one.prompt_tokens, one.completion_tokens, times, one.thinking]
    )


def _load_completion(value: str) -> Completion:
    text, finish, prompt, written, times, thinking = json.loads(value)
    return Completion(text, finish, prompt, written, timing=Timing(*times), thinking=thinking)


def _dump_choice(one: Choice) -> str:
    return json.dumps([one.text, one.logprob, one.tokens])


def _load_choice(value: str) -> Choice:
    return Choice(*json.loads(value))
