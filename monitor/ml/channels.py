"""Takes out of a voice's vector what the channel put in: telephone, codec, noise, room.

Only differences between vectors of the same words, as recorded and degraded, were looked at to learn how
channels move a vector, so no labels of speakers were needed. The directions in which they move it most are
shrunk, and the rest left as it is: within-class covariance normalisation (Hatch, Kajarekar and Stolcke,
Interspeech 2006) with its covariance shrunk towards a sphere, of which the strongest directions are kept.
`monitor/bench/channels.py` makes the file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monitor.errors import ConfigError
from monitor.ml.vectors import unit_rows

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable
    from pathlib import Path

    from numpy.typing import NDArray

LONGEST_GAIN: Final = 1.0
"""A direction is shrunk or left, never stretched."""


@dataclass(frozen=True, slots=True)
class ChannelMap:
    """What is taken off a vector and how much its directions are shrunk.

    `centre` is (d,) float32, the mean of undisturbed voices; `directions` (k, d) float32, at right angles, of
    length 1; `gains` (k,) float32 in (0, 1], what is left of each. `version` is written into the model's id:
    vectors of two maps never meet.

    Raises ValueError when the shapes do not fit, a number is not finite or a gain is not in (0, 1].
    """

    version: str
    centre: NDArray[np.float32]
    directions: NDArray[np.float32]
    gains: NDArray[np.float32]

    def __post_init__(self) -> None:
        fits = self.directions.shape == (len(self.gains), len(self.centre))
        finite = all(np.isfinite(a).all() for a in (self.centre, self.directions, self.gains))
        if not (fits and finite and ((self.gains > 0) & (self.gains <= LONGEST_GAIN)).all()):
            msg = "no channel map: shapes differ, a number is not finite, or a gain is not in (0, 1]"
            raise ValueError(msg)

    def __call__(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map (n, d) float32 of length 1 to (n, d) float32 of length 1."""
        moved = unit_rows(vectors) - self.centre
        along = moved @ self.directions.T
        return unit_rows(moved - (along * (1 - self.gains)) @ self.directions)


def learn(
    clean: NDArray[np.float32], moved: list[NDArray[np.float32]], shrinkage: float, kept: int
) -> ChannelMap:
    """Learn a map from the vectors of undisturbed voices, (n, d), and from how each channel moved them.

    `moved` has one (m, d) array of differences for each channel; all channels weigh the same. `shrinkage` is
    how much of a sphere, in mean variances, is added to the covariance of the differences; `kept` is how many
    directions are shrunk.
    """
    within = sum(d.T.astype(np.float64) @ d / len(d) for d in moved) / len(moved)
    variances, axes = np.linalg.eigh(within)
    strongest = np.argsort(variances)[::-1][:kept]
    sphere = shrinkage * float(np.mean(variances))
    gains = np.sqrt(sphere / (sphere + variances[strongest]))
    return ChannelMap(
        "learnt",
        clean.mean(axis=0).astype(np.float32),
        axes.T[strongest].astype(np.float32),
        gains.astype(np.float32),
    )


def read_channel_map(path: Path | Traversable) -> ChannelMap:
    """Read a file that `monitor/bench/channels.py` wrote. Raises ConfigError when it is not one."""
    try:
        words: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        numbers = [np.array(words[name], np.float32) for name in ("centre", "directions", "gains")]
        return ChannelMap(str(words["version"]), *numbers)
    except (OSError, ValueError, TypeError, KeyError) as exc:
        msg = f"{path} is no channel map"
        raise ConfigError(msg, hint="It comes with the program: install it again.") from exc


@cache
def shipped_channel_map() -> ChannelMap:
    """Read the map of CAM++ that comes with the program."""
    return read_channel_map(files("monitor.ml").joinpath("channel_maps", "campplus.json"))
