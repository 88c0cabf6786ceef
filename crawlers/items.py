"""What the spider hands to the pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from monitor.intake import Kept


@dataclass(frozen=True, slots=True)
class MediaFound:
    """One media file that was fetched and kept. `url` is where a page pointed, before any redirect.

    `seen_at` is when an archive says that it was seen; None for now.
    """

    url: str
    page_url: str
    title: str
    kept: Kept
    etag: str | None
    last_modified: str | None
    seen_at: datetime | None = None
