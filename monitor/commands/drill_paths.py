"""Where the picture of a fire drill is put: on a page of a source of ours, or into a feed. Both tidy up."""

from __future__ import annotations

import base64
import html
import json
import secrets
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import httpx

from monitor import crypto, drills
from monitor.db import reading, utc_now, writing
from monitor.errors import DrillNotPossible
from monitor.partners import feeds
from monitor.partners.feeds import KeyWish

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys

PAGE: Final = "index.html"

KEY_LASTS: Final = timedelta(minutes=10)
"""A key of a drill that was not revoked, since its process was killed, ends by itself."""

TRIES, WAIT_S, TIMEOUT_S = 10, 0.3, 10.0
"""The web process knows a new key after a second at most (partners/admission.FRESH_S)."""

PAGE_OF_A_DRILL: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body><h1>{title}</h1><p>It is removed again by itself.</p><img src="{name}" alt="{title}"></body></html>
"""


def check_source(engine: Engine, name: str) -> None:
    """Raise NotFound where there is no such source, DrillNotPossible where it takes no pictures now."""
    from crawlers import sources

    with reading(engine) as session:
        row = sources.find(session, name)
    if not row.enabled or "image" not in row.collects.split(","):
        msg = f"the source {name!r} is paused, or collects no pictures"
        raise DrillNotPossible(msg, hint="`likeness source show` says how it is set up.")


def check_folder(folder: Path) -> None:
    """Raise DrillNotPossible where a page of somebody's own would be written over."""
    if not folder.is_dir() or (folder / PAGE).exists():
        msg = f"{folder} is no folder, or holds an {PAGE} already"
        raise DrillNotPossible(
            msg, hint="Name an empty folder that your site serves and the source looks at."
        )


@contextmanager
def planted(folder: Path, picture: bytes, drill_id: str) -> Iterator[None]:
    """Show a picture on a page of a folder, which your site serves, until the block ends in whatever way."""
    image, page = folder / f"fire-drill-{drill_id}.jpg", folder / PAGE
    shown = PAGE_OF_A_DRILL.format(title=html.escape(drills.TITLE), name=image.name)
    check_folder(folder)
    try:
        image.write_bytes(picture)
        page.write_text(shown, encoding="utf-8")
        yield
    finally:
        image.unlink(missing_ok=True)
        if page.exists() and page.read_text("utf-8", "replace") == shown:
            page.unlink()


def check_shown(engine: Engine, contact: str, name: str, drill_id: str) -> None:
    """Raise DrillNotPossible where the address of a source does not show the page that was just planted."""
    from crawlers import own_page, sources

    with reading(engine) as session:
        row = sources.find(session, name)
    why = own_page.shows(row, contact, f"fire-drill-{drill_id}.jpg")
    if why:
        msg = f"the address of {name!r} does not show the page that was put into the folder ({why})"
        hint = "The source's own address must be the folder, as your web server serves it."
        raise DrillNotPossible(msg, hint=hint)


def look_now(engine: Engine, name: str) -> None:
    """Let the scheduler look at a source at once."""
    from crawlers import sources

    with writing(engine) as session:
        sources.find(session, name).due_at = None


def check_feed(engine: Engine, name: str) -> None:
    """Raise NotFound where there is no such feed, DrillNotPossible where nothing comes through it."""
    with reading(engine) as session:
        row = feeds.find(session, name)
    if row.way != "push" or row.sandbox or not row.enabled or "items" not in row.scopes.split(","):
        msg = f"nothing can be pushed through {name!r}: it is a sandbox, paused, or may not push files"
        raise DrillNotPossible(msg, hint=f"`likeness feed show {name}` says how it is set up.")


@contextmanager
def key_of_a_drill(engine: Engine, keks: KeyEncryptionKeys, name: str, actor: str) -> Iterator[bytes]:
    """Give the secret of a key that counts until the block ends, in whatever way."""
    made = feeds.add_key(engine, keks, name, actor, KeyWish(expires_at=utc_now() + KEY_LASTS))
    try:
        yield base64.b64decode(made.secret.removeprefix("whsec_"))
    finally:
        feeds.revoke_key(engine, name, made.id, actor)


def push(url: str, secret: bytes, picture: bytes, drill_id: str) -> None:
    """Push the picture as the feed's partner would. Raises DrillNotPossible with what the door said."""
    content = base64.b64encode(picture).decode()
    body = json.dumps({"key": f"fire-drill-{drill_id}", "content": content, "title": drills.TITLE}).encode()
    said = ""
    for _ in range(TRIES):
        message_id, at = f"msg_{secrets.token_hex(8)}", str(int(time.time()))
        signature = base64.b64encode(crypto.mac(secret, f"{message_id}.{at}.".encode(), body)).decode()
        headers = {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": at,
            "webhook-signature": f"v1,{signature}",
        }
        try:
            answer = httpx.post(url, content=body, headers=headers, timeout=TIMEOUT_S)
        except httpx.HTTPError as exc:
            said = type(exc).__name__
            break
        if answer.status_code == httpx.codes.ACCEPTED:
            return
        said = f"{answer.status_code}: {answer.text[:300]}"
        if answer.status_code != httpx.codes.UNAUTHORIZED:
            break
        time.sleep(WAIT_S)
    msg = f"the door at {url} did not take the picture ({said})"
    raise DrillNotPossible(
        msg, hint="Is `likeness serve` running, and LIKENESS_PUBLIC_URL (or --url) its address?"
    )
