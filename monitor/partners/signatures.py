"""Signatures of Standard Webhooks: who sent this, when, and that nobody changed a byte.

    webhook-id         names the message; accepted once
    webhook-timestamp  seconds since 1970, at most WINDOW_S away from now
    webhook-signature  `v1,` HMAC-SHA256 or `v1a,` Ed25519, in base64, over `id.timestamp.body`; several may
                       stand there, separated by blanks, while a key is being changed

Source: the Standard Webhooks specification, version 1.0. Headers other than these are not signed, so nothing
that a message means may stand in one: it all stands in the body.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from monitor import crypto
from monitor.errors import FeedInvalid, SignatureMissing, Tampered, TimestampOutside

if TYPE_CHECKING:
    from collections.abc import Mapping

WINDOW_S: Final = 300
"""Seconds that a signature may be old, or a clock ahead: the specification's five minutes."""

MESSAGE_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""No full stop: it parts the three things that are signed, and another cut must not give the same bytes."""

TIMESTAMP: Final = re.compile(r"[0-9]{1,12}")

MOST_SIGNATURES: Final = 8
"""Of one message. A partner who changes a key signs with two."""

LONGEST_SIGNATURES: Final = 2048
"""Characters of webhook-signature that are looked at."""

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - it says what follows it
PUBLIC_PREFIX: Final = "whpk_"
LEAST_SECRET, MOST_SECRET = 24, 64
"""Bytes of a shared secret, by the specification."""

PUBLIC_BYTES: Final = 32


class Scheme(StrEnum):
    """How a key signs."""

    HMAC = "hmac"
    ED25519 = "ed25519"


VERSIONS: Final = {"v1": Scheme.HMAC, "v1a": Scheme.ED25519}


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """What a signature is checked with: a shared secret of hmac, a public key of ed25519."""

    scheme: Scheme
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Signed:
    """The three headers of one message, read and found to be well made; nothing is verified yet."""

    message_id: str
    timestamp: int
    signatures: tuple[tuple[Scheme, bytes], ...]

    def fits(self, key: VerifyingKey, body: bytes) -> bool:
        """Say whether one of the signatures is the key's, over this body."""
        return any(
            scheme is key.scheme and self._is_by(key, given, body) for scheme, given in self.signatures
        )

    def _is_by(self, key: VerifyingKey, given: bytes, body: bytes) -> bool:
        head = f"{self.message_id}.{self.timestamp}.".encode()
        try:
            if key.scheme is Scheme.HMAC:
                crypto.verify_mac(key.key, given, head, body)
            else:
                crypto.verify(key.key, given, head + body)
        except Tampered:
            return False
        return True


def read(headers: Mapping[str, str], now_s: float) -> Signed:
    """Read the three headers. `now_s` is seconds since 1970.

    Raises SignatureMissing, and TimestampOutside where the message is not of these minutes.
    """
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not MESSAGE_ID.fullmatch(message_id):
        msg = "webhook-id is missing, or is not 1 to 128 letters, digits, dashes and underscores"
        raise _missing(msg)
    if not TIMESTAMP.fullmatch(timestamp) or (timestamp[0] == "0" and timestamp != "0"):
        msg = "webhook-timestamp is missing, or is not whole seconds since 1970"
        raise _missing(msg)
    signatures = _signatures(headers.get("webhook-signature", ""))
    if not signatures:
        msg = "webhook-signature is missing, or holds neither `v1,` nor `v1a,` with base64 after it"
        raise _missing(msg)
    if abs(now_s - int(timestamp)) > WINDOW_S:
        msg = f"the message was signed more than {WINDOW_S} s away from now"
        raise TimestampOutside(msg, hint="Sign each attempt with the time of now, and set the clock by NTP.")
    return Signed(message_id, int(timestamp), signatures)


def _signatures(header: str) -> tuple[tuple[Scheme, bytes], ...]:
    found = []
    for part in header[:LONGEST_SIGNATURES].split(" ")[:MOST_SIGNATURES]:
        version, _, encoded = part.partition(",")
        scheme = VERSIONS.get(version)
        if scheme is None:
            continue
        try:
            found.append((scheme, base64.b64decode(encoded, validate=True)))
        except (binascii.Error, ValueError):
            continue
    return tuple(found)


def _missing(msg: str) -> SignatureMissing:
    return SignatureMissing(msg, hint="Sign as Standard Webhooks says; deploy/partner has a client.")


def new_secret() -> tuple[str, bytes]:
    """Make a shared secret: as it is handed over (`whsec_` and base64), and its 32 bytes."""
    secret = crypto.new_key()
    return SECRET_PREFIX + base64.b64encode(secret).decode(), secret


def public_of(text: str) -> bytes:
    """Read an Ed25519 public key, `whpk_` and base64 of 32 bytes. Raises FeedInvalid."""
    try:
        raw = base64.b64decode(text.strip().removeprefix(PUBLIC_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != PUBLIC_BYTES:
        msg = "that is not an Ed25519 public key"
        raise FeedInvalid(msg, hint=f"It looks like {PUBLIC_PREFIX} and 44 letters of base64.")
    return raw
