"""What people see at the end of the demo, and the figures that programs read."""

from __future__ import annotations

import re
import shlex
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text as Styled

from monitor.demo.expectations import incidents_of
from monitor.demo.visiting import link_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import RenderableType

    from monitor.demo.catchers import Mail
    from monitor.demo.expectations import Line, Sighting
    from monitor.demo.run import Result
    from monitor.demo.sources import Lock
    from monitor.values import Span

GOOD, BAD = Styled("✔", "bold green"), Styled("✘", "bold red")
SEEN = re.compile(r"A (?:face|voice) that[^\n]*(?:\n[^\n]+)*")
"""The sentences of a mail that say what was recognised, and when."""


def report(result: Result, lock: Lock) -> RenderableType:
    """Put everything together, most important last: that is what stays on the screen."""
    return Group(
        _found(result),
        _left_alone(result),
        _times(result),
        _licences(lock),
        _messages(result),
        _open_again(result),
        _summary(result),
    )


def _table(title: str, *columns: str) -> Table:
    table = Table(
        *columns, title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    table.columns[1].no_wrap = True
    return table


def _found(result: Result) -> Group:
    numbers = _incident_numbers(result)
    pairs = list(zip(result.expected.planted, result.judgement.planted, strict=True))
    return Group(
        *(
            _found_of(person.name, [line for entry, line in pairs if entry.person == person.key], numbers)
            for person in result.expected.people
        )
    )


def _found_of(name: str, lines: Sequence[Line], numbers: Mapping[str, int]) -> Table:
    table = _table(
        f"{name}: planted on the site", " ", "file", "how", "expected", "found", "score", "told as"
    )
    for line in lines:
        sighting = line.sighting
        told = (
            f"#{numbers[sighting.incident]}" if sighting and sighting.incident else "held" if sighting else ""
        )
        mark = GOOD if line.good else BAD
        table.add_row(mark, line.path, line.what, line.expected, _found_cell(line), _score(sighting), told)
    return table


def _incident_numbers(result: Result) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for line in result.judgement.planted:
        if line.sighting and line.sighting.incident:
            numbers.setdefault(line.sighting.incident, len(numbers) + 1)
    return numbers


def _found_cell(line: Line) -> Styled:
    spans = line.sighting.voice_spans if line.sighting else ()
    when = f", at {_seconds(spans)}" if spans else ""
    return Styled(line.found + when, "" if line.good else "bold red")


def _seconds(spans: Iterable[Span]) -> str:
    return ", ".join(f"{span.start_s:.0f}-{span.end_s:.0f} s" for span in spans)


def _score(sighting: Sighting | None) -> str:
    scores = [sighting.face_score, sighting.voice_score] if sighting else []
    return " / ".join(f"{score:.2f}" for score in scores if score is not None)


def _left_alone(result: Result) -> Group:
    judgement = result.judgement
    inside = result.observed.inside_requests
    strangers = _lines("Strangers and empty pictures: looked at, nobody told", judgement.strangers)
    broken = _lines("Broken files and refused addresses, by their codes", judgement.broken)
    forbidden = _lines("Never asked for", judgement.forbidden)
    forbidden.add_row(
        BAD if inside else GOOD,
        "the server that a redirect led to",
        "no request may reach it",
        "0 requests",
        f"{inside} requests",
    )
    return Group(strangers, broken, forbidden)


def _lines(title: str, lines: Sequence[Line]) -> Table:
    table = _table(title, " ", "file", "what", "expected", "found")
    for line in lines:
        found = Styled(line.found, "" if line.good else "bold red")
        table.add_row(GOOD if line.good else BAD, line.path, line.what, line.expected, found)
    return table


def _times(result: Result) -> Group:
    phases = _table("Where the time went", "phase", "seconds")
    for name, seconds in result.phases:
        phases.add_row(name, f"{seconds:.1f}")
    stages = _table(
        "Stages of all items (several at once)", "stage", "items", "sum s", "mean ms", "longest ms"
    )
    for stage in result.stages:
        mean, longest = 1000 * stage.total_s / stage.items, 1000 * stage.longest_s
        stages.add_row(stage.stage, str(stage.items), f"{stage.total_s:.2f}", f"{mean:.0f}", f"{longest:.0f}")
    for table in (phases, stages):
        for column in table.columns[1:]:
            column.justify = "right"
    return Group(phases, stages)


def _licences(lock: Lock) -> Table:
    table = _table("What was shown, and under which licence", "from", "files", "licence")
    counted = Counter((entry.archive or entry.package, entry.licence) for entry in lock.files)
    for (package, licence), files in counted.items():
        table.add_row(package, str(files), licence)
    return table


def _messages(result: Result) -> Table:
    table = _table("Delivered", "to", "as", "says")
    for mail in result.mails:
        table.add_row(mail.to, str(mail.path.relative_to(result.made.home)), _gist(mail))
    for to in dict.fromkeys(text.to for text in result.texts):
        bodies = [text.body for text in result.texts if text.to == to]
        table.add_row(to, f"{len(bodies)} SMS", bodies[0])
    return table


def _gist(mail: Mail) -> Styled:
    found = SEEN.search(mail.text)
    said = " ".join(found.group().split()) if found else ""
    return Styled.assemble((mail.subject, "bold"), *([f"\n{said}"] if said else []))


def link_of(result: Result) -> str:
    """Give the first link to a private page that a mail carries; empty where there is none."""
    links = (link_in(mail.text, result.made.public_url) for mail in result.mails)
    return next((link for link in links if link), "")


def _open_again(result: Result) -> Group:
    def whole(text: str) -> Styled:
        return Styled(text, no_wrap=True, overflow="ignore")  # to be copied, so never cut into lines

    command = _short(Path(sys.executable).with_name("likeness"))
    serve = f"set -a; . {_short(result.env_file)}; set +a; {command} serve --port {result.made.port}"
    return Group(
        Styled("Look for yourself", "bold"),
        whole(f"Mails, logs and all else lie in {_short(result.made.home)}"),
        "The pages run no more. Start them again, and follow the link of a mail, which opens once:",
        whole(f"  {serve}"),
        whole(f"  {link_of(result) or 'no mail carries a link'}"),
        "",
    )


def _short(path: Path) -> str:
    """Give a path as one would type it here."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here)) if path.is_relative_to(here) else str(path))


def _summary(result: Result) -> Panel:
    judgement = result.judgement
    peak = f"   worker's peak memory {result.worker_peak_mb:.0f} MiB" if result.worker_peak_mb else ""
    told = sum(len(ids) for ids in judgement.incidents.values())
    head = (
        f"{judgement.found} of {len(judgement.planted)} planted appearances found   "
        f"{judgement.strangers_alerted} strangers told   {told} incidents, {len(result.mails)} mails, "
        f"{len(result.texts)} SMS   {result.seconds:.1f} s{peak}"
    )
    lines = [Styled(head, "bold"), *(Styled(f"✘ {fault}", "red") for fault in judgement.faults)]
    verdict = (
        Styled("The demo passed", "bold green") if judgement.passed else Styled("The demo failed", "bold red")
    )
    style = "green" if judgement.passed else "red"
    return Panel(Group(*lines), title=verdict, title_align="left", box=box.HEAVY, border_style=style)


def figures(result: Result) -> dict[str, tuple[float, int, str]]:
    """Give the demo's figures: name -> (value, n, unit)."""
    planted = len(result.judgement.planted)
    decoys = len(result.expected.decoys)
    alerts = sum(len(ids) for ids in incidents_of(result.observed.sightings).values())
    return {
        "demo.planted": (planted, planted, "appearances"),
        "demo.found": (result.judgement.found, planted, "appearances"),
        "demo.strangers_alerted": (result.judgement.strangers_alerted, decoys, "sightings"),
        "demo.alerts": (len(result.mails), alerts, "messages"),
        "demo.seconds": (round(result.seconds, 2), 1, "s"),
    }
