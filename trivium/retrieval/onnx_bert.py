"""A BERT encoder's safetensors as an ONNX graph for CPUs, without torch.

The layers follow Devlin et al. 2019; each becomes five of onnxruntime's fused operators. Most
products with weights run on 8-bit integers (activations scaled per text, weights per column). Two
things stay in float32, because quantising them costs the most agreement with the original: the
first layer, and the second product of each feed-forward part, whose input (after GELU) has a few
very large values. Weights use 7 of the 8 bits: AVX2's 8-bit multiply saturates beyond that.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto

FORMAT = 1
"""Raised when the graph changes, so that cached files of older ones are not used."""

_MICROSOFT = "com.microsoft"
_LARGEST = 63  # 7 bits, signed

Weights = Mapping[str, npt.NDArray[Any]]


def build(config: Mapping[str, Any], weights_file: Path) -> bytes:
    """The model of a Hugging Face `config.json` and `model.safetensors`, serialised.

    Its input `input_ids` has shape (1, tokens), int32; its output has shape (1, tokens, hidden),
    float32. One text at a time: a batch would need padding, and a result that depends on its
    neighbours.
    """
    import onnx
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
    model = helper.make_model(
        helper.make_graph(graph.nodes, "bert", [ids], [out], graph.constants),
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid(_MICROSOFT, 1)],
        ir_version=9,
    )
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


class _Graph:
    """Nodes and constants as they are added. Every method returns its output's name."""

    def __init__(self, weights: Weights, prefix: str, epsilon: float) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
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
        return self._add(
            "EmbedLayerNormalization",
            "input_ids",
            "",
            self._constant("words", words),
            # The one segment's embedding is part of every position's.
            self._constant("positions", positions + types[0]),
            "",
            self._constant("embed.gamma", self._weight(f"{part}.LayerNorm.weight")),
            self._constant("embed.beta", self._weight(f"{part}.LayerNorm.bias")),
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
        active = self._add(
            "BiasGelu", wide, self._constant(f"{name}.wide.bias", bias), outputs=(f"{name}.gelu",)
        )
        narrow = self._product(f"{name}.output.dense", active, exact=True)
        return self._add_and_norm(f"{name}.output", narrow, middle)

    def _attention(self, name: str, state: str, heads: int, exact: bool) -> str:
        parts = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
        weight = np.concatenate([self._weight(f"{part}.weight") for part in parts])
        bias = np.concatenate([self._weight(f"{part}.bias") for part in parts])
        joined = self._product_of(f"{name}.qkv", state, weight, exact)
        split = tuple(f"{name}.{part}" for part in "qkv")
        self._add("Split", joined, outputs=split, domain="", axis=2, num_outputs=3)
        return self._add(
            "MultiHeadAttention",
            *split,
            self._constant(f"{name}.qkv.bias", bias),
            outputs=(f"{name}.attended",),
            num_heads=heads,
        )

    def _add_and_norm(self, name: str, new: str, old: str) -> str:
        return self._add(
            "SkipLayerNormalization",
            new,
            old,
            self._constant(f"{name}.gamma", self._weight(f"{name}.LayerNorm.weight")),
            self._constant(f"{name}.beta", self._weight(f"{name}.LayerNorm.bias")),
            self._constant(f"{name}.bias", self._weight(f"{name}.dense.bias")),
            outputs=(f"{name}.normed",),
            epsilon=self._epsilon,
        )

    def _product(self, name: str, state: str, exact: bool) -> str:
        return self._product_of(name, state, self._weight(f"{name}.weight"), exact)

    def _product_of(
        self, name: str, state: str, weight: npt.NDArray[np.float32], exact: bool
    ) -> str:
        """`state` times the transpose of `weight` (outputs, inputs)."""
        matrix = weight.T
        if exact:
            constant = self._constant(f"{name}.weight", matrix)
            return self._add("MatMul", state, constant, outputs=(f"{name}.out",), domain="")
        scale = np.maximum(np.abs(matrix).max(axis=0) / _LARGEST, 1e-12).astype(np.float32)
        integers = np.clip(np.round(matrix / scale), -_LARGEST, _LARGEST).astype(np.int8)
        return self._add(
            "DynamicQuantizeMatMul",
            state,
            self._constant(f"{name}.weight", integers),
            self._constant(f"{name}.scale", scale),
            self._constant(f"{name}.zero", np.zeros(scale.shape, np.int8)),
            outputs=(f"{name}.out",),
        )

    def _weight(self, name: str) -> npt.NDArray[np.float32]:
        return self._weights[self._prefix + name].astype(np.float32)

    def _constant(self, name: str, values: npt.NDArray[Any]) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _add(
        self,
        op: str,
        *inputs: str,
        outputs: tuple[str, ...],
        domain: str = _MICROSOFT,
        **given: Any,
    ) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(op, inputs, outputs, domain=domain, **given))
        return outputs[0]
