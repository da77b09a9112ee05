"""Many answers written at once: each has a slot, a sequence with cells of its own.

All live slots decode together, one token each, and a slot whose answer has ended takes the next
request. A new prompt keeps what the slot held before as far as it is the same, or begins as a copy
of another slot that has more of it, so that a common beginning is decoded once.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trivium.engines.base import Completion, Timing
from trivium.engines.native import Logits
from trivium.engines.sequences import Batch, Sequences
from trivium.engines.writing import Writer
from trivium.errors import TriviumError

_WORTH_WAITING = 16  # tokens that another slot will have decoded, for which a prompt waits


@dataclass(frozen=True, slots=True)
class _Row:
    """The logits of one token of the last batch."""

    sequences: Sequences
    row: int

    @property
    def context(self) -> Any:
        return self.sequences.context

    def logits(self) -> Logits:
        return self.sequences.logits(self.row)


@dataclass(slots=True)
class _Slot:
    """Sequence `number`: the tokens that it holds, and those that have to be decoded next."""

    number: int
    held: list[int] = field(default_factory=list)
    pending: list[int] = field(default_factory=list)
    writer: Writer | None = None
    request: int = 0
    reused: int = 0
    started: float = 0.0
    prefilled: float = 0.0

    def begin(self, request: int, writer: Writer, reused: int) -> None:
        prompt = writer.task.prompt.tokens
        self.request, self.writer, self.reused = request, writer, reused
        self.held, self.pending = prompt[:reused], prompt[reused:]
        self.started, self.prefilled = time.perf_counter(), 0.0


class Slots:
    """Answers requests of a queue, as many at once as `sequences` has."""

    def __init__(self, sequences: Sequences, size: int) -> None:
        """`sequences` is a cache that is not unified; a batch holds at most `size` tokens."""
        self._sequences = sequences
        self._size = size
        self._slots = [_Slot(number) for number in range(sequences.count)]

    def run(
        self, requests: "deque[int]", open_writer: Callable[[int], Writer]
    ) -> Iterator[tuple[int, Completion | TriviumError]]:
        """Each request with its completion or its own error, in the order in which they end.

        Raises:
            TriviumError: when llama.cpp fails.
        """
        waiting: tuple[int, Writer] | None = None
        try:
            while True:
                while waiting or requests:
                    if waiting is None:
                        number = requests.popleft()
                        try:
                            waiting = number, open_writer(number)
                        except TriviumError as error:
                            yield number, error
                            continue
                    if not waiting[1].goes_on:  # it may write no token at all
                        ended, waiting = waiting, None
                        yield ended[0], _completed(ended[1], Timing(), 0)
                    elif self._admit(*waiting):
                        waiting = None
                    else:
                        break
                live = [slot for slot in self._slots if slot.writer is not None]
                if not live:
                    return
                if waiting is None:
                    live = self._moved_together(live)
                yield from self._advance(live)
        finally:
            writers = [slot.writer for slot in self._slots if slot.writer is not None]
            for writer in [*writers, *([waiting[1]] if waiting else [])]:
                writer.close()

    def _admit(self, request: int, writer: Writer) -> bool:
        """Give the request a free slot; False when there is none, or waiting spares work."""
        free = [slot for slot in self._slots if slot.writer is None]
        if not free:
            return False
        prompt = writer.task.prompt.tokens
        shared = {slot.number: _common(slot.held, prompt) for slot in self._slots}
        source = max(self._slots, key=lambda slot: shared[slot.number])
        most = shared[source.number]
        coming = (_common(slot.held + slot.pending, prompt) for slot in self._slots)
        if max(coming) >= most + _WORTH_WAITING:
            return False
        # of the free slots, the one whose contents are least worth keeping, if none has the most
        slot = max(free, key=lambda slot: (shared[slot.number] == most, -len(slot.held)))
        most = min(most, len(prompt) - 1)
        if shared[slot.number] < most:
            self._sequences.cut(slot.number)
            self._sequences.copy(source.number, slot.number)
        self._sequences.cut(slot.number, most)
        slot.begin(request, writer, most)
        return True

    def _moved_together(self, live: list[_Slot]) -> list[_Slot]:
        """The live slots as the first sequences, for llama.cpp decodes only neighbours at once."""
        for position in range(len(live)):
            gap, last = self._slots[position], live[-1]
            if gap.writer is not None:
                continue
            self._sequences.cut(gap.number)
            self._sequences.copy(last.number, gap.number)
            self._sequences.cut(last.number)
            self._slots[position], self._slots[last.number] = last, gap
            gap.number, last.number = last.number, position
            gap.held = []
            live = [slot for slot in self._slots if slot.writer is not None]
        return live

    def _advance(self, live: list[_Slot]) -> Iterator[tuple[int, Completion | TriviumError]]:
        """Decode one batch, and choose the next token where a slot's tokens are all decoded."""
        ready: list[tuple[_Slot, int]] = []
        rows = self._rows(live, ready)
        self._sequences.decode(self._batch(rows, ready))
        for slot, row in ready:
            writer = slot.writer
            assert writer is not None
            slot.prefilled = slot.prefilled or time.perf_counter()
            try:
                writer.step(_Row(self._sequences, row))
            except TriviumError as error:
                slot.writer = None
                writer.close()
                yield slot.request, error
                continue
            if writer.token is not None:
                slot.pending = [writer.token]
                continue
            slot.writer = None
            timing = Timing(slot.prefilled - slot.started, time.perf_counter() - slot.prefilled)
            yield slot.request, _completed(writer, timing, slot.reused)

    def _rows(
        self, live: list[_Slot], ready: list[tuple[_Slot, int]]
    ) -> list[tuple[int, int, int]]:
        """Slot, position and token of each row; answers go before prompts, which take what is left.

        `ready` takes the slots that come to an end of their tokens, with their last row.
        """
        rows: list[tuple[int, int, int]] = []
        for slot in sorted(live, key=lambda slot: len(slot.pending) > 1):
            feed = slot.pending[: self._size - len(rows)]
            start = len(slot.held)
            rows += [(slot.number, start + at, token) for at, token in enumerate(feed)]
            slot.held += feed
            slot.pending = slot.pending[len(feed) :]
            if not slot.pending:
                ready.append((slot, len(rows) - 1))
        return rows

    def _batch(self, rows: list[tuple[int, int, int]], ready: list[tuple[_Slot, int]]) -> Batch:
        numbers, positions, tokens = np.array(rows, dtype=np.int32).T.copy()
        wanted = np.zeros(len(rows), dtype=np.int8)
        wanted[[row for _, row in ready]] = 1
        ones = np.ones(len(rows), dtype=np.int32)
        every = np.arange(self._sequences.count, dtype=np.int32)
        return Batch(tokens, positions, numbers, ones, every, wanted)


def _completed(writer: Writer, timing: Timing, reused: int) -> Completion | TriviumError:
    try:
        _, done = writer.finish(timing, reused)
        writer.check(done)
        return done
    except TriviumError as error:
        return error
    finally:
        writer.close()


def _common(ours: list[int], theirs: list[int]) -> int:
    """How many tokens two sequences have in common from their beginning on."""
    for at, (mine, other) in enumerate(zip(ours, theirs, strict=False)):
        if mine != other:
            return at
    return min(len(ours), len(theirs))
