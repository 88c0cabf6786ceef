"""Envelope encryption: the only file that imports cryptography's primitives.

Three locks, each for its own purpose:

* A key-encryption key (KEK), given by the operator and never stored beside the data, wraps data keys.
* A data key per subject seals everything that belongs to that subject (AES-256-GCM). The context of a
  record is bound to its ciphertext, so a record that is moved to another row does not open.
* A public key takes media and references in (HPKE, RFC 9180): who has only that key can put in and
  open nothing. Receipts are signed with Ed25519.

Every envelope starts with a version byte, so that a later format can stand beside this one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Never, Self

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from monitor.errors import ConfigError, KeyMissing, KeyWrong, Tampered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from monitor.settings import Settings

KEY_BYTES = 32
"""AES-256."""

NONCE_BYTES = 12
"""The size GCM is made for. Random: safe for 2**32 messages per key (NIST SP 800-38D, 8.3), and every
key here seals far fewer: a subject's own records, or one wrapped key per subject."""

TAG_BYTES = 16
FINGERPRINT_BYTES = 8
"""Enough to tell a wrong KEK from a changed row in an error message; the tag is what decides."""

FEWEST_DISTINCT_BYTES = 8
"""Of 32 random bytes, fewer than 8 different ones come once in 10**35; a key typed by hand has them."""

VERSION = b"\x01"
KEY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
HPKE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)

_SEAL_LABEL = b"likeness-watch/seal/1"
_WRAP_LABEL = b"likeness-watch/wrap/1"
_INTAKE_LABEL = b"likeness-watch/intake/1"
_FINGERPRINT_LABEL = b"likeness-watch/fingerprint/1"


@dataclass(frozen=True, slots=True)
class Context:
    """What a sealed value is and where it belongs. All of it is bound to the ciphertext."""

    subject_id: str
    record_id: str
    kind: str
    model_id: str = ""

    def bound(self) -> bytes:
        """Give the associated data: every part with its length before it, so none can run into the next."""
        return bind(_SEAL_LABEL, self.subject_id, self.record_id, self.kind, self.model_id)


def bind(label: bytes, *parts: str | bytes) -> bytes:
    """Join parts so that no two different lists of parts give the same bytes."""
    joined = [label]
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        joined += (len(raw).to_bytes(4, "big"), raw)
    return b"".join(joined)


def new_key() -> bytes:
    """Make 32 random bytes."""
    return os.urandom(KEY_BYTES)


def wipe(key: bytearray) -> None:
    """Overwrite key bytes in place. Best effort: copies that Python or OpenSSL made are out of reach."""
    key[:] = bytes(len(key))


def seal(key: bytes | bytearray, plaintext: bytes, context: Context) -> bytes:
    """Seal a value of a subject: version, 12-byte nonce, AES-256-GCM ciphertext with its tag."""
    nonce = os.urandom(NONCE_BYTES)
    return VERSION + nonce + AESGCM(key).encrypt(nonce, plaintext, context.bound())


def unseal(key: bytes | bytearray, envelope: bytes, context: Context) -> bytes:
    """Open what `seal` made.

    Raises Tampered when the envelope, the key or any part of the context is not the one it was sealed with.
    """
    nonce, ciphertext = _split(envelope, f"the sealed {context.kind}")
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, context.bound())
    except InvalidTag as exc:
        msg = f"the sealed {context.kind} {context.record_id} does not open: changed, or moved to another row"
        raise Tampered(msg, hint="Restore the row from a backup; look at `likeness audit show`.") from exc


def unseal_into(key: bytes | bytearray, envelope: bytes, context: Context, buffer: memoryview) -> None:
    """Open what `seal` made straight into the caller's own memory, which the caller can overwrite later.

    `buffer` is writable and as long as the plaintext. Raises like `unseal`, and Tampered when the
    plaintext is not of that length.
    """
    nonce, ciphertext = _split(envelope, f"the sealed {context.kind}")
    if len(ciphertext) != buffer.nbytes + TAG_BYTES:
        msg = f"the sealed {context.kind} {context.record_id} is not of the length it should have"
        raise Tampered(msg)
    try:
        AESGCM(key).decrypt_into(nonce, ciphertext, context.bound(), buffer.cast("B"))
    except InvalidTag as exc:
        msg = f"the sealed {context.kind} {context.record_id} does not open: changed, or moved to another row"
        raise Tampered(msg, hint="Restore the row from a backup; look at `likeness audit show`.") from exc


def _split(envelope: bytes, what: str) -> tuple[bytes, bytes]:
    if envelope[:1] != VERSION or len(envelope) < 1 + NONCE_BYTES + TAG_BYTES:
        msg = f"{what} is not an envelope of a version known here"
        raise Tampered(msg)
    return envelope[1 : 1 + NONCE_BYTES], envelope[1 + NONCE_BYTES :]


class KeyEncryptionKeys:
    """The operator's keys, by id. The first one is active: it wraps; the others only unwrap."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        """Take id -> 32 bytes, the active key first.

        Raises KeyMissing when there is none, ConfigError when an id or key is not usable.
        """
        if not keys:
            msg = "no key-encryption key was given"
            raise KeyMissing(msg, hint=_HOW_TO_GIVE)
        for key_id, key in keys.items():
            _check_key(key_id, key)
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._fingerprints = {key_id: _fingerprint(key) for key_id, key in keys.items()}
        self._active = next(iter(keys))

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Read the keys of `kek`, then those of `kek_file`.

        Raises KeyMissing when neither is set or the file is not there, ConfigError when a line is wrong.
        """
        lines: list[str] = []
        if settings.kek is not None:
            lines += settings.kek.get_secret_value().split(",")
        if settings.kek_file is not None:
            try:
                lines += settings.kek_file.read_text(encoding="utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as exc:
                msg = f"the key file {settings.kek_file} cannot be read"
                raise KeyMissing(msg, hint=_HOW_TO_GIVE) from exc
        return cls(parse_keys(lines))

    @property
    def active_id(self) -> str:
        """Id of the key that wraps."""
        return self._active

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of all keys, the active one first."""
        return tuple(self._ciphers)

    def wrap(self, key: bytes, context: bytes) -> tuple[bytes, str]:
        """Wrap a data key with the active KEK; give the wrapped bytes and the KEK's id."""
        nonce = os.urandom(NONCE_BYTES)
        bound = bind(_WRAP_LABEL, self._active, context)
        sealed = self._ciphers[self._active].encrypt(nonce, key, bound)
        return VERSION + self._fingerprints[self._active] + nonce + sealed, self._active

    def unwrap(self, wrapped: bytes, kek_id: str, context: bytes) -> bytes:
        """Open what `wrap` made.

        Raises KeyMissing when no key of that id was given, KeyWrong when it is another key under the
        same id, Tampered when the wrapped bytes or their context were changed.
        """
        cipher = self._ciphers.get(kek_id)
        if cipher is None:
            msg = f"the key-encryption key {kek_id!r} was not given"
            raise KeyMissing(
                msg, hint="Add it after the active key, or run `likeness keys rotate` where it is."
            )
        fingerprint, rest = wrapped[1 : 1 + FINGERPRINT_BYTES], wrapped[:1] + wrapped[1 + FINGERPRINT_BYTES :]
        nonce, sealed = _split(rest, "a wrapped key")
        if not hmac.compare_digest(fingerprint, self._fingerprints[kek_id]):
            msg = f"the key-encryption key {kek_id!r} is not the one this was wrapped with"
            raise KeyWrong(msg, hint="Another key stands under the same id; give the right one.")
        try:
            return cipher.decrypt(nonce, sealed, bind(_WRAP_LABEL, kek_id, context))
        except InvalidTag as exc:
            msg = "a wrapped key does not open: it was changed, or moved to another row"
            raise Tampered(msg) from exc

    def __repr__(self) -> str:
        return f"KeyEncryptionKeys({', '.join(self._ciphers)})"

    def __reduce__(self) -> Never:
        """Refuse to be pickled: keys do not travel between processes by accident."""
        msg = "key-encryption keys are never pickled"
        raise TypeError(msg)


_HOW_TO_GIVE = "Make one with `likeness keys new FILE` and set LIKENESS_KEK_FILE to that file."


def parse_keys(lines: list[str]) -> dict[str, bytes]:
    """Read `id:base64 of 32 bytes` lines; empty lines and lines that start with # are passed over.

    Raises ConfigError naming the id (never the key) of a line that is wrong.
    """
    keys: dict[str, bytes] = {}
    for number, raw in enumerate(lines, start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        key_id, _, encoded = line.partition(":")
        try:
            key = base64.b64decode(encoded.strip(), validate=True)
        except binascii.Error as exc:
            msg = f"key-encryption key number {number} is not `id:base64`"
            raise ConfigError(msg, hint=_HOW_TO_GIVE) from exc
        if keys.setdefault(key_id.strip(), key) != key:
            msg = f"two different key-encryption keys have the id {key_id.strip()!r}"
            raise ConfigError(msg)
    return keys


def new_key_line(key_id: str) -> str:
    """Make a new key-encryption key as the line that `parse_keys` reads. The line is the secret."""
    key = new_key()
    _check_key(key_id, key)
    return f"{key_id}:{base64.b64encode(key).decode()}"


def _check_key(key_id: str, key: bytes) -> None:
    if not KEY_ID.fullmatch(key_id):
        msg = "the id of a key-encryption key is 1 to 64 letters, digits, dots, dashes or underscores"
        raise ConfigError(msg, hint=_HOW_TO_GIVE)
    if len(key) != KEY_BYTES:
        msg = f"the key-encryption key {key_id!r} has {len(key)} bytes and needs {KEY_BYTES}"
        raise ConfigError(msg, hint=_HOW_TO_GIVE)
    if len(set(key)) < FEWEST_DISTINCT_BYTES:
        msg = f"the key-encryption key {key_id!r} is not random; it looks like a placeholder"
        raise ConfigError(msg, hint=_HOW_TO_GIVE)


def _fingerprint(key: bytes) -> bytes:
    return hmac.new(key, _FINGERPRINT_LABEL, hashlib.sha256).digest()[:FINGERPRINT_BYTES]


class IntakeSealer:
    """Puts media in: holds the public key alone, so what it seals it cannot open again."""

    def __init__(self, public: bytes) -> None:
        """Take the 32-byte X25519 public key. Raises KeyWrong when it is not one."""
        try:
            self._public = X25519PublicKey.from_public_bytes(public)
        except ValueError as exc:
            msg = "the public key of the intake is not an X25519 key"
            raise KeyWrong(msg) from exc

    def seal(self, plaintext: bytes, info: bytes) -> bytes:
        """Seal bytes for the intake key; `info` says what they are and must be given again to open."""
        return VERSION + HPKE.encrypt(plaintext, self._public, bind(_INTAKE_LABEL, info))


class IntakeOpener:
    """Opens what any IntakeSealer put in: held by workers only."""

    def __init__(self, private: bytes) -> None:
        """Take the 32-byte X25519 private key. Raises KeyWrong when it is not one."""
        try:
            self._private = X25519PrivateKey.from_private_bytes(private)
        except ValueError as exc:
            msg = "the private key of the intake is not an X25519 key"
            raise KeyWrong(msg) from exc

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """Open sealed media. Raises Tampered when bytes, `info` or key are not those it was sealed with."""
        if sealed[:1] != VERSION:
            msg = "sealed media is not of a version known here"
            raise Tampered(msg)
        try:
            return HPKE.decrypt(memoryview(sealed)[1:], self._private, bind(_INTAKE_LABEL, info))
        except InvalidTag as exc:
            msg = "sealed media does not open: it was changed, or sealed for another key or item"
            raise Tampered(msg) from exc


class ChunkCipher:
    """Seals the chunks of one long value, in order, under a key that is used for nothing else."""

    def __init__(self, key: bytes) -> None:
        """Take a new 32-byte key: a chunk's number is its nonce, so no key may serve twice."""
        self._cipher = AESGCM(key)

    def seal(self, number: int, chunk: bytes, place: bytes) -> bytes:
        """Give AES-256-GCM ciphertext with its tag; `place` is bound to it."""
        return self._cipher.encrypt(number.to_bytes(NONCE_BYTES, "big"), chunk, place)

    def open(self, number: int, sealed: bytes, place: bytes) -> bytes:
        """Open what `seal` made. Raises Tampered where it was changed or stands elsewhere."""
        try:
            return self._cipher.decrypt(number.to_bytes(NONCE_BYTES, "big"), sealed, place)
        except InvalidTag as exc:
            msg = "a chunk of sealed media does not open: it was changed, or moved"
            raise Tampered(msg) from exc


def new_intake_pair() -> tuple[bytes, bytes]:
    """Make a key pair for HPKE: (public, private), 32 bytes each."""
    private = X25519PrivateKey.generate()
    return private.public_key().public_bytes_raw(), private.private_bytes_raw()


def new_lookup_secret() -> tuple[bytes, bytes]:
    """Make the secret of keyed digests: a fingerprint that tells nothing, and 32 random bytes."""
    secret = new_key()
    return _fingerprint(secret), secret


class Signer:
    """Signs receipts with Ed25519."""

    def __init__(self, private: bytes) -> None:
        """Take the 32-byte private key. Raises KeyWrong when it is not one."""
        try:
            self._private = Ed25519PrivateKey.from_private_bytes(private)
        except ValueError as exc:
            msg = "the private key of the receipts is not an Ed25519 key"
            raise KeyWrong(msg) from exc

    @property
    def public(self) -> bytes:
        """The 32-byte public key that `verify` takes."""
        return self._private.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Give the 64-byte signature of a message."""
        return self._private.sign(message)


def verify(public: bytes, signature: bytes, message: bytes) -> None:
    """Check an Ed25519 signature. Raises Tampered when it does not fit key and message."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError) as exc:
        msg = "the signature does not fit the message and the public key"
        raise Tampered(msg) from exc


def mac(secret: bytes, *parts: bytes) -> bytes:
    """Give the 32-byte HMAC-SHA256 of the parts, one after the other. Who joins them keeps them apart."""
    made = hmac.new(secret, digestmod=hashlib.sha256)
    for part in parts:
        made.update(part)
    return made.digest()


def verify_mac(secret: bytes, given: bytes, *parts: bytes) -> None:
    """Check an HMAC-SHA256, in the same time whatever was given. Raises Tampered when it does not fit."""
    if not hmac.compare_digest(mac(secret, *parts), given):
        msg = "the authentication code does not fit the message and the secret"
        raise Tampered(msg)


def new_signing_pair() -> tuple[bytes, bytes]:
    """Make a key pair for signatures: (public, private), 32 bytes each."""
    private = Ed25519PrivateKey.generate()
    return private.public_key().public_bytes_raw(), private.private_bytes_raw()
