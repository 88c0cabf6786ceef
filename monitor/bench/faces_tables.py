"""The tables of the bench of faces, for one pack or for several beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.bench.faces_conditions import CONDITIONS
from monitor.bench.faces_tracks import LENGTHS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.bench.frame import Figure, Result

HEADLINES: Final = {
    "TAR at FAR 1e-4, of pairs": "faces.tar_at_far_1e-4",
    "by person": "faces.tar_at_far_1e-4_by_person",
    "10 pictures a person": "faces.tar_at_far_1e-4_capped",
    "TAR at FAR 1e-5, of pairs": "faces.tar_at_far_1e-5",
    "by person ": "faces.tar_at_far_1e-5_by_person",
    "10 pictures a person ": "faces.tar_at_far_1e-5_capped",
    "TPIR at FPIR 1 %, 1 picture enrolled": "faces.open_set_1_tpir_at_fpir_1pct",
    "3 pictures": "faces.open_set_3_tpir_at_fpir_1pct",
    "error of the probabilities": "calibration.ece_faces",
    "false alerts promised / counted": "budget.predicted_over_counted",
}
"""Heading -> figure; a space at the end keeps headings of one wording apart."""

SAMPLES: Final = (1, 2, 3, 5)
GALLERIES: Final = {"100 enrolled": "_of_100", "1,000 enrolled": "_of_1000", "all enrolled": ""}

SPOKEN: Final = {
    "px": "face of {} px",
    "jpeg_q": "JPEG quality {}",
    "rotated_": "rotated by {} degrees",
    "blur_": "blurred by {} % of the face's size",
    "track_1": "one poor frame of 28 px",
    "track_": "track of {} poor frames of 28 px",
}


def tables(results: Sequence[Result]) -> str:
    """Make the Markdown tables of some runs of this bench, each with another pack."""
    made = (accuracy(results), galleries(results), conditions(results))
    return "\n\n".join(table for table in made if table) + "\n"


def accuracy(results: Sequence[Result]) -> str:
    """One row for each pack: the shares that matter most, with their 95 % intervals."""
    rows = [
        [result.pack, *(_cell(result.figures, name) for name in HEADLINES.values())] for result in results
    ]
    return _table(["pack", *(heading.strip() for heading in HEADLINES)], rows)


def galleries(results: Sequence[Result]) -> str:
    """TPIR by pictures enrolled and people in the gallery, at FPIR 1 % and 0.1 %."""
    headings = ["pack", "pictures enrolled"]
    headings += [f"{size}, FPIR {rate}" for rate in ("1 %", "0.1 %") for size in GALLERIES]
    rows = [
        [
            result.pack,
            str(samples),
            *(
                _cell(result.figures, f"faces.open_set_{samples}{size}_tpir_at_fpir_{rate}")
                for rate in ("1pct", "0.1pct")
                for size in GALLERIES.values()
            ),
        ]
        for result in results
        for samples in SAMPLES
    ]
    return _table(headings, rows)


def conditions(results: Sequence[Result]) -> str:
    """One row for each condition: recognised of all, and how many were looked at, for each pack."""
    names = [*CONDITIONS, *(f"track_{frames}" for frames in LENGTHS)]
    headings = ["what is the matter"]
    for result in results:
        headings += [f"{result.pack}: recognised", "looked at", "recognised of these"]
    rows = [
        [
            spoken(name),
            *(
                cell
                for result in results
                for cell in (
                    _cell(result.figures, f"faces.tar_{name}"),
                    _cell(result.figures, f"faces.looked_{name}", interval=False),
                    _cell(result.figures, f"faces.tar_of_looked_{name}", interval=False),
                )
            ),
        ]
        for name in names
    ]
    return _table(headings, rows)


def spoken(name: str) -> str:
    """Say the name of a condition as people do."""
    for part, sentence in SPOKEN.items():
        if name.startswith(part) or name.endswith(part):
            return sentence.format(name.replace(part, "").removesuffix("pct"))
    return name.replace("_", " ")


def _cell(figures: Mapping[str, Figure], name: str, *, interval: bool = True) -> str:
    figure = figures.get(name)
    if figure is None:
        return ""
    if not interval:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Leave out the rows that hold no figure: what they ask could not be measured on these people."""
    said = [row for row in rows if any("." in cell for cell in row[1:])]
    lines = [_line(headings), "|" + "---|" * len(headings), *(_line(row) for row in said)]
    return "\n".join(lines) if said else ""


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
