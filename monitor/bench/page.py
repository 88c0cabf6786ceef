"""Writes the parts of README that come from the program: its figures, settings and models.

Each part stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->`. The figures are those of the result
files in `results/`, which `make bench` writes; a test fails when README says anything else.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from monitor.errors import ConfigError
from monitor.ml.weights import entries

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RESULTS: Final = Path(__file__).parent / "results"
"""The result files that README quotes, one for each bench."""

SHOWN: Final = {
    "demo": ("demo.planted", "demo.found", "demo.strangers_alerted", "demo.alerts", "demo.seconds"),
    "faces": (
        "faces.found",
        "faces.tar_at_far_1e-3",
        "faces.tar_at_far_1e-4",
        "faces.tar_at_far_1e-4_by_person",
        "faces.open_set_1_tpir_at_fpir_1pct",
    ),
    "pipeline": (
        "pipeline.items_per_s",
        "pipeline.ratio_to_model_time",
        "pipeline.speedup_vs_naive_loop",
        "pipeline.worker_peak_mb",
    ),
    "voices": (
        "voices.2s.far_at_alert",
        "voices.2s.tar_at_alert",
        "voices.4s.far_at_alert",
        "voices.4s.tar_at_alert",
        "voices.8s.far_at_alert",
        "voices.8s.tar_at_alert",
    ),
}
"""Which figures README shows of each bench; the result files hold all of them."""


def readme(text: str, settings: str) -> str:
    """Put the generated parts into README's text; `settings` is the table of settings.

    Raises ConfigError when a marker is missing.
    """
    for name, part in (("figures", figures(_results())), ("settings", settings), ("models", models())):
        text = _put(text, name, part)
    return text


def figures(results: Iterable[Mapping[str, Any]]) -> str:
    """Make the table of figures with, for each bench, what it was measured on and by which command."""
    lines = [
        "| figure | value | 95 % interval; for the pipeline lowest and highest of five rounds | n |",
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
