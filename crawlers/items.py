"""What the spider hands to the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.intake import Kept


@dataclass(frozen=True, slots=True)
class MediaFound:
    """One media file that was fetched and kept. `url` is where a page pointed, before any redirect."""

    url: str
    page_url: str
    title: str
    kept: Kept
    etag: str | None
    last_modified: str | None


@dataclass(frozen=True, slots=True)
class Archived(MediaFound):
    """One that was found in an archive, which says when it was seen; None where it does not."""

    seen_at: datetime | None = None
