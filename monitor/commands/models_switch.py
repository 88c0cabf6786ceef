"""`likeness models switch`: goes over to another pack without losing sight of anybody."""

from __future__ import annotations

import json as jsonlib
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.settings import Settings
    from monitor.switching import Elder, Standing

POLL_S = 1.0
"""How often `--wait` asks again while a worker has the work in hand."""

AT_ONCE_S = 2.0
"""Seconds of work between two moves of the bar."""


def switch(  # noqa: PLR0917 - Typer passes every one by name
    pack: Annotated[str, typer.Argument(metavar="PACK", help="The pack to go over to.")] = "",
    status: Annotated[bool, typer.Option("--status", help="Only say how far it is.")] = False,
    cancel: Annotated[
        bool, typer.Option("--cancel", help="Stop the switch under way; nothing has changed then.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Do the work here, with a bar, instead of in the worker.")
    ] = False,
    drop_old: Annotated[
        bool,
        typer.Option("--drop-old", help="After a switch: give up those who are known by the old pack alone."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Go over to another pack of models. Nobody is out of sight meanwhile; run it again to go on.

    Vectors of two models never meet, so each face must be read again by the new one. Of people who were
    enrolled with --keep-references the worker reads the kept samples again, in the background, while it
    looks with the old pack. When all are read, the new pack is in force. Whoever's samples were not kept
    stays watched by the old pack, and must give new ones (`likeness subject add-samples`).

    likeness models pull --pack edgeface --acknowledge-licence

    likeness models switch edgeface

    likeness models switch --status
    """
    from monitor import switching
    from monitor.audit import operator
    from monitor.errors import ConfigError
    from monitor.ledger import open_ledger
    from monitor.settings import load_settings

    if sum((bool(pack), status, cancel, drop_old)) != 1:
        msg = "say one of: PACK, --status, --cancel, --drop-old"
        raise ConfigError(msg, hint="`likeness models list` names the packs.")
    settings = load_settings()
    engine = open_ledger(settings)
    if cancel:
        switching.cancel(engine, operator())
    elif drop_old:
        _drop_old(engine, yes=yes, quiet=json)
    elif pack:
        now = switching.in_force(engine, settings, going_on=True)
        new = _elder(settings, pack)
        switching.start(engine, _elder(settings, now.pack), new, operator())
        if wait:
            _work(settings, engine, quiet=json)
    _say(switching.standing(engine), settings, json=json)


def _elder(settings: Settings, pack: str) -> Elder:
    """Load a pack, which proves that it can be used, and name its model."""
    from monitor.errors import ModelError, WeightsMissing
    from monitor.ml.packs import load_faces
    from monitor.switching import Elder

    try:
        faces = load_faces(settings.model_copy(update={"pack": pack}))
    except WeightsMissing as exc:
        hint = f"`likeness models pull --pack {pack}` brings them (add --acknowledge-licence when cleared)."
        raise WeightsMissing(exc.message, hint=hint) from exc
    except ModelError as exc:
        raise type(exc)(exc.message, hint=exc.hint) from exc
    return Elder(pack, faces.recogniser.model_id)


def _work(settings: Settings, engine: Engine, *, quiet: bool) -> None:
    """Read the kept samples here, until none waits; wait where a worker is at it."""
    import time

    from rich.console import Console
    from rich.progress import Progress

    from monitor import subject_keys, switching
    from monitor.crypto import KeyEncryptionKeys
    from monitor.jobs import renewal_of
    from monitor.renewing import Step
    from monitor.stages.decode import DecodeLimits, Decoder

    keks = KeyEncryptionKeys.from_settings(settings)
    subject_keys.ensure_service_keys(engine, keks)
    console = Console(stderr=True)
    with (
        Decoder(DecodeLimits.of(settings)) as decoder,
        Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bar,
    ):
        renewal = renewal_of(settings, engine, keks, decoder)
        task = bar.add_task("Reading the kept samples", total=None)
        total = 0
        try:
            while (step := renewal.step(AT_ONCE_S)) not in {Step.ENDED, Step.IDLE}:
                now = switching.standing(engine)
                left = now.waiting if now else 0
                total = max(total, left)
                bar.update(task, total=total, completed=total - left)
                if step is Step.HELD:
                    time.sleep(POLL_S)
        finally:
            renewal.close()


def _drop_old(engine: Engine, *, yes: bool, quiet: bool) -> None:
    from monitor import switching
    from monitor.audit import operator
    from monitor.errors import ConfigError

    now = switching.standing(engine)
    people = now.must_give if now is not None else 0
    if people and not yes:
        typer.echo(f"The faces of {_people(people)} are not watched for any more after this.", err=quiet)
        if not typer.confirm("Go on?", err=quiet):
            msg = "nothing was dropped"
            raise ConfigError(msg, hint="--yes says it without being asked.")
    gone = switching.drop_old(engine, operator())
    if not quiet:
        typer.echo(f"Dropped. The faces of {_people(gone)} are not watched for any more.")


def _people(count: int) -> str:
    return f"{count:,} {'person' if count == 1 else 'people'}"


def _say(now: Standing | None, settings: Settings, *, json: bool) -> None:
    if json:
        typer.echo(jsonlib.dumps({"pack": settings.pack} if now is None else _as_json(now)))
        return
    if now is None:
        typer.echo(f"The models were never switched. The pack is {settings.pack}.")
        return
    for line in _lines(now):
        typer.echo(line)
    if now.switch.state == "done" and "pack" in settings.model_fields_set:
        _say_setting(now.switch.to_pack, settings)


def _say_setting(pack: str, settings: Settings) -> None:
    if settings.pack != pack:
        typer.secho(
            f"Set LIKENESS_PACK={pack} before anything is started again; it is {settings.pack} now.",
            fg="yellow",
        )


def _lines(now: Standing) -> list[str]:
    old, new = now.switch.from_pack, now.switch.to_pack
    said = {
        "running": f"Going over from {old} to {new}; {old} is in force until all kept samples are read.",
        "done": f"Went over from {old} to {new} at {now.switch.ended_at:%Y-%m-%d %H:%M} UTC."
        if now.switch.ended_at
        else "",
        "cancelled": f"The switch from {old} to {new} was cancelled; {old} is in force.",
    }
    lines = [said[now.switch.state]]
    if now.switch.state == "cancelled":
        return lines
    lines.append(
        f"Known by {new}: {now.moved:,} of {_people(now.people)}. Kept samples to be read: {now.waiting:,}."
    )
    if now.refused:
        why = ", ".join(f"{count} {code}" for code, count in sorted(now.reasons.items()))
        lines.append(f"Kept samples that {new} cannot use: {now.refused:,} ({why}).")
    if now.must_give:
        lines.append(
            f"{_people(now.must_give)} must give new samples: none was kept that {new} can use. Until then "
            f"{old} watches for them. `likeness subject list` marks them, and "
            "`likeness subject add-samples ID --face FILE... --attest TEXT` takes new ones."
        )
    return lines


def _as_json(now: Standing) -> dict[str, Any]:
    one = now.switch
    return {
        "from": one.from_pack,
        "to": one.to_pack,
        "state": one.state,
        "started_at": one.started_at.isoformat(timespec="seconds"),
        "ended_at": one.ended_at.isoformat(timespec="seconds") if one.ended_at else None,
        "people": now.people,
        "moved": now.moved,
        "must_give_new_samples": now.must_give,
        "samples_waiting": now.waiting,
        "samples_refused": now.refused,
        "reasons": dict(now.reasons),
    }
