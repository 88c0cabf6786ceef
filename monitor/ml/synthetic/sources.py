"""What the words mean that files use for their own making: IPTC's source types and the names of software."""

from __future__ import annotations

import re

from monitor.values import SyntheticSignal

SYNTHETIC, EDITED, CAPTURED = "synthetic", "edited", "captured"

IN_PART = frozenset({"compositeWithTrainedAlgorithmicMedia", "compositeSynthetic", "digitalCreation",
                     "digitalArt", "dataDrivenMedia", "algorithmicMedia"})  # fmt: skip
"""Source types that are written for a part of a picture as well, or for what no photograph pretends to be."""

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
    r"|\bfirefly\b|gpt-image|\bgpt-4o\b|\bchatgpt\b|\bopenai\b|made with google ai|\bimagen\b"
    r"|bing image creator|image creator from designer|\bfooocus\b|draw things|\bstable cascade\b|\bgrok\b"
    r"|\bflux\.?1?\b.*(dev|pro|schnell)|leonardo\.?ai|ideogram|\brunway(ml)?\b|\bsora\b|\bkling\b"
    r"|\bpika labs\b|\bveo [0-9]|synthesia|heygen|\bd-id\b"
    r"|faceswap|facefusion|deepfacelab|\broop\b|\bbark\b.*tts|elevenlabs",
    re.IGNORECASE,
)
"""Names of generators as they write themselves into files. A name proves little and its absence nothing."""

EDITORS = re.compile(
    r"photoshop|\bgimp\b|affinity|lightroom|snapseed|pixelmator|canva|capcut|premiere|davinci|final cut",
    re.IGNORECASE,
)
"""Names of editing software."""

FILTERS = re.compile(
    r"facetune|faceapp|meitu|beautyplus|beautycam|youcam|\bb612\b|\bfaceu\b|\bulike\b|\bremini\b|airbrush"
    r"|perfect365|\blensa\b|picsart|snapchat|\bvsco\b",
    re.IGNORECASE,
)
"""Names of apps that smooth, reshape or age faces."""

PROSE = re.compile(
    r"\bSteps: \d+, .{0,400}\b(Sampler|CFG scale|Seed|Model hash): "
    r"|\bJob ID: [0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r'|\{"(prompt|workflow)": ?\{|^(prompt|workflow): ?\{.{0,2000}"(class_type|nodes)"'
    r"|\b(made|generated|created) (with|by|using) (google ai|midjourney|dall[\s·.-]?e|stable[ _-]?diffusion"
    r"|adobe firefly|comfyui|chatgpt|openai)\b",
    re.IGNORECASE | re.DOTALL,
)
"""What generators write where people write too (a title, a caption, a comment): A1111's settings, the job
of Midjourney, the work flow of ComfyUI. A mere name there is no sign: Sora is a first name, Flux a band."""

PROGRAMS = (
    (GENERATORS, SYNTHETIC, "the program"),
    (FILTERS, EDITED, "an app that smooths or reshapes faces,"),
    (EDITORS, EDITED, "the program"),
)
"""Pattern, what it means, and how it is told."""

QUOTED = 60
"""Letters of a file's own words that are quoted."""


def from_source_type(source: str, value: str, *, where: str, trusted: bool = False) -> SyntheticSignal | None:
    """Read one IPTC source type, given as its URI or its last word; None for a word we do not know."""
    known = SOURCE_TYPES.get(value.strip().rpartition("/")[2])
    if known is None:
        return None
    weight, says = known
    weak = value.strip().rpartition("/")[2] in IN_PART
    return SyntheticSignal(source, f"{where} says that it {says}.", weight, trusted, weak)


def from_software(source: str, name: str, *, where: str) -> SyntheticSignal | None:
    """Read the name of a program; None for one that we do not know."""
    for pattern, weight, what in PROGRAMS:
        if pattern.search(name.replace("_", " ")):
            return SyntheticSignal(source, f"{where} names {what} {quoted(name)}.", weight)
    return None


def from_prose(source: str, text: str, *, where: str) -> SyntheticSignal | None:
    """Read a title, caption or comment; None unless a generator's own way of writing is in it."""
    found = PROSE.search(text)
    if found is None:
        return None
    says = f"{where} holds what picture generators write: {quoted(text[found.start() :])}."
    return SyntheticSignal(source, says, SYNTHETIC)


def quoted(words: str) -> str:
    """Quote a file's own words, short and on one line."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in words[:400]).split())
    return f'"{line[:QUOTED]}"' if len(line) <= QUOTED else f'"{line[:QUOTED]}..."'
