"""Content Credentials signed by an authority of the test's own."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AI = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/composite"
CAMERA = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"


class Authority:
    """A certificate authority of the test's own, and a signer under it."""

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())
        root = self._certificate("Test Root", key, "Test Root", key, authority=True)
        leaf = self._certificate("Test Camera", self._leaf_key, "Test Root", key, authority=False)
        self.pem = root.public_bytes(serialization.Encoding.PEM).decode()
        self._chain = leaf.public_bytes(serialization.Encoding.PEM).decode() + self.pem

    def _certificate(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        issuer: str,
        issuer_key: ec.EllipticCurvePrivateKey,
        *,
        authority: bool,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        usage = x509.KeyUsage(
            digital_signature=not authority,
            key_cert_sign=authority,
            crl_sign=authority,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        made = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
            )
        )
        if not authority:
            made = made.add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
            )
        return made.sign(issuer_key, hashes.SHA256())

    def signed(self, data: bytes, source_type: str = "", *, thumbnail: int = 0, made_from: str = "") -> bytes:
        """Sign a JPEG whose manifest says how it was made, with a thumbnail of so many bytes.

        With `made_from` (`parentOf`, `componentOf`) it stands for a file that was made from `data`, and says
        nothing of its own making.
        """
        action: dict[str, Any] = {"action": "c2pa.created", "digitalSourceType": source_type or COMPOSITE}
        if made_from == "parentOf":
            action = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["before"]}}
        manifest: dict[str, Any] = {
            "claim_generator_info": [{"name": "test", "version": "1"}],
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}],
        }
        if thumbnail:
            manifest["thumbnail"] = {"format": "image/jpeg", "identifier": "thumbnail"}
        key = self._leaf_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        info = c2pa.C2paSignerInfo(b"es256", self._chain.encode(), key, None)
        into = io.BytesIO()
        with c2pa.Signer.from_info(info) as signer, c2pa.Builder(manifest) as builder:
            if made_from:
                ingredient = {"title": "before", "instance_id": "before", "relationship": made_from}
                builder.add_ingredient(json.dumps(ingredient), "image/jpeg", io.BytesIO(data))
            if thumbnail:
                builder.add_resource("thumbnail", io.BytesIO(bytes(thumbnail)))
            builder.sign(signer, "image/jpeg", io.BytesIO(data), into)
        return into.getvalue()


def _name(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Tests"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
