"""A passkey in software: it makes the answers that a phone or laptop gives (WebAuthn, level 2)."""

from __future__ import annotations

import hashlib
import json
import secrets
import struct
from dataclasses import dataclass, field

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import bytes_to_base64url

from enrollment.tables import Passkey
from monitor.values import SubjectId

USER_PRESENT_AND_VERIFIED = 0x05


@dataclass
class Authenticator:
    """One device of one person, for one site."""

    rp_id: str
    origin: str
    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    count: int = 0

    def row(self, subject_id: SubjectId) -> Passkey:
        """Give what the service keeps of it."""
        numbers = self.private.public_key().public_numbers()
        x, y = (one.to_bytes(32, "big") for one in (numbers.x, numbers.y))
        public = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: x, -3: y})  # COSE: EC2, ES256, P-256
        name = bytes_to_base64url(self.credential_id)
        return Passkey(id=name, subject_id=subject_id, public_key=public, name="Phone")

    def answer(self, options: str) -> str:
        """Answer what the service asks with these options, as the browser sends it."""
        self.count += 1
        client = json.dumps(
            {
                "type": "webauthn.get",
                "challenge": json.loads(options)["challenge"],
                "origin": self.origin,
                "crossOrigin": False,
            }
        ).encode()
        data = hashlib.sha256(self.rp_id.encode()).digest()
        data += struct.pack(">BI", USER_PRESENT_AND_VERIFIED, self.count)
        signature = self.private.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        name = bytes_to_base64url(self.credential_id)
        return json.dumps(
            {
                "id": name,
                "rawId": name,
                "type": "public-key",
                "response": {
                    "clientDataJSON": bytes_to_base64url(client),
                    "authenticatorData": bytes_to_base64url(data),
                    "signature": bytes_to_base64url(signature),
                },
            }
        )
