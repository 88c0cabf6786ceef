"""Writes AASIST down as an ONNX graph, node by node, from its published weights.

AASIST ("AASIST: Audio Anti-Spoofing using Integrated Spectro-Temporal Graph Attention Networks", Jung et al.,
ICASSP 2022, arXiv 2110.01200) tells genuine speech from synthetic: fixed band-pass filters over the raw
samples, residual blocks of convolutions, one graph over bands and one over time, and two branches of layers
that join the two graphs with a node that attends to all others. The authors' checkpoints name every weight;
the filters, which are not learnt, are computed here. Two trainings are read, which differ in nothing else:
that on ASVspoof 2019 (clovaai/aasist) and that on ASVspoof 5 (asvspoof-challenge/asvspoof5).

As in the authors' program, and unlike the paper's figure, the first convolution of a residual block takes the
block's input as it is, not normalised. With the normalised one the weights give no sense.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monitor.errors import WeightsDiffer
from monitor.ml.graphs import Graph

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx
    from numpy.typing import NDArray

SAMPLES: Final = 64_600
"""Samples of the input at 16 kHz: 4.04 s (section 4.2)."""

RATE: Final = 16_000

FILTERS, TAPS = 70, 129
"""Band-pass filters (section 3.1), and samples of each; the program makes the paper's 128 odd."""

BLOCKS: Final = 6
"""Residual blocks of the encoder."""

BANDS, MOMENTS = 23, 29
"""Nodes of the two graphs: what is left of the filters and of the samples after pooling by three."""

KEPT_BANDS, KEPT_MOMENTS = 11, 20
"""Nodes that the first pooling keeps: 0.5 of the bands and 0.7 of the moments."""

KEPT: Final = 0.5
"""Share of both kinds of nodes that each branch keeps."""

COOL, WARM = 2.0, 100.0
"""Temperatures of the attention within one graph, and of that between the two."""

EPSILON: Final = 1e-5
"""Added to a variance by a batch normalisation."""

_UNUSED: Final = ("num_batches_tracked", ".bn1.")
"""Parts of names of weights that are not needed: counters, and what normalises an input that is not used."""


class _Asked(dict[str, "NDArray[Any]"]):
    """Weights by name, and which of them were taken."""

    def __init__(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        super().__init__(tensors)
        self.taken: set[str] = set()

    def __getitem__(self, name: str) -> NDArray[Any]:
        self.taken.add(name)
        return super().__getitem__(name)


class _Graph(Graph):
    """Nodes of this network. Graphs of sound go from method to method as (batch, nodes, channels)."""

    def normalise(self, x: str, name: str) -> str:
        """Normalise by the statistics of the training; channels are the second axis."""
        names = ("weight", "bias", "running_mean", "running_var")
        return self.add(
            "BatchNormalization", x, *(self.weight(f"{name}.{n}") for n in names), epsilon=EPSILON
        )

    def axes(self, *places: int) -> str:
        return self.constant("axes_" + "_".join(map(str, places)), np.array(places))

    def swapped(self, x: str) -> str:
        return self.add("Transpose", x, perm=[0, 2, 1])

    def linear(self, x: str, name: str) -> str:
        weight = self.constant(f"{name}.weight.T", self.tensors[f"{name}.weight"].T)
        return self.add("Add", self.add("MatMul", x, weight), self.weight(f"{name}.bias"))

    def cooled(self, x: str, temperature: float, axis: int) -> str:
        """Attention weights of scores: they sum to one along an axis."""
        by = self.constant(f"temperature_{temperature:g}", np.array(temperature, np.float32))
        return self.add("Softmax", self.add("Div", x, by), axis=axis)

    def pairs(self, x: str, name: str) -> str:
        """What two nodes have in common, for each pair: (batch, nodes, nodes, channels)."""
        one = self.add("Unsqueeze", x, self.axes(2))
        other = self.add("Unsqueeze", x, self.axes(1))
        return self.add("Tanh", self.linear(self.add("Mul", one, other), f"{name}.att_proj"))

    def joined(self, attention: str, x: str, own: str, name: str, suffix: str = "") -> str:
        """Project what the attention gathers of `x`, and what the nodes had: the sum."""
        gathered = self.linear(self.add("MatMul", attention, x), f"{name}.proj_with_att{suffix}")
        return self.add("Add", gathered, self.linear(own, f"{name}.proj_without_att{suffix}"))

    def activated(self, x: str, name: str) -> str:
        return self.add("Selu", self.swapped(self.normalise(self.swapped(x), f"{name}.bn")))

    def kept(self, x: str, name: str, nodes: int) -> str:
        """Graph pooling (section 3.2.3): the nodes of the highest scores, times their scores."""
        scores = self.add("Sigmoid", self.linear(x, f"{name}.proj"))
        count = self.constant(f"count_{nodes}", np.array([nodes]))
        _, best = self.add_many("TopK", scores, count, results=2, axis=1)
        weighed = self.add("Mul", x, scores)
        width = self.tensors[f"{name}.proj.weight"].shape[1]
        shape = self.constant(f"wide_{nodes}_{width}", np.array([1, 1, width]))
        return self.add("GatherElements", weighed, self.add("Expand", best, shape), axis=1)


def band_passes() -> NDArray[np.float32]:
    """The filters: (FILTERS, 1, TAPS), each as wide on the mel scale, windowed by Hamming's window."""
    top = 2595 * math.log10(1 + RATE / 2 / 700)
    edges = [700 * (10 ** (top * place / FILTERS / 2595) - 1) for place in range(FILTERS + 1)]
    middle = (TAPS - 1) // 2

    def low_pass(edge: float, at: int) -> float:
        x = math.pi * 2 * edge * at / RATE
        return 2 * edge / RATE * (math.sin(x) / x if x else 1.0)

    made = [
        [
            (0.54 - 0.46 * math.cos(2 * math.pi * tap / (TAPS - 1)))
            * (low_pass(above, tap - middle) - low_pass(below, tap - middle))
            for tap in range(TAPS)
        ]
        for below, above in pairwise(edges)
    ]
    return np.array(made, np.float32)[:, None]


def _encoded(graph: _Graph) -> str:
    """Filters and residual blocks: (batch, SAMPLES) to (batch, channels, BANDS, MOMENTS)."""
    x = graph.add("Unsqueeze", "samples", graph.axes(1))
    x = graph.add("Abs", graph.add("Conv", x, graph.constant("filters", band_passes())))
    x = graph.add("MaxPool", graph.add("Unsqueeze", x, graph.axes(1)), kernel_shape=[3, 3], strides=[3, 3])
    x = graph.add("Selu", graph.normalise(x, "first_bn"))
    for block in range(BLOCKS):
        name = f"encoder.{block}.0"
        y = graph.convolve(x, f"{name}.conv1", pads=[1, 1, 1, 1])
        y = graph.add("Selu", graph.normalise(y, f"{name}.bn2"))
        y = graph.convolve(y, f"{name}.conv2", pads=[0, 1, 0, 1])
        if f"{name}.conv_downsample.weight" in graph.tensors:
            x = graph.convolve(x, f"{name}.conv_downsample", pads=[0, 1, 0, 1])
        x = graph.add("MaxPool", graph.add("Add", y, x), kernel_shape=[1, 3], strides=[1, 3])
    return graph.add("Abs", x)


def _attended(graph: _Graph, x: str, name: str) -> str:
    """Graph attention within one graph (section 3.2.1)."""
    scores = graph.add("MatMul", graph.pairs(x, name), graph.weight(f"{name}.att_weight"))
    attention = graph.add("Squeeze", graph.cooled(scores, COOL, 2), graph.axes(3))
    return graph.activated(graph.joined(attention, x, x, name), name)


def _joint(
    graph: _Graph, nodes: tuple[str, str, str], name: str, counts: tuple[int, int]
) -> tuple[str, str, str]:
    """Attention between both graphs, and of the node that attends to all (sections 3.3.1 and 3.3.2).

    `nodes` are both graphs, that of time first, and that node; `counts` how many the graphs have.
    """
    moments, bands, master = nodes
    moments, bands = graph.linear(moments, f"{name}.proj_type1"), graph.linear(bands, f"{name}.proj_type2")
    x = graph.add("Concat", moments, bands, axis=1)
    heads = [f"{name}.att_weight{pair}" for pair in ("11", "22", "12")]
    weights = graph.constant(
        f"{name}.att_weights", np.concatenate([graph.tensors[head] for head in heads], axis=1)
    )
    scores = graph.add("MatMul", graph.pairs(x, name), weights)
    scores = graph.add(
        "ReduceSum", graph.add("Mul", scores, _kinds(graph, counts)), graph.axes(3), keepdims=0
    )
    told = graph.linear(graph.add("Mul", x, master), f"{name}.att_projM")
    told = graph.add("MatMul", graph.add("Tanh", told), graph.weight(f"{name}.att_weightM"))
    told = graph.swapped(graph.cooled(told, WARM, 1))
    master = graph.joined(told, x, master, name, "M")
    x = graph.activated(graph.joined(graph.cooled(scores, WARM, 2), x, x, name), name)
    sizes = graph.constant("nodes_{}_{}".format(*counts), np.array(counts))
    first, second = graph.add_many("Split", x, sizes, results=2, axis=1)
    return first, second, master


def _kinds(graph: _Graph, counts: tuple[int, int]) -> str:
    """Which of the three weights a pair of nodes has: (1, nodes, nodes, 3), ones and zeros."""
    first = np.arange(sum(counts)) < counts[0]
    both, neither = first[:, None] & first, ~first[:, None] & ~first
    kinds = np.stack([both, neither, ~(both | neither)], axis=-1)[None].astype(np.float32)
    return graph.constant("kinds_{}_{}".format(*counts), kinds)


def _branch(graph: _Graph, moments: str, bands: str, number: int) -> tuple[str, str, str]:
    """One of the two branches: joint attention, pooling, joint attention, and the sum of both."""
    first, second = f"HtrgGAT_layer_ST{number}1", f"HtrgGAT_layer_ST{number}2"
    master = graph.weight(f"master{number}")
    counts = (KEPT_MOMENTS, KEPT_BANDS)
    moments, bands, master = _joint(graph, (moments, bands, master), first, counts)
    counts = (int(KEPT_MOMENTS * KEPT), int(KEPT_BANDS * KEPT))
    bands = graph.kept(bands, f"pool_hS{number}", counts[1])
    moments = graph.kept(moments, f"pool_hT{number}", counts[0])
    more = _joint(graph, (moments, bands, master), second, counts)
    moments, bands, master = (
        graph.add("Add", old, new) for old, new in zip((moments, bands, master), more, strict=True)
    )
    return moments, bands, master


def _summed_up(graph: _Graph, x: str) -> list[str]:
    """The largest and the mean over all nodes: (batch, channels) each."""
    largest = graph.add("ReduceMax", graph.add("Abs", x), axes=[1], keepdims=0)
    return [largest, graph.add("ReduceMean", x, axes=[1], keepdims=0)]


def aasist_graph(tensors: Mapping[str, NDArray[Any]]) -> onnx.ModelProto:
    """Build the network: `samples` (batch, SAMPLES) float32 in [-1, 1] to `logits` (batch, 2).

    The second logit less the first is the higher, the more genuine. Raises KeyError where a weight is
    missing, WeightsDiffer where there is one that the network has no place for.
    """
    asked = _Asked(tensors)
    graph = _Graph(asked)
    x = _encoded(graph)
    bands = graph.swapped(graph.add("ReduceMax", x, axes=[3], keepdims=0))
    bands = graph.add("Add", bands, graph.weight("pos_S"))
    moments = graph.swapped(graph.add("ReduceMax", x, axes=[2], keepdims=0))
    bands = graph.kept(_attended(graph, bands, "GAT_layer_S"), "pool_S", KEPT_BANDS)
    moments = graph.kept(_attended(graph, moments, "GAT_layer_T"), "pool_T", KEPT_MOMENTS)
    branches = zip(_branch(graph, moments, bands, 1), _branch(graph, moments, bands, 2), strict=True)
    moments, bands, master = (graph.add("Max", one, other) for one, other in branches)
    master = graph.add("Squeeze", master, graph.axes(1))
    parts = graph.add("Concat", *_summed_up(graph, moments), *_summed_up(graph, bands), master, axis=1)
    weight, bias = graph.weight("out_layer.weight"), graph.weight("out_layer.bias")
    graph.finish("logits", "Gemm", parts, weight, bias, transB=1)
    _must_be_all(asked)
    return graph.model("aasist", {"samples": ("batch", SAMPLES)}, {"logits": ("batch", 2)})


def _must_be_all(asked: _Asked) -> None:
    """Raise WeightsDiffer where a weight was not asked for: it is another network's checkpoint."""
    left = [name for name in asked if name not in asked.taken and not any(part in name for part in _UNUSED)]
    if left:
        msg = f"the checkpoint holds {left[0]}, for which AASIST has no place"
        raise WeightsDiffer(msg)
