"""The tables of the bench of voices, in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from monitor.bench.voices_conditions import POOLED
from monitor.bench.voices_reading import LENGTHS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitor.bench.frame import Figure

SPOKEN: Final = {
    "telephone": "telephone (300-3400 Hz, 8 kHz, mu-law)",
    "telephone_sharp": "telephone with nothing left outside the band",
    "mp3_32k": "MP3, 32 kbit/s",
    "opus_12k": "Opus, 12 kbit/s",
    **{f"{kind}_{snr}db": f"{words}, {snr} dB" for snr in (20, 10, 5) for kind, words in (
        ("white", "white noise"), ("babble", "babble of other speakers"), ("noise", "both noises"),
    )},
}  # fmt: skip

MIXES: Final = {
    "all": "",
    "no overlaps": "_no_overlaps",
    "overlaps": "_overlaps",
    "nothing behind": "_none_behind",
    "music behind": "_music_behind",
    "noise behind": "_noise_behind",
}


def tables(figures: Mapping[str, Figure]) -> str:
    """Make a table of errors by condition, and one of mixed recordings where there were any."""
    made = [_table(_errors_head(), _errors(figures))]
    mixes = [
        [
            name,
            _share(figures.get(f"voices.mix_hit{end}")),
            _share(figures.get(f"voices.mix_false{end}")),
        ]
        for name, end in MIXES.items()
        if f"voices.mix_hit{end}" in figures
    ]
    if mixes:
        made.append(_table(["mixed recordings", "subject's time found", "others' time claimed"], mixes))
    return "\n\n".join(made) + "\n"


def _errors_head() -> list[str]:
    head = ["probe, against clean enrolment"]
    head += [f"EER, {seconds} s" for seconds in LENGTHS]
    return [*head, "found at alert, 2 s", "impostors over alert, 2 s"]


def _errors(figures: Mapping[str, Figure]) -> list[list[str]]:
    rows = []
    for name in POOLED:
        over = figures.get(f"voices.impostors_above_alert_{name}")
        cells = [_share(figures.get(f"voices.eer_{seconds}s_{name}")) for seconds in LENGTHS]
        cells += [_share(figures.get(f"voices.tar_at_alert_2s_{name}"))]
        cells += [f"{over.value:.0f} of {over.n:,}" if over else ""]
        if any(cells):
            rows.append([SPOKEN.get(name, name), *cells])
    return rows


def _share(figure: Figure | None) -> str:
    if figure is None:
        return ""
    return f"{100 * figure.value:.2f} % ({100 * figure.low:.2f} to {100 * figure.high:.2f})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
