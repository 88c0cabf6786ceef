"""A feed to try things out with: everything is checked as on a real one, and nothing is kept.

What came under which key is remembered in memory, a few thousand at most and until the process ends: so a
partner sees duplicates, taken keys and replays as they will be. Only counts are written down.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from monitor.partners.entering import ID_BYTES, Entered, Receipt, replayed, taken

if TYPE_CHECKING:
    from monitor.errors import FeedError
    from monitor.partners.entering import Given, Push

MOST_REMEMBERED: Final = 10_000
"""Items, and as many messages, of all sandboxes together; the oldest is forgotten first."""


class Sandbox:
    """Answers as `entering.enter` does. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: OrderedDict[tuple[str, str], tuple[str, str]] = OrderedDict()
        self._messages: OrderedDict[tuple[str, str], None] = OrderedDict()

    def enter(self, push: Push) -> Entered:
        """Say what would have become of a push."""
        message = (push.feed_id, push.message_id or "")
        with self._lock:
            if message in self._messages:
                return Entered(error=replayed())
            entered = Entered([self._item(push.feed_id, given) for given in push.items])
            if push.is_last and not (len(entered.items) == 1 and not isinstance(entered.items[0], Receipt)):
                self._messages[message] = None
                _bound(self._messages)
            return entered

    def knows(self, feed_id: str, key: str) -> bool:
        """Say whether an item came under this key."""
        with self._lock:
            return (feed_id, key) in self._items

    def _item(self, feed_id: str, given: Given) -> Receipt | FeedError:
        known = self._items.get((feed_id, given.key))
        if known is None:
            known = (secrets.token_hex(ID_BYTES), given.body_sha256)
            self._items[feed_id, given.key] = known
            _bound(self._items)
            return Receipt(given.key, known[0], again=False)
        return Receipt(given.key, known[0], again=True) if known[1] == given.body_sha256 else taken()


def _bound(some: OrderedDict[tuple[str, str], Any]) -> None:
    while len(some) > MOST_REMEMBERED:
        some.popitem(last=False)
