"""`python -m monitor.bench.crawl_scrapy URL`: the spider of `scrapy bench`, with that command's settings.

It follows every link of every page, obeys nothing and keeps nothing.
"""

from __future__ import annotations

import sys
from urllib.parse import parse_qs, urlsplit


def main(url: str) -> None:
    """Follow links until every page of the site has come."""
    from scrapy.commands.bench import Command, _BenchSpider  # noqa: PLC0415 - only in this process
    from scrapy.crawler import AsyncCrawlerProcess  # noqa: PLC0415 - as above

    total = int(parse_qs(urlsplit(url).query)["total"][0])
    process = AsyncCrawlerProcess({**Command.default_settings, "CLOSESPIDER_TIMEOUT": 0})
    process.crawl(_BenchSpider, total=total, baseurl=url.partition("?")[0])
    process.start()


if __name__ == "__main__":
    main(sys.argv[1])
