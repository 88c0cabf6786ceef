"""Writes EdgeFace xs down as an ONNX graph, node by node, from its published weights.

EdgeFace ("EdgeFace: Efficient Face Recognition Model for Edge Devices", George et al., arXiv 2307.01838) is
the extra small EdgeNeXt ("EdgeNeXt: Efficiently Amalgamated CNN-Transformer Architecture for Mobile Vision
Applications", Maaz et al., arXiv 2206.10589) with an embedding in place of classes: four stages of
convolution blocks, and at the end of the last three a block that mixes pixels by split convolutions and
channels by cross-covariance attention. The checkpoint read here holds its linear layers in eight bits, one
scale a layer; they compute in float32, so that no embedding depends on its neighbours in a batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monitor.ml.graphs import Graph

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx
    from numpy.typing import NDArray

SIDE: Final = 112
"""Pixels of a crop's side."""

DIMENSION: Final = 512
"""Length of the embedding."""

HEADS: Final = 4
"""Heads of the attention between channels."""

EPSILON: Final = 1e-6
"""Added to a variance before a layer normalisation divides by its root."""

NO_LENGTH: Final = 1e-12
"""Least length that a query or key is divided by."""

WAVES: Final = 16
"""Waves of the positional encoding, a sine and a cosine each, for rows and as many for columns."""

LONGEST: Final = 10_000.0
"""What the lengths of the waves grow towards, each by the same factor; the shortest is the picture's side."""

GELU: Final = {"root_2": math.sqrt(2), "one": 1.0, "half": 0.5}
"""Constants of x / 2 (1 + erf(x / root 2))."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: pixels of its pictures' sides, channels, side of its kernels, convolution blocks.

    `splits`: into how many groups the block at its end splits the channels; 0 where there is no such block.
    `placed`: whether that block adds the positional encoding.
    """

    side: int
    channels: int
    kernel: int
    blocks: int
    splits: int = 0
    placed: bool = False


STAGES: Final = (
    Stage(28, 32, 3, 3),
    Stage(14, 64, 5, 2, splits=2, placed=True),
    Stage(7, 100, 7, 8, splits=3),
    Stage(3, 192, 9, 2, splits=4),
)
"""The extra small network for crops of 112 pixels (table 1 of EdgeNeXt)."""

_TO_LAST: Final = (0, 2, 3, 1)
_TO_FIRST: Final = (0, 3, 1, 2)
"""Orders of axes that put the channels last, for linear layers, and back, for convolutions."""


class _Graph(Graph):
    """Nodes of this network. Pictures go from method to method with their channels last."""

    def channels_first(self, x: str) -> str:
        return self.add("Transpose", x, perm=_TO_FIRST)

    def channels_last(self, x: str) -> str:
        return self.add("Transpose", x, perm=_TO_LAST)

    def normalise(self, x: str, name: str) -> str:
        weight, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.add("LayerNormalization", x, weight, bias, axis=-1, epsilon=EPSILON)

    def linear(self, x: str, name: str, gain: str = "") -> str:
        """A linear layer; its outputs times `gain`, where one is named."""
        weight, bias = self.tensors[f"{name}.weight"].T, self.tensors[f"{name}.bias"]
        if gain:
            weight, bias = weight * self.tensors[gain], bias * self.tensors[gain]
        product = self.add("MatMul", x, self.constant(f"{name}.weight", weight))
        return self.add("Add", product, self.constant(f"{name}.bias", bias))

    def activate(self, x: str) -> str:
        """GELU: x times the share of a normal distribution that lies below x."""
        root, one, half = (self.constant(n, np.array(v, np.float32)) for n, v in GELU.items())
        below = self.add("Add", self.add("Erf", self.add("Div", x, root)), one)
        return self.add("Mul", self.add("Mul", x, below), half)

    def perceive(self, x: str, name: str, gain: str) -> str:
        """The two linear layers at the end of every block."""
        return self.linear(self.activate(self.linear(x, f"{name}.fc1")), f"{name}.fc2", gain)

    def depthwise(self, x: str, name: str) -> str:
        """A convolution of every channel by itself; channels first."""
        channels, _, side, _ = self.tensors[f"{name}.weight"].shape
        return self.convolve(x, name, group=channels, pads=[side // 2] * 4)


def _convolution_block(graph: _Graph, x: str, name: str) -> str:
    y = graph.channels_last(graph.depthwise(graph.channels_first(x), f"{name}.conv_dw"))
    y = graph.perceive(graph.normalise(y, f"{name}.norm"), f"{name}.mlp", f"{name}.gamma")
    return graph.add("Add", x, y)


def _split_block(graph: _Graph, x: str, name: str, stage: Stage) -> str:
    """Section 3.2 of EdgeNeXt: the encoder of split depth-wise convolutions and transposed attention."""
    y = graph.channels_last(_cascade(graph, graph.channels_first(x), name, stage))
    y = graph.add("Reshape", y, graph.constant(f"{name}.pixels", np.array([0, -1, stage.channels])))
    if stage.placed:
        y = graph.add("Add", y, _places(graph, f"{name}.pos_embd.token_projection", stage))
    y = graph.add("Add", y, _attend(graph, graph.normalise(y, f"{name}.norm_xca"), name, stage))
    y = graph.perceive(graph.normalise(y, f"{name}.norm"), f"{name}.mlp", f"{name}.gamma")
    sides = graph.constant(f"{name}.sides", np.array([0, stage.side, stage.side, stage.channels]))
    return graph.add("Add", x, graph.add("Reshape", y, sides))


def _cascade(graph: _Graph, x: str, name: str, stage: Stage) -> str:
    """Convolve group after group of channels, each plus the result of the one before; leave the last."""
    width = -(-stage.channels // stage.splits)
    widths = [width] * (stage.splits - 1) + [stage.channels - width * (stage.splits - 1)]
    split = graph.constant(f"{name}.widths", np.array(widths))
    *groups, last = graph.add_many("Split", x, split, results=stage.splits, axis=1)
    done: list[str] = []
    for number, group in enumerate(groups):
        summed = graph.add("Add", done[-1], group) if done else group
        done.append(graph.depthwise(summed, f"{name}.convs.{number}"))
    return graph.add("Concat", *done, last, axis=1)


def _attend(graph: _Graph, x: str, name: str, stage: Stage) -> str:
    """Attention between channels: (batch, pixels, channels) to the same, mixed by what goes together."""
    thirds = graph.constant(f"{name}.thirds", np.array([stage.channels] * 3))
    x = graph.linear(x, f"{name}.xca.qkv")
    queries, keys, values = graph.add_many("Split", x, thirds, results=3, axis=-1)
    heads = graph.constant(f"{name}.heads", np.array([0, -1, HEADS, stage.channels // HEADS]))

    def by_head(part: str, *order: int) -> str:
        return graph.add("Transpose", graph.add("Reshape", part, heads), perm=order)

    keys = by_head(_to_length_1(graph, keys), 0, 2, 1, 3)
    scores = graph.add("MatMul", by_head(_to_length_1(graph, queries), 0, 2, 3, 1), keys)
    scores = graph.add("Mul", scores, graph.weight(f"{name}.xca.temperature"))
    y = graph.add("MatMul", graph.add("Softmax", scores, axis=-1), by_head(values, 0, 2, 3, 1))
    y = graph.add("Transpose", y, perm=[0, 3, 1, 2])
    y = graph.add("Reshape", y, f"{name}.pixels")
    return graph.linear(y, f"{name}.xca.proj", f"{name}.gamma_xca")


def _to_length_1(graph: _Graph, x: str) -> str:
    """Every channel, seen as a vector over the pixels, divided by its length."""
    length = graph.add("ReduceL2", x, axes=[1], keepdims=1)
    least = graph.constant("no_length", np.array(NO_LENGTH, np.float32))
    return graph.add("Div", x, graph.add("Max", length, least))


def _places(graph: _Graph, name: str, stage: Stage) -> str:
    """The positional encoding, projected to the channels of the stage: (1, pixels, channels)."""
    x = graph.constant(f"{name}.waves", _waves(stage.side))
    x = graph.channels_last(graph.convolve(x, name))
    pixels = graph.constant(f"{name}.pixels", np.array([0, -1, stage.channels]))
    return graph.add("Reshape", x, pixels)


def _waves(side: int) -> NDArray[np.float32]:
    """Sines and cosines of every pixel's row and column: (1, 4 x WAVES, side, side).

    Rows and columns count from 1 and end at one turn. First the waves along the rows' numbers, then those
    along the columns'; of every wave its sine and its cosine. Computed in double precision, so that rounding
    to float32 gives the same bytes everywhere.
    """
    turns = [2 * math.pi * (place + 1) / (side + EPSILON) for place in range(side)]
    lengths = [LONGEST ** (wave / WAVES) for wave in range(WAVES)]
    one_axis = [
        [wave(turn / length) for turn in turns] for length in lengths for wave in (math.sin, math.cos)
    ]
    along = np.array(one_axis, np.float32)
    rows, columns = along[:, :, None].repeat(side, 2), along[:, None].repeat(side, 1)
    return np.concatenate([rows, columns])[None]


def edgeface_graph(tensors: Mapping[str, NDArray[Any]]) -> onnx.ModelProto:
    """Build the network: `input` (batch, 3, 112, 112) float32 to `embedding` (batch, 512), not normalised.

    Raises KeyError where a weight is missing.
    """
    graph = _Graph({name.removeprefix("model."): tensor for name, tensor in tensors.items()})
    x = graph.channels_last(graph.convolve("input", "stem.0", strides=[4, 4]))
    x = graph.normalise(x, "stem.1")
    for number, stage in enumerate(STAGES):
        if number:
            down = f"stages.{number}.downsample"
            x = graph.channels_first(graph.normalise(x, f"{down}.0"))
            x = graph.channels_last(graph.convolve(x, f"{down}.1", strides=[2, 2]))
        for block in range(stage.blocks):
            x = _convolution_block(graph, x, f"stages.{number}.blocks.{block}")
        if stage.splits:
            x = _split_block(graph, x, f"stages.{number}.blocks.{stage.blocks}", stage)
    x = graph.add("Flatten", graph.add("GlobalAveragePool", graph.channels_first(x)))
    x = graph.normalise(x, "head.norm")
    weight, bias = graph.weight("head.fc.weight"), graph.weight("head.fc.bias")
    graph.finish("embedding", "Gemm", x, weight, bias, transB=1)
    return graph.model(
        "edgeface_xs", {"input": ("batch", 3, SIDE, SIDE)}, {"embedding": ("batch", DIMENSION)}
    )
