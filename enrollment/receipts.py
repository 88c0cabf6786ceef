"""The signed receipt of an erasure: what a person gets in hand, and how anybody checks it."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from monitor import crypto
from monitor.errors import Tampered

VERSION = 1
LABEL = b"likeness-watch/erasure-receipt/1"
"""Stands before what is signed: this key signs receipts, and a receipt is all this signature can mean."""

STATEMENT = {
    "sqlite": (
        "The key of this subject was destroyed, every row and file sealed with it was deleted, and the pages "
        "and the log of the database that held them were overwritten or cut off. "
        "Copies in backups made earlier cannot be opened without the key that was in them."
    ),
    "postgresql": (
        "The key of this subject was destroyed, every row and file sealed with it was deleted, and the table "
        "of keys was rewritten without it. The server's own log, its replicas and backups made earlier keep "
        "what they hold until their retention ends."
    ),
}
"""What the receipt says was done, in words, by database. It promises no more than what happened."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """One erasure. `removed` counts rows by table, and files; `erased_at` is ISO 8601, UTC.

    `signature` is Ed25519, 64 bytes, by the service's receipt key, whose public half is `public`.
    """

    subject_id: str
    erased_at: str
    removed: tuple[tuple[str, int], ...]
    statement: str
    signature: bytes
    public: bytes

    def to_json(self) -> str:
        """Write the receipt as the file that a person keeps."""
        body = _body(self.subject_id, self.erased_at, self.removed, self.statement)
        whole = {"receipt": body, "signature": _encoded(self.signature), "public_key": _encoded(self.public)}
        return json.dumps(whole, indent=2, sort_keys=True)


def sign(
    signer: crypto.Signer, subject_id: str, erased_at: str, removed: dict[str, int], statement: str
) -> Receipt:
    """Make and sign a receipt."""
    counts = tuple(sorted(removed.items()))
    signature = signer.sign(_signed_bytes(_body(subject_id, erased_at, counts, statement)))
    return Receipt(subject_id, erased_at, counts, statement, signature, signer.public)


def read(text: str) -> Receipt:
    """Read a receipt's file without believing it; see `verify`. Raises Tampered when it is not one."""
    try:
        whole = json.loads(text)
        body = whole["receipt"]
        receipt = Receipt(
            subject_id=body["subject_id"],
            erased_at=body["erased_at"],
            removed=tuple(sorted((str(name), int(count)) for name, count in body["removed"].items())),
            statement=body["statement"],
            signature=base64.b64decode(whole["signature"], validate=True),
            public=base64.b64decode(whole["public_key"], validate=True),
        )
        same = body == _body(receipt.subject_id, receipt.erased_at, receipt.removed, receipt.statement)
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as exc:
        msg = "this is not an erasure receipt"
        raise Tampered(msg) from exc
    if not same:
        msg = "this is not an erasure receipt of a version known here, or something was added to it"
        raise Tampered(msg)
    return receipt


def verify(text: str, public: bytes) -> Receipt:
    """Check a receipt's file against the service's public key and give what it says.

    The key inside the file is not trusted: `public` comes from the service, or from its operator by
    another way. Raises Tampered when anything in it was changed or another key signed it.
    """
    receipt = read(text)
    body = _body(receipt.subject_id, receipt.erased_at, receipt.removed, receipt.statement)
    crypto.verify(public, receipt.signature, _signed_bytes(body))
    return receipt


def _body(
    subject_id: str, erased_at: str, removed: tuple[tuple[str, int], ...], statement: str
) -> dict[str, Any]:
    return {
        "kind": "likeness-watch erasure receipt",
        "version": VERSION,
        "subject_id": subject_id,
        "erased_at": erased_at,
        "removed": dict(removed),
        "statement": statement,
    }


def _signed_bytes(body: dict[str, Any]) -> bytes:
    return crypto.bind(LABEL, json.dumps(body, sort_keys=True, separators=(",", ":")))


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
