"""Keyed digests: to find a row by an address, or know a clip again, without keeping either.

HMAC-SHA256 under a secret of the service that is wrapped like every key: who steals the database cannot
try addresses against it.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import cached_property
from typing import TYPE_CHECKING

from monitor import crypto, subject_keys

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys

LABEL = b"likeness-watch/lookup/1"


class Lookups:
    """Makes keyed digests. Digests of different kinds never meet.

    The service's keys are made here where there are none yet, and not at the first use: that may be within a
    transaction, and SQLite has one writer. The secret is unwrapped at the first use, which only reads: each
    method raises KeyMissing, KeyWrong or Tampered there.
    """

    def __init__(self, engine: Engine, keks: KeyEncryptionKeys) -> None:
        subject_keys.ensure_service_keys(engine, keks)
        self._engine, self._keks = engine, keks

    def __repr__(self) -> str:
        return "Lookups(...)"

    @cached_property
    def _secret(self) -> bytes:
        return subject_keys.lookup_secret(self._engine, self._keks)

    def email(self, address: str) -> str:
        """Digest an address (normalised as enrollment/profiles.py does), in any case of letters."""
        return self.digest("email", address.casefold())

    def clip(self, data: bytes) -> str:
        """Digest the bytes of a clip or sample."""
        return self.digest("clip", hashlib.sha256(data).digest())

    def digest(self, kind: str, value: str | bytes) -> str:
        """Digest any value: 64 hexadecimal letters."""
        return hmac.new(self._secret, crypto.bind(LABEL, kind, value), hashlib.sha256).hexdigest()
