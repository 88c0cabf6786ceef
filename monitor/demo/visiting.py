"""Follows a link the way a person does: the door, the page behind it, the face on it, and never twice."""

from __future__ import annotations

import re
from http import HTTPStatus

import httpx

LINK = re.compile(r"https?://\S+")
FACE = re.compile(r'<img src="([^"]+)"')
JPEG = b"\xff\xd8\xff"
SECONDS = 15.0
"""How long one answer may take: opening the sealed evidence of two dozen copies takes far less."""


def link_in(text: str, public_url: str) -> str:
    """Give the first link to a private page in a message; empty where there is none."""
    return next((link for link in LINK.findall(text) if link.startswith(f"{public_url}/m/")), "")


def fault_of_link(link: str) -> str:
    """Open a link once and say in one sentence what is wrong with the page; empty: nothing.

    Uses the link up.
    """
    if not link:
        return "No message carries a link."
    try:
        with httpx.Client(timeout=SECONDS) as client:
            return _visit(client, link)
    except httpx.HTTPError as exc:
        return f"The page behind a link did not answer: {type(exc).__name__}."


def _visit(client: httpx.Client, link: str) -> str:
    door = client.get(link)
    if door.status_code != HTTPStatus.OK or FACE.search(door.text):
        return (
            f"The door behind a link answered {door.status_code}, or showed something before it was opened."
        )
    page = client.post(link, follow_redirects=True)
    if page.status_code != HTTPStatus.OK:
        return f"The page behind a link answered {page.status_code}."
    face = FACE.search(page.text)
    if face is None or not client.get(str(page.url.join(face.group(1)))).content.startswith(JPEG):
        return "The page behind a link shows no face."
    if client.post(link).status_code != HTTPStatus.GONE:
        return "A link opened twice."
    return ""
