"""A BERT encoder's safetensors as an ONNX graph for CPUs, without torch.

The layers follow Devlin et al. 2019; each becomes five of onnxruntime's fused operators. Most
products with weights run on 8-bit integers. Two things stay in float32, because quantising them
costs the most agreement with the original: the first layer, and the second product of each
feed-forward part, whose input (after GELU) has a few very large values.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trivium.nn.onnx_graph import Graph

FORMAT = 1
"""Raised when the graph changes, so that cached files of older ones are not used."""

Weights = Mapping[str, npt.NDArray[Any]]


def build(config: Mapping[str, Any], weights_file: Path) -> bytes:
    """The model of a Hugging Face `config.json` and `model.safetensors`, serialised.

    Its input `input_ids` has shape (1, tokens), int32; its output has shape (1, tokens, hidden),
    float32. One text at a time: a batch would need padding, and a result that depends on its
    neighbours.
    """
    from onnx import TensorProto, helper
    from safetensors.numpy import load_file

    weights: Weights = load_file(weights_file)
    prefix = "bert." if "bert.embeddings.word_embeddings.weight" in weights else ""
    graph = _Graph(weights, prefix, float(config["layer_norm_eps"]))
    state = graph.embed()
    for layer in range(config["num_hidden_layers"]):
        state = graph.layer(layer, state, config["num_attention_heads"])
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT32, [1, "tokens"])
    hidden = [1, "tokens", config["hidden_size"]]
    out = helper.make_tensor_value_info(state, TensorProto.FLOAT, hidden)
    return graph.serialised("bert", [ids], [out])


class _Graph(Graph):
    """The parts of a BERT."""

    def __init__(self, weights: Weights, prefix: str, epsilon: float) -> None:
        super().__init__()
        self._weights = weights
        self._prefix = prefix
        self._epsilon = epsilon

    def embed(self) -> str:
        """Word, position and type embeddings, added and normalised; all types are 0."""
        part = "embeddings"
        words, positions, types = (
            self._weight(f"{part}.{name}_embeddings.weight")
            for name in ("word", "position", "token_type")
        )
        return self.add(
            "EmbedLayerNormalization",
            "input_ids",
            "",
            self.constant("words", words),
            # The one segment's embedding is part of every position's.
            self.constant("positions", positions + types[0]),
            "",
            self.constant("embed.gamma", self._weight(f"{part}.LayerNorm.weight")),
            self.constant("embed.beta", self._weight(f"{part}.LayerNorm.bias")),
            outputs=("embedded", ""),
            epsilon=self._epsilon,
        )

    def layer(self, number: int, state: str, heads: int) -> str:
        """Self-attention and feed-forward, each added to its input and normalised."""
        name = f"encoder.layer.{number}"
        exact = number == 0
        attended = self._attention(name, state, heads, exact)
        projected = self._product(f"{name}.attention.output.dense", attended, exact)
        middle = self._add_and_norm(f"{name}.attention.output", projected, state)
        wide = self._product(f"{name}.intermediate.dense", middle, exact)
        bias = self._weight(f"{name}.intermediate.dense.bias")
        active = self.add(
            "BiasGelu", wide, self.constant(f"{name}.wide.bias", bias), outputs=(f"{name}.gelu",)
        )
        narrow = self._product(f"{name}.output.dense", active, exact=True)
        return self._add_and_norm(f"{name}.output", narrow, middle)

    def _attention(self, name: str, state: str, heads: int, exact: bool) -> str:
        parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
        weight = np.concatenate([self._weight(f"{part}.weight") for part in parts])
        bias = np.concatenate([self._weight(f"{part}.bias") for part in parts])
        joined = self.product(f"{name}.qkv", state, weight, exact)
        split = tuple(f"{name}.{part}" for part in "qkv")
        self.add("Split", joined, outputs=split, domain="", axis=2, num_outputs=3)
        return self.add(
            "MultiHeadAttention",
            *split,
            self.constant(f"{name}.qkv.bias", bias),
            outputs=(f"{name}.attended",),
            num_heads=heads,
        )

    def _add_and_norm(self, name: str, new: str, old: str) -> str:
        return self.add(
            "SkipLayerNormalization",
            new,
            old,
            self.constant(f"{name}.gamma", self._weight(f"{name}.LayerNorm.weight")),
            self.constant(f"{name}.beta", self._weight(f"{name}.LayerNorm.bias")),
            self.constant(f"{name}.bias", self._weight(f"{name}.dense.bias")),
            outputs=(f"{name}.normed",),
            epsilon=self._epsilon,
        )

    def _product(self, name: str, state: str, exact: bool) -> str:
        return self.product(name, state, self._weight(f"{name}.weight"), exact)

    def _weight(self, name: str) -> npt.NDArray[np.float32]:
        return self._weights[self._prefix + name].astype(np.float32)
