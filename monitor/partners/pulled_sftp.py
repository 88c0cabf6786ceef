"""Files of a folder on an SFTP server, whose key was written down when the feed was set up."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from monitor.errors import FeedInvalid, FetchFailed, HostKeyDiffers
from monitor.partners.places import SILENCE_S, Found, extra_missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.partners.places import Dial, Place

PORT: Final = 22

DEEPEST: Final = 16
"""Folders within folders; what lies deeper is not looked at."""

READ_BYTES: Final = 32 * 2**10
"""As much as every server gives at a time (draft-ietf-secsh-filexfer-02, 3)."""

AHEAD: Final = 32
"""Reads that are asked for at once: a megabyte is on its way, and no more."""

RSA: Final = "ssh-rsa"


class Folder:
    """One folder that was entered."""

    def __init__(self, place: Place, dial: Dial) -> None:
        """Connect. Raises ExtraMissing, HostKeyDiffers, FeedInvalid, FetchFailed."""
        self._place = place
        self._transport = _connected(place.url, dial, place.host_key.split(" ", 1)[0])
        try:
            self._check_key()
            with _own_errors():
                self._enter()
                self._sftp = self._transport.open_sftp_client()
                self._sftp.get_channel().settimeout(SILENCE_S)
        except BaseException:
            self._transport.close()
            raise

    def _check_key(self) -> None:
        shown, known = host_key_of(self._transport.get_remote_server_key()), self._place.host_key
        if shown != known:
            msg = f"the server shows the key {fingerprint(shown)}, not {fingerprint(known)}"
            hint = "Ask the partner whether it was changed. If so, set the feed up anew with the new key."
            raise HostKeyDiffers(msg, hint=hint)

    def _enter(self) -> None:
        if self._place.secret.lstrip().startswith("-----BEGIN"):
            self._transport.auth_publickey(self._place.user, private_key(self._place.secret))
        else:
            self._transport.auth_password(self._place.user, self._place.secret)

    def files(self, after: str) -> Iterator[Found]:
        """Give all plain files of the folder and those below it; links are not followed.

        The order is the server's own, so nothing is left out because of `after`. Raises FetchFailed.
        """
        del after
        waiting = [(self._place.prefix or ".", 0)]
        while waiting:
            folder, depth = waiting.pop()
            for one in self._listed(folder):
                path = f"{folder}/{one.filename}"
                mode = one.st_mode or 0
                if stat.S_ISDIR(mode) and depth < DEEPEST and one.filename not in {".", ".."}:
                    waiting.append((path, depth + 1))
                elif stat.S_ISREG(mode):
                    version = f"{one.st_mtime}-{one.st_size}"
                    yield Found(path, one.st_size or 0, version, float(one.st_mtime or 0))

    def _listed(self, folder: str) -> list[Any]:
        with _own_errors():
            listed: list[Any] = self._sftp.listdir_attr(folder)
        return [one for one in listed if "/" not in one.filename]

    def pieces(self, found: Found) -> Iterator[bytes]:
        """Give the bytes of a file, as many as were listed. Raises FetchFailed where there are fewer."""
        came = 0
        with _own_errors(), self._sftp.open(found.name, "rb") as file:
            while came < found.size:
                until = min(found.size, came + AHEAD * READ_BYTES)
                asked = [(at, min(READ_BYTES, until - at)) for at in range(came, until, READ_BYTES)]
                for piece in file.readv(asked):
                    came += len(piece)
                    yield piece
                if came < until:
                    msg = "a file ended before its end: it was changed meanwhile"
                    raise FetchFailed(msg)

    def now(self) -> float | None:
        """Say that the server does not tell its time."""
        return None

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


def key_shown(url: str, dial: Dial) -> str:
    """Ask a server for its key, as `ssh-ed25519 AAAA...`. Raises ExtraMissing, FetchFailed, FeedInvalid."""
    transport = _connected(url, dial, "")
    try:
        return host_key_of(transport.get_remote_server_key())
    finally:
        transport.close()


def fingerprint(host_key: str) -> str:
    """Give the fingerprint of a key as `ssh-keygen -l` shows it. Raises FeedInvalid where it is no key."""
    try:
        raw = base64.b64decode(host_key.split(" ")[1], validate=True)
    except (IndexError, binascii.Error) as exc:
        msg = "that is no key of a server"
        raise FeedInvalid(
            msg, hint="Give two words, as in known_hosts: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5..."
        ) from exc
    return "SHA256:" + base64.b64encode(hashlib.sha256(raw).digest()).decode().rstrip("=")


def host_key_of(key: Any) -> str:  # noqa: ANN401 - paramiko has no types
    """Give a server's key as it is written down."""
    return f"{key.get_name()} {key.get_base64()}"


def target_of(url: str) -> tuple[str, int]:
    """Give host and port of `sftp://host:port`. Raises FeedInvalid."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or PORT
    except ValueError:
        host, port = None, PORT
    if host is None or urlsplit(url).scheme != "sftp" or "@" in url:
        msg = "the address of an SFTP server is sftp://host or sftp://host:port"
        raise FeedInvalid(msg)
    return host, port


def private_key(text: str) -> Any:  # noqa: ANN401 - as above
    """Read a private key without a passphrase. Raises FeedInvalid, ExtraMissing."""
    paramiko = _paramiko()
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text))
        except (paramiko.SSHException, ValueError, IndexError):
            continue
    msg = "the private key cannot be read: it is of another kind, or has a passphrase"
    raise FeedInvalid(msg, hint="Make one for this alone: ssh-keygen -t ed25519 -N '' -f FILE.")


def _connected(url: str, dial: Dial, kind: str) -> Any:  # noqa: ANN401 - as above
    """Shake hands; `kind` of key is asked for. Raises FetchFailed, ExtraMissing, FeedInvalid."""
    paramiko = _paramiko()
    host, port = target_of(url)
    with _own_errors():
        sock = dial(host, port)
        sock.settimeout(SILENCE_S)
        transport = paramiko.Transport(sock)
        transport.banner_timeout = transport.auth_timeout = transport.channel_timeout = SILENCE_S
        try:
            if kind:
                wanted = ("rsa-sha2-512", "rsa-sha2-256") if kind == RSA else (kind,)
                transport.get_security_options().key_types = wanted
            transport.start_client(timeout=SILENCE_S)
        except BaseException:
            transport.close()
            raise
    return transport


def _paramiko() -> Any:  # noqa: ANN401 - as above
    try:
        import paramiko  # noqa: PLC0415 - an extra
    except ImportError as exc:
        raise extra_missing() from exc
    return paramiko


@contextmanager
def _own_errors() -> Iterator[None]:
    paramiko = _paramiko()
    try:
        yield
    except paramiko.AuthenticationException as exc:
        msg = "the SFTP server does not let us in"
        raise FetchFailed(msg, hint="Look at the user and the password or key.") from exc
    except paramiko.IncompatiblePeer as exc:
        msg = "the SFTP server has no key of the kind that was written down, or no cipher that we know"
        raise HostKeyDiffers(msg, hint="Ask the partner whether its key was changed.") from exc
    except (paramiko.SSHException, EOFError, OSError, ValueError) as exc:
        msg = f"the SFTP server could not be read: {type(exc).__name__}"
        raise FetchFailed(msg) from exc
