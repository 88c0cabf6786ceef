"""The address book of the enrolled. It fits the `ContactBook` of alerts without knowing alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from enrollment.subjects import profile_of
from monitor.db import reading

if TYPE_CHECKING:
    from collections.abc import Callable

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
