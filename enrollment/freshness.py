"""How long from the last click to being found, and from an erasure to being unmatched: for the bench.

People made of unit vectors go the whole way of rows: the click as the web process writes it, the worker's
desk in its own thread, and the worker's gallery, which follows the ledger. No picture is read: that was
done before the click.
"""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from sqlmodel import select

from enrollment import consent, erasure, proofs, references, subjects
from enrollment.consent_texts import Purpose
from enrollment.desk_work import keep_working
from enrollment.given import VECTOR, State
from enrollment.profiles import Profile
from enrollment.standing import Standing
from enrollment.tables import Account, Challenge, GivenSample, Passkey, Subject
from monitor import crypto, subject_keys
from monitor.db import reading, writing
from monitor.errors import GalleryNotReady
from monitor.gallery import models_of
from monitor.values import Modality, SubjectId

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from enrollment.desk import Desk

LOOK_EVERY_S = 0.005
"""How often it is looked whether the gallery finds somebody: what a measurement is too long by, at most."""

GIVEN_UP_AFTER_S = 30.0


@dataclass(frozen=True, slots=True)
class Freshness:
    """Seconds from the click to the first hit, and from the erasure's start to the first miss, by person."""

    searchable_s: tuple[float, ...]
    erased_s: tuple[float, ...]

    def figures(self) -> dict[str, float]:
        """Give p50 and p99 (linear between ranks), and how many people."""
        return {
            "people": len(self.searchable_s),
            "searchable_p50_s": _at(self.searchable_s, 50),
            "searchable_p99_s": _at(self.searchable_s, 99),
            "erased_p50_s": _at(self.erased_s, 50),
            "erased_p99_s": _at(self.erased_s, 99),
        }


def measure(desk: Desk, people: int, seed: int = 1) -> Freshness:
    """Enrol and erase this many people one after the other, beside a desk at work. Needs a ready gallery.

    `desk.gallery` must follow the ledger by itself (Gallery.start). Raises GalleryNotReady when somebody is
    not found, or still found, after GIVEN_UP_AFTER_S.
    """
    rng, stop = np.random.default_rng(seed), threading.Event()
    subject_keys.ensure_service_keys(desk.engine, desk.keks)
    at_work = threading.Thread(target=keep_working, args=(desk, stop), name="desk")
    at_work.start()
    searchable, erased, names = [], [], []
    try:
        for _ in range(people):
            who, face = _newcomer(desk, rng)
            names.append((who, face))
            searchable.append(_timed(partial(_click, desk, who), partial(_finds, desk, face, who)))
        for who, face in names:
            erased.append(_timed(partial(_erase, desk, who), partial(_misses, desk, face, who)))
    finally:
        stop.set()
        at_work.join()
    return Freshness(tuple(searchable), tuple(erased))


def _timed(deed: Callable[[], None], is_done: Callable[[], bool]) -> float:
    """Do it in a thread of its own, as a web process would, and give the seconds until it shows."""
    doing = threading.Thread(target=deed)
    began = time.monotonic()
    doing.start()
    try:
        while not is_done():
            if time.monotonic() - began > GIVEN_UP_AFTER_S:
                msg = f"the gallery did not show it within {GIVEN_UP_AFTER_S:.0f} s"
                raise GalleryNotReady(msg)
            time.sleep(LOOK_EVERY_S)
        return time.monotonic() - began
    finally:
        doing.join()


def _click(desk: Desk, who: SubjectId) -> None:
    with writing(desk.engine) as session:
        missing = proofs.start(session, desk.keks, desk.settings, who, desk.now())
    if missing is not None:
        msg = f"somebody made for the measurement lacks the step {missing}"
        raise AssertionError(msg)


def _erase(desk: Desk, who: SubjectId) -> None:
    erasure.erase(desk.engine, desk.keks, desk.blobs, who, "bench")


def _finds(desk: Desk, face: NDArray[np.float32], who: SubjectId) -> bool:
    model_id, _ = models_of(desk.reader.pack)[Modality.FACE]
    [line] = desk.gallery.compare(Modality.FACE, model_id, face[None], 1).nearest
    return bool(line) and line[0].subject_id == who


def _misses(desk: Desk, face: NDArray[np.float32], who: SubjectId) -> bool:
    return not _finds(desk, face, who)


def _newcomer(desk: Desk, rng: np.random.Generator) -> tuple[SubjectId, NDArray[np.float32]]:
    """Make somebody who has done every step but the last one."""
    who, now = SubjectId(uuid.uuid4().hex), desk.now()
    email = f"{who}@bench.invalid"
    signer = subject_keys.receipt_signer(desk.engine, desk.keks)
    vectors = {modality: _unit(rng, size) for modality, (_, size) in models_of(desk.reader.pack).items()}
    with writing(desk.engine) as session:
        profile = Profile("Somebody", email, "", "", "1990-01-01")
        subjects.create(session, desk.keks, who, profile, standing=Standing.NEW)
        session.add(Account(subject_id=who, email_lookup=desk.lookups.email(email)))
        session.add(Passkey(id=who, subject_id=who, public_key=b"", name="bench"))
        consent.answer(session, signer, who, {Purpose.BIOMETRICS: True, Purpose.REFERENCES: False}, now)
    for modality, vector in vectors.items():
        _sample(desk, who, modality, vector)
    proved = desk.now()
    with writing(desk.engine) as session:
        proof = Challenge(id=uuid.uuid4().hex, subject_id=who, drawn="{}", state="passed", expires_at=proved)
        proof.drawn_at = proof.ended_at = proved
        session.add(proof)
    return who, vectors[Modality.FACE]


def _sample(desk: Desk, who: SubjectId, modality: Modality, vector: NDArray[np.float32]) -> None:
    model_id, _ = models_of(desk.reader.pack)[modality]
    with reading(desk.engine) as session:
        public = session.exec(select(Subject.reference_public).where(Subject.id == who)).one()
        key = subject_keys.key_of(session, desk.keks, who)
    kept = references.put(desk.blobs, who, public, modality, b"made of numbers")
    context = crypto.Context(who, kept.reference_id, VECTOR, model_id)
    with writing(desk.engine) as session:
        session.add(references.blob_row(who, kept, references.GIVEN))
        session.flush()
        session.add(
            GivenSample(
                id=kept.reference_id,
                subject_id=who,
                modality=modality,
                blob_id=kept.blob_id,
                clip_lookup=desk.lookups.clip(kept.reference_id.encode()),
                state=State.USABLE,
                sealed_vector=crypto.seal(key, vector.tobytes(), context),
                model_id=model_id,
                quality=1.0,
                created_at=desk.now(),
            )
        )


def _unit(rng: np.random.Generator, size: int) -> NDArray[np.float32]:
    vector = rng.standard_normal(size)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def _at(seconds: Sequence[float], percent: float) -> float:
    return float(np.percentile(seconds, percent))
