"""The site of the crawl bench: pages as of `scrapy bench`, a robots.txt, and a count of who came when.

`python -m monitor.bench.crawl_pages SEED` prints its port and serves until it is ended. A page looks as in
scrapy.utils.benchserver and links to `show` of `total` pages, drawn by chance. Only its addresses are unlike
those: there each is longer by a number than that of the page before, so that a site never ends. `/_count`
gives, as JSON, how many pages were asked for and the seconds between the first and the last, and begins anew.
"""

from __future__ import annotations

import json
import random
import sys
import time
from typing import Any, Final

ROBOTS: Final = b"User-agent: *\nDisallow: /private/\n"


def main(seed: int) -> None:
    """Serve."""
    from twisted.internet import reactor  # noqa: PLC0415 - only in the process that serves
    from twisted.web.resource import Resource  # noqa: PLC0415 - as above
    from twisted.web.server import Site  # noqa: PLC0415 - as above

    draw = random.Random(seed)  # noqa: S311 - a site, no secret

    class Pages(Resource):  # type: ignore[misc]  # Twisted's types are skipped
        isLeaf = True  # noqa: N815 - Twisted's name
        pages, first, last = 0, 0.0, 0.0

        def render(self, request: Any) -> bytes:  # noqa: ANN401 - Twisted has no types here
            if request.path == b"/robots.txt":
                request.setHeader(b"content-type", b"text/plain")
                return ROBOTS
            if request.path == b"/_count":
                said = {"pages": self.pages, "seconds": self.last - self.first}
                self.pages, self.first, self.last = 0, 0.0, 0.0
                draw.seed(seed)
                return json.dumps(said).encode()
            self.last = time.perf_counter()
            self.first = self.first or self.last
            self.pages += 1
            return page(int(request.args[b"total"][0]), int(request.args[b"show"][0]), draw)

    loop: Any = reactor
    port = loop.listenTCP(0, Site(Pages()), interface="127.0.0.1")
    sys.stdout.write(f"{port.getHost().port}\n")
    sys.stdout.flush()
    loop.run()


def page(total: int, show: int, draw: random.Random) -> bytes:
    """Make a page that links to `show` of `total` pages."""
    drawn = [draw.randint(1, total) for _ in range(show)]
    lines = [f"<a href='/follow?total={total}&show={show}&n={n}'>follow {n}</a><br>" for n in drawn]
    return f"<html><head></head><body>{''.join(lines)}</body></html>".encode()


if __name__ == "__main__":
    main(int(sys.argv[1]))
