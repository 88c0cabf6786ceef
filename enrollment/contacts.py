"""The address book of the enrolled. It fits the `ContactBook` of alerts without knowing alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from enrollment.standing import Standing, is_unopened
from enrollment.subjects import profile_of
from enrollment.tables import Account, Subject
from monitor.db import reading

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys
    from monitor.values import SubjectId

C = TypeVar("C")


class EnrolledContacts(Generic[C]):
    """Opens the contact of one subject when a message is about to go, and keeps none of it."""

    def __init__(self, engine: Engine, keks: KeyEncryptionKeys, make: Callable[[str, str, str], C]) -> None:
        """Give contacts as `make(name, email, phone)`: the entry file passes the Contact of alerts."""
        self._engine = engine
        self._keks = keks
        self._make = make

    def contact(self, subject_id: SubjectId) -> C:
        """Open one contact. Raises SubjectErased after an erasure, NotFound when nobody has that id."""
        with reading(self._engine) as session:
            profile = profile_of(session, self._keks, subject_id)
        return self._make(profile.name, profile.email, profile.phone)

    def told_from(self, subject_id: SubjectId) -> datetime | None:
        """Say from when on a subject is told; None: not for now. Raises SubjectErased, NotFound.

        Whoever an operator enrolled is told at once, invited to an account or not. Whoever came by the web
        form is told when the cooling-off is over, and only while nothing stands against it: no pause, no
        proof that is overdue.
        """
        with reading(self._engine) as session:
            row = session.get(Subject, subject_id)
            if row is None:
                profile_of(session, self._keks, subject_id)  # raises what tells the erased from the unknown
                return None
            if row.status != Standing.ACTIVE:
                return None
            account = session.get(Account, subject_id)
            if account is None or is_unopened(row.status, account):
                return row.created_at
            return account.told_from
