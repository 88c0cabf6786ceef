"""What enrolment needs from those who look, without knowing how they look."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


class Seeing(StrEnum):
    """Whether a place is seen. Of all but SEEN holds: we could not look, which is not "found nothing"."""

    SEEN = "seen"
    NOT_YET = "not_yet"
    NOT_NOW = "not_now"
    NOT_ALLOWED = "not_allowed"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Place:
    """One place where we look. `sees` and `blind_to` are plain sentences.

    `looked_at` is the last time that looking worked; `every_s` how often we look, in seconds; `lag_s` how
    long, in the middle, between a post and our look, where the place says when posts were made.
    """

    name: str
    seeing: Seeing
    sees: str
    blind_to: str
    looked_at: datetime | None
    every_s: float
    lag_s: float | None


class CoverageBook(Protocol):
    """Says where we look. The crawlers keep it; monitor/app.py joins the two."""

    def places(self, now: datetime) -> Sequence[Place]:
        """Give every place that we are meant to look at, by name."""
