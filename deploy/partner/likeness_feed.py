"""Push media to a Likeness Watch feed. One file: copy it into your own code. Needs Python 3.11 and httpx.

    feed = Feed("https://watch.example.org", "example-agency", Hmac("whsec_..."))
    feed.push("post-81733/1", Path("81733.jpg").read_bytes(), page_url="https://example.org/post/81733")
    for line in feed.push_all(items):
        print(line["key"], line["status"], line.get("code", ""))

Ed25519 instead of a shared secret: `pip install cryptography`, then `Ed25519("whsk_...")`.

Every call may be repeated: an item counts once, by its key. A message whose answer was lost is sent again
under its own id; where the watch says that it has it already, the answer is asked for under a new one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
import secrets
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self

import httpx

MOST_LINES = 1000
MOST_BATCH_BYTES = 12 * 2**20
LARGEST_JSON = 8 * 2**20
ATTEMPTS = 8
LONGEST_WAIT_S = 60.0
AGAIN = {408, 429, 500, 502, 503, 504}
PIECE_BYTES = 8 * 2**20
TUS = "1.0.0"
SIGNED = ("Upload-Length", "Upload-Metadata", "Upload-Offset", "Upload-Checksum", "Tus-Resumable")


class Signer(Protocol):
    """Signs a message: gives one signature of webhook-signature."""

    def sign(self, message: bytes) -> str:
        """Give `v1,...` or `v1a,...`."""


class Hmac:
    """Signs with the secret that the operator of the watch handed to you."""

    def __init__(self, secret: str) -> None:
        """Take `whsec_` and base64."""
        self._secret = base64.b64decode(secret.removeprefix("whsec_"), validate=True)

    def sign(self, message: bytes) -> str:
        """Give `v1,` and the base64 of HMAC-SHA256."""
        made = hmac.new(self._secret, message, hashlib.sha256).digest()
        return "v1," + base64.b64encode(made).decode()


class Ed25519:
    """Signs with a private key of your own; the watch knows the public half only."""

    def __init__(self, private: str) -> None:
        """Take `whsk_` and base64 of 32 bytes."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

        raw = base64.b64decode(private.removeprefix("whsk_"), validate=True)
        self._key = Ed25519PrivateKey.from_private_bytes(raw[:32])

    @classmethod
    def new(cls) -> str:
        """Make a private key, `whsk_...`. Keep it secret."""
        return "whsk_" + base64.b64encode(secrets.token_bytes(32)).decode()

    @property
    def public(self) -> str:
        """What you give to the operator of the watch: `whpk_...`."""
        return "whpk_" + base64.b64encode(self._key.public_key().public_bytes_raw()).decode()

    def sign(self, message: bytes) -> str:
        """Give `v1a,` and the base64 of the signature."""
        return "v1a," + base64.b64encode(self._key.sign(message)).decode()


class Refused(Exception):
    """The watch did not take it. `code` is stable, `status` that of HTTP, `after_s` how long to wait."""

    def __init__(self, status: int, code: str, detail: str, after_s: float = 0.0) -> None:
        """Keep what was said."""
        super().__init__(f"{status} {code}: {detail}")
        self.status, self.code, self.detail, self.after_s = status, code, detail, after_s


class Feed:
    """One feed. Give two signers while you change a key; the new one need not be known yet."""

    def __init__(self, url: str, name: str, *signers: Signer, client: httpx.Client | None = None) -> None:
        """Take the address of the watch and the name of the feed."""
        self._url = f"{url.rstrip('/')}/v1/feeds/{name}"
        self._signers = signers
        self._client = client or httpx.Client(timeout=60.0)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def push(self, key: str, content: bytes | None = None, **told: str) -> dict[str, Any]:
        """Push one item: a file, or `url=` alone to have it fetched. `told` is url, page_url, title.

        Raises Refused, and httpx.TransportError when the watch cannot be reached.
        """
        item: dict[str, Any] = {"key": key, **told}
        if content is not None and len(content) > LARGEST_JSON:
            return self._send("/items", *_form(item, content))
        if content is not None:
            item["content"] = base64.b64encode(content).decode()
        return self._send("/items", "application/json", json.dumps(item).encode())

    def push_all(self, items: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Push many items in batches. Each is `key`, and `content` (bytes) or `url`, and page_url, title.

        Gives the end of each, in order: `status` is accepted, duplicate, or refused with a `code`.
        """
        for lot in _lots(items):
            if isinstance(lot, dict):
                yield self.push(**lot)
            else:
                yield from self._send("/items", "application/x-ndjson", lot)["items"]

    def upload_large(self, key: str, file: Path, location: str = "", **told: str) -> str:
        """Send a large file in pieces; give its location. `told` is url, page_url, title.

        Give the location of an earlier call that was interrupted to go on where it ended: it is the
        `location` of the exception. Raises Refused, and httpx.TransportError.
        """
        said = {"key": key, "sha256": _digest_of(file), **told}
        if not location:
            metadata = ",".join(f"{name} {_base64(text.encode())}" for name, text in said.items())
            sizes = {"Upload-Length": str(file.stat().st_size), "Upload-Metadata": metadata}
            location = self._tus("POST", self._url + "/uploads", sizes).headers["location"]
        where = str(httpx.URL(self._url).join(location))
        try:
            with file.open("rb") as stream:
                self._pieces(where, stream)
        except (Refused, httpx.TransportError) as exc:
            exc.location = location  # type: ignore[union-attr]
            raise
        return location

    def _pieces(self, where: str, stream: BinaryIO) -> None:
        """Send what is lacking. After a piece whose end is not known, ask how far the upload is."""
        failed = 0
        head = self._tus("HEAD", where, {})
        offset, size = int(head.headers["upload-offset"]), int(head.headers["upload-length"])
        while offset < size:
            stream.seek(offset)
            piece = stream.read(PIECE_BYTES)
            checksum = f"sha256 {_base64(hashlib.sha256(piece).digest())}"
            headers = {
                "Upload-Offset": str(offset),
                "Upload-Checksum": checksum,
                "Content-Type": "application/offset+octet-stream",
            }
            try:
                answer = self._tus("PATCH", where, headers, piece, attempts=1)
                offset, failed = int(answer.headers["upload-offset"]), 0
            except (Refused, httpx.TransportError) as exc:
                failed += 1
                if failed == ATTEMPTS or (isinstance(exc, Refused) and exc.status not in {*AGAIN, 409, 460}):
                    raise
                _wait(failed, 0.0 if isinstance(exc, httpx.TransportError) else exc.after_s)
                offset = int(self._tus("HEAD", where, {}).headers["upload-offset"])

    def _tus(
        self, method: str, url: str, said: dict[str, str], piece: bytes = b"", attempts: int = ATTEMPTS
    ) -> httpx.Response:
        """Send one request of tus, signed by its statement instead of its body."""
        headers = {"Tus-Resumable": TUS, **said}
        lines = [method, httpx.URL(url).path, *(headers.get(name, "") for name in SIGNED)]
        statement = "\n".join(lines).encode()
        for attempt in range(1, attempts + 1):
            try:
                signed = self._signed(_new_id(), statement)
                answer = self._client.request(method, url, content=piece, headers=headers | signed)
            except httpx.TransportError:
                if attempt == attempts:
                    raise
                _wait(attempt, 0.0)
                continue
            if answer.is_success:
                return answer
            if answer.status_code not in AGAIN or attempt == attempts:
                raise _problem(answer)
            _wait(attempt, float(answer.headers.get("retry-after", "0")))
        raise AssertionError  # the last attempt returns or raises

    def report_takedown(self, key: str, status: str, note: str = "") -> dict[str, Any]:
        """Report what became of an item of yours: removed, refused or restored."""
        said = {"key": key, "status": status, **({"note": note} if note else {})}
        return self._send("/takedowns", "application/json", json.dumps(said).encode())

    def status(self) -> dict[str, Any]:
        """See the limits and counts of the feed."""
        return self._send("", "", b"", method="GET")

    def _send(self, path: str, kind: str, body: bytes, method: str = "POST") -> dict[str, Any]:
        """Send until there is an answer. The id stays the same, so that nothing counts twice."""
        message_id, lost = _new_id(), False
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = self._once(method, path, kind, body, message_id)
            except httpx.TransportError:
                if attempt == ATTEMPTS:
                    raise
                lost = True
                _wait(attempt, 0.0)
                continue
            if answer.is_success:
                said: dict[str, Any] = answer.json()
                return said
            problem = _problem(answer)
            if lost and problem.code == "message_replayed":  # it came through: ask for its answer
                message_id, lost = _new_id(), False
                continue
            if answer.status_code not in AGAIN or attempt == ATTEMPTS:
                raise problem
            lost = lost or answer.status_code >= 500
            _wait(attempt, float(answer.headers.get("retry-after", "0")))
        raise AssertionError  # the last attempt returns or raises

    def _once(self, method: str, path: str, kind: str, body: bytes, message_id: str) -> httpx.Response:
        headers = self._signed(message_id, body) | ({"content-type": kind} if kind else {})
        return self._client.request(method, self._url + path, content=body, headers=headers)

    def _signed(self, message_id: str, body: bytes) -> dict[str, str]:
        now = str(int(time.time()))
        signed = f"{message_id}.{now}.".encode() + body
        return {
            "webhook-id": message_id,
            "webhook-timestamp": now,
            "webhook-signature": " ".join(signer.sign(signed) for signer in self._signers),
        }


def _new_id() -> str:
    return "msg_" + secrets.token_hex(16)


def _wait(attempt: int, told_s: float) -> None:
    """Wait as long as was told, or twice as long as the last time; never all senders at once."""
    time.sleep(told_s + min(LONGEST_WAIT_S, 0.2 * 2**attempt) * random.random())  # noqa: S311 - no secret


def _problem(answer: httpx.Response) -> Refused:
    try:
        said = answer.json()
        after_s = float(answer.headers.get("retry-after", "0"))
        return Refused(answer.status_code, said["code"], said["detail"], after_s)
    except (ValueError, KeyError, TypeError):
        return Refused(answer.status_code, "unknown", answer.reason_phrase)


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _digest_of(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _form(item: dict[str, Any], content: bytes) -> tuple[str, bytes]:
    """Write a form of two parts, so that the file itself is sent as it is."""
    boundary = secrets.token_hex(16)
    parts = (
        ('name="item"', "application/json", json.dumps(item).encode()),
        ('name="content"; filename="content"', "application/octet-stream", content),
    )
    written = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {name}\r\nContent-Type: {kind}\r\n\r\n".encode()
        + part
        + b"\r\n"
        for name, kind, part in parts
    )
    return f"multipart/form-data; boundary={boundary}", written + f"--{boundary}--\r\n".encode()


def _lots(items: Iterable[dict[str, Any]]) -> Iterator[bytes | dict[str, Any]]:
    """Put items into batches; one whose file is too large for a line comes alone."""
    lines: list[bytes] = []
    for item in items:
        content = item.get("content")
        large = content is not None and len(content) > LARGEST_JSON
        told = {} if content is None or large else {"content": base64.b64encode(content).decode()}
        line = b"" if large else json.dumps({**item, **told}).encode() + b"\n"
        if lines and (large or len(lines) == MOST_LINES or _size(lines) + len(line) > MOST_BATCH_BYTES):
            yield b"".join(lines)
            lines = []
        if large:
            yield item
        else:
            lines.append(line)
    if lines:
        yield b"".join(lines)


def _size(lines: list[bytes]) -> int:
    return sum(map(len, lines))


if __name__ == "__main__":
    url, name, secret_file, *files = sys.argv[1:]
    mine = Feed(url, name, Hmac(Path(secret_file).read_text(encoding="utf-8").strip()))
    everything = ({"key": Path(file).name, "content": Path(file).read_bytes()} for file in files)
    for line in mine.push_all(everything):
        print(line["key"], line["status"], line.get("code", ""))  # noqa: T201 - it is a command here
