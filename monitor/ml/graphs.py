"""What is needed to write a network down as an ONNX graph, node by node, from its published weights.

Writing the graph here needs no PyTorch and gives the same bytes on every machine, so that the digest of the
derived file can stand in weights.lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

OPSET: Final = 17
IR_VERSION: Final = 8
"""Versions of ONNX that the graphs are written in: the digests of the files depend on them."""


class Graph:
    """Collects nodes; every method adds some and gives the name of their result.

    Only the weights that are asked for get into the file. A missing one raises KeyError.
    """

    def __init__(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Take the published weights by name."""
        self.tensors = tensors
        self._used: dict[str, onnx.TensorProto] = {}
        self._nodes: list[onnx.NodeProto] = []

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Put a tensor into the file under a name."""
        self._used[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def weight(self, name: str) -> str:
        """Put a published weight into the file as it is."""
        return self.constant(name, self.tensors[name])

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:  # noqa: ANN401 - ONNX attributes
        """Add a node with one result."""
        return self.add_many(kind, *inputs, results=1, **attributes)[0]

    def add_many(self, kind: str, *inputs: str, results: int, **attributes: Any) -> list[str]:  # noqa: ANN401
        """Add a node with several results."""
        first = f"v{len(self._nodes)}"
        outs = [first, *(f"{first}_{i}" for i in range(1, results))]
        self._nodes.append(helper.make_node(kind, list(inputs), outs, name=f"n_{first}", **attributes))
        return outs

    def convolve(self, x: str, name: str, **attributes: Any) -> str:  # noqa: ANN401 - ONNX attributes
        """Convolve with `NAME.weight`, and add `NAME.bias` where there is one."""
        bias = [self.weight(f"{name}.bias")] if f"{name}.bias" in self.tensors else []
        return self.add("Conv", x, self.weight(f"{name}.weight"), *bias, **attributes)

    def finish(self, out: str, kind: str, *inputs: str, **attributes: Any) -> None:  # noqa: ANN401
        """Add the last node, whose result bears the name of the graph's output."""
        self._nodes.append(helper.make_node(kind, list(inputs), [out], name=f"n_{out}", **attributes))

    def model(
        self, name: str, inputs: Mapping[str, Sequence[str | int]], outputs: Mapping[str, Sequence[str | int]]
    ) -> onnx.ModelProto:
        """Make the file: inputs and outputs by name with their shapes, all of float32."""

        def described(values: Mapping[str, Sequence[str | int]]) -> list[onnx.ValueInfoProto]:
            return [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in values.items()]

        return helper.make_model(
            helper.make_graph(
                self._nodes, name, described(inputs), described(outputs), list(self._used.values())
            ),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="likeness-watch",
        )
