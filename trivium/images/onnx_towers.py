"""The towers of CLIP and SigLIP as ONNX graphs for CPUs, made from safetensors without torch.

Each block is a few of onnxruntime's fused operators. With `exact` off most products with weights
run on 8-bit integers. As in `retrieval.onnx_bert` the first block and the second product of each
MLP stay in float32, because quantising them costs the most agreement with the original.

One picture or one text a run: a batch would make a result depend on its neighbours. A text of
CLIP ends with its end token (the tower looks back only, so what follows would change nothing).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trivium.errors import UsageError
from trivium.nn.onnx_graph import Graph
from trivium.nn.published import Arrays, complete, read_arrays, read_config, shared_width

FORMAT = 2
"""Raised when a graph changes, so that cached files of older ones are not used."""

TABLE = "text_model.embeddings.token_embedding.weight"

_TEXTS = (
    "text_model.embeddings.position_embedding.",
    "text_model.encoder.",
    "text_model.final_layer_norm.",
    "text_model.head.",
    "text_projection.",
)

LARGEST = 2**31 - 2**24
"""What one protocol buffer can hold, less room for the graph."""

_ACTIVATIONS = {
    "gelu": "Gelu",
    "quick_gelu": "QuickGelu",
    "gelu_pytorch_tanh": "FastGelu",
    "gelu_new": "FastGelu",
}


def build_texts(folder: Path, *, exact: bool) -> bytes:
    """The text tower: `words` (1, T, C) to `vector` (1, E), not normalised.

    `words` are rows of `TABLE`, the first layer, which stays where it is: of its many words a text
    needs a few. The state of the last one stands for the text.

    Raises:
        UsageError: when the weights do not fit, or are too many for one file.
    """
    from onnx import TensorProto, helper

    config, kind = read_config(folder)
    said, _ = complete(config, kind)
    weights = read_arrays(folder, _TEXTS)
    tower = _Tower(weights, "text_model", said, causal=kind == "clip", exact=exact)
    state = tower.placed("words")
    state = tower.pick(tower.blocks(state), -1)
    state = tower.norm("text_model.final_layer_norm", state)
    project = "text_projection" if kind == "clip" else "text_model.head"
    vector = tower.linear(project, state, exact=True)
    shape = [1, "tokens", said["hidden_size"]]
    words = helper.make_tensor_value_info("words", TensorProto.FLOAT, shape)
    return _serialised(tower, "texts", words, vector, shared_width(config, kind))


def build_images(folder: Path, *, exact: bool) -> bytes:
    """The picture tower: `pixels` (1, 3, size, size) to `vector` (1, E), not normalised.

    Raises:
        UsageError: when the weights do not fit, or are too many for one file.
    """
    from onnx import TensorProto, helper

    config, kind = read_config(folder)
    _, said = complete(config, kind)
    weights = read_arrays(folder, ("vision_model.", "visual_projection."))
    tower = _Tower(weights, "vision_model", said, causal=False, exact=exact)
    state = tower.patches("pixels", has_class=kind == "clip")
    if kind == "clip":
        state = tower.norm("vision_model.pre_layrnorm", state)  # spelt so in every published file
        state = tower.pick(tower.blocks(state), 0)
        state = tower.norm("vision_model.post_layernorm", state)
        vector = tower.linear("visual_projection", state, exact=True)
    else:
        state = tower.norm("vision_model.post_layernorm", tower.blocks(state))
        vector = tower.pick(tower.probe(state), 0)
    side = said["image_size"]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 3, side, side])
    return _serialised(tower, "images", pixels, vector, shared_width(config, kind))


def _serialised(tower: "_Tower", name: str, given: Any, vector: str, width: int) -> bytes:
    from onnx import TensorProto, helper

    size = sum(len(constant.raw_data) for constant in tower.constants)
    if size > LARGEST:
        raise UsageError(
            f"a tower with {size / 1e9:.1f} GB of weights does not fit one ONNX file; "
            "use the torch form"
        )
    tower.add("Identity", vector, outputs=("vector",), domain="")
    out = helper.make_tensor_value_info("vector", TensorProto.FLOAT, [1, width])
    return tower.serialised(name, [given], [out])


class _Tower(Graph):
    """One tower's parts, under Hugging Face's names. T: tokens or patches, C: its width."""

    def __init__(
        self, weights: Arrays, prefix: str, said: Mapping[str, Any], *, causal: bool, exact: bool
    ) -> None:
        super().__init__()
        self._weights = weights
        self._prefix = prefix
        self._layers = int(said["num_hidden_layers"])
        self._heads = int(said["num_attention_heads"])
        self._epsilon = float(said["layer_norm_eps"])
        self._causal = causal
        self._exact = exact
        activation = _ACTIVATIONS.get(said["hidden_act"])
        if activation is None:
            raise UsageError(f'the activation "{said["hidden_act"]}" is not known in two towers')
        self._activation = activation

    def placed(self, words: str) -> str:
        """Token embeddings with their positions: (1, T, C)."""
        part = f"{self._prefix}.embeddings"
        count = self._plain("Shape", words, out="count", start=1, end=2)
        positions = self._plain(
            "Slice",
            self.constant("positions", self.weight(f"{part}.position_embedding.weight")),
            self._numbers("zero", 0),
            count,
            self._numbers("axis", 0),
            out="positions.used",
        )
        return self._plain("Add", words, positions, out="embedded")

    def patches(self, pixels: str, *, has_class: bool) -> str:
        """Patches, after CLIP's class token, with their positions: (1, T, C)."""
        part = f"{self._prefix}.embeddings"
        kernel = self.weight(f"{part}.patch_embedding.weight")  # (C, 3, patch, patch)
        inputs = [pixels, self.constant("patches.weight", kernel)]
        if not has_class:
            bias = self.weight(f"{part}.patch_embedding.bias")
            inputs.append(self.constant("patches.bias", bias))
        grid = self._plain("Conv", *inputs, out="grid", strides=kernel.shape[2:])
        flat = self._plain(
            "Reshape", grid, self._numbers("flat", 1, len(kernel), -1), out="flat.out"
        )
        states = self._plain("Transpose", flat, out="patches", perm=[0, 2, 1])
        if has_class:
            first = self.weight(f"{part}.class_embedding").reshape(1, 1, -1)
            states = self._plain("Concat", self.constant("class", first), states, out="all", axis=1)
        positions = self.weight(f"{part}.position_embedding.weight")
        return self._plain("Add", states, self.constant("positions", positions), out="embedded")

    def blocks(self, state: str) -> str:
        """All transformer blocks, norms first."""
        for layer in range(self._layers):
            name = f"{self._prefix}.encoder.layers.{layer}"
            exact = self._exact or layer == 0
            inner = self.norm(f"{name}.layer_norm1", state)
            parts = [f"{name}.self_attn.{part}_proj" for part in "qkv"]
            weight = np.concatenate([self.weight(f"{part}.weight") for part in parts])
            bias = np.concatenate([self.weight(f"{part}.bias") for part in parts])
            joined = self.product(f"{name}.qkv", inner, weight, exact)
            split = tuple(f"{name}.{part}" for part in "qkv")
            self.add("Split", joined, outputs=split, domain="", axis=2, num_outputs=3)
            mixed = self._attend(name, split, bias, causal=self._causal)
            out = self.linear(f"{name}.self_attn.out_proj", mixed, exact)
            state = self._plain("Add", state, out, out=f"{name}.middle")
            inner = self.norm(f"{name}.layer_norm2", state)
            state = self._plain(
                "Add", state, self._mlp(f"{name}.mlp", inner, exact), out=f"{name}.end"
            )
        return state

    def probe(self, states: str) -> str:
        """SigLIP's attention pooling by one learned query: (1, T, C) to (1, 1, C)."""
        name = f"{self._prefix}.head"
        weight = self.weight(f"{name}.attention.in_proj_weight")
        width = weight.shape[1]
        query = self.weight(f"{name}.probe").reshape(1, width) @ weight[:width].T  # known already
        key, value = (
            self.product(f"{name}.{part}", states, weight[at * width : (at + 1) * width], True)
            for at, part in ((1, "key"), (2, "value"))
        )
        bias = self.weight(f"{name}.attention.in_proj_bias")
        constant = self.constant(f"{name}.query", query.reshape(1, 1, width))
        mixed = self._attend(name, (constant, key, value), bias, causal=False)
        pooled = self.linear(f"{name}.attention.out_proj", mixed, exact=True)
        inner = self.norm(f"{name}.layernorm", pooled)
        return self._plain("Add", pooled, self._mlp(f"{name}.mlp", inner, True), out=f"{name}.end")

    def norm(self, name: str, state: str) -> str:
        return self._plain(
            "LayerNormalization",
            state,
            self.constant(f"{name}.gamma", self.weight(f"{name}.weight")),
            self.constant(f"{name}.beta", self.weight(f"{name}.bias")),
            out=f"{name}.out",
            epsilon=self._epsilon,
        )

    def linear(self, name: str, state: str, exact: bool) -> str:
        """The product with a weight, and its bias where there is one."""
        found = self.product(name, state, self.weight(f"{name}.weight"), exact)
        if f"{name}.bias" not in self._weights:
            return found
        bias = self.constant(f"{name}.bias", self.weight(f"{name}.bias"))
        return self._plain("Add", found, bias, out=f"{name}.biased")

    def pick(self, states: str, at: int) -> str:
        """One token's state: (1, T, C) to (1, C)."""
        return self._gather(f"{states}.picked", states, self._number(f"{states}.at", at), axis=1)

    def weight(self, name: str) -> npt.NDArray[np.float32]:
        """Raises UsageError when there is none of that name."""
        if name not in self._weights:
            raise UsageError(f"the model has no weights called {name}")
        return self._weights[name]

    def _attend(
        self, name: str, split: tuple[str, ...], bias: npt.NDArray[np.float32], *, causal: bool
    ) -> str:
        return self.add(
            "MultiHeadAttention",
            *split,
            self.constant(f"{name}.qkv.bias", bias),
            outputs=(f"{name}.attended",),
            num_heads=self._heads,
            unidirectional=int(causal),
        )

    def _mlp(self, name: str, state: str, exact: bool) -> str:
        wide = self.linear(f"{name}.fc1", state, exact)
        active = self.add(self._activation, wide, outputs=(f"{name}.active",))
        return self.linear(f"{name}.fc2", active, exact=True)

    def _plain(self, op: str, *inputs: str, out: str, **given: Any) -> str:
        """An operator of ONNX itself."""
        return self.add(op, *inputs, outputs=(out,), domain="", **given)

    def _gather(self, out: str, table: str, at: str, axis: int = 0) -> str:
        return self._plain("Gather", table, at, out=out, axis=axis)

    def _number(self, name: str, value: int) -> str:
        return self.constant(name, np.array(value, np.int64))

    def _numbers(self, name: str, *values: int) -> str:
        return self.constant(name, np.array(values, np.int64))
