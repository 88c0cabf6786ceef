"""The measurements behind every number in README.

A bench is a module with one function, `run(request: Request) -> Result`, and a line in BENCHES.
`likeness bench --list` names them; `likeness bench NAME --data DIR --json FILE` runs one. See frame.py for
what goes in and what comes out. Figures are named `bench.figure` and are stable: a later version is compared
with an earlier one by them.
"""

from __future__ import annotations

from typing import Final

BENCHES: Final[dict[str, tuple[str, str]]] = {
    "faces": ("monitor.bench.faces", "How well faces are told apart: a folder per person in --data."),
    "voices": ("monitor.bench.voices", "How well voices are told apart: a folder per speaker in --data."),
    "calibration": (
        "monitor.bench.calibrating",
        "Whether probabilities and promised false alerts come true: faces in --data, recordings in --voices.",
    ),
    "match": ("monitor.bench.deciding", "What the decision costs after embedding: it makes its own people."),
    "pipeline": (
        "monitor.bench.pipeline",
        "How fast the whole path is, beside its models alone and a naive loop: media in --media.",
    ),
    "push": (
        "monitor.bench.push",
        "How fast partners push, what kills lose, how soon somebody is told: a folder per person in --data.",
    ),
    "crawl": (
        "monitor.bench.crawl",
        "How fast a site is crawled beside Scrapy's own benchmark, and whether memory stays flat.",
    ),
    "jetstream": (
        "monitor.bench.jetstream",
        "Whether Bluesky's stream is kept up with, and what a cut loses: it makes its own events.",
    ),
    "enrollment": (
        "monitor.bench.enrollment",
        "Who gets in by the web form, and how quickly it counts: faces and voices in --data.",
    ),
    "demo": (
        "monitor.demo.bench",
        "The whole path on this machine: what `likeness demo` finds and how long it takes.",
    ),
}
"""Name of a bench -> (its module, one line of help)."""
