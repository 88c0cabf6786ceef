"""What Scrapy logs of a crawl: addresses and codes, never a body."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from scrapy.logformatter import LogFormatter

if TYPE_CHECKING:
    from crawlers.items import MediaFound


class QuietLog(LogFormatter):  # type: ignore[misc]  # Scrapy's types are skipped
    """Scrapy's own words, without those that would print an item or each request."""

    def crawled(self, *_: Any) -> None:  # noqa: ANN401 - Scrapy's interface
        """Say nothing: the run's counts say it."""

    def scraped(self, *_: Any) -> None:  # noqa: ANN401 - as above
        """Say nothing, as above."""

    def dropped(self, item: MediaFound, exception: BaseException, *_: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
        """Name the address and the code."""
        return {"level": logging.INFO, "msg": "not taken: %s (%s)", "args": (item.url, str(exception))}

    def item_error(self, item: MediaFound, *_: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
        """Name the address; the trace follows."""
        return {"level": logging.ERROR, "msg": "a fault of ours with %s", "args": (item.url,)}
