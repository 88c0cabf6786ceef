"""What tests of a platform's module need: a Watch, and answers in the documented shape."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from crawlers.platforms.interfaces import Answer, Ask, Terms, Watch

if TYPE_CHECKING:
    from collections.abc import Mapping

NOW: Final = datetime(2026, 11, 20, 12, tzinfo=UTC)


def watch(
    url: str, terms: Terms | None = None, cursors: Mapping[str, str] | None = None, **options: str
) -> Watch:
    """Make what a module is told, at noon of 20 November 2026."""
    return Watch(url, options, terms or Terms(), cursors or {}, NOW)


def answer(ask: Ask, body: bytes | dict[str, Any] | list[Any], status: int = 200, **headers: str) -> Answer:
    """Make an answer; `retry_after` becomes `retry-after`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(ask, ask.url, status, named, data)
