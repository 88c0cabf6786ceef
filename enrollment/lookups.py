"""Keyed digests: to find a row by an address, or know a clip again, without keeping either.

HMAC-SHA256 under a secret of the service that is wrapped like every key: who steals the database cannot
try addresses against it.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from monitor import crypto, subject_keys

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys

LABEL = b"likeness-watch/lookup/1"


@dataclass(frozen=True, slots=True)
class Lookups:
    """Makes keyed digests. Digests of different kinds never meet."""

    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, engine: Engine, keks: KeyEncryptionKeys) -> Self:
        """Unwrap the service's secret; make it where it is missing. Raises KeyMissing, KeyWrong, Tampered."""
        subject_keys.ensure_service_keys(engine, keks)
        return cls(subject_keys.lookup_secret(engine, keks))

    def email(self, address: str) -> str:
        """Digest an address (normalised as enrollment/profiles.py does), in any case of letters."""
        return self.digest("email", address.casefold())

    def clip(self, data: bytes) -> str:
        """Digest the bytes of a clip or sample."""
        return self.digest("clip", hashlib.sha256(data).digest())

    def digest(self, kind: str, value: str | bytes) -> str:
        """Digest any value: 64 hexadecimal letters."""
        return hmac.new(self.secret, crypto.bind(LABEL, kind, value), hashlib.sha256).hexdigest()
