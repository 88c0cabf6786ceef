"""The error curves of the bench of voices: misses against false alarms, by channel and by noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.bench.plots import Curve, Mark, Picture, draw, thinned
from monitor.bench.voices_trials import det, equal_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.bench.voices_trials import Trials
    from monitor.ml.interfaces import Thresholds

PICTURES: Final = {
    "channels": ("clean", "telephone", "mp3_32k", "opus_12k"),
    "noise": ("clean", "noise_20db", "noise_10db", "noise_5db"),
}
"""Name of a picture -> the conditions whose curves it holds: four can be told apart."""

MOST: Final = 0.5
"""Rates beyond this say nothing that anybody would use."""


def curves(
    trials: Mapping[str, Trials], thresholds: Thresholds, seconds: int, data_set: str
) -> dict[str, bytes]:
    """Draw the conditions for which there are genuine and impostor trials of this many seconds."""
    files: dict[str, bytes] = {}
    for name, conditions in PICTURES.items():
        some = {one: trials[one] for one in conditions if one in trials}
        if some:
            picture = _picture(some, thresholds, f"Voices, {seconds} s of speech, {name}: {data_set}")
            files |= draw(picture, f"voices-det-{seconds}s-{name}")
    return files


def _picture(trials: Mapping[str, Trials], thresholds: Thresholds, title: str) -> Picture:
    name, first = next(iter(trials.items()))
    marks = [
        _mark(f"{band}, {name}", first, cosine)
        for band, cosine in (("alert", thresholds.alert), ("review", thresholds.review))
    ]
    said = [
        f"{one}: equal error rate {100 * equal_error(t.genuine, t.impostor):.2g} % of "
        f"{len(t.genuine):,} genuine and {len(t.impostor):,} impostor trials."
        for one, t in trials.items()
    ]
    said += [
        f"At the threshold {m.label}, {100 * m.missed:.2g} % are missed and {100 * m.false:.2g} % of "
        "strangers pass."
        for m in marks
    ]
    axes = ("false match rate (impostor trials)", "false non-match rate (genuine trials)")
    return Picture(title, *axes, [_curve(one, t) for one, t in trials.items()], marks, " ".join(said))


def _curve(label: str, trials: Trials) -> Curve:
    missed, false = det(trials.genuine, trials.impostor)
    shown = np.flatnonzero((false < MOST) & (missed < MOST))
    places = shown[thinned(false[shown], missed[shown])]
    return Curve(label, false[places], missed[places])


def _mark(label: str, trials: Trials, cosine: float) -> Mark:
    false, missed = (trials.impostor >= cosine).mean(), (trials.genuine < cosine).mean()
    return Mark(label, float(false), float(missed))
