"""Nodes and constants of an ONNX graph as they are added, for CPUs and without torch.

Products with weights may run on 8-bit integers: activations scaled per run, weights per column.
Weights use 7 of the 8 bits: AVX2's 8-bit multiply saturates beyond that.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto, ValueInfoProto

MICROSOFT = "com.microsoft"
"""The domain of onnxruntime's own operators."""

_LARGEST = 63  # 7 bits, signed


class Graph:
    """Every method that adds returns its output's name."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def constant(self, name: str, values: npt.NDArray[Any]) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def add(
        self,
        op: str,
        *inputs: str,
        outputs: tuple[str, ...],
        domain: str = MICROSOFT,
        **given: Any,
    ) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(op, inputs, outputs, domain=domain, **given))
        return outputs[0]

    def product(self, name: str, state: str, weight: npt.NDArray[np.float32], exact: bool) -> str:
        """`state` times the transpose of `weight` (outputs, inputs); on integers unless `exact`."""
        matrix = weight.T
        if exact:
            constant = self.constant(f"{name}.weight", matrix)
            return self.add("MatMul", state, constant, outputs=(f"{name}.out",), domain="")
        scale = np.maximum(np.abs(matrix).max(axis=0) / _LARGEST, 1e-12).astype(np.float32)
        integers = np.clip(np.round(matrix / scale), -_LARGEST, _LARGEST).astype(np.int8)
        return self.add(
            "DynamicQuantizeMatMul",
            state,
            self.constant(f"{name}.weight", integers),
            self.constant(f"{name}.scale", scale),
            self.constant(f"{name}.zero", np.zeros(scale.shape, np.int8)),
            outputs=(f"{name}.out",),
        )

    def serialised(
        self,
        name: str,
        inputs: "list[ValueInfoProto]",
        outputs: "list[ValueInfoProto]",
        facts: dict[str, str] | None = None,
    ) -> bytes:
        """The model, checked; `facts` are kept in its metadata."""
        import onnx
        from onnx import helper

        model = helper.make_model(
            helper.make_graph(self.nodes, name, inputs, outputs, self.constants),
            opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid(MICROSOFT, 1)],
            ir_version=9,
        )
        helper.set_model_props(model, facts or {})
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())
