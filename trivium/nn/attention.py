"""Attention, once to be read and once to be fast, and what queries and keys know of positions.

B: batch, H: heads, G: key heads, T: queries, S: keys, D: width of a head, C: width of the model.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Position = Literal["none", "rotary", "alibi"]
Scope = Literal["full", "causal"]


def attend(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None = None, *, fused: bool = True
) -> Tensor:
    """softmax(Q Kᵀ / √D + bias) V (Vaswani et al. 2017, arXiv:1706.03762, equation 1).

    Args:
        query: (B, H, T, D)
        key: (B, H, S, D)
        value: (B, H, S, D)
        bias: added to the logits, -inf where a query must not look; broadcast to (B, H, T, S).
        fused: by torch's own kernel, which never holds all logits; else as the formula reads.

    Returns: (B, H, T, D)
    """
    if fused:
        return functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    logits = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])  # (B, H, T, S)
    if bias is not None:
        logits = logits + bias
    return logits.softmax(dim=-1) @ value


def causal(queries: int, keys: int, like: Tensor) -> Tensor:
    """The bias (queries, keys) that hides what comes later; the last query sees every key."""
    hidden = torch.ones(queries, keys, dtype=torch.bool, device=like.device)
    hidden = hidden.triu(keys - queries + 1)
    return torch.zeros(queries, keys, dtype=like.dtype, device=like.device).masked_fill(
        hidden, -math.inf
    )


def rotate(states: Tensor, first: int = 0, base: float = 10_000.0) -> Tensor:
    """Rotary positions (Su et al. 2021, arXiv:2104.09864) in the two-halves order of Llama.

    Args:
        states: queries or keys, (B, H, T, D) with D even.
        first: the position of the first of them.
        base: θ; pair i turns by position · θ^(-2i/D).
    """
    width = states.shape[-1]
    pairs = torch.arange(0, width, 2, device=states.device, dtype=torch.float32)
    at = torch.arange(first, first + states.shape[-2], device=states.device, dtype=torch.float32)
    angle = torch.outer(at, base ** (-pairs / width))  # (T, D/2)
    cos, sin = angle.cos().to(states.dtype), angle.sin().to(states.dtype)
    one, other = states.chunk(2, dim=-1)
    return torch.cat([one * cos - other * sin, other * cos + one * sin], dim=-1)


def alibi(heads: int, queries: int, keys: int, like: Tensor) -> Tensor:
    """The bias (H, T, S) of ALiBi (Press et al. 2021, arXiv:2108.12409): -slope · distance.

    Slopes are a geometric sequence from 2^(-8/n); where H is no power of two, the authors' code
    takes every other one of the next power's for the heads that are left.
    """

    def slopes(count: int) -> list[float]:
        return [2.0 ** (-8.0 * (i + 1) / count) for i in range(count)]

    power = 1 << (heads.bit_length() - 1)
    every = slopes(power) + slopes(2 * power)[0::2][: heads - power]
    slope = torch.tensor(every, device=like.device, dtype=like.dtype)
    at = torch.arange(keys - queries, keys, device=like.device)[:, None]
    distance = (at - torch.arange(keys, device=like.device)).abs().to(like.dtype)  # (T, S)
    return -slope[:, None, None] * distance


class Attention(nn.Module):
    """Multi-head attention with four projections; keys may have fewer heads than queries.

    Grouped keys: Ainslie et al. 2023, arXiv:2305.13245.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        key_heads: int | None = None,
        bias: bool = True,
        scope: Scope = "full",
        position: Position = "none",
    ) -> None:
        """Raises ValueError when `heads` does not divide `width`, or `key_heads` the heads."""
        super().__init__()
        groups = key_heads or heads
        if width % heads or heads % groups:
            raise ValueError(f"{heads} heads ({groups} of keys) do not divide a width of {width}")
        self.heads, self.key_heads, self.head_width = heads, groups, width // heads
        self.scope, self.position = scope, position
        self.query = nn.Linear(width, width, bias)
        self.key = nn.Linear(width, groups * self.head_width, bias)
        self.value = nn.Linear(width, groups * self.head_width, bias)
        self.out = nn.Linear(width, width, bias)
        self.fused = True

    def forward(
        self, states: Tensor, context: Tensor | None = None, bias: Tensor | None = None
    ) -> Tensor:
        """`states` look at `context`, or at themselves: (B, T, C) and (B, S, C) to (B, T, C).

        `bias` is added to the logits, as in `attend`: the mask of padding, say.
        """
        source = states if context is None else context
        query = self._split(self.query(states), self.heads)  # (B, H, T, D)
        key = self._split(self.key(source), self.key_heads)  # (B, G, S, D)
        value = self._split(self.value(source), self.key_heads)
        if self.position == "rotary":
            query, key = rotate(query), rotate(key)
        if self.key_heads < self.heads:
            key = key.repeat_interleave(self.heads // self.key_heads, dim=1)  # (B, H, S, D)
            value = value.repeat_interleave(self.heads // self.key_heads, dim=1)
        mixed = attend(query, key, value, self._bias(query, key, bias), fused=self.fused)
        joined: Tensor = self.out(mixed.transpose(1, 2).flatten(2))  # (B, T, C)
        return joined

    def _split(self, states: Tensor, heads: int) -> Tensor:
        split = states.reshape(*states.shape[:-1], heads, self.head_width)
        return split.transpose(1, 2)

    def _bias(self, query: Tensor, key: Tensor, given: Tensor | None) -> Tensor | None:
        """All that is added to the logits, or None."""
        queries, keys = query.shape[-2], key.shape[-2]
        biases = [] if given is None else [given]
        if self.scope == "causal":
            biases.append(causal(queries, keys, query))
        if self.position == "alibi":
            biases.append(alibi(self.heads, queries, keys, query))
        return sum(biases[1:], biases[0]) if biases else None
