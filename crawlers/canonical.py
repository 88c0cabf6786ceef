"""One address for the many ways to write it, so that a file is looked at once however it is linked.

Only what cannot change what comes is taken away: the case of scheme and host, the usual port, the part
after #, the order of the query, how letters are escaped, and the names that advertisers and session keepers
add. A file is still fetched by the address that the page gave; this one only says whether it is known.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from w3lib.url import canonicalize_url, url_query_cleaner

from crawlers.fetch_guard import PORTS

TRACKING: Final = re.compile(
    r"utm_\w+|fbclid|gclid|dclid|msclkid|yclid|igshid|igsh|mc_[ce]id|_ga|_gl|ref_src|ref_url|spm"
    r"|phpsessid|jsessionid",
    re.IGNORECASE,
)
"""Names in a query that say where somebody came from, or who they are, and not what they ask for."""

SESSION_IN_PATH: Final = re.compile(r";jsessionid=[^/?#;]*", re.IGNORECASE)
"""Java's servers write the session behind the path where a browser takes no cookies."""

LONGEST: Final = 8192
"""Characters of an address that are made canonical; a longer one is taken as it is."""


def canonical(url: str) -> str:
    """Give the one way to write an address. What is no address is given back as it is."""
    if len(url) > LONGEST:
        return url
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return url
    if parts.scheme.lower() not in PORTS or not parts.hostname:
        return url
    host = parts.hostname.lower().rstrip(".")
    host = f"[{host}]" if ":" in host else host
    place = host if port in {None, PORTS[parts.scheme.lower()]} else f"{host}:{port}"
    path = SESSION_IN_PATH.sub("", parts.path) or "/"
    plain = urlunsplit((parts.scheme.lower(), place, path, parts.query, ""))
    unwanted = [name for name in _names(parts.query) if TRACKING.fullmatch(name)]
    cleaned = url_query_cleaner(plain, unwanted, remove=True, unique=False) if unwanted else plain
    return str(canonicalize_url(cleaned))


def _names(query: str) -> set[str]:
    return {part.partition("=")[0] for part in query.split("&") if part}
