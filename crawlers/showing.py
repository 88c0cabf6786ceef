"""What the verbs of sources print: sentences and tables for people, plain values for programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import typer

from crawlers import sources
from crawlers.units import size, span

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crawlers.health import Health
    from crawlers.tables import CrawlRun, SeenUrl, Source
    from crawlers.trying import Trial

LISTED: Final = 20
"""Addresses of each kind that a trial lists for people; `--json` has all."""


def options_from(pairs: Sequence[str]) -> dict[str, str]:
    """Read `key=value` pairs. Raises typer.BadParameter."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            msg = f"{pair[:80]!r} is no option; write key=value"
            raise typer.BadParameter(msg)
        found[key.strip()] = value
    return found


def warn(row: Source) -> None:
    """Say on standard error what is less than safe about a source."""
    for sentence in sources.warnings(row):
        typer.secho(f"warning: {row.name}: {sentence}", fg="yellow", bold=True, err=True)


def plain(row: Any) -> dict[str, Any]:  # noqa: ANN401 - any row of ours
    """Give a row for programs."""
    found: dict[str, Any] = row.model_dump(mode="json", exclude={"shows"})
    for name in ("dropped", "refused_hosts", "options"):
        if name in found:
            found[name] = json.loads(found[name])
    return found


def listing(found: Sequence[Health]) -> None:
    """Print all sources, how their last looks went, and warnings."""
    lines = [
        (
            one.source.name,
            f"{one.source.kind}: {one.source.url}",
            span(one.interval_s),
            one.state.value,
            "" if one.last is None else f"{one.last.state} {one.last.started_at:%Y-%m-%d %H:%M} UTC",
            "" if one.last is None else f"{one.last.pages} pages, {one.last.media_taken} new media",
        )
        for one in found
    ]
    none = "No sources. `likeness source add` adds one."
    table(("Name", "Address", "Every", "State", "Last look", ""), lines, none)
    for one in found:
        warn(one.source)


def one_source(found: Health, last: Sequence[CrawlRun], failed: Sequence[SeenUrl]) -> None:
    """Print one source, its last looks, and the addresses that gave nothing, with the reason."""
    row = found.source
    typer.echo(
        f"{row.name}: {row.kind} {row.url}, {found.state.value}, "
        f"every {span(found.interval_s)} (asked for: {span(row.cadence_s)})"
    )
    note = f" ({row.basis_note})" if row.basis_note else ""
    typer.echo(
        f"Looked at on the basis of {row.basis}{note}. Takes {row.collects}; addresses are kept "
        f"{row.keep_days} days."
    )
    for key, value in sorted(sources.options_of(row).items()):
        typer.echo(f"  {key}={value}")
    if found.looks:
        lag = "" if found.lag_s is None else f", {span(found.lag_s)} behind"
        typer.echo(
            f"The last {found.looks} looks{lag}: {found.pages} pages, {found.media_taken} new media, "
            f"{found.requests} requests, {size(found.bytes_fetched)}, {span(found.seconds)}; "
            f"{found.by_robots} refused by robots.txt."
        )
    warn(row)
    looks = [
        (f"{run.started_at:%Y-%m-%d %H:%M}", run.state, str(run.pages), str(run.media_taken), run.dropped)
        for run in last
    ]
    table(("Look (UTC)", "State", "Pages", "New media", "Not taken"), looks, "Never looked at.")
    reasons = [(one.code, one.url, one.reason or "") for one in failed]
    table(("Code", "Address", "Why"), reasons, "Every address gave something.")


def coverage(found: Sequence[dict[str, Any]]) -> None:
    """Print where we look and what we cannot see."""
    words = {
        "not_yet": "not looked at so far",
        "not_now": "could not be looked at",
        "not_allowed": "closed to us",
    }
    lines = [
        (
            one["name"],
            words.get(one["seeing"], one["seeing"]),
            "never" if one["looked_at"] is None else f"{one['looked_at']:%Y-%m-%d %H:%M} UTC",
            span(one["every_s"]),
            "not known" if one["lag_s"] is None else span(one["lag_s"]),
            one["sees"],
            one["blind_to"],
        )
        for one in found
    ]
    headings = ("Place", "", "Last looked", "Every", "Behind", "What we see", "What we cannot see")
    table(headings, lines, "No sources. `likeness source add` adds one.")


def report(name: str, said: dict[str, Any]) -> None:
    """Print what one crawl did."""
    typer.echo(
        f"{name}: {said['state']}. {said['pages']} pages ({said['pages_unchanged']} unchanged), "
        f"{said['media_found']} media shown, {said['media_taken']} new, {said['media_known']} known, "
        f"{said['media_unchanged']} unchanged."
    )
    _left_out(said["dropped"], said["refused_hosts"])
    if said["failed_code"]:
        typer.secho(f"  {said['failed_code']}: {said['failed_reason']}", fg="red", err=True)


def trial(found: Trial) -> None:
    """Print what one page gave and what a crawl would do next."""
    status = "no answer" if found.status is None else f"status {found.status}, {size(found.size_bytes)}"
    typer.echo(f"Asked for {found.asked or found.url}: {status}. Nothing was kept.")
    _some(f"{len(found.media)} files would be looked at", [url for url, _, _ in found.media])
    _some(f"{len(found.asks)} addresses would be asked for next", found.asks)
    _left_out(found.notes, found.refused_hosts)
    if found.code:
        typer.secho(f"  {found.code}: {found.reason}", fg="red", err=True)


def _some(heading: str, addresses: Sequence[str]) -> None:
    typer.echo(heading + (":" if addresses else "."))
    for address in addresses[:LISTED]:
        typer.echo(f"  {address}")
    if len(addresses) > LISTED:
        typer.echo(f"  and {len(addresses) - LISTED} more")


def _left_out(dropped: dict[str, int], refused_hosts: dict[str, str]) -> None:
    for code, count in sorted(dropped.items()):
        typer.echo(f"  not taken: {count} x {code}")
    for host, why in sorted(refused_hosts.items()):
        typer.secho(f"  left alone: {host}: robots.txt could not be read: {why}", fg="yellow")


def table(headings: Sequence[str], lines: Sequence[Sequence[str]], none: str) -> None:
    """Print a table, or the sentence for none."""
    from rich.console import Console  # noqa: PLC0415 - `likeness --help` needs none of it
    from rich.table import Table  # noqa: PLC0415 - as above
    from rich.text import Text  # noqa: PLC0415 - as above

    if not lines:
        typer.echo(none)
        return
    drawn = Table(*headings)
    for line in lines:
        drawn.add_row(*(Text(cell) for cell in line))
    Console().print(drawn)
