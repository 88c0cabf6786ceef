"""Which items may be decoded side by side in one child: those that came through the same hands.

A picture that takes its decoder over can lie about those behind it in the same child. So an item shares
a child only with items whose makers could have changed it anyway:

* crawled: shown by the same page of the same source, from the same host. Whoever writes a page chooses its
  pictures, but a page that shows pictures of two hosts does not own both.
* scanned: files of one folder that an operator named to `likeness scan`.
* pushed: nobody. A partner sends what many people gave it.

An item that was seen in several places shares only with items seen in all of those and no others: to reach
it, a picture would need the hands of all.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sqlmodel import Session, col, select

from monitor.tables import MediaOrigin
from monitor.values import MediaId, MediaKind, OriginKind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from monitor.claims import Work

Hands = frozenset[tuple[str, ...]]
"""All places that an item came from, each as one hand."""


def hands_of(session: Session, media_ids: Collection[MediaId]) -> dict[MediaId, Hands]:
    """Say through whose hands each item came; empty for one that shares with nobody."""
    rows = session.exec(select(MediaOrigin).where(col(MediaOrigin.media_id).in_(media_ids))).all()
    hands: defaultdict[MediaId, set[tuple[str, ...]]] = defaultdict(set)
    for row in rows:
        hands[MediaId(row.media_id)].add(_hand(row))
    return {media_id: frozenset() if () in some else frozenset(some) for media_id, some in hands.items()}


def groups(works: Sequence[Work], most: int, largest: int) -> Iterator[list[Work]]:
    """Put still pictures of the same hands together, at most `most` of at most `largest` bytes each.

    Everything else comes alone, so that many large items are never being decoded at once.
    Items keep their order, but for those that come earlier with a neighbour.
    """
    waiting = list(works)
    while waiting:
        first = waiting[0]
        same = [w for w in waiting if _may_share(first, w, largest)][:most] if first.hands else []
        group = same or [first]
        taken = {work.media_id for work in group}
        waiting = [work for work in waiting if work.media_id not in taken]
        yield group


def _may_share(one: Work, other: Work, largest: int) -> bool:
    small = max(one.size_bytes, other.size_bytes) <= largest
    return small and one.kind is other.kind is MediaKind.IMAGE and one.hands == other.hands


def _hand(place: MediaOrigin) -> tuple[str, ...]:
    """Name the hand that one place is in; empty where it is not known to be one."""
    if place.kind == OriginKind.CRAWL and place.source_id and place.page_url and place.url:
        return (place.kind, place.source_id, place.page_url, urlsplit(place.url).netloc)
    if place.kind == OriginKind.SCAN and place.source_id:
        return (place.kind, place.source_id)
    return ()
