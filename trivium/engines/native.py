"""llama.cpp's C API, in the few calls that Trivium needs, with Python values on the near side.

One `Weights` (the file), one `Context` on it (the KV cache and the logits). Everything here is
mechanism: tokens in, logits out. What the tokens mean is decided in `llama.py`.
"""

import ctypes
import logging
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from trivium.errors import TriviumError, Unavailable

Logits = npt.NDArray[np.float32]

_log = logging.getLogger("trivium.engines.llama")
_complaints: deque[str] = deque(maxlen=20)
_keep_alive: list[object] = []

_CONTROL = 1 << 3  # llama.h: LLAMA_TOKEN_ATTR_CONTROL
_UNKNOWN = 1 << 0  # llama.h: LLAMA_TOKEN_ATTR_UNKNOWN
_USER_DEFINED = 1 << 4  # llama.h: LLAMA_TOKEN_ATTR_USER_DEFINED
_GGML_WARN, _GGML_ERROR = 3, 4


def library() -> ModuleType:
    """The llama_cpp module, imported here alone; its log goes to `logging`, not to stderr."""
    # Threads that wait for each other by spinning for long make a busy machine 20 times slower;
    # those that sleep at once halve the speed of a quiet one. A short spin costs neither: 60 tokens
    # in 0.71 s on two quiet cores (0.73 s spinning), in 2.0 s beside two busy processes (60 s).
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    import llama_cpp

    if _keep_alive:
        return llama_cpp

    @llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]  # llama_cpp has no types
    def log(level: int, text: bytes, _: object) -> None:
        line = text.decode("utf-8", "replace").rstrip()
        if level >= _GGML_WARN - 1 and line:
            _complaints.append(line)
        if line and _log.isEnabledFor(logging.DEBUG):
            _log.debug("%s", line)

    _keep_alive.append(log)
    llama_cpp.llama_log_set(log, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    return llama_cpp


def last_complaint() -> str:
    """The last thing llama.cpp logged that names an error, for a message to the user."""
    lines = [line for line in _complaints if "error" in line.lower() or "fail" in line.lower()]
    return lines[-1].strip() if lines else "llama.cpp gave no reason"


@contextmanager
def captured_stderr() -> Iterator[Callable[[], str]]:
    """Catch what C code writes to stderr; the grammar parser explains itself there alone.

    Yields a function that returns the text, once the block is over.
    """
    with TemporaryFile() as file:
        sys.stderr.flush()
        original = os.dup(2)
        printed = ""
        try:
            os.dup2(file.fileno(), 2)
            yield lambda: printed
        finally:
            os.dup2(original, 2)
            os.close(original)
            file.seek(0)
            printed = file.read().decode("utf-8", "replace")


class Weights:
    """A loaded GGUF file: vocabulary, shape and metadata."""

    def __init__(self, path: Path, *, gpu_layers: int = 0, vocabulary_only: bool = False) -> None:
        """Load `path`; `gpu_layers` -1 is all of them.

        Raises:
            Unavailable: when llama.cpp cannot read the file.
        """
        self._lib = library()
        params = self._lib.llama_model_default_params()
        params.n_gpu_layers = 0x7FFFFFFF if gpu_layers < 0 else gpu_layers
        params.vocab_only = vocabulary_only
        params.use_extra_bufts = repacks()
        _complaints.clear()
        self.model = self._lib.llama_model_load_from_file(str(path).encode(), params)
        if not self.model:
            raise Unavailable(
                f"llama.cpp cannot load {path}: {last_complaint()}; "
                "check that it is a whole GGUF file"
            )
        self.vocab = self._lib.llama_model_get_vocab(self.model)
        self.vocabulary_size = int(self._lib.llama_vocab_n_tokens(self.vocab))
        self._pieces: dict[int, bytes] = {}

    def metadata(self, key: str) -> str | None:
        """A GGUF metadata value as text, None when the file has no such key."""
        size = 1 << 12
        while True:
            buffer = ctypes.create_string_buffer(size)
            length = self._lib.llama_model_meta_val_str(self.model, key.encode(), buffer, size)
            if length < 0:
                return None
            if length < size:
                return buffer.value.decode("utf-8", "replace")
            size = length + 1

    def number(self, key: str, default: int = 0) -> int:
        """An integer of the architecture: `number("block_count")` reads `llama.block_count`."""
        value = self.metadata(f"{self.metadata('general.architecture')}.{key}")
        return int(value) if value is not None and value.isdigit() else default

    @property
    def trained_context(self) -> int:
        # not llama_model_n_ctx_train, which is 0 when the vocabulary alone was loaded
        return self.number("context_length")

    @property
    def parameters(self) -> int:
        """How many weights the file holds, whatever their precision."""
        return int(self._lib.llama_model_n_params(self.model))

    @property
    def has_encoder(self) -> bool:
        return bool(self._lib.llama_model_has_encoder(self.model))

    @property
    def bos(self) -> int:
        """The begin-of-sequence token, -1 when the vocabulary has none."""
        return int(self._lib.llama_vocab_bos(self.vocab))

    @property
    def eos(self) -> int:
        return int(self._lib.llama_vocab_eos(self.vocab))

    @property
    def adds_bos(self) -> bool:
        """Whether the model was trained with a begin-of-sequence token before every text."""
        return bool(self._lib.llama_vocab_get_add_bos(self.vocab)) and self.bos >= 0

    def ends(self, token: int) -> bool:
        """Whether the token ends a generation."""
        return bool(self._lib.llama_vocab_is_eog(self.vocab, token))

    def is_control(self, token: int) -> bool:
        """Whether the token steers the model ("<|im_end|>") rather than spelling text."""
        attributes = int(self._lib.llama_vocab_get_attr(self.vocab, token))
        return bool(attributes & (_CONTROL | _UNKNOWN))

    def is_user_defined(self, token: int) -> bool:
        """Whether the token was added whole: it stands for its text wherever that is written."""
        return bool(int(self._lib.llama_vocab_get_attr(self.vocab, token)) & _USER_DEFINED)

    def token_text(self, token: int) -> str:
        """A control token as templates write it: "<|im_end|>"; empty for token -1."""
        if token < 0:
            return ""
        return bytes(self._lib.llama_vocab_get_text(self.vocab, token)).decode("utf-8", "replace")

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Token ids of `text`, nothing added; `special` lets control tokens be written in it."""
        data = text.encode("utf-8", "replace")
        room = len(data) + 8
        tokens = (self._lib.llama_token * room)()
        count = self._lib.llama_tokenize(self.vocab, data, len(data), tokens, room, False, special)
        if count < 0:  # more tokens than bytes: vocabularies that insert a space
            tokens = (self._lib.llama_token * -count)()
            count = self._lib.llama_tokenize(
                self.vocab, data, len(data), tokens, -count, False, special
            )
        return list(tokens[:count])

    def tokenize_inside(self, text: str, *, special: bool) -> list[int]:
        """The same for text that follows other text.

        SentencePiece vocabularies set a space before whatever they are given; here there is none.
        """
        if self._lib.llama_vocab_type(self.vocab) != self._lib.LLAMA_VOCAB_TYPE_SPM:
            return self.tokenize(text, special=special)
        anchor = self.tokenize("\n", special=False)
        tokens = self.tokenize(f"\n{text}", special=special)
        if tokens[: len(anchor)] != anchor:  # the line feed became part of a longer token
            return self.tokenize(text, special=special)
        return tokens[len(anchor) :]

    def piece(self, token: int) -> bytes:
        """The bytes a token spells; empty for control tokens. Not always whole characters."""
        known = self._pieces.get(token)
        if known is not None:
            return known
        size = 64
        buffer = ctypes.create_string_buffer(size)
        length = self._lib.llama_token_to_piece(self.vocab, token, buffer, size, 0, False)
        if length < 0:
            size = -length
            buffer = ctypes.create_string_buffer(size)
            length = self._lib.llama_token_to_piece(self.vocab, token, buffer, size, 0, False)
        piece = self._pieces[token] = buffer.raw[:length]
        return piece

    @property
    def is_attention(self) -> bool:
        """Whether all that the model holds of a text are keys and values, token by token.

        Recurrent and hybrid models fold the text into a state, which cannot be cut back.
        """
        return not (
            self._lib.llama_model_is_recurrent(self.model)
            or self._lib.llama_model_is_hybrid(self.model)
        )

    def close(self) -> None:
        if self.model:
            self._lib.llama_model_free(self.model)
            self.model = None


class Context:
    """A KV cache for one sequence, and the logits after its last token."""

    row = -1  # the last one of a batch: where samplers look for the logits

    def __init__(
        self, weights: Weights, *, length: int, threads: int, chunk: int, flash_attention: bool
    ) -> None:
        """Reserve `length` cells; prompts are decoded in batches of at most `chunk` tokens.

        Raises:
            Unavailable: when there is not enough memory for the KV cache.
        """
        self._lib = library()
        self._vocabulary_size = weights.vocabulary_size
        self.context = open_context(
            weights, length=length, threads=threads, batch=chunk, flash_attention=flash_attention
        )
        self._memory = self._lib.llama_get_memory(self.context)
        self._one = (self._lib.llama_token * 1)()
        self._single = self._lib.llama_batch_get_one(self._one, 1)

    def decode(self, tokens: Sequence[int]) -> None:
        """Append tokens to the sequence; the logits of the last one become readable."""
        if len(tokens) == 1:
            self._one[0] = tokens[0]
            self._check(self._lib.llama_decode(self.context, self._single))
        else:
            array = (self._lib.llama_token * len(tokens))(*tokens)
            batch = self._lib.llama_batch_get_one(array, len(tokens))
            self._check(self._lib.llama_decode(self.context, batch))

    def decode_each(self, tokens: Sequence[int]) -> Logits:
        """Append tokens; the logits after every one of them, shape (tokens, vocabulary)."""
        count = len(tokens)
        array = (self._lib.llama_token * count)(*tokens)
        batch = self._lib.llama_batch_get_one(array, count)
        wanted = (ctypes.c_int8 * count)(*[1] * count)
        batch.logits = wanted
        self._check(self._lib.llama_decode(self.context, batch))
        return np.stack([self._row(at) for at in range(count)])

    def keep(self, length: int) -> bool:
        """Forget everything after the first `length` tokens.

        False when the model's memory cannot be cut there (recurrent models): all is forgotten.
        """
        if length > 0 and self._lib.llama_memory_seq_rm(self._memory, 0, length, -1):
            return True
        self._lib.llama_memory_clear(self._memory, False)
        return length == 0

    def state(self) -> npt.NDArray[np.uint8]:
        """The sequence's keys and values as llama.cpp lays them out, a copy."""
        size = self._lib.llama_state_seq_get_size(self.context, 0)
        state = np.empty(size, dtype=np.uint8)
        written = self._lib.llama_state_seq_get_data(self.context, _bytes(state), size, 0)
        if written != size:
            raise TriviumError(f"llama.cpp gave {written} of {size} bytes of its KV cache")
        return state

    def restore(self, state: npt.NDArray[np.uint8], length: int) -> bool:
        """Take a `state` of `length` tokens in the place of all that is held.

        False when llama.cpp refuses it; the cache is then empty.
        """
        self.keep(0)
        read = self._lib.llama_state_seq_set_data(self.context, _bytes(state), len(state), 0)
        last = int(self._lib.llama_memory_seq_pos_max(self._memory, 0))
        if read == len(state) and last == length - 1:
            return True
        self.keep(0)
        return False

    def logits(self) -> Logits:
        """Raw logits after the last decoded token, shape (vocabulary,), a copy."""
        return self._row(-1).copy()

    def _row(self, at: int) -> Logits:
        """Logits of one output of the last batch, in llama.cpp's own memory."""
        pointer = self._lib.llama_get_logits_ith(self.context, at)
        return np.ctypeslib.as_array(pointer, shape=(self._vocabulary_size,))

    def _check(self, status: int) -> None:
        if status != 0:
            raise TriviumError(f"llama.cpp failed to decode (status {status}): {last_complaint()}")

    def close(self) -> None:
        if self.context:
            self._lib.llama_free(self.context)
            self.context = None


def open_context(
    weights: Weights,
    *,
    length: int,
    threads: int,
    batch: int,
    flash_attention: bool,
    sequences: int = 1,
    unified: bool = False,
) -> Any:
    """A `llama_context` of `length` cells for batches of at most `batch` tokens.

    Its `sequences` share the cells when `unified`, and else have an equal part each.

    Raises:
        Unavailable: when there is not enough memory for the KV cache.
    """
    lib = library()
    params = lib.llama_context_default_params()
    params.n_ctx = length
    params.n_batch = params.n_ubatch = batch
    params.n_seq_max = sequences
    params.kv_unified = unified
    params.n_threads = params.n_threads_batch = threads
    params.flash_attn_type = (
        lib.LLAMA_FLASH_ATTN_TYPE_ENABLED if flash_attention else lib.LLAMA_FLASH_ATTN_TYPE_DISABLED
    )
    params.no_perf = True
    _complaints.clear()
    context = lib.llama_init_from_model(weights.model, params)
    if not context:
        raise Unavailable(
            f"cannot reserve a context of {length} tokens: {last_complaint()}; "
            "set context_length to less"
        )
    return context


def quantize_f16(source: Path, target: Path) -> None:
    """Write the weights of a GGUF file anew, as 16-bit floats.

    Raises:
        Unavailable: when llama.cpp cannot read, convert or write them.
    """
    lib = library()
    params = lib.llama_model_quantize_default_params()
    params.ftype = lib.LLAMA_FTYPE_MOSTLY_F16
    params.allow_requantize = True
    _complaints.clear()
    status = lib.llama_model_quantize(
        str(source).encode(), str(target).encode(), ctypes.byref(params)
    )
    if status != 0:
        raise Unavailable(f"llama.cpp cannot convert {source} to F16: {last_complaint()}")


def version() -> str:
    """The library as fingerprints name it."""
    return f"llama-cpp-python {library().__version__}"


def build() -> str:
    """What this llama.cpp was compiled for and found here; its kernels round accordingly."""
    return bytes(library().llama_print_system_info()).decode("utf-8", "replace").strip()


def repacks() -> bool:
    """Whether weights may be laid out anew for the CPU's special instructions.

    Not where llama.cpp was compiled for AMX: some virtual machines announce its tiles, let a
    process ask for them and end it with a segmentation fault at the first use, which nothing in
    this process can find out beforehand.
    """
    return "AMX_INT8 = 1" not in build()


def supports_gpu() -> bool:
    """Whether this build of llama.cpp can put layers on a GPU at all."""
    return bool(library().llama_supports_gpu_offload())


def _bytes(data: npt.NDArray[np.uint8]) -> Any:
    return data.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))


def pointer(value: object) -> Any:
    """`ctypes.byref`, kept here so that no other module needs ctypes."""
    return ctypes.byref(value)  # type: ignore[arg-type]  # llama_cpp's structures are untyped
