"""AASIST in PyTorch, for comparison: the network of the paper, with the names of the authors' weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


def network(tensors: Mapping[str, NDArray[Any]]) -> AASIST:
    """Give the network with these weights. Raises RuntimeError where one is missing, or is too many."""
    made = AASIST().eval()
    made.load_state_dict(
        {name: torch.from_numpy(np.array(one)) for name, one in tensors.items()}, strict=True
    )
    return made


def _normalised(norm: nn.BatchNorm1d, x: Tensor) -> Tensor:
    return functional.selu(norm(x.reshape(-1, x.shape[-1])).view_as(x))


class Block(nn.Module):
    """One residual block."""

    def __init__(self, wide: int, out: int, *, first: bool = False) -> None:
        """Make its layers."""
        super().__init__()
        if not first:
            self.bn1 = nn.BatchNorm2d(wide)  # in the checkpoint, and not used
        self.conv1 = nn.Conv2d(wide, out, (2, 3), padding=(1, 1))
        self.bn2 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, (2, 3), padding=(0, 1))
        if wide != out:
            self.conv_downsample = nn.Conv2d(wide, out, (1, 3), padding=(0, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Compute."""
        y = self.conv2(functional.selu(self.bn2(self.conv1(x))))
        if hasattr(self, "conv_downsample"):
            x = self.conv_downsample(x)
        return functional.max_pool2d(y + x, (1, 3))


class Attention(nn.Module):
    """Graph attention within one graph."""

    def __init__(self, wide: int) -> None:
        """Make its layers."""
        super().__init__()
        self.att_proj, self.att_weight = nn.Linear(wide, wide), nn.Parameter(torch.zeros(wide, 1))
        self.proj_with_att, self.proj_without_att = nn.Linear(wide, wide), nn.Linear(wide, wide)
        self.bn = nn.BatchNorm1d(wide)

    def forward(self, x: Tensor) -> Tensor:
        """Compute."""
        scores = torch.tanh(self.att_proj(x.unsqueeze(2) * x.unsqueeze(1))) @ self.att_weight
        attention = functional.softmax(scores / 2, dim=-2).squeeze(-1)
        return _normalised(self.bn, self.proj_with_att(attention @ x) + self.proj_without_att(x))


class Joint(nn.Module):
    """Attention between two graphs, and of the node that attends to all."""

    def __init__(self, wide: int, out: int) -> None:
        """Make its layers."""
        super().__init__()
        self.proj_type1, self.proj_type2 = nn.Linear(wide, wide), nn.Linear(wide, wide)
        for name in ("att_proj", "att_projM"):
            setattr(self, name, nn.Linear(wide, out))
        for name in ("proj_with_att", "proj_without_att", "proj_with_attM", "proj_without_attM"):
            setattr(self, name, nn.Linear(wide, out))
        for kind in ("11", "22", "12", "M"):
            setattr(self, f"att_weight{kind}", nn.Parameter(torch.zeros(out, 1)))
        self.bn = nn.BatchNorm1d(out)

    def forward(self, first: Tensor, second: Tensor, master: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute."""
        cut = first.shape[1]
        x = torch.cat([self.proj_type1(first), self.proj_type2(second)], 1)
        pairs = torch.tanh(self.att_proj(x.unsqueeze(2) * x.unsqueeze(1)))
        board = torch.zeros_like(pairs[..., :1])
        board[:, :cut, :cut] = pairs[:, :cut, :cut] @ self.att_weight11
        board[:, cut:, cut:] = pairs[:, cut:, cut:] @ self.att_weight22
        board[:, :cut, cut:] = pairs[:, :cut, cut:] @ self.att_weight12
        board[:, cut:, :cut] = pairs[:, cut:, :cut] @ self.att_weight12
        attention = functional.softmax(board / 100, dim=-2).squeeze(-1)
        told = functional.softmax(torch.tanh(self.att_projM(x * master)) @ self.att_weightM / 100, dim=-2)
        master = self.proj_with_attM(told.transpose(1, 2) @ x) + self.proj_without_attM(master)
        x = _normalised(self.bn, self.proj_with_att(attention @ x) + self.proj_without_att(x))
        return x[:, :cut], x[:, cut:], master


class Pool(nn.Module):
    """Keeps the nodes with the highest scores."""

    def __init__(self, wide: int, share: float) -> None:
        """Make its layer."""
        super().__init__()
        self.proj, self.share = nn.Linear(wide, 1), share

    def forward(self, x: Tensor) -> Tensor:
        """Compute."""
        scores = torch.sigmoid(self.proj(x))
        best = torch.topk(scores, max(int(x.shape[1] * self.share), 1), dim=1)[1]
        return torch.gather(x * scores, 1, best.expand(-1, -1, x.shape[2]))


class AASIST(nn.Module):
    """The whole network."""

    def __init__(self) -> None:
        """Make its layers."""
        super().__init__()
        self.first_bn = nn.BatchNorm2d(1)
        blocks = (Block(1, 32, first=True), Block(32, 32), Block(32, 64), *(Block(64, 64) for _ in range(3)))
        self.encoder = nn.Sequential(*(nn.Sequential(block) for block in blocks))
        self.pos_S = nn.Parameter(torch.zeros(1, 23, 64))
        self.GAT_layer_S, self.GAT_layer_T = Attention(64), Attention(64)
        self.pool_S, self.pool_T = Pool(64, 0.5), Pool(64, 0.7)
        for branch in "12":
            setattr(self, f"master{branch}", nn.Parameter(torch.zeros(1, 1, 64)))
            setattr(self, f"HtrgGAT_layer_ST{branch}1", Joint(64, 32))
            setattr(self, f"HtrgGAT_layer_ST{branch}2", Joint(32, 32))
            setattr(self, f"pool_hS{branch}", Pool(32, 0.5))
            setattr(self, f"pool_hT{branch}", Pool(32, 0.5))
        self.out_layer = nn.Linear(160, 2)

    def forward(self, samples: Tensor, filters: Tensor) -> Tensor:
        """Compute the two logits of (batch, 64600) samples with (70, 1, 129) filters."""
        x = functional.conv1d(samples.unsqueeze(1), filters).unsqueeze(1).abs()
        x = self.encoder(functional.selu(self.first_bn(functional.max_pool2d(x, (3, 3))))).abs()
        bands = self.pool_S(self.GAT_layer_S(x.max(3)[0].transpose(1, 2) + self.pos_S))
        moments = self.pool_T(self.GAT_layer_T(x.max(2)[0].transpose(1, 2)))
        pairs = zip(self._branch(moments, bands, "1"), self._branch(moments, bands, "2"), strict=True)
        moments, bands, master = (torch.max(one, other) for one, other in pairs)
        parts = [moments.abs().max(1)[0], moments.mean(1), bands.abs().max(1)[0], bands.mean(1)]
        return self.out_layer(torch.cat([*parts, master.squeeze(1)], 1))

    def _branch(self, moments: Tensor, bands: Tensor, number: str) -> tuple[Tensor, Tensor, Tensor]:
        def layer(name: str) -> Any:
            return getattr(self, name + number)

        master = layer("master").expand(len(moments), -1, -1)
        first, second = (getattr(self, f"HtrgGAT_layer_ST{number}{place}") for place in "12")
        moments, bands, master = first(moments, bands, master)
        bands, moments = layer("pool_hS")(bands), layer("pool_hT")(moments)
        more = second(moments, bands, master)
        return moments + more[0], bands + more[1], master + more[2]
