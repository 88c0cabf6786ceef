"""What Scrapy logs of a crawl: addresses and codes, never a body."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus

from scrapy.logformatter import LogFormatter

if TYPE_CHECKING:
    from crawlers.items import MediaFound
    from crawlers.platforms.interfaces import Terms

SHORTEST_TERM: Final = 3
"""Letters. Shorter ones would be found in every word, and name nobody."""


def hide(terms: Terms) -> None:
    """Take what we look for out of every record that this process logs, however it is spelled in an address.

    A library's record may show the address that it asked for. A trace goes where its error shows a term.
    """
    given = [one for one in (*terms.names, *terms.handles, *terms.hashtags) if len(one) >= SHORTEST_TERM]
    spelled = {form for one in given for form in (one, quote(one), quote(one, safe=""), quote_plus(one))}
    if not spelled:
        return
    pattern = re.compile("|".join(map(re.escape, sorted(spelled, key=len, reverse=True))), re.IGNORECASE)
    make = logging.getLogRecordFactory()

    def cleaned(*args: Any, **options: Any) -> logging.LogRecord:  # noqa: ANN401 - logging's interface
        record = make(*args, **options)
        if pattern.search(text := record.getMessage()):
            record.msg, record.args = pattern.sub("…", text), ()
        if record.exc_info and pattern.search(str(record.exc_info[1])):
            record.exc_info = None
        return record

    logging.setLogRecordFactory(cleaned)


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
