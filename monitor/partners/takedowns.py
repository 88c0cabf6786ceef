"""What a partner tells us about an item of its own: it was removed, it stays, it is back."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlmodel import col, select

from monitor.errors import ItemBroken, ItemUnknown
from monitor.partners import counting, items
from monitor.partners.entering import FETCH_DUE, ID_BYTES, WITHDRAWN, enter
from monitor.partners.tables import Feed, FeedItem, Partner, Takedown

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlmodel import Session

    from monitor.partners.entering import Push

PENDING: Final = "pending"

STATUSES: Final = ("removed", "refused", "restored")

LONGEST_NOTE: Final = 500
"""Characters."""

FIELDS: Final = frozenset({"key", "status", "note"})


@dataclass(frozen=True, slots=True)
class Report:
    """One report. `note` is the partner's own sentence, shown to the person with the finding."""

    key: str
    status: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """What one partner reported about one item. `status` is PENDING where it said nothing yet."""

    partner: str
    status: str
    note: str
    at: datetime


def of_json(raw: bytes) -> Report:
    """Read one report. Raises BodyBroken, ItemBroken."""
    said: dict[str, Any] = items.object_of(raw)
    items.check_names(said, FIELDS)
    status = said.get("status")
    if status not in STATUSES:
        msg = f"status is none of {', '.join(STATUSES)}"
        raise ItemBroken(msg)
    return Report(items.key_of(said), str(status), items.text_in(said, "note", LONGEST_NOTE) or "")


def unknown() -> ItemUnknown:
    """Say that there is no such item of this feed."""
    return ItemUnknown("this feed gave no item under this key", hint="Give the key that the item came with.")


def write(session: Session, push: Push, report: Report, now: datetime) -> None:
    """Write down one report; `push` holds who signed it, and no items. `session` comes from `db.writing`.

    An item that still waits to be fetched is not fetched any more once it is removed.

    Raises MessageReplayed, FeedKeyRevoked, FeedPaused, and ItemUnknown: nothing is written then.
    """
    [entered] = enter(session, [push], now)
    if entered.error is not None:
        raise entered.error
    query = select(FeedItem).where(FeedItem.feed_id == push.feed_id, FeedItem.item_key == report.key)
    item = session.exec(query.with_for_update()).first()
    if item is None:
        raise unknown()
    if report.status == "removed" and item.state == FETCH_DUE:
        item.state, item.next_try_at = WITHDRAWN, None
    session.add(
        Takedown(
            id=secrets.token_hex(ID_BYTES),
            feed_id=push.feed_id,
            item_key=report.key,
            status=report.status,
            note=report.note,
            at=now,
        )
    )
    counting.write(session, {(push.feed_id, counting.day_of(now), counting.TAKEDOWN): 1})


def of_media(session: Session, media_id: str) -> Sequence[Said]:
    """Give what partners reported about one media item, in order: what is shown with a finding.

    A partner who pushed it, may report removals and has not yet comes as PENDING, since the push. Nothing
    that a partner is ever answered depends on this.
    """
    mine = (
        select(Partner.name, FeedItem, Feed.scopes, Feed.way)
        .join(Feed, col(Feed.id) == FeedItem.feed_id)
        .join(Partner, col(Partner.id) == Feed.partner_id)
        .where(FeedItem.media_id == media_id)
        .order_by(col(FeedItem.seq))
    )
    found: list[Said] = []
    for name, item, scopes, way in session.exec(mine):
        told = select(Takedown).where(Takedown.feed_id == item.feed_id, Takedown.item_key == item.item_key)
        said = [
            Said(name, row.status, row.note, row.at)
            for row in session.exec(told.order_by(col(Takedown.at), Takedown.id))
        ]
        if not said and way == "push" and "takedowns" in scopes.split(","):
            said = [Said(name, PENDING, "", item.at)]
        found += [one for one in said if one not in found]
    return sorted(found, key=lambda one: one.at)
