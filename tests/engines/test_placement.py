import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivium.engines.placement import (
    Shape,
    choose_context,
    choose_flash_attention,
    choose_gpu_layers,
)
from trivium.errors import UsageError

GIB = 1 << 30
# Llama 3.1 8B in Q4_K_M: 32 layers, 8 KV heads of 128, 131,072 tokens
# 2 bytes x 32 layers x 8 heads x (128 + 128) = 131,072 bytes a token
LLAMA_8B = Shape(32, 32, int(4.6 * GIB), 131_072, 131_072)


@pytest.mark.parametrize(
    ("free", "tokens"),
    [
        (64 * GIB, 131_072),  # all of it: 16 GiB of cache
        (16 * GIB, 65_536),  # half of what is free
        (1 * GIB, 4_096),
        (0, 2_048),  # never so little that no document fits
    ],
)
def test_context_as_memory_allows(free: int, tokens: int) -> None:
    assert choose_context(LLAMA_8B, None, free) == tokens


def test_a_requested_context_is_taken_or_refused() -> None:
    assert choose_context(LLAMA_8B, 1000, 0) == 1000
    with pytest.raises(UsageError, match="131073 is more than the 131072"):
        choose_context(LLAMA_8B, 131_073, 64 * GIB)


def test_a_small_model_keeps_its_own_maximum() -> None:
    assert choose_context(Shape(12, 12, GIB, 100, 512), None, 0) == 512


@pytest.mark.parametrize(
    ("free", "layers"),
    [
        (8 * GIB, -1),  # 4.6 + 1 GiB of cache + reserve
        (int(6.1 * GIB), -1),
        (int(3.3 * GIB), 16),  # (3.3 - 0.5) / (5.6 / 33) = 16.5
        (GIB // 2, 0),
        (0, 0),
    ],
)
def test_layers_as_the_gpu_allows(free: int, layers: int) -> None:
    assert choose_gpu_layers(LLAMA_8B, 8192, free) == layers


@given(st.integers(0, 1 << 38), st.integers(1, 131_072))
def test_what_is_placed_fits(free: int, context: int) -> None:
    layers = choose_gpu_layers(LLAMA_8B, context, free)
    total = LLAMA_8B.weight_bytes + LLAMA_8B.cache_bytes_per_token * context
    share = 1.0 if layers < 0 else layers / 33
    assert total * share <= max(free, 0) or layers == 0


@pytest.mark.parametrize(
    ("heads", "context", "gpu_layers", "flash"),
    [
        (9, 8192, 0, False),  # SmolLM2-135M: 72 MiB of scores
        (9, 8192, -1, True),
        (32, 16_384, 0, False),  # 512 MiB
        (32, 131_072, 0, True),  # 4 GiB
    ],
)
def test_flash_attention_where_it_pays(
    heads: int, context: int, gpu_layers: int, flash: bool
) -> None:
    shape = Shape(30, heads, GIB, 100, context)
    assert choose_flash_attention(shape, gpu_layers, chunk=256) is flash
