"""Addresses in what a partner sends. They are checked by their letters alone: no process here fetches.

An item by address is written down as due and fetched by the eyes, behind their own guard, which resolves the
name and refuses every address that is not public (crawlers/fetch_guard.py). What is refused here is refused
early, with a code that the partner sees.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from monitor.errors import AddressRefused

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_URL: Final = 2083
"""Characters, as the eyes take: longer ones are traps or hold data."""

UNCLEAN: Final = re.compile(r"[^\x21-\x7e]|\\")
"""White space, control letters, backslashes and letters beyond ASCII: two readers see two hosts."""

LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
HOST: Final = re.compile(rf"(?=.{{4,253}}$)(?:{LABEL}\.)+[a-z][a-z0-9-]{{0,61}}[a-z0-9]")
"""A host by its name, in lower case. No number, no name without a dot: those lie in somebody's network."""

HTTPS_PORT: Final = 443


def check_fetched(url: str, hosts: Iterable[str]) -> str:
    """Check an address that is to be fetched, and give it. `hosts` are those that the feed may name.

    A host is allowed by its full name, or with all below it by `*.name`. Raises AddressRefused.
    """
    host = _host(url, {"https"})
    if not any(_is_of(host, allowed) for allowed in hosts):
        msg = "the host of the address is not among those that this feed may name"
        raise AddressRefused(msg, hint="Ask the operator to add the host, or send the file itself.")
    return url


def check_named(url: str) -> str:
    """Check an address that is only written down, and give it. Raises AddressRefused."""
    _host(url, {"https", "http"})
    return url


def is_host(text: str) -> bool:
    """Say whether this may stand in the list of a feed: a name, or `*.` and a name."""
    return HOST.fullmatch(text.removeprefix("*.")) is not None


def _host(url: str, schemes: set[str]) -> str:
    if len(url) > LONGEST_URL or UNCLEAN.search(url):
        msg = f"an address has at most {LONGEST_URL} letters of ASCII, without blanks and backslashes"
        raise _refused(msg)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        msg = "that is not an address"
        raise _refused(msg) from exc
    if parts.scheme.lower() not in schemes:
        msg = f"the address does not begin with {' or '.join(sorted(schemes))}"
        raise _refused(msg)
    if parts.username is not None or parts.password is not None:
        msg = "an address with a user name in it is not taken"
        raise _refused(msg)
    if port not in {None, HTTPS_PORT} and "http" not in schemes:
        msg = f"port {port} is not taken"
        raise _refused(msg)
    host = (parts.hostname or "").lower()
    if not HOST.fullmatch(host):
        msg = "the address names no host by a full name"
        raise _refused(msg)
    return host


def _refused(msg: str) -> AddressRefused:
    return AddressRefused(msg, hint="Give the public https address, as a browser shows it.")


def _is_of(host: str, allowed: str) -> bool:
    if allowed.startswith("*."):
        return host.endswith(allowed[1:])
    return host == allowed
