"""Attention as the formula reads against torch's kernel, and positions against known figures."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trivium.nn.attention import Attention, alibi, attend, causal, rotate


def _states(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=40, deadline=None)
@given(
    heads=st.integers(1, 4),
    queries=st.integers(1, 9),
    more=st.integers(0, 7),
    width=st.sampled_from([2, 8, 16]),
    hidden=st.booleans(),
)
def test_readable_and_fused_attention_are_equal(
    heads: int, queries: int, more: int, width: int, hidden: bool
) -> None:
    keys = queries + more
    query = _states(2, heads, queries, width)
    key, value = _states(2, heads, keys, width, seed=1), _states(2, heads, keys, width, seed=2)
    bias = causal(queries, keys, query) if hidden else None
    torch.testing.assert_close(
        attend(query, key, value, bias),
        attend(query, key, value, bias, fused=False),
        atol=1e-5,
        rtol=0,
    )


def test_attention_by_hand() -> None:
    """Logits ln 3 and 0 give weights 3/4 and 1/4."""
    query = torch.tensor([[[[math.log(3.0)]]]])
    key, value = torch.tensor([[[[1.0], [0.0]]]]), torch.tensor([[[[8.0], [4.0]]]])
    for fused in (True, False):
        assert attend(query, key, value, fused=fused).item() == pytest.approx(7.0)


def test_the_last_query_sees_every_key() -> None:
    inf = math.inf
    assert causal(2, 3, torch.zeros(1)).tolist() == [[0, 0, -inf], [0, 0, 0]]


def test_what_comes_later_changes_nothing_before() -> None:
    attention = Attention(8, 2, scope="causal")
    states = _states(1, 6, 8)
    changed = states.clone()
    changed[:, 4:] += 1
    torch.testing.assert_close(attention(states)[:, :4], attention(changed)[:, :4])
    assert not torch.allclose(attention(states)[:, 4:], attention(changed)[:, 4:])


def test_rotary_positions_keep_lengths_and_see_distances_alone() -> None:
    query, key = _states(1, 1, 1, 16), _states(1, 1, 1, 16, seed=1)
    torch.testing.assert_close(rotate(query, 5).norm(), query.norm())
    near = (rotate(query, 7) * rotate(key, 3)).sum()
    far = (rotate(query, 104) * rotate(key, 100)).sum()
    torch.testing.assert_close(near, far, atol=1e-4, rtol=0)


def test_rotary_positions_are_those_of_llama() -> None:
    from transformers import LlamaConfig
    from transformers.models.llama import modeling_llama as llama

    config = LlamaConfig(hidden_size=32, num_attention_heads=2)
    query = _states(1, 2, 5, 16)
    cos, sin = llama.LlamaRotaryEmbedding(config)(query, torch.arange(5)[None])
    expected, _ = llama.apply_rotary_pos_emb(query, query, cos, sin)
    torch.testing.assert_close(rotate(query), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("heads", [1, 2, 3, 6, 8, 12])
def test_alibi_is_that_of_bloom(heads: int) -> None:
    from transformers.models.bloom.modeling_bloom import build_alibi_tensor

    slopes = build_alibi_tensor(torch.ones(1, 2), heads, torch.float32)[:, 0, 1]
    found = alibi(heads, 4, 4, torch.zeros(1))
    torch.testing.assert_close(found[:, 3, 2], -slopes)
    torch.testing.assert_close(found[:, 3, 0], -3 * slopes)


def test_alibi_of_eight_heads_begins_at_one_half() -> None:
    """The paper, section 3: 1/2, 1/4, ..., 1/256 for eight heads."""
    assert (-alibi(8, 1, 2, torch.zeros(1))[:, 0, 0]).tolist() == [2.0**-n for n in range(1, 9)]


def test_grouped_keys_are_full_attention_with_equal_keys() -> None:
    grouped, full = Attention(8, 4, key_heads=2), Attention(8, 4)
    with torch.no_grad():
        for name in ("query", "out"):
            getattr(full, name).load_state_dict(getattr(grouped, name).state_dict())
        for name in ("key", "value"):
            for kind in ("weight", "bias"):
                part = getattr(getattr(grouped, name), kind).unflatten(0, (2, 2))
                whole = part.repeat_interleave(2, dim=0).flatten(0, 1)
                getattr(getattr(full, name), kind).copy_(whole)
    states = _states(2, 5, 8)
    torch.testing.assert_close(grouped(states), full(states))


@pytest.mark.parametrize(("width", "heads", "keys"), [(10, 3, None), (12, 4, 3)])
def test_heads_that_do_not_divide(width: int, heads: int, keys: int | None) -> None:
    with pytest.raises(ValueError, match="do not divide"):
        Attention(width, heads, key_heads=keys)
