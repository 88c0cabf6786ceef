"""What the spider hands to the pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MediaFound:
    """One media file that was fetched. `url` is where a page pointed, before any redirect.

    `data` stays out of `repr`, so that it can never come into a log.
    """

    url: str
    page_url: str
    title: str
    data: bytes = field(repr=False)
    etag: str | None
    last_modified: str | None
