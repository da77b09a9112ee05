"""Where a model's parts go: layers on the GPU, tokens in the KV cache, threads on the cores.

Pure functions of sizes in bytes, so that every rule can be read and tested without the hardware;
`place` asks the machine and puts them together.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from trivium.errors import UsageError

if TYPE_CHECKING:
    from trivium.engines.native import Weights

_GPU_RESERVE = 512 << 20  # bytes for the compute buffers and the desktop that shares the GPU
_CACHE_SHARE = 0.5  # of free memory; the rest is for weights read on, indexes and other programs
_STEP = 256  # llama.cpp pads its KV cache to this many cells
_SCORES = 512 << 20  # bytes of attention scores that may be held at once
_LEAST_CONTEXT = 2048  # below this, retrieval has no room: then rather let the allocation fail


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model needs, in bytes and counts."""

    layers: int
    heads: int
    weight_bytes: int
    cache_bytes_per_token: int
    trained_context: int


@dataclass(frozen=True, slots=True)
class Placement:
    """The decision: `gpu_layers` -1 is all, `context_length` is in tokens."""

    gpu_layers: int
    context_length: int
    threads: int
    flash_attention: bool


def choose_context(shape: Shape, requested: int | None, free_bytes: int) -> int:
    """Tokens of context: what was asked for, or the model's own maximum as memory allows.

    Raises:
        UsageError: when more is asked for than the model was trained on.
    """
    if requested is not None:
        if shape.trained_context and requested > shape.trained_context:
            raise UsageError(
                f"context_length = {requested} is more than the {shape.trained_context} tokens "
                "this model was trained on; set it to at most that"
            )
        return requested
    if shape.cache_bytes_per_token <= 0:
        return shape.trained_context
    affordable = int(free_bytes * _CACHE_SHARE) // shape.cache_bytes_per_token // _STEP * _STEP
    return min(shape.trained_context, max(_LEAST_CONTEXT, affordable))


def choose_gpu_layers(shape: Shape, context_length: int, free_bytes: int) -> int:
    """How many layers fit the GPU's free memory with their share of the KV cache; -1 is all.

    The output matrix counts as one layer more, as llama.cpp counts it.
    """
    room = free_bytes - _GPU_RESERVE
    cache = shape.cache_bytes_per_token * context_length
    layers = max(shape.layers, 1) + 1
    if shape.weight_bytes + cache <= room:
        return -1
    per_layer = (shape.weight_bytes + cache) / layers
    return max(0, min(layers - 1, int(room / per_layer)))


def choose_flash_attention(shape: Shape, gpu_layers: int, chunk: int) -> bool:
    """Flash attention always on a GPU, on a CPU only where it saves much memory.

    llama.cpp's CPU kernel prefills 5 % faster with it and decodes 30 % slower from 500 tokens on
    (two cores, SmolLM2-135M). Without it, a batch holds heads x `chunk` x context 4-byte scores.
    The trained context decides, not the chosen one: free memory must not change an answer.
    """
    return gpu_layers != 0 or shape.heads * chunk * shape.trained_context * 4 > _SCORES


def shape_of(weights: "Weights", file_bytes: int) -> Shape:
    """Read a model's shape from its metadata; the KV cache is counted in 16-bit floats."""
    heads = weights.number("attention.head_count", 1)
    kv_heads = weights.number("attention.head_count_kv", heads)
    width = weights.number("embedding_length") // max(heads, 1)
    key = weights.number("attention.key_length", width)
    value = weights.number("attention.value_length", width)
    layers = weights.number("block_count", 1)
    cache = 2 * layers * kv_heads * (key + value)
    return Shape(layers, heads, file_bytes, cache, weights.trained_context)


def place(
    weights: "Weights",
    file_bytes: int,
    *,
    chunk: int,
    context_length: int | None = None,
    gpu_layers: int | None = None,
    threads: int | None = None,
) -> Placement:
    """Settle what the user left open by what this machine has.

    `weights` need be no more than the vocabulary and the metadata; prompts are decoded in batches
    of `chunk` tokens.
    """
    from trivium.engines.native import supports_gpu
    from trivium.models import hardware

    machine = hardware.detect()
    shape = shape_of(weights, file_bytes)
    free_gpu = machine.gpu_free if supports_gpu() else 0
    length = choose_context(shape, context_length, max(machine.available - file_bytes, 0))
    if gpu_layers is None:
        gpu_layers = choose_gpu_layers(shape, length, free_gpu) if free_gpu else 0
    flash = choose_flash_attention(shape, gpu_layers, chunk)
    return Placement(gpu_layers, length, threads or hardware.usable_cores(), flash)
