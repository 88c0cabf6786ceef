"""How often is too often: counts in the database, by a keyed digest of who or what asks.

Windows are fixed: across the border of two of them twice as many pass, and never more. No row says whom it
is about, and all of them are gone after `LONGEST`.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import col, delete

from enrollment.tables import RateCount

if TYPE_CHECKING:
    from sqlmodel import Session

    from enrollment.lookups import Lookups

LONGEST = timedelta(days=1)
"""The longest window there is; what is older counts for nothing and is deleted."""

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

BITS = {4: 24, 6: 64}
"""Bits of an address that count: what one household or office has, since the rest of it is free to change."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def take(  # noqa: PLR0913 - what, who, how often
    session: Session,
    lookups: Lookups,
    kind: str,
    value: str,
    *,
    per: timedelta,
    most: int,
    now: datetime,
) -> bool:
    """Count one more of this kind for this value, and say whether it is within `most` per window.

    The caller's transaction commits the count; what is refused counts too. `per` is at most `LONGEST`.
    """
    if not timedelta() < per <= LONGEST:
        msg = f"a window of {per} is not one that is kept"
        raise ValueError(msg)
    row = {"lookup": _lookup(lookups, kind, value, per), "window": now - (now - EPOCH) % per, "count": 1}
    postgres = session.get_bind().dialect.name == "postgresql"
    # Each database has its own INSERT with ON CONFLICT; both count without a race, and give the new count.
    insert = postgresql.insert(RateCount) if postgres else sqlite.insert(RateCount)
    counted = insert.values(row).on_conflict_do_update(
        index_elements=["lookup", "window"], set_={"count": col(RateCount.count) + 1}
    )
    return int(session.connection().execute(counted.returning(col(RateCount.count))).scalar_one()) <= most


def forget_old(session: Session, now: datetime) -> None:
    """Delete the counts that matter no more."""
    session.connection().execute(delete(RateCount).where(col(RateCount.window) < now - 2 * LONGEST))


def network_of(address: str) -> str:
    """Give the network that an IP address belongs to: /24 or /64. What is none is its own network."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return str(ipaddress.ip_network((found, BITS[found.version]), strict=False))


def _lookup(lookups: Lookups, kind: str, value: str, per: timedelta) -> str:
    return lookups.digest(f"rate.{kind}.{int(per.total_seconds())}", value)
