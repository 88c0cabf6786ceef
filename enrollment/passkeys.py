"""Passkeys (WebAuthn, level 2): the way back in, and a second factor.

Every ceremony demands that the device checked its user (a fingerprint, a PIN): one passkey is something
that the person has, and something that they are or know. A challenge is good for one answer.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import webauthn
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, generate_challenge
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from enrollment import tokens
from enrollment.tables import LoginUse, Passkey
from monitor import audit
from monitor.errors import LinkInvalid, NotFound, PasskeyInvalid
from monitor.values import SubjectId

if TYPE_CHECKING:
    from sqlmodel import Session

    from enrollment.codes import Codes
    from monitor.settings import Settings

CHALLENGE_LASTS = timedelta(minutes=5)
"""How long the browser may take: to find the phone, and to try the finger a second time."""

MOST = 20
"""Passkeys of one person: every device has one."""

PURPOSE = "passkey"
LONGEST_NAME = 60

REQUIRED = UserVerificationRequirement.REQUIRED


@dataclass(frozen=True, slots=True)
class Party:
    """Who asks for a passkey: the domain it is for, the one origin it may come from, the name shown."""

    rp_id: str
    origin: str
    name: str


@dataclass(frozen=True, slots=True)
class PasskeyView:
    """One passkey as its person sees it."""

    passkey_id: str
    name: str
    created_at: datetime
    used_at: datetime | None


def party_of(settings: Settings) -> Party | None:
    """Make it from the settings; None where the address is a number: no browser makes passkeys for one."""
    parts = urlsplit(settings.public_url)
    host = parts.hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return Party(host, f"{parts.scheme}://{parts.netloc}", settings.mail_name) if host else None
    return None


@dataclass(frozen=True, slots=True)
class Passkeys:
    """Makes passkeys and checks them, in the caller's transaction. `secret` seals the cookie of a sign-in."""

    party: Party
    codes: Codes
    secret: str = field(repr=False)

    def ask_to_make(self, session: Session, subject_id: SubjectId, shown: str, now: datetime) -> str:
        """Give what the browser makes a passkey from, as JSON. `shown` is what the device lists it under."""
        options = webauthn.generate_registration_options(
            rp_id=self.party.rp_id,
            rp_name=self.party.name,
            user_id=bytes.fromhex(self.codes.lookups.digest("passkey-user", subject_id))[:16],
            user_name=shown,
            challenge=self._challenge(session, subject_id, now),
            timeout=_milliseconds(),
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=REQUIRED
            ),
            exclude_credentials=_descriptors(session, subject_id),
        )
        return webauthn.options_to_json(options)

    def make(self, session: Session, subject_id: SubjectId, answer: str, name: str, now: datetime) -> None:
        """Keep the passkey that a browser made. Audited. Raises PasskeyInvalid."""
        challenge = self._challenge_of(session, subject_id, now)
        if len(_of(session, subject_id)) >= MOST:
            msg = f"there are {MOST} passkeys already"
            raise PasskeyInvalid(msg, hint="Remove one that you do not need.")
        try:
            made = webauthn.verify_registration_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self.party.rp_id,
                expected_origin=self.party.origin,
                require_user_verification=True,
            )
        except WebAuthnException as exc:
            msg = "this passkey was not made for here, or not from this page"
            raise PasskeyInvalid(msg) from exc
        passkey_id = bytes_to_base64url(made.credential_id)
        if session.get(Passkey, passkey_id) is not None:
            raise _known()
        session.add(
            Passkey(
                id=passkey_id,
                subject_id=subject_id,
                public_key=made.credential_public_key,
                sign_count=made.sign_count,
                name=name.strip()[:LONGEST_NAME] or "Passkey",
                created_at=now,
            )
        )
        try:
            session.flush()
        except IntegrityError as exc:  # as above: somebody else kept it since we looked
            raise _known() from exc
        audit.record(session, "subject", "passkey.make", subject_id)

    def ask(self, session: Session, subject_id: SubjectId, now: datetime) -> str:
        """Give what the browser asks a passkey of this person for, as JSON."""
        challenge = self._challenge(session, subject_id, now)
        return self._request(challenge, _descriptors(session, subject_id))

    def show(self, session: Session, subject_id: SubjectId, answer: str, now: datetime) -> None:
        """Check a passkey that this person shows again. Raises PasskeyInvalid."""
        challenge = self._challenge_of(session, subject_id, now)
        row = _row_of(session, answer)
        if row.subject_id != subject_id:
            raise _unknown()
        self._check(row, challenge, answer, now)

    def ask_anyone(self, now: datetime) -> tuple[str, str]:
        """Give what the browser asks any passkey of ours for, as JSON, and the cookie with its challenge."""
        challenge = generate_challenge()
        content = {
            "challenge": bytes_to_base64url(challenge),
            "until": int((now + CHALLENGE_LASTS).timestamp()),
        }
        return self._request(challenge, []), tokens.made(self.secret, PURPOSE, content)

    def sign_in(self, session: Session, cookie: str, answer: str, now: datetime) -> SubjectId:
        """Say whose passkey was shown. The challenge of the cookie is used up. Raises PasskeyInvalid."""
        try:
            content = tokens.read(self.secret, PURPOSE, cookie)
        except LinkInvalid as exc:
            raise _too_late() from exc
        used = f"passkey.{content['challenge']}"
        if now.timestamp() >= content["until"] or session.get(LoginUse, used) is not None:
            raise _too_late()
        session.add(LoginUse(id=used, expires_at=now + CHALLENGE_LASTS))
        try:
            session.flush()
        except IntegrityError as exc:  # the same answer twice in the very same moment: one of them was first
            raise _too_late() from exc
        row = _row_of(session, answer)
        self._check(row, base64url_to_bytes(content["challenge"]), answer, now)
        return SubjectId(row.subject_id)

    def _challenge(self, session: Session, subject_id: SubjectId, now: datetime) -> bytes:
        challenge = generate_challenge()
        until = now + CHALLENGE_LASTS
        self.codes.give(session, subject_id, PURPOSE, bytes_to_base64url(challenge), until)
        return challenge

    def _challenge_of(self, session: Session, subject_id: SubjectId, now: datetime) -> bytes:
        given = self.codes.take(session, subject_id, PURPOSE, now)
        if given is None:
            raise _too_late()
        return base64url_to_bytes(given)

    def _request(self, challenge: bytes, allowed: list[PublicKeyCredentialDescriptor]) -> str:
        options = webauthn.generate_authentication_options(
            rp_id=self.party.rp_id,
            challenge=challenge,
            timeout=_milliseconds(),
            allow_credentials=allowed,
            user_verification=REQUIRED,
        )
        return webauthn.options_to_json(options)

    def _check(self, row: Passkey, challenge: bytes, answer: str, now: datetime) -> None:
        try:
            shown = webauthn.verify_authentication_response(
                credential=answer,
                expected_challenge=challenge,
                expected_rp_id=self.party.rp_id,
                expected_origin=self.party.origin,
                credential_public_key=row.public_key,
                credential_current_sign_count=row.sign_count,
                require_user_verification=True,
            )
        except WebAuthnException as exc:
            raise _unknown() from exc
        row.sign_count, row.used_at = shown.new_sign_count, now


def listing(session: Session, subject_id: SubjectId) -> list[PasskeyView]:
    """List a person's passkeys, the oldest first."""
    return [PasskeyView(row.id, row.name, row.created_at, row.used_at) for row in _of(session, subject_id)]


def remove(session: Session, subject_id: SubjectId, passkey_id: str) -> None:
    """Forget one passkey of a person. Audited. Raises NotFound where they have no such one."""
    row = session.get(Passkey, passkey_id)
    if row is None or row.subject_id != subject_id:
        msg = "there is no such passkey"
        raise NotFound(msg)
    session.delete(row)
    session.flush()
    audit.record(session, "subject", "passkey.remove", subject_id)


def _of(session: Session, subject_id: SubjectId) -> list[Passkey]:
    query = select(Passkey).where(Passkey.subject_id == subject_id)
    return list(session.exec(query.order_by(col(Passkey.created_at), col(Passkey.id))))


def _descriptors(session: Session, subject_id: SubjectId) -> list[PublicKeyCredentialDescriptor]:
    return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(row.id)) for row in _of(session, subject_id)]


def _row_of(session: Session, answer: str) -> Passkey:
    try:
        shown = webauthn.helpers.parse_authentication_credential_json(answer)
    except WebAuthnException as exc:
        raise _unknown() from exc
    row = session.get(Passkey, bytes_to_base64url(shown.raw_id), with_for_update=True)
    if row is None:
        raise _unknown()
    return row


def _milliseconds() -> int:
    return int(CHALLENGE_LASTS.total_seconds() * 1000)


def _known() -> PasskeyInvalid:
    return PasskeyInvalid("this passkey is known already")


def _unknown() -> PasskeyInvalid:
    return PasskeyInvalid("this passkey is not known here", hint="Come in by e-mail.")


def _too_late() -> PasskeyInvalid:
    return PasskeyInvalid("this took too long, or was answered already", hint="Try it once more.")
