"""Many sequences in one of llama.cpp's KV caches: the calls that batch work needs.

A batch may hold tokens of many sequences, and a token may belong to several at once. A cache is
`unified` when its sequences share all cells, so that a copy costs nothing but attention runs over
every used cell; else each sequence has cells of its own.
"""

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trivium.engines.native import Logits, Weights, last_complaint, library, open_context
from trivium.errors import TriviumError

Ints = npt.NDArray[np.int32]

MOST = 256  # llama.h: LLAMA_MAX_SEQ, the most sequences that a context takes
_PAD = 256  # llama.cpp rounds a sequence's cells up to this


@dataclass(frozen=True, slots=True)
class Batch:
    """Tokens to decode together; all arrays but `sequences` have the shape (tokens,).

    Token i stands at `positions[i]` of the sequences
    `sequences[first[i] : first[i] + count[i]]`; its logits can be read where `wanted[i]` is 1.
    """

    tokens: Ints
    positions: Ints
    first: Ints
    count: Ints
    sequences: Ints
    wanted: npt.NDArray[np.int8]


class Sequences:
    """A KV cache for many sequences, numbered from 0."""

    def __init__(
        self,
        weights: Weights,
        *,
        cells: int,
        count: int,
        unified: bool,
        batch: int,
        threads: int,
        flash_attention: bool,
    ) -> None:
        """Reserve `cells` for all sequences together when `unified`, else for each of them.

        Raises:
            Unavailable: when there is not enough memory.
        """
        self._lib = library()
        self._vocabulary_size = weights.vocabulary_size
        self.cells = -(-cells // _PAD) * _PAD
        self.count = count
        self.decoded = 0
        """Tokens decoded so far."""
        self.context = open_context(
            weights,
            length=self.cells * (1 if unified else count),
            threads=threads,
            batch=batch,
            flash_attention=flash_attention,
            sequences=count,
            unified=unified,
        )
        self._memory = self._lib.llama_get_memory(self.context)

    def decode(self, batch: Batch) -> None:
        """Append the batch's tokens to their sequences.

        Raises:
            TriviumError: when llama.cpp refuses the batch or fails.
        """
        lib = self._lib
        where = batch.sequences.ctypes.data + batch.first.astype(np.uintp) * 4
        structure = lib.llama_batch(
            n_tokens=len(batch.tokens),
            token=_pointer(batch.tokens, lib.llama_token),
            embd=None,
            pos=_pointer(batch.positions, lib.llama_pos),
            n_seq_id=_pointer(batch.count, ctypes.c_int32),
            seq_id=_pointer(where, ctypes.POINTER(lib.llama_seq_id)),
            logits=_pointer(batch.wanted, ctypes.c_int8),
        )
        status = lib.llama_decode(self.context, structure)
        if status != 0:
            raise TriviumError(
                f"llama.cpp failed to decode a batch of {len(batch.tokens)} tokens "
                f"(status {status}): {last_complaint()}"
            )
        self.decoded += len(batch.tokens)

    def copy(self, source: int, target: int, length: int = -1) -> None:
        """Let `target`, which is empty, begin with the first `length` tokens of `source`.

        Where the cache is not unified the whole sequence is copied: `length` is -1.
        """
        self._lib.llama_memory_seq_cp(self._memory, source, target, -1, length)

    def cut(self, sequence: int, length: int = 0) -> None:
        """Forget what the sequence holds after its first `length` tokens."""
        if not self._lib.llama_memory_seq_rm(self._memory, sequence, length, -1):
            raise TriviumError(f"llama.cpp cannot cut a sequence back to {length} tokens")

    def clear(self) -> None:
        self._lib.llama_memory_clear(self._memory, False)

    def logits(self, row: int) -> Logits:
        """Raw logits after a wanted token of the last batch, shape (vocabulary,).

        They lie in llama.cpp's own memory and are gone with the next batch.
        """
        pointer = self._lib.llama_get_logits_ith(self.context, row)
        return np.ctypeslib.as_array(pointer, shape=(self._vocabulary_size,))

    def close(self) -> None:
        if self.context:
            self._lib.llama_free(self.context)
            self.context = None


def _pointer(array: npt.NDArray[np.generic], kind: type[Any]) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(kind))
