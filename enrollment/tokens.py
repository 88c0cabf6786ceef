"""Tokens that a browser carries for us: sealed, so that nobody reads or changes what is in them.

AES-256-GCM under a key that is derived from the secret of the links: whoever has a token learns nothing
from it but its length, which is the same for all of one purpose.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any

from monitor import crypto
from monitor.errors import LinkInvalid, Tampered

LABEL = b"likeness-watch/token/1"

PAD_TO = 256
"""Bytes to whose multiple the content is filled up: hardly any address needs more."""

LONGEST = 4096
"""Characters of a token that are looked at."""


def made(secret: str, purpose: str, content: dict[str, Any]) -> str:
    """Seal JSON content for one purpose; give text that can stand in an address or a cookie."""
    plain = json.dumps(content).encode()
    plain += b" " * (-len(plain) % PAD_TO)  # JSON does not mind blanks at its end
    sealed = crypto.seal(_key(secret), plain, _context(purpose))
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()


def read(secret: str, purpose: str, token: str) -> dict[str, Any]:
    """Open what `made` made. Raises LinkInvalid where it is none of ours for this purpose."""
    token = token[:LONGEST]  # what is longer is none of ours, and does not open
    try:
        sealed = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        found: dict[str, Any] = json.loads(crypto.unseal(_key(secret), sealed, _context(purpose)))
    except (Tampered, ValueError, binascii.Error) as exc:
        msg = "this is no link of ours"
        raise LinkInvalid(msg) from exc
    return found


def _key(secret: str) -> bytes:
    return hmac.new(secret.encode(), LABEL, hashlib.sha256).digest()


def _context(purpose: str) -> crypto.Context:
    return crypto.Context("", "", f"token-{purpose}")
