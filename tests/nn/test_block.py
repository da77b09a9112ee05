"""The block against whole layers of `transformers`, and its parts by hand."""

import pytest
import torch
from torch import nn

from trivium.nn.block import Block, Shape, quick_gelu


def _copy(linear: nn.Module, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
    with torch.no_grad():
        linear.weight.copy_(weight)  # type: ignore[operator]
        if bias is not None:
            linear.bias.copy_(bias)  # type: ignore[operator]


def test_a_llama_layer() -> None:
    """RMSNorm, rotary positions, grouped keys, a gated MLP, no biases."""
    from transformers import LlamaConfig, LlamaModel

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=11, hidden_size=32, intermediate_size=48, num_hidden_layers=1,
        num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=1e-6,
    )  # fmt: skip
    model = LlamaModel(config).eval()
    shape = Shape(
        32, 1, 4, 48, norm="rms", norm_epsilon=1e-6, position="rotary", scope="causal",
        key_heads=2, activation="silu", gated=True, bias=False,
    )  # fmt: skip
    block, layer = Block(shape), model.layers[0]
    pairs = {
        "query": "q_proj",
        "key": "k_proj",
        "value": "v_proj",
        "out": "o_proj",
    }
    for ours, theirs in pairs.items():
        _copy(getattr(block.attention, ours), getattr(layer.self_attn, theirs).weight, None)
    for ours, theirs in {"up": "up_proj", "gate": "gate_proj", "down": "down_proj"}.items():
        _copy(getattr(block.mlp, ours), getattr(layer.mlp, theirs).weight, None)
    ids = torch.randint(0, 11, (2, 7))
    with torch.no_grad():
        states = block(model.embed_tokens(ids))
        expected = model(ids).last_hidden_state
        torch.testing.assert_close(model.norm(states), expected, atol=1e-5, rtol=0)


def test_a_bert_layer() -> None:
    """Post-norm, looking both ways, padding hidden by a bias."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=11, hidden_size=32, intermediate_size=48, num_hidden_layers=1,
        num_attention_heads=4,
    )  # fmt: skip
    model = BertModel(config).eval()
    block = Block(Shape(32, 1, 4, 48, norm_first=False, norm_epsilon=1e-12))
    layer = model.encoder.layer[0]
    for name in ("query", "key", "value"):
        linear = getattr(layer.attention.self, name)
        _copy(getattr(block.attention, name), linear.weight, linear.bias)
    for ours, theirs in (
        (block.attention.out, layer.attention.output.dense),
        (block.norm1, layer.attention.output.LayerNorm),
        (block.mlp.up, layer.intermediate.dense),
        (block.mlp.down, layer.output.dense),
        (block.norm2, layer.output.LayerNorm),
    ):
        _copy(ours, theirs.weight, theirs.bias)
    ids = torch.randint(0, 11, (2, 5))
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    bias = torch.zeros(2, 1, 1, 5).masked_fill(mask[:, None, None] == 0, -torch.inf)
    with torch.no_grad():
        found = block(model.embeddings(ids), bias)
        expected = model(ids, attention_mask=mask).last_hidden_state
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_quick_gelu_by_hand() -> None:
    """At 1: 1 / (1 + e^-1.702) = 0.84579..."""
    assert quick_gelu(torch.tensor(1.0)).item() == pytest.approx(0.845795, abs=1e-5)
    assert quick_gelu(torch.tensor(0.0)).item() == 0
