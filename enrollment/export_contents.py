"""What stands in the copy of everything: one JSON file, a page to read, and the files themselves.

    everything.json      all of it, for machines; `rows` has every other row that hangs on the person
    READ-ME-FIRST.html   the same in words
    consents/*.json      what was agreed to, signed
    samples/*, clips/*   the pictures, recordings and clips that are still there
    originals/*          what was given to have changed copies known
    findings/*           the evidence of each finding, and the file itself where it was kept

Left out on purpose: keys, digests of cookies and codes; the numbers of people whom the person called “not
me”, which are somebody else's; what the checks of a challenge found, which would teach how to pass them;
and, during the cooling-off, whatever says whether somebody was held (standing.shown_standing).
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any

import filetype
from jinja2 import Environment, PackageLoader, StrictUndefined
from sqlalchemy import MetaData, Table, inspect
from sqlalchemy import select as select_columns
from sqlmodel import col, select

from enrollment import consent, delegates, given, originals, references, search_terms
from enrollment.audit_words import in_words, looks
from enrollment.identity.verdict import State as Proof
from enrollment.standing import Standing, is_cooling_off, shown_standing
from enrollment.subjects import profile_of
from enrollment.tables import Account, Challenge, GivenSample, Reference, Subject
from monitor import crypto, findings, subject_keys
from monitor import log as logs
from monitor.crypto import Context
from monitor.db import reading
from monitor.errors import LikenessError
from monitor.partners import takedowns
from monitor.tables import Finding, SubjectKey, Template
from monitor.values import BlobId, FindingId

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlmodel import Session

    from enrollment.desk import Desk
    from monitor.values import SubjectId

log = logs.get(__name__)

KIND = "likeness-watch export"
VERSION = 1

TOLD_APART = frozenset(
    {
        "consent",
        "template",
        "finding",
        "evidence",
        "delegate",
        "subject",
        "lookalike",
        "blob",
        "search_term",
        "known_original",
    }
)
"""Tables that stand in the JSON opened and in words, not as rows; a lookalike is somebody else's face."""

NEVER = frozenset({"web_session", "finding_session", "one_time_code", "export"})
"""Tables that hold keys of doors and codes, or this copy itself."""

UNTOLD_TABLES = frozenset({"hold", "template"})
"""What differs between who is let in and who is held; left out during the cooling-off."""

UNREADABLE = ("sealed", "lookup", "digest", "sha256", "wrapped", "blob_id")
"""Columns whose names hold this are sealed or digests: they tell nobody anything."""


def everything(desk: Desk, subject_id: SubjectId) -> Iterator[tuple[str, bytes]]:
    """Give every file of the copy, as (name, content). Raises SubjectErased, NotFound."""
    said = gathered(desk, subject_id)
    files: list[dict[str, str]] = []
    for name, content, about in _media(desk, subject_id):
        files.append({"file": name, "what": about})
        yield name, content
    said["files"] = files
    for one in said["consents"]:
        yield f"consents/{one['consent']['consent_id']}.json", _json(one)
    yield "everything.json", _json(said)
    yield "READ-ME-FIRST.html", _templates().get_template("export.html").render(said=said).encode()


def gathered(desk: Desk, subject_id: SubjectId) -> dict[str, Any]:
    """Put everything but the files together, as JSON. Raises SubjectErased, NotFound."""
    now = desk.now()
    with reading(desk.engine) as session:
        account = session.get(Account, subject_id)
        hidden = is_cooling_off(account, now)
        key = subject_keys.key_of(session, desk.keks, subject_id)
        standing = Standing(session.get_one(Subject, subject_id).status)
        return {
            "kind": KIND,
            "version": VERSION,
            "made_at": now.isoformat(),
            "subject_id": subject_id,
            "profile": asdict(profile_of(session, desk.keks, subject_id)),
            "standing": str(shown_standing(standing, account, now)),
            "consents": [json.loads(row.record) for row in consent.history(session, subject_id)],
            "samples": [_plain(asdict(one)) for one in given.listing(session, desk.keks, subject_id)],
            "measurements": [] if hidden else _measurements(session, key, subject_id),
            "findings": _findings(session, desk, subject_id),
            "delegates": [_plain(asdict(one)) for one in delegates.listing(session, desk.keks, subject_id)],
            "search_terms": [
                _plain(asdict(one)) for one in search_terms.listing(session, desk.keks, subject_id)
            ],
            "originals": [_plain(asdict(one)) for one in originals.listing(session, desk.keks, subject_id)],
            "entrusted_to_you": [_plain(asdict(one)) for one in delegates.entrusted(session, subject_id)],
            "looks": [
                {**_plain(asdict(one)), "in_words": in_words(one)} for one in looks(session, subject_id, now)
            ],
            "rows": _rows(session, subject_id, hidden=hidden),
        }


def _measurements(session: Session, key: bytes, subject_id: SubjectId) -> list[dict[str, Any]]:
    rows = session.exec(
        select(Template).where(Template.subject_id == subject_id).order_by(col(Template.created_at))
    )
    return [
        {
            "id": row.id,
            "modality": row.modality,
            "model_id": row.model_id,
            "quality": row.quality,
            "made_at": row.created_at.isoformat(),
            "vector_float32_little_endian_base64": base64.b64encode(
                crypto.unseal(key, row.sealed, Context(subject_id, row.id, "template", row.model_id))
            ).decode(),
        }
        for row in rows
    ]


def _findings(session: Session, desk: Desk, subject_id: SubjectId) -> list[dict[str, Any]]:
    ids = session.exec(
        select(Finding.id).where(Finding.subject_id == subject_id).order_by(col(Finding.created_at))
    )
    views = [findings.read(session, desk.keks, FindingId(one)) for one in ids]
    return [
        _plain(asdict(one))
        | {"partners_reported": [_plain(asdict(said)) for said in takedowns.of_media(session, one.media_id)]}
        for one in views
    ]


def _rows(session: Session, subject_id: SubjectId, *, hidden: bool) -> dict[str, list[dict[str, Any]]]:
    """Give every row that hangs on the subject's key, of every package, as far as it can be read."""
    connection = session.connection()
    found: dict[str, list[dict[str, Any]]] = {}
    for name in sorted(inspect(connection).get_table_names()):
        if name in TOLD_APART | NEVER | (UNTOLD_TABLES if hidden else frozenset()):
            continue
        for foreign in inspect(connection).get_foreign_keys(name):
            if foreign["referred_table"] != SubjectKey.__tablename__:
                continue
            table = Table(name, MetaData(), autoload_with=connection, resolve_fks=False)
            own = table.c[foreign["constrained_columns"][0]] == subject_id
            rows = connection.execute(select_columns(table).where(own)).mappings()
            told = [_told(name, dict(row), hidden=hidden) for row in rows]
            found.setdefault(name, []).extend(told)
    return {name: rows for name, rows in found.items() if rows}


def _told(table: str, row: dict[str, Any], *, hidden: bool) -> dict[str, Any]:
    if table == "challenge" and hidden and row["state"] in {Proof.PASSED, Proof.HELD}:
        row["state"] = "given"
    readable = {name: value for name, value in row.items() if not any(one in name for one in UNREADABLE)}
    return {name: value for name, value in _plain(readable).items() if value is not None}


def _media(desk: Desk, subject_id: SubjectId) -> Iterator[tuple[str, bytes, str]]:
    """Open what is still there: samples, clips, evidence, originals; as (name, content, what it is)."""
    with reading(desk.engine) as session:
        subject = session.get_one(Subject, subject_id)
        opener = references.opener(session, desk.keks, subject)
        key = subject_keys.key_of(session, desk.keks, subject_id)
        sealed = _samples_and_clips(session, subject_id)
        found = session.exec(select(Finding).where(Finding.subject_id == subject_id)).all()
    for folder, record_id, blob_id in sealed:
        try:
            content = opener.open(desk.blobs.get(BlobId(blob_id)), references.info(subject_id, record_id))
        except LikenessError as exc:
            log.warning("not_in_export", record=record_id, code=exc.code)
            continue
        yield f"{folder}/{record_id}.{_ending(content)}", content, folder
    yield from _originals(desk, subject_id)
    for row in found:
        yield from _evidence(desk, key, row)


def _originals(desk: Desk, subject_id: SubjectId) -> Iterator[tuple[str, bytes, str]]:
    with reading(desk.engine) as session:
        ids = [one.original_id for one in originals.listing(session, desk.keks, subject_id)]
    for original_id in ids:
        try:
            with reading(desk.engine) as session:
                content = originals.opened(session, desk.keks, desk.blobs, subject_id, original_id)
        except LikenessError as exc:
            log.warning("not_in_export", record=original_id, code=exc.code)
            continue
        if content is not None:
            yield f"originals/{original_id}.{_ending(content)}", content, "an original of yours"


def _samples_and_clips(session: Session, subject_id: SubjectId) -> list[tuple[str, str, str]]:
    kept = select(Reference.id, Reference.blob_id).where(Reference.subject_id == subject_id)
    samples = dict(session.exec(kept).all())
    more = select(GivenSample.id, GivenSample.blob_id).where(GivenSample.subject_id == subject_id)
    samples |= {one: blob for one, blob in session.exec(more) if blob is not None}
    clips = select(Challenge.id, Challenge.blob_id).where(Challenge.subject_id == subject_id)
    return [
        *(("samples", one, blob) for one, blob in sorted(samples.items())),
        *(("clips", one, blob) for one, blob in session.exec(clips) if blob is not None),
    ]


def _evidence(desk: Desk, key: bytes, row: Finding) -> Iterator[tuple[str, bytes, str]]:
    with reading(desk.engine) as session:
        record = findings.evidence_of(session, desk.keks, FindingId(row.id))
    yield f"findings/{row.id}/evidence.json", record, "evidence"
    original = json.loads(record).get("original")
    if original:
        try:
            context = Context(row.subject_id, row.media_id, "original")
            content = crypto.unseal(key, desk.blobs.get(BlobId(original)), context)
        except LikenessError as exc:
            log.warning("not_in_export", record=row.id, code=exc.code)
            return
        yield f"findings/{row.id}/original.{_ending(content)}", content, "what was found"


def _ending(content: bytes) -> str:
    """Guess the usual ending by the first bytes alone."""
    return str(filetype.guess_extension(content) or "bin")


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _value(value) for name, value in row.items()}


def _value(value: object) -> Any:  # noqa: ANN401 - what JSON has
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return _plain(value)
    if isinstance(value, list | tuple):
        return [_value(one) for one in value]
    return value if value is None or isinstance(value, str | int | float | bool) else _text(value)


def _text(value: Any) -> str:  # noqa: ANN401 - a date, or what says itself
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)


def _json(said: object) -> bytes:
    return json.dumps(said, indent=2, ensure_ascii=False).encode()


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("enrollment"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
