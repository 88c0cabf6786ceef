"""A form that another site sent is refused: browsers say where a form comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from monitor.errors import LinkInvalid

if TYPE_CHECKING:
    from fastapi import Request


def refuse_other_sites(request: Request, public_url: str) -> None:
    """Refuse a request that changes something and comes from another site. Raises LinkInvalid.

    Goes by Sec-Fetch-Site, which every current browser sends and no page can forge, and by Origin where
    that is missing. A program that says nothing holds no cookie of a person.
    """
    told = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    ours = {urlsplit(public_url).netloc, request.url.netloc}
    from_us = told in {None, "same-origin", "none"}
    if not from_us or (told is None and origin is not None and urlsplit(origin).netloc not in ours):
        msg = "this form was sent from another site"
        raise LinkInvalid(msg)


def local_path(text: str, otherwise: str = "/account") -> str:
    """Give a path of this site that a page was asked to lead on to; anything else becomes `otherwise`.

    Browsers read `//host`, and `/` with a backslash or a control character after it, as another site.
    """
    ours = text.startswith("/") and not text.startswith("//")
    return text if ours and text.isascii() and text.isprintable() and "\\" not in text else otherwise
