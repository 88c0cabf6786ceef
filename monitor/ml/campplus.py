"""Writes CAM++ down as an ONNX graph, node by node, from its published weights.

CAM++ is the speaker network of "CAM++: A Fast and Efficient Network for Speaker Verification Using
Context-Aware Masking" (Wang et al., Interspeech 2023, arXiv 2303.00332): a small 2-D convolutional head,
then densely connected TDNN layers, each with a mask computed from the mean of the whole clip and of its
100-frame segment. Writing the graph here needs no PyTorch, gives the same bytes on every machine (so its
digest stands in weights.lock), and lets the masks be computed once per segment, not once per frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from onnx import TensorProto

from monitor.ml.graphs import Graph

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx
    from numpy.typing import NDArray

BANDS: Final = 80
"""Mel filter banks of the input."""

DIMENSION: Final = 192
"""Length of the embedding."""

SEGMENT: Final = 100
"""Frames of one segment of the context-aware mask (section 2.2 of the paper)."""

BLOCKS: Final = ((12, 1), (24, 2), (16, 2))
"""Layers and dilation of the three dense blocks."""


class _Graph(Graph):
    """Nodes of this network."""

    def normalise(self, x: str, name: str) -> str:
        mean, variance = self.weight(f"{name}.running_mean"), self.weight(f"{name}.running_var")
        size = len(self.tensors[f"{name}.running_mean"])
        affine = f"{name}.weight" in self.tensors
        scale = self.weight(f"{name}.weight") if affine else self.constant("one", np.ones(size, np.float32))
        shift = self.weight(f"{name}.bias") if affine else self.constant("zero", np.zeros(size, np.float32))
        return self.add("BatchNormalization", x, scale, shift, mean, variance, epsilon=1e-5)

    def activate(self, x: str, name: str) -> str:
        return self.add("Relu", self.normalise(x, name))


def _residual(graph: _Graph, x: str, name: str, stride: int) -> str:
    y = graph.convolve(x, f"{name}.conv1", strides=[stride, 1], pads=[1, 1, 1, 1])
    y = graph.convolve(graph.activate(y, f"{name}.bn1"), f"{name}.conv2", pads=[1, 1, 1, 1])
    y = graph.normalise(y, f"{name}.bn2")
    if stride > 1:
        x = graph.normalise(
            graph.convolve(x, f"{name}.shortcut.0", strides=[stride, 1]), f"{name}.shortcut.1"
        )
    return graph.add("Relu", graph.add("Add", y, x))


def _head(graph: _Graph, x: str) -> str:
    """The 2-D head: (batch, frames, 80) to (batch, 320, frames)."""
    x = graph.add("Transpose", x, perm=[0, 2, 1])
    x = graph.add("Unsqueeze", x, graph.constant("axis_1", np.array([1])))
    x = graph.activate(graph.convolve(x, "head.conv1", pads=[1, 1, 1, 1]), "head.bn1")
    for layer in ("head.layer1", "head.layer2"):
        x = _residual(graph, x, f"{layer}.0", 2)
        x = _residual(graph, x, f"{layer}.1", 1)
    x = graph.convolve(x, "head.conv2", strides=[2, 1], pads=[1, 1, 1, 1])
    x = graph.activate(x, "head.bn2")
    return graph.add("Reshape", x, graph.constant("flat", np.array([0, 4 * BANDS, -1])))


def _segments(graph: _Graph, x: str) -> str:
    """For every frame, the number of its segment."""
    frames = graph.add("Gather", graph.add("Shape", x), graph.constant("last", np.array(2)), axis=0)
    count = graph.add("Range", graph.constant("0", np.array(0)), frames, graph.constant("1", np.array(1)))
    return graph.add("Div", count, graph.constant("segment", np.array(SEGMENT)))


def _masked_layer(graph: _Graph, x: str, name: str, dilation: int, segments: str) -> str:
    """One dense layer. Its mask is the same for all frames of a segment, so it is computed per segment."""
    x = graph.convolve(graph.activate(x, f"{name}.nonlinear1.batchnorm"), f"{name}.linear1")
    x = graph.activate(x, f"{name}.nonlinear2.batchnorm")
    local = graph.convolve(
        x, f"{name}.cam_layer.linear_local", pads=[dilation, dilation], dilations=[dilation]
    )
    whole = graph.add("ReduceMean", x, axes=[2], keepdims=1)
    parts = graph.add("AveragePool", x, kernel_shape=[SEGMENT], strides=[SEGMENT], ceil_mode=1)
    context = graph.add("Add", whole, parts)
    context = graph.add("Relu", graph.convolve(context, f"{name}.cam_layer.linear1"))
    mask = graph.add("Sigmoid", graph.convolve(context, f"{name}.cam_layer.linear2"))
    return graph.add("Mul", local, graph.add("Gather", mask, segments, axis=2))


def _statistics(graph: _Graph, x: str) -> str:
    """Mean and standard deviation (unbiased) over time: (batch, 1024, 1)."""
    mean = graph.add("ReduceMean", x, axes=[2], keepdims=1)
    away = graph.add("Sub", x, mean)
    squares = graph.add("ReduceSum", graph.add("Mul", away, away), graph.constant("axis_2", np.array([2])))
    frames = graph.add("Gather", graph.add("Shape", x), "last", axis=0)
    freedom = graph.add("Cast", graph.add("Sub", frames, "1"), to=TensorProto.FLOAT)
    deviation = graph.add("Sqrt", graph.add("Div", squares, freedom))
    return graph.add("Concat", mean, deviation, axis=1)


def campplus_graph(tensors: Mapping[str, NDArray[Any]]) -> onnx.ModelProto:
    """Build the network: `features` (batch, frames, 80) float32 to `embedding` (batch, 192), not normalised.

    `frames` must be at least 4. Raises KeyError where a weight is missing.
    """
    graph = _Graph(tensors)
    x = _head(graph, "features")
    x = graph.activate(
        graph.convolve(x, "xvector.tdnn.linear", strides=[2], pads=[2, 2]), "xvector.tdnn.nonlinear.batchnorm"
    )
    segments = _segments(graph, x)
    for block, (layers, dilation) in enumerate(BLOCKS, start=1):
        for layer in range(1, layers + 1):
            new = _masked_layer(graph, x, f"xvector.block{block}.tdnnd{layer}", dilation, segments)
            x = graph.add("Concat", x, new, axis=1)
        x = graph.activate(x, f"xvector.transit{block}.nonlinear.batchnorm")
        x = graph.convolve(x, f"xvector.transit{block}.linear")
    x = _statistics(graph, graph.activate(x, "xvector.out_nonlinear.batchnorm"))
    x = graph.normalise(graph.convolve(x, "xvector.dense.linear"), "xvector.dense.nonlinear.batchnorm")
    graph.finish("embedding", "Flatten", x)
    return graph.model(
        "campplus", {"features": ("batch", "frames", BANDS)}, {"embedding": ("batch", DIMENSION)}
    )
