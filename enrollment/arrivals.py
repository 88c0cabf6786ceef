"""Is somebody with this face or voice there already? Asked of each newcomer, and told to nobody of them.

Each sample is compared with everybody enrolled, and with whoever is on the way in: two newcomers with one
face are held both. What comes of it stays in memory, or goes sealed into a Hold. Strangers to the service
are not compared: only who gave samples is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import or_
from sqlmodel import col, select

from enrollment.given import GOOD
from enrollment.judging import vector_of
from enrollment.standing import Standing
from enrollment.tables import GivenSample, Subject
from monitor import subject_keys
from monitor.db import reading, utc_now
from monitor.errors import KeysError
from monitor.gallery import models_of
from monitor.gallery_rows import SealedRow, opened
from monitor.stages.match import NEAREST
from monitor.tables import SubjectKey, Template
from monitor.values import Modality, ModelId, SubjectId

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from sqlmodel import Session

    from enrollment.desk import Desk
    from monitor.crypto import KeyEncryptionKeys
    from monitor.gallery_rows import Models

HELD_BY_CHANCE = 0.01
"""Share of newcomers who may be held, for each of face and voice, though nobody like them is there. It is
shared out over all comparisons of one newcomer, so that a larger gallery holds no more people."""

NOT_IN_GALLERY_YET = timedelta(minutes=1)
"""A gallery may be this far behind the ledger, with much to spare (gallery.STALE_AFTER_S is 2 s): templates
as young as that are compared from their rows."""

THE_SAME_DAY = timedelta(days=1)
"""How long the samples of somebody who has not pressed the last button count. Later they would only bar the
way for the one whose face it is."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One sample of a newcomer, opened: `vector` is (d,) float32 of length 1, `quality` in [0, 1]."""

    sample_id: str
    modality: Modality
    model_id: ModelId
    vector: NDArray[np.float32]
    quality: float


@dataclass(frozen=True, slots=True)
class Near:
    """Somebody whose face or voice is like the newcomer's. `score` is a cosine.

    `enrolled`: let in before, or enrolled by an operator; else on the way in as well.
    """

    subject_id: SubjectId
    modality: Modality
    score: float
    enrolled: bool


def vectors_of(keks: KeyEncryptionKeys, session: Session, rows: Iterable[GivenSample]) -> list[Arrival]:
    """Open the vectors of judged samples of one subject. Raises SubjectErased, Tampered."""
    found = []
    for row in rows:
        if row.sealed_vector is None:
            continue
        with subject_keys.held_key(session, keks, SubjectId(row.subject_id)) as key:
            vector = vector_of(bytes(key), row)
        found.append(Arrival(row.id, Modality(row.modality), ModelId(row.model_id), vector, row.quality))
    return found


def near(desk: Desk, subject_id: SubjectId, arrivals: Sequence[Arrival]) -> tuple[Near, ...]:
    """Find who is like a newcomer, the most alike first; each of them once for each of face and voice.

    Raises GalleryNotReady, ModelMismatch.
    """
    best: dict[tuple[SubjectId, Modality], Near] = {}
    for modality, (model_id, _) in models_of(desk.reader.pack).items():
        own = [one.vector for one in arrivals if one.modality is modality and one.model_id == model_id]
        if not own:
            continue
        for one in _like(desk, subject_id, modality, np.stack(own)):
            key = (one.subject_id, modality)
            if key not in best or one.score > best[key].score:
                best[key] = one
    return tuple(sorted(best.values(), key=lambda one: (-one.score, one.subject_id)))


def near_from(desk: Desk, modality: Modality, other: SubjectId, comparisons: int) -> float:
    """Give the cosine from which on a newcomer counts as like somebody.

    By the calibration: what strangers reach in HELD_BY_CHANCE of newcomers, at this number of comparisons.
    Never above the cosine at which that other person would be told of a match, and never below where the
    recogniser tells nobody apart. Where nobody measured the recogniser it is the review threshold.
    """
    pack = desk.reader.pack
    half = pack.faces if modality is Modality.FACE else pack.voices
    thresholds = desk.book.of(modality, other)
    if half is None or half.calibration is None:
        return thresholds.review
    by_size = half.calibration.score_at(HELD_BY_CHANCE / max(1, comparisons))
    return max(half.calibration.least[1], min(by_size, thresholds.alert))


def _like(desk: Desk, subject_id: SubjectId, modality: Modality, own: NDArray[np.float32]) -> Iterator[Near]:
    model_id, size = models_of(desk.reader.pack)[modality]
    models: Models = {modality: (model_id, size)}
    # 1  everybody in the gallery
    compared = desk.gallery.compare(modality, model_id, own, NEAREST)
    # 2  who is enrolled and not in it: paused, or let in a moment ago; and who is on the way in
    enrolled = _not_in_gallery(desk, subject_id, models)
    coming = _on_the_way(desk, subject_id, modality, model_id)
    comparisons = len(own) * (compared.subjects + len(enrolled) + len(coming))
    for line in compared.nearest:
        for one in line:
            if one.subject_id != subject_id and one.score >= near_from(
                desk, modality, one.subject_id, comparisons
            ):
                yield Near(one.subject_id, modality, one.score, enrolled=True)
    for others, are_enrolled in ((enrolled, True), (coming, False)):
        for other, vectors in others.items():
            score = float((own @ np.stack(vectors).T).max())
            if score >= near_from(desk, modality, other, comparisons):
                yield Near(other, modality, score, enrolled=are_enrolled)


def _not_in_gallery(
    desk: Desk, subject_id: SubjectId, models: Models
) -> Mapping[SubjectId, list[NDArray[np.float32]]]:
    """Open the templates of paused people, and of those let in just now."""
    [(model_id, _)] = models.values()
    young = col(Template.created_at) > utc_now() - NOT_IN_GALLERY_YET
    query = (
        select(Template, SubjectKey)
        .join(SubjectKey, col(SubjectKey.subject_id) == col(Template.subject_id))
        .where(
            or_(col(SubjectKey.paused_at).is_not(None), young),
            col(Template.model_id) == model_id,
            col(Template.subject_id) != subject_id,
        )
        .order_by(col(Template.subject_id))
    )
    with reading(desk.engine) as session:
        rows = [_sealed_row(template, key) for template, key in session.exec(query)]
    found: dict[SubjectId, list[NDArray[np.float32]]] = {}
    for row in opened(desk.keks, models, rows):
        found.setdefault(row.subject_id, []).append(row.vector.copy())
    return found


def _sealed_row(template: Template, key: SubjectKey) -> SealedRow:
    return SealedRow(
        template.id,
        template.subject_id,
        template.modality,
        template.model_id,
        template.quality,
        template.sealed,
        key.wrapped,
        key.kek_id,
    )


def _on_the_way(
    desk: Desk, subject_id: SubjectId, modality: Modality, model_id: ModelId
) -> Mapping[SubjectId, list[NDArray[np.float32]]]:
    """Open the samples of other newcomers: who waits for an answer, and who gave samples today."""
    waits = col(Subject.status).in_((Standing.STARTING, Standing.HELD))
    today = (col(Subject.status) == Standing.NEW) & (col(GivenSample.created_at) > desk.now() - THE_SAME_DAY)
    query = (
        select(GivenSample)
        .join(Subject, col(Subject.id) == col(GivenSample.subject_id))
        .where(
            or_(waits, today),
            col(GivenSample.state).in_(tuple(GOOD)),
            col(GivenSample.sealed_vector).is_not(None),
            col(GivenSample.modality) == modality,
            col(GivenSample.model_id) == model_id,
            col(GivenSample.subject_id) != subject_id,
        )
    )
    found: dict[SubjectId, list[NDArray[np.float32]]] = {}
    with reading(desk.engine) as session:
        for row in session.exec(query).all():
            try:
                [arrival] = vectors_of(desk.keks, session, [row])
            except KeysError:  # erased this moment, or a bad row: nobody to be like
                continue
            found.setdefault(SubjectId(row.subject_id), []).append(arrival.vector)
    return found
