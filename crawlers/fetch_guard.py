"""Which addresses the crawler may reach. Deny by default: what no rule allows is refused.

Addresses come from strangers' pages, so a page can name our own network. The answer, in this order:

1. scheme, user part and port of the URL (`check_url`), again for each redirect;
2. every address that the name resolves to must be public (`check_addresses`);
3. the connection goes to one of those very addresses, so a second look-up cannot give another one.

Two places resolve names and both end here: `resolver.py` for pages, which Twisted downloads, and
`fetch.py` for media.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from monitor.errors import FetchFailed, FetchRefused

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_REDIRECTS = 3
"""Hops after the first answer. Real media need one or two; each one is a new chance to lead us astray."""

PORTS = {"https": 443, "http": 80}
"""The schemes there are, and the only port of each, unless the source itself names another one."""

LONGEST_URL = 2083
"""Characters. Longer addresses are traps or hold data, and no browser of note made them."""

UNCLEAN = re.compile(r"[\x00-\x20\x7f\\]")
"""White space, control letters, backslashes: to one program they end the host, to another they do not."""

REFUSED_NETWORKS = tuple(
    ipaddress.ip_network(one)
    for one in (
        "192.88.99.0/24",  # 6to4 relays, retired by RFC 7526
        "2001::/32",  # Teredo: an IPv4 address of anybody's choice inside
        "2002::/16",  # 6to4: likewise
        "fec0::/10",  # site-local, retired but still routed in places
        "64:ff9b:1::/48",  # NAT64 for local use
    )
)
"""Networks that Python's `is_global` lets pass and that can lead back inside."""

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""The last 32 bits are an IPv4 address; it is judged as that address."""

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes. `host` is in lower case without brackets or a dot at the end."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Rules:
    """What one source allows. `Rules()` allows https to public addresses and nothing else.

    `own` is host and port of the source's own URL: its unusual port is allowed, and, where
    `allow_private` is set, so are addresses of ours, for this host and port only.
    """

    allow_http: bool = False
    allow_private: bool = False
    own: tuple[str, int] | None = None


def rules_of(url: str, *, allow_http: bool, allow_private: bool) -> Rules:
    """Make the rules of a source from its URL and its two flags. Raises FetchRefused."""
    target = split(url)
    return Rules(allow_http, allow_private, (target.host, target.port))


def split(url: str) -> Target:
    """Take a URL apart. Raises FetchRefused when it is not a plain http or https address."""
    if len(url) > LONGEST_URL:
        msg = f"an address of {len(url)} characters was not fetched"
        raise FetchRefused(msg)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        msg = "that is not an address"
        raise FetchRefused(msg) from exc
    scheme, host = parts.scheme.lower(), (parts.hostname or "").rstrip(".").lower()
    if scheme not in PORTS:
        msg = f"{scheme or 'no scheme'}: only http and https are fetched"
        raise FetchRefused(msg)
    if not host or UNCLEAN.search(url):
        msg = "the address names no host, or holds letters that two readers read in two ways"
        raise FetchRefused(msg)
    if parts.username is not None or parts.password is not None:
        msg = "an address with a user name in it was not fetched"
        raise FetchRefused(msg)
    return Target(scheme, host, PORTS[scheme] if port is None else port)


def as_fetched(url: str) -> str:
    """Give the address of a websocket as that of the request that opens it: wss is https, ws is http."""
    scheme, colon, rest = url.partition("://")
    return {"wss": "https", "ws": "http"}.get(scheme.lower(), scheme) + colon + rest


def check_url(url: str, rules: Rules) -> Target:
    """Check scheme and port of a URL. Raises FetchRefused."""
    target = split(url)
    if target.scheme == "http" and not rules.allow_http:
        msg = "plain http is refused; the source does not allow it"
        raise FetchRefused(msg)
    if target.port != PORTS[target.scheme] and (target.host, target.port) != rules.own:
        msg = f"port {target.port} is refused"
        raise FetchRefused(msg)
    return target


def check_addresses(host: str, port: int, addresses: Iterable[str], rules: Rules) -> list[str]:
    """Check that every address of a name is public, and give them back in order, each once.

    Raises FetchRefused when one is not: a name that has both kinds is a name that lies.
    FetchFailed when there is none.
    """
    found = list(dict.fromkeys(addresses))
    if not found:
        msg = f"{host} has no address"
        raise FetchFailed(msg)
    own = rules.allow_private and rules.own == (host.rstrip(".").lower(), port)
    for address in found:
        if not (is_public(address) or (own and is_ours(address))):
            msg = f"{host} leads to {address}, which is not a public address"
            raise FetchRefused(msg)
    return found


def is_public(address: str) -> bool:
    """Say whether an address, v4 or v6 in text, belongs to the public internet."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return _is_public(parsed)


def is_ours(address: str) -> bool:
    """Say whether an address is loopback or of a private network; link-local (cloud metadata) never is."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return parsed.is_loopback or (parsed.is_private and not (parsed.is_link_local or parsed.is_unspecified))


def _is_public(address: IPAddress) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return False
        inner = address.ipv4_mapped or (_last_32_bits(address) if address in NAT64 else None)
        if inner is not None:
            return _is_public(inner)
    if any(address in network for network in REFUSED_NETWORKS if network.version == address.version):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _last_32_bits(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)


def resolve(host: str, port: int, rules: Rules) -> list[str]:
    """Look a name up and check all of its addresses. Raises FetchRefused or FetchFailed.

    Odd spellings of an address (`2130706433`, `127.1`, `0x7f.1`) are spelled out by the same call
    and judged as what they are.
    """
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        msg = f"{host} cannot be looked up"
        raise FetchFailed(msg) from exc
    return check_addresses(host, port, [str(answer[4][0]) for answer in answers], rules)
