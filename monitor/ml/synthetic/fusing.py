"""Weighs the signals of one sighting together: a verdict in words, and what speaks strongest for and against.

A sighting is made if its face is, or its voice is, or the whole: so signals are counted in groups, and the
groups are alternatives. Within a group each signal counts with its weight, and for no more than its limit:
no weak signal carries a verdict. Everything is monotone: stronger evidence never lowers the verdict.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from monitor.values import Aspect, Assessment, Made

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from monitor.values import Signal

NOT_COVERED: Final = (
    "a real video in which the movements of the face were changed (reenactment)",
    "a real video in which only the mouth was changed to fit other words (lip-sync)",
    "a whole video made from a description (text-to-video)",
    "a picture made by programs that came after our measurements",
)
"""Ways to make a fake that no signal looks for. See `likeness bench synthetic` for those that are covered."""

UNKNOWN: Final = "weak"
"""What a signal without an entry of its own counts as: an operator's detector, say."""


@dataclass(frozen=True, slots=True)
class Share:
    """How one signal counts: in which group, with which weight, and between which bounds of its llr."""

    group: str
    weight: float
    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Fusion:
    """How signals are weighed. `possible` and `likely` are the sums from which the words are said.

    `decides` names, by aspect, the signals of which one at least must have spoken before "no sign was found"
    may be said of a sighting by that aspect.
    """

    version: str
    data_set: str
    date: str
    possible: float
    likely: float
    shares: Mapping[str, Share]
    decides: Mapping[Aspect, frozenset[str]]


@cache
def shipped_fusion() -> Fusion:
    """Read the weights that come with the program."""
    text = files("monitor.ml.synthetic").joinpath("heads/fusion.json").read_text("utf-8")
    return read_fusion(json.loads(text))


def read_fusion(said: Mapping[str, Any]) -> Fusion:
    """Read weights from JSON. Raises KeyError, TypeError or ValueError where they are none."""
    shares = {name: Share(**one) for name, one in said["shares"].items()}
    if UNKNOWN not in shares or any(share.weight < 0 for share in shares.values()):
        msg = "a fusion has a share for signals that it does not know, and no negative weight"
        raise ValueError(msg)
    decides = {Aspect(aspect): frozenset(names) for aspect, names in said["decides"].items()}
    return Fusion(
        said["version"], said["data_set"], said["date"], said["possible"], said["likely"], shares, decides
    )


def fuse(signals: Sequence[Signal], found_by: Iterable[Aspect], fusion: Fusion) -> Assessment:
    """Weigh the signals of one sighting. `found_by`: the subject was found by face, by voice, or by both."""
    counted = {s.name: counts(s, fusion) for s in signals if s.llr is not None and not s.shown_only}
    strong = [s.llr for s in signals if s.llr is not None and s.strong and not s.shown_only]
    llr = together(counted, strong, fusion)
    made = _word(llr, fusion)
    if made is Made.NO_SIGN and not strong and not _looked(counted, found_by, fusion):
        made, llr = Made.CANNOT_TELL, None
    return Assessment(
        made=made,
        llr=llr,
        signals=tuple(signals),
        supports=max((n for n, v in counted.items() if v > 0), key=counted.__getitem__, default=""),
        opposes=min((n for n, v in counted.items() if v < 0), key=counted.__getitem__, default=""),
        not_covered=NOT_COVERED,
        thresholds=(fusion.possible, fusion.likely),
        version=fusion.version,
    )


def counts(signal: Signal, fusion: Fusion) -> float:
    """Give what a signal counts for: its llr times its weight, within its bounds; a strong one as it is."""
    assert signal.llr is not None  # noqa: S101 - the caller left out what says nothing
    if signal.strong:
        return signal.llr
    share = _share(signal.name, fusion)
    return min(share.most, max(share.least, signal.llr * share.weight))


def together(counted: Mapping[str, float], strong: Sequence[float], fusion: Fusion) -> float | None:
    """Weigh what each signal counts for; None where none said anything.

    The sum of a group is one alternative; the alternatives are averaged as likelihood ratios, since each
    is as likely before anybody looked. What a strong signal says stands over that, the stronger of both.
    """
    groups: dict[str, float] = {}
    for name, value in counted.items():
        group = _share(name, fusion).group
        groups[group] = groups.get(group, 0.0) + value
    if not groups:
        return None
    most = max(groups.values())
    mean = most + math.log(sum(math.exp(v - most) for v in groups.values()) / len(groups))
    for_it, against = max(strong, default=0.0), min(strong, default=0.0)
    return max(mean, for_it) if for_it > 0 else mean + against


def _share(name: str, fusion: Fusion) -> Share:
    return fusion.shares.get(name, fusion.shares[UNKNOWN])


def _word(llr: float | None, fusion: Fusion) -> Made:
    if llr is None:
        return Made.CANNOT_TELL
    if llr >= fusion.likely:
        return Made.LIKELY
    return Made.POSSIBLE if llr >= fusion.possible else Made.NO_SIGN


def _looked(counted: Mapping[str, float], found_by: Iterable[Aspect], fusion: Fusion) -> bool:
    """Say whether each aspect by which the subject was found had a signal that speaks of it."""
    return all(fusion.decides.get(aspect, frozenset()).intersection(counted) for aspect in found_by)
