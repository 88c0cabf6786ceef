"""A partner of the tests: a web process over a fresh database, a feed, and what signs for it."""

from __future__ import annotations

import base64
import io
import json
import secrets
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi.testclient import TestClient
from PIL import Image
from sqlmodel import select

from monitor import crypto, subject_keys
from monitor.app import create_app
from monitor.crypto import KeyEncryptionKeys
from monitor.db import reading
from monitor.partners import feeds
from monitor.partners.feeds import KeyWish, NewFeed
from monitor.partners.tables import FeedItem
from monitor.tables import MediaItem
from tests.alerts.visitor import settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import httpx
    from fastapi import FastAPI
    from sqlalchemy import Engine

    from monitor.settings import Settings

ACTOR = "operator:test"
ITEMS, TAKEDOWNS = "/items", "/takedowns"


def png(number: int = 0) -> bytes:
    """Make a small picture, another one for each number."""
    made = io.BytesIO()
    Image.new("RGB", (8, 8), (number % 256, number // 256 % 256, 7)).save(made, "PNG")
    return made.getvalue()


@dataclass
class Partner:
    """One feed and its keys; `sent` is what was sent last."""

    app: FastAPI
    settings: Settings
    engine: Engine
    keks: KeyEncryptionKeys
    browser: TestClient
    name: str
    secret: bytes = field(repr=False)
    key_id: str = ""

    @classmethod
    @contextmanager
    def at(cls, home: Path, name: str = "agency", **how: Any) -> Iterator[Partner]:
        """Start the web process in a folder and set up one feed. `watch` holds settings."""
        chosen = settings(home, **how.pop("watch", {}))
        app = create_app(chosen)
        keks = KeyEncryptionKeys.from_settings(chosen)
        subject_keys.ensure_service_keys(app.state.engine, keks)
        with TestClient(app, base_url=chosen.public_url, follow_redirects=False) as browser:
            partner = cls(app, chosen, app.state.engine, keks, browser, name, b"")
            partner.add(name, **how)
            yield partner

    def add(self, name: str, **how: Any) -> Partner:
        """Set up another feed, and become its partner."""
        how = {"hosts": ("img.example.org",), "per_second": 1e6, "burst": 100_000, **how}
        feeds.add(self.engine, NewFeed(name, "An Agency", "desk@example.org", **how), ACTOR)
        self.name = name
        self.key_id, self.secret = self.new_key()
        return self

    def new_key(self, wish: KeyWish | None = None) -> tuple[str, bytes]:
        """Add a key; give its id, and its secret where there is one."""
        made = feeds.add_key(self.engine, self.keks, self.name, ACTOR, wish)
        return made.id, base64.b64decode(made.secret.removeprefix("whsec_"))

    def signed(self, body: bytes, **how: Any) -> dict[str, str]:
        """Give the three headers. `message_id`, `at`, `late` (seconds), `secret`, `signed` may be others."""
        message_id = how.get("message_id") or f"msg_{secrets.token_hex(8)}"
        at = str(int((how.get("at") or time.time()) + how.get("late", 0)))
        made = crypto.mac(
            how.get("secret", self.secret), f"{message_id}.{at}.".encode(), how.get("signed", body)
        )
        return {
            "webhook-id": message_id,
            "webhook-timestamp": at,
            "webhook-signature": "v1," + base64.b64encode(made).decode(),
        }

    def send(
        self, body: bytes, kind: str = "application/json", path: str = ITEMS, **how: Any
    ) -> httpx.Response:
        """Sign and post a body."""
        headers = {"content-type": kind, **self.signed(body, **how), **how.get("headers", {})}
        return self.browser.post(
            f"/v1/feeds/{how.get('feed', self.name)}{path}", content=body, headers=headers
        )

    def push(
        self, key: str = "one", content: bytes | None = None, message_id: str = "", **told: Any
    ) -> httpx.Response:
        """Push one item by value."""
        content = png() if content is None else content
        return self.send(json.dumps(item(key, content, **told)).encode(), message_id=message_id)

    def batch(self, *lines: dict[str, Any] | bytes, **how: Any) -> httpx.Response:
        """Push a batch; a line of bytes is sent as it is."""
        raw = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
        return self.send(b"\n".join(raw) + b"\n", "application/x-ndjson", **how)

    def status(self) -> dict[str, Any]:
        """Ask how the feed is doing."""
        answer = self.browser.get(f"/v1/feeds/{self.name}", headers=self.signed(b""))
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = answer.json()
        return said

    def rows(self) -> list[FeedItem]:
        """Give what is written down, in order."""
        with reading(self.engine) as session:
            return list(session.exec(select(FeedItem).order_by(FeedItem.seq)).all())

    def media(self) -> list[MediaItem]:
        """Give the media that came in."""
        with reading(self.engine) as session:
            return list(session.exec(select(MediaItem)).all())


def item(key: str, content: bytes | None = None, **told: Any) -> dict[str, Any]:
    """Give one item as JSON says it."""
    return {
        "key": key,
        **({} if content is None else {"content": base64.b64encode(content).decode()}),
        **told,
    }


def is_problem(answer: httpx.Response, status: int, code: str) -> None:
    """Assert that an answer is problem+json with this status and code, in the shape of the whole app."""
    assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert set(said) == {"type", "title", "status", "detail", "code"}
    assert said["status"] == status
    assert said["detail"].endswith(".")
