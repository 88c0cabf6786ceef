"""What the words mean that files use for their own making: IPTC's source types and the names of software."""

from __future__ import annotations

import re

from monitor.values import SyntheticSignal

SYNTHETIC, EDITED, CAPTURED = "synthetic", "edited", "captured"

SOURCE_TYPES = {
    "trainedAlgorithmicMedia": (SYNTHETIC, "was made by generative AI"),
    "compositeWithTrainedAlgorithmicMedia": (SYNTHETIC, "was edited with generative AI"),
    "compositeSynthetic": (SYNTHETIC, "is a composite with synthetic parts"),
    "algorithmicMedia": (SYNTHETIC, "was made by an algorithm"),
    "virtualRecording": (SYNTHETIC, "is a recording of a virtual event"),
    "dataDrivenMedia": (SYNTHETIC, "was made from data by software"),
    "digitalCreation": (SYNTHETIC, "was drawn on a computer"),
    "digitalArt": (SYNTHETIC, "was drawn on a computer"),
    "algorithmicallyEnhanced": (EDITED, "was changed by an algorithm"),
    "humanEdits": (EDITED, "was edited by a person"),
    "minorHumanEdits": (EDITED, "was slightly edited by a person"),
    "composite": (EDITED, "is a composite"),
    "compositeCapture": (EDITED, "is a composite of captured parts"),
    "screenCapture": (EDITED, "is a picture of a screen"),
    "digitalCapture": (CAPTURED, "was captured by a camera or recorder"),
    "computationalCapture": (CAPTURED, "was captured by a camera that computes"),
    "negativeFilm": (CAPTURED, "was scanned from film"),
    "positiveFilm": (CAPTURED, "was scanned from film"),
    "print": (CAPTURED, "was scanned from a print"),
}
"""IPTC Digital Source Type vocabulary (cv.iptc.org/newscodes/digitalsourcetype), read on 2026-11."""

GENERATORS = re.compile(
    r"stable[ _-]?diffusion|\bsdxl\b|midjourney|dall[\s·.-]?e\b|comfyui|invokeai|automatic1111|novelai"
    r"|adobe firefly|gpt-image|\bchatgpt\b|\bopenai\b|made with google ai|\bimagen\b"
    r"|\bflux\.?1?\b.*(dev|pro|schnell)|leonardo\.?ai|ideogram|\brunway(ml)?\b|\bsora\b|\bkling\b"
    r"|\bpika labs\b|\bveo [0-9]|synthesia|heygen|\bd-id\b"
    r"|faceswap|facefusion|deepfacelab|\broop\b|\bbark\b.*tts|elevenlabs",
    re.IGNORECASE,
)
"""Names of generators as they write themselves into files. A name proves little and its absence nothing."""

EDITORS = re.compile(
    r"photoshop|\bgimp\b|affinity|lightroom|snapseed|facetune|faceapp|meitu|pixelmator|canva|picsart|capcut"
    r"|premiere|davinci|final cut",
    re.IGNORECASE,
)
"""Names of editing software."""

QUOTED = 60
"""Letters of a file's own words that are quoted."""


def from_source_type(source: str, value: str, *, where: str, trusted: bool = False) -> SyntheticSignal | None:
    """Read one IPTC source type, given as its URI or its last word; None for a word we do not know."""
    known = SOURCE_TYPES.get(value.strip().rpartition("/")[2])
    if known is None:
        return None
    weight, says = known
    return SyntheticSignal(source, f"{where} says that it {says}.", weight, trusted)


def from_software(source: str, name: str, *, where: str) -> SyntheticSignal | None:
    """Read the name of a program; None for one that we do not know."""
    for pattern, weight in ((GENERATORS, SYNTHETIC), (EDITORS, EDITED)):
        if pattern.search(name):
            return SyntheticSignal(source, f"{where} names the program {quoted(name)}.", weight)
    return None


def quoted(words: str) -> str:
    """Quote a file's own words, short and on one line."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in words[:400]).split())
    return f'"{line[:QUOTED]}"' if len(line) <= QUOTED else f'"{line[:QUOTED]}..."'
