"""The curves of the bench of faces: pairs against pairs, and looks of the enrolled against strangers'."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.bench.plots import Curve, Mark, Picture, draw, thinned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from monitor.bench.identification import Looks
    from monitor.bench.verification import CountedPairs
    from monitor.ml.interfaces import Thresholds

SHOWN_RATES: Final = (1e-5, 1e-4, 1e-3, 1e-2)
"""Rates of false alarms that the words of a curve name, where they were measured."""

THRESHOLDS: Final = np.linspace(-0.2, 1.0, 2401)
"""Cosines at which a curve is taken before it is thinned."""

MOST_MISSED: Final = 0.5
"""Beyond this a curve says nothing that anybody would use."""


def verification(
    ways: Mapping[str, CountedPairs], thresholds: Thresholds, about: str, name: str
) -> dict[str, bytes]:
    """Draw FNMR against FMR for each way of counting pairs, and for the first way also by person."""
    first = next(iter(ways.values()))
    curves = [_curve(label, pairs.far_at(THRESHOLDS), _missed(pairs)) for label, pairs in ways.items()]
    curves.insert(1, _curve("mean of people", first.far_at(THRESHOLDS), _missed(first, by_person=True)))
    marks = [
        Mark(f"{band} {cosine:.3g}", float(first.far_at(np.array([cosine]))[0]), _missed_at(first, cosine))
        for band, cosine in (("alert", thresholds.alert), ("review", thresholds.review))
    ]
    title = f"Faces, all against all: {about}"
    axes = ("false match rate (pairs of two people)", "false non-match rate (pairs of one person)")
    return draw(Picture(title, *axes, curves, marks, _words(curves, marks)), name)


def identification(
    looks: Mapping[int, Sequence[Looks]], thresholds: Thresholds, about: str, name: str
) -> dict[str, bytes]:
    """Draw FNIR against FPIR for each number of samples enrolled; gives nothing where nobody was enrolled."""
    known = {samples: some for samples, some in looks.items() if some and len(some[0].mated)}
    if not known:
        return {}
    curves = [
        _curve(f"{samples} enrolled picture{'s' * (samples > 1)}", *_rates(some, THRESHOLDS))
        for samples, some in known.items()
    ]
    marks = []
    for band, cosine in (("alert", thresholds.alert), ("review", thresholds.review)):
        false, missed = _rates(next(iter(known.values())), np.array([cosine]))
        marks.append(Mark(f"{band} {cosine:.3g}", float(false[0]), float(missed[0])))
    title = f"Faces, open set: {about}"
    axes = ("false positive identification rate (FPIR)", "false negative identification rate (FNIR)")
    return draw(Picture(title, *axes, curves, marks, _words(curves, marks)), name)


def _curve(label: str, false: NDArray[np.float64], missed: NDArray[np.float64]) -> Curve:
    """Thin a curve out to the part that says something: some false alarms, not too many misses."""
    shown = np.flatnonzero((false > 0) & (missed < MOST_MISSED) & (false < MOST_MISSED))
    if not len(shown):
        return Curve(label, false[:1], missed[:1])
    places = shown[thinned(false[shown], missed[shown])]
    return Curve(label, false[places], missed[places])


def _missed(pairs: CountedPairs, *, by_person: bool = False) -> NDArray[np.float64]:
    """Share of genuine pairs below each of THRESHOLDS, or the mean of each person's share."""
    order = np.argsort(pairs.genuine)
    weights = np.ones(len(order))
    if by_person:
        tries = np.bincount(pairs.persons)
        weights = 1 / tries[pairs.persons[order]]
    below = np.concatenate([[0.0], np.cumsum(weights)]) / weights.sum()
    shares: NDArray[np.float64] = below[np.searchsorted(pairs.genuine[order], THRESHOLDS)]
    return shares


def _missed_at(pairs: CountedPairs, cosine: float) -> float:
    return float((pairs.genuine < cosine).mean())


def _rates(
    looks: Sequence[Looks], thresholds: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    strangers = np.sort(np.concatenate([gallery.strangers for gallery in looks]))
    right = np.sort(np.concatenate([np.where(g.right, g.mated, np.float32(-1)) for g in looks]))
    false = 1 - np.searchsorted(strangers, thresholds) / max(1, len(strangers))
    return false, np.searchsorted(right, thresholds) / len(right)


def _words(curves: Sequence[Curve], marks: Sequence[Mark]) -> str:
    """Say in sentences what the curves show."""
    said = ["Error curves: misses fall as more false alarms are allowed."]
    for curve in curves:
        order = np.argsort(curve.false)
        places = [
            f"{100 * np.interp(rate, curve.false[order], curve.missed[order]):.2g} % are missed at "
            f"{100 * rate:g} % false alarms"
            for rate in SHOWN_RATES
            if curve.false.min() <= rate <= curve.false.max()
        ]
        said.append(f"{curve.label}: {', '.join(places) or 'too few pairs to say'}.")
    said += [
        f"At the threshold {mark.label}, {100 * mark.missed:.2g} % are missed at {100 * mark.false:.2g} % "
        "false alarms."
        for mark in marks
    ]
    return " ".join(said)
