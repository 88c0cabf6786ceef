"""The steps of an enrolment, and how far somebody came: a tab that was closed half-way goes on there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlmodel import col, func, select

from enrollment.consent_texts import Purpose, current
from enrollment.standing import Standing
from enrollment.subjects import profile_of
from enrollment.tables import Account, Challenge, Consent, GivenSample, Passkey, Subject
from monitor.values import Modality

if TYPE_CHECKING:
    from sqlmodel import Session

    from monitor.crypto import KeyEncryptionKeys
    from monitor.values import SubjectId

BIOMETRICS = Purpose.BIOMETRICS
"""The purpose of the one consent without which nobody is enrolled (see enrollment/consent.py)."""


class Step(StrEnum):
    """The steps in their order. The value is the last part of the page's address, `/enrol/VALUE`."""

    YOU = "you"
    CONSENT = "consent"
    FACE = "face"
    VOICE = "voice"
    PROOF = "proof"
    SAFETY = "safety"
    START = "start"


TITLES = {
    Step.YOU: "About you",
    Step.CONSENT: "What you agree to",
    Step.FACE: "Your face",
    Step.VOICE: "Your voice",
    Step.PROOF: "Show that it is you",
    Step.SAFETY: "Keep it yours",
    Step.START: "Start",
}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far somebody came. `ahead` is the first step that is not done; None: they are through."""

    standing: Standing
    done: frozenset[Step]

    @property
    def ahead(self) -> Step | None:
        """The first step that is not done."""
        return next((step for step in Step if step not in self.done), None)

    @property
    def path(self) -> str:
        """The page to go on at."""
        return "/account" if self.ahead is None else f"/enrol/{self.ahead}"

    def may(self, step: Step) -> bool:
        """Say whether a step can be taken: every one before it is done."""
        return all(before in self.done for before in list(Step)[: list(Step).index(step)])


def progress_of(session: Session, keks: KeyEncryptionKeys, subject_id: SubjectId) -> Progress:
    """Look how far somebody came. Raises NotFound, SubjectErased."""
    profile = profile_of(session, keks, subject_id)
    standing = Standing(session.get_one(Subject, subject_id).status)
    account = session.get(Account, subject_id)
    done = set()
    if profile.name and profile.born:
        done.add(Step.YOU)
    if is_given(session, subject_id, BIOMETRICS, current(BIOMETRICS).version):
        done.add(Step.CONSENT)
    done |= _given(session, subject_id)
    if _is_proved(session, subject_id):
        done.add(Step.PROOF)
    if (account is not None and account.phone_at is not None) or _has_passkey(session, subject_id):
        done.add(Step.SAFETY)
    if standing is not Standing.NEW:
        done = set(Step)
    return Progress(standing, frozenset(done))


def is_given(session: Session, subject_id: SubjectId, purpose: str, version: str = "") -> bool:
    """Say whether a consent is in force: the newest answer to its question is yes, to this text if named."""
    query = select(Consent).where(Consent.subject_id == subject_id, Consent.purpose == purpose)
    newest = session.exec(query.order_by(col(Consent.at).desc(), col(Consent.id).desc())).first()
    return newest is not None and newest.given and version in {"", newest.version}


def _given(session: Session, subject_id: SubjectId) -> set[Step]:
    query = select(GivenSample.modality).where(
        GivenSample.subject_id == subject_id, col(GivenSample.state).in_(("usable", "enrolled"))
    )
    there = set(session.exec(query.distinct()))
    steps = {Modality.FACE: Step.FACE, Modality.VOICE: Step.VOICE}
    return {step for modality, step in steps.items() if modality in there}


def _is_proved(session: Session, subject_id: SubjectId) -> bool:
    query = select(func.count()).where(
        col(Challenge.subject_id) == subject_id, col(Challenge.state).in_(("passed", "held"))
    )
    return session.exec(query).one() > 0


def _has_passkey(session: Session, subject_id: SubjectId) -> bool:
    return session.exec(select(Passkey.id).where(Passkey.subject_id == subject_id)).first() is not None
