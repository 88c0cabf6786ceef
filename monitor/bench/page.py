"""Writes the parts of README that come from the program: its figures, tables, curves, settings and models.

Each part stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->`. The figures are those of the result
files in `results/`, which `make bench` writes; a test fails when README says anything else.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import unescape

from monitor.bench import enrollment_tables
from monitor.bench.faces_tables import tables
from monitor.bench.frame import Figure, Result
from monitor.errors import ConfigError
from monitor.ml.weights import entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

RESULTS: Final = Path(__file__).parent / "results"
"""The result files that README quotes, one for each bench."""

SHOWN: Final = {
    "demo": ("demo.planted", "demo.found", "demo.strangers_alerted", "demo.alerts", "demo.seconds"),
    "match": ("match.decision_ms", "match.floor_ms", "match.decision_ms_100k"),
    "pipeline": (
        "pipeline.items_per_s",
        "pipeline.ratio_to_model_time",
        "pipeline.speedup_vs_naive_loop",
        "pipeline.worker_peak_mb",
    ),
    "crawl": (
        "crawl.pages_per_s",
        "crawl.ratio_to_scrapy_bench",
        "crawl.cpu_ms_per_page",
        "crawl.scrapy_cpu_ms_per_page",
        "crawl.rss_growth",
    ),
    "jetstream": ("jetstream.events_per_s", "jetstream.missed"),
    "push": (
        "push.requests_per_s",
        "push.p99_ms",
        "push.to_alert_p95_s",
        "push.lost",
        "push.doubled",
    ),
    "voices": (
        "voices.impostors_above_alert",
        "voices.eer_2s_clean",
        "voices.eer_2s_telephone",
        "voices.eer_2s_mp3_32k",
        "voices.eer_2s_opus_12k",
        "voices.eer_2s_noise_20db",
        "voices.eer_2s_noise_10db",
        "voices.eer_2s_noise_5db",
        "voices.tar_at_alert_2s_clean",
        "voices.tar_at_alert_8s_clean",
        "voices.mix_hit",
        "voices.mix_false",
    ),
}
"""Which figures README shows of each bench; the result files hold all. Faces have tables of their own."""

OWN_TABLES: Final = frozenset({"faces", "enrollment"})
"""Benches that README shows in tables of their own."""

CURVES: Final = ("faces-det", "faces-open-set")
"""Curves that README shows for each pack, where `results/` holds them."""


def readme(text: str, settings: str) -> str:
    """Put the generated parts into README's text; `settings` is the table of settings.

    Raises ConfigError when a marker is missing.
    """
    kept = _results()
    parts = (
        ("faces", faces([result for result in kept if result["name"] == "faces"])),
        ("figures", figures([result for result in kept if result["name"] not in OWN_TABLES])),
        ("enrolment", enrolment([result for result in kept if result["name"] == "enrollment"])),
        ("settings", settings),
        ("models", models()),
    )
    for name, part in parts:
        text = _put(text, name, part)
    return text


def faces(results: Sequence[Mapping[str, Any]]) -> str:
    """Make the tables of faces, a row or a column for each pack, with the curves and what was measured."""
    kept = sorted((_result(words) for words in results), key=lambda result: result.pack != "registry")
    curves = [_curve(RESULTS / f"{name}-{result.pack}.svg") for result in kept for name in CURVES]
    notes = "\n".join(_note(result) for result in results)
    return "\n\n".join(part for part in (tables(kept).strip(), *curves, notes) if part)


def enrolment(results: Sequence[Mapping[str, Any]]) -> str:
    """Make the tables of enrolment: what became of each attack and each variation, and what was measured."""
    if not results:
        return "Not measured yet: `likeness bench enrollment --data DIR`."
    return "\n\n".join((enrollment_tables.tables(_result(results[0]).figures).strip(), _note(results[0])))


def figures(results: Iterable[Mapping[str, Any]]) -> str:
    """Make the table of figures with, for each bench, what it was measured on and by which command."""
    lines = [
        "| figure | value | 95 % interval; for rates lowest and highest of the rounds | n |",
        "|---|---|---|---|",
    ]
    notes = []
    for result in results:
        shown = [name for name in SHOWN.get(result["name"], ()) if name in result["figures"]]
        lines += [_row(name, result["figures"][name]) for name in shown]
        notes.append(_note(result))
    return "\n".join([*lines, "", *notes])


def models() -> str:
    """Make the table of the weights that a default installation loads or may load, with their licences."""
    lines = ["| file | task | packs | licence | from |", "|---|---|---|---|---|"]
    for entry in entries(None):
        licence = f"{entry.licence}: {entry.licence_note}" if entry.licence_note else entry.licence
        packs = ", ".join(entry.packs)
        lines.append(f"| `{entry.name}` | {entry.task} | {packs} | {licence} | {entry.origin} |")
    return "\n".join(lines)


def _results() -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]


def _result(words: Mapping[str, Any]) -> Result:
    """Read a result that was written before, also by a version that did not name its pack."""
    measured = {name: Figure(**figure) for name, figure in words["figures"].items()}
    known = {"pack": "registry", **words, "figures": measured, "model_ids": tuple(words["model_ids"])}
    return Result(**known)


def _curve(path: Path) -> str:
    """Show a curve with its description as the words for those who cannot see it."""
    if not path.is_file():
        return ""
    said = re.search(r"<desc[^>]*>(.*?)</desc>", path.read_text(encoding="utf-8"), re.DOTALL)
    return f"![{unescape(said[1]) if said else path.stem}](monitor/bench/results/{path.name})"


def _row(name: str, figure: Mapping[str, Any]) -> str:
    low, high = figure["low"], figure["high"]
    interval = "" if low == high else f"{low:.4g} to {high:.4g}"
    return f"| `{name}` | {figure['value']:.4g} {figure['unit']} | {interval} | {figure['n']:,} |"


def _note(result: Mapping[str, Any]) -> str:
    models = ", ".join(f"`{model}`" for model in result["model_ids"]) or "none"
    return (
        f"- `likeness bench {result['name']}`, {result['date']}: data {result['data_set']}, "
        f"seed {result['seed']}, {result['device']}, models {models}."
    )


def _put(text: str, name: str, part: str) -> str:
    marked = re.compile(rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)", re.DOTALL)
    if not marked.search(text):
        msg = f"README has no place marked {name}"
        raise ConfigError(msg, hint=f"Put <!-- {name}:begin --> and <!-- {name}:end --> where it belongs.")
    return marked.sub(lambda found: f"{found[1]}{part}\n{found[2]}", text)
