"""What was found of a sighting being made by a computer, as JSON values: in full, and in short.

The full form is part of the evidence (stages/evidence.py) and of the file that a person can save; its shape
is told in alerts/README.md. The short form is for lists and programs: no picture, no place in a face, and
nothing that was said.
"""

from __future__ import annotations

import base64
import hashlib
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from monitor.values import Abstention

if TYPE_CHECKING:
    from monitor.values import Assessment, Heat, Moment, Plate, Signal

FORMAT: Final = "likeness-explanation/1"
"""Name and version of the full form. A new key keeps the version; another meaning of one raises it."""

MOST_PLATES: Final = 6
"""Pictures kept of one signal. More of them show the same again."""


def without_pictures(assessment: Assessment) -> Assessment:
    """Give an assessment as it is stored with a finding; its pictures are in the evidence alone."""
    found = sound(assessment)
    return replace(found, signals=tuple(replace(one, plates=()) for one in found.signals))


def captions(assessment: Assessment) -> tuple[tuple[str, str], ...]:
    """Give (signal, what is to be seen) of every picture in the evidence, in its order."""
    return tuple((one.name, plate.says) for one in sound(assessment).signals for plate in one.plates)


def sound(assessment: Assessment) -> Assessment:
    """Give an assessment that can be stored: a number that is none makes its signal one that failed."""
    llr = assessment.llr if _is_number(assessment.llr) else None
    return replace(assessment, llr=llr, signals=tuple(_sound(one) for one in assessment.signals))


def explanation(assessment: Assessment) -> dict[str, Any]:
    """Say everything as JSON values, with pictures as base64 of JPEG and their SHA-256."""
    found = sound(assessment)
    limits = found.thresholds
    return {
        "format": FORMAT,
        "verdict": found.made.value,
        "llr": _rounded(found.llr),
        "thresholds": {"possible": limits[0], "likely": limits[1]} if limits else None,
        "version": found.version,
        "supports": found.supports,
        "opposes": found.opposes,
        "signals": [_signal(one) for one in found.signals],
        "not_covered": list(found.not_covered),
        "transcript": {
            "language": found.language,
            "said": [
                {"start_s": s.span.start_s, "end_s": s.span.end_s, "text": s.text, "subject": s.subject}
                for s in found.said
            ],
        },
    }


def brief(assessment: Assessment) -> dict[str, Any]:
    """Say the verdict and what each signal gave or why it gave nothing, and nothing of the person."""
    found = sound(assessment)
    return {
        "verdict": found.made.value,
        "llr": _rounded(found.llr),
        "thresholds": list(found.thresholds) if found.thresholds else None,
        "version": found.version,
        "supports": found.supports,
        "opposes": found.opposes,
        "signals": [
            {"name": s.name, "version": s.version, "llr": _rounded(s.llr), "abstains": s.abstains}
            for s in found.signals
        ],
    }


def _signal(signal: Signal) -> dict[str, Any]:
    return {
        "name": signal.name,
        "version": signal.version,
        "aspect": signal.aspect.value,
        "llr": _rounded(signal.llr),
        "abstains": signal.abstains,
        "reasons": list(signal.reasons),
        "moments": [_moment(one) for one in signal.moments],
        "heats": [_heat(one) for one in signal.heats],
        "look_for": list(signal.look_for),
        "limits": signal.limits,
        "strong": signal.strong,
        "shown_only": signal.shown_only,
        "plates": [_plate(one) for one in signal.plates],
    }


def _moment(moment: Moment) -> dict[str, float | None]:
    return {"start_s": moment.span.start_s, "end_s": moment.span.end_s, "llr": _rounded(moment.llr)}


def _heat(heat: Heat) -> dict[str, Any]:
    box = [round(v, 1) for v in (heat.box.x0, heat.box.y0, heat.box.x1, heat.box.y1)]
    return {"at_s": heat.at_s, "box": box, "cells": [list(row) for row in heat.cells]}


def _plate(plate: Plate) -> dict[str, str]:
    return {
        "jpeg": base64.b64encode(plate.jpeg).decode(),
        "sha256": hashlib.sha256(plate.jpeg).hexdigest(),
        "says": plate.says,
    }


def _sound(signal: Signal) -> Signal:
    moments = tuple(
        m for m in signal.moments if all(map(math.isfinite, (m.llr, m.span.start_s, m.span.end_s)))
    )
    whole = replace(signal, moments=moments, plates=signal.plates[:MOST_PLATES])
    if _is_number(signal.llr) or (signal.llr is None and signal.abstains is not None):
        return whole
    return replace(whole, llr=None, abstains=Abstention.FAILED, moments=())


def _is_number(llr: float | None) -> bool:
    return llr is not None and math.isfinite(llr)


def _rounded(llr: float | None) -> float | None:
    return None if llr is None else round(llr, 4)
