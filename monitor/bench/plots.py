"""Draws error curves as NIST draws them: misses against false alarms, both on a normal quantile scale.

"The DET curve in assessment of detection task performance" (Martin et al., Eurospeech 1997). Colours are
those of Okabe and Ito, which colour-blind people tell apart, in an order in which their brightness differs;
every line also has a dash pattern and a mark of its own, so that the picture can be read in grey. What it
shows stands as words in the SVG and in a text file beside.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from xml.sax.saxutils import escape

import numpy as np
from scipy.special import ndtri

from monitor.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

COLOURS: Final = ("#000000", "#D55E00", "#0072B2", "#56B4E9")
DASHES: Final = ("-", "--", "-.", ":")
SIGNS: Final = ("o", "s", "^", "D")

TICKS: Final = (1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5)
LOWEST: Final = 1e-7
"""Rates below are drawn at this height: nothing here is measured so finely."""

POINTS: Final = 80
"""Points of a curve that are drawn; more cannot be told apart at this size."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One line: rates (n,) in [0, 1] of false alarms and of misses at the same thresholds."""

    label: str
    false: NDArray[np.float64]
    missed: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Mark:
    """One place that is pointed at, on or near a curve."""

    label: str
    false: float
    missed: float


@dataclass(frozen=True, slots=True)
class Picture:
    """All that is drawn; `says` is the same in words."""

    title: str
    false_axis: str
    missed_axis: str
    curves: Sequence[Curve]
    marks: Sequence[Mark]
    says: str


def ready() -> None:
    """Raise ConfigError when nothing can be drawn here."""
    try:
        import matplotlib as mpl  # noqa: F401, PLC0415 - an extra
    except ImportError as exc:
        msg = "matplotlib is not installed, so no curve can be drawn"
        raise ConfigError(msg, hint="pip install 'likeness-watch[bench]', or leave --plots away.") from exc


def draw(picture: Picture, name: str) -> dict[str, bytes]:
    """Draw a picture: `name`.png and `name`.svg, and what they show in words, `name`.txt."""
    import matplotlib as mpl  # noqa: PLC0415 - half a second
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - as above
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.size": 10}):
        figure = Figure(figsize=(6.4, 5.2), layout="constrained")
        FigureCanvasAgg(figure)
        _fill(figure.add_subplot(), picture)
        raster, vector = io.BytesIO(), io.BytesIO()
        figure.savefig(raster, format="png", dpi=150, metadata={"Description": picture.says})
        figure.savefig(vector, format="svg", metadata={"Date": None, "Creator": None})
    svg = _with_words(vector.getvalue().decode(), picture)
    words = f"{picture.title}\n\n{picture.says}\n"
    return {f"{name}.png": raster.getvalue(), f"{name}.svg": svg.encode(), f"{name}.txt": words.encode()}


def thinned(false: NDArray[np.float64], missed: NDArray[np.float64]) -> NDArray[np.int64]:
    """Choose POINTS places of a curve (n,) that lie evenly along both of its axes; the ends are kept."""
    x, y = _quantile(false), _quantile(missed)
    along = np.cumsum(np.abs(np.diff(x, prepend=x[0])) + np.abs(np.diff(y, prepend=y[0])))
    wanted = np.linspace(0, along[-1], POINTS)
    return np.unique(np.searchsorted(along, wanted).clip(0, len(along) - 1))


def _fill(axes: Any, picture: Picture) -> None:  # noqa: ANN401 - matplotlib has no types here
    for number, curve in enumerate(picture.curves):
        axes.plot(
            _quantile(curve.false),
            _quantile(curve.missed),
            label=curve.label,
            color=COLOURS[number % len(COLOURS)],
            linestyle=DASHES[number % len(DASHES)],
            marker=SIGNS[number % len(SIGNS)],
            markevery=max(1, len(curve.false) // 6),
            markersize=4,
            linewidth=1.6,
        )
    for mark in picture.marks:
        place = (float(_quantile(mark.false)), float(_quantile(mark.missed)))
        axes.plot(*place, "*", color="#000000", markersize=12, markerfacecolor="#FFFFFF")
        axes.annotate(mark.label, place, xytext=(8, 6), textcoords="offset points")
    _scale(axes, picture)
    axes.set_title(picture.title, fontsize=11)
    axes.legend(frameon=False, handlelength=4)


def _scale(axes: Any, picture: Picture) -> None:  # noqa: ANN401 - matplotlib has no types here
    false = [*(c.false for c in picture.curves), np.array([m.false for m in picture.marks])]
    missed = [*(c.missed for c in picture.curves), np.array([m.missed for m in picture.marks])]
    for axis, label, rates in (
        (axes.xaxis, picture.false_axis, np.concatenate(false)),
        (axes.yaxis, picture.missed_axis, np.concatenate(missed)),
    ):
        axis.set_label_text(label)
        low = rates[rates > LOWEST].min(initial=0.5)
        shown = [tick for tick in TICKS if low / 12 <= tick <= max(0.06, rates.max(initial=0))]
        axis.set_ticks(_quantile(np.array(shown)), [f"{100 * tick:g} %" for tick in shown])
        axis.grid(visible=True, color="#cccccc", linewidth=0.6)
        limits = axes.set_xlim if axis is axes.xaxis else axes.set_ylim
        limits(_quantile(low) - 0.1, _quantile(rates.max(initial=0.01)) + 0.1)


def _quantile(rates: Any) -> Any:  # noqa: ANN401 - a number or an array of them
    return ndtri(np.clip(rates, LOWEST, 1 - LOWEST))


def _with_words(svg: str, picture: Picture) -> str:
    """Give the SVG a title and a description, which screen readers read."""
    words = (
        f'<title id="title">{escape(picture.title)}</title>\n<desc id="desc">{escape(picture.says)}</desc>\n'
    )
    return re.sub(
        r"<svg ([^>]*)>",
        lambda found: f'<svg role="img" aria-labelledby="title desc" {found[1]}>\n{words}',
        svg,
        count=1,
    )
