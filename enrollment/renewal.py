"""The kept samples, for a change of models: opened one by one, audited, and read like new ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import update
from sqlmodel import col

from enrollment.samples import Reader
from enrollment.subjects import open_reference
from enrollment.tables import Subject
from monitor.renewing import Renewed

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlmodel import Session

    from enrollment.subjects import Ledger
    from monitor.ml.interfaces import Pack
    from monitor.stages.decode import Decoder
    from monitor.values import SubjectId

LONGEST_LIST = 500
"""Ids in one SQL list; older SQLite takes 999 parameters."""


@dataclass(frozen=True, slots=True)
class KeptReferences:
    """What a switch needs of enrolment (see monitor.renewing.References)."""

    ledger: Ledger
    decoder: Decoder
    max_bytes: int

    def read(self, reference_id: str, pack: Pack) -> Renewed:
        """Open one kept picture and read it by the rules of enrolment.

        Raises SampleError, MediaError, Tampered, BlobMissing, NotFound, SubjectErased.
        """
        data = open_reference(self.ledger, reference_id)
        sample = Reader(pack, self.decoder, self.max_bytes).face("a kept sample", data)
        return Renewed(sample.model_id, sample.vector, sample.quality)

    def ask(self, session: Session, subject_ids: Collection[SubjectId], pack: str) -> None:
        """Note who must give new samples for a pack; nobody else must any more."""
        session.connection().execute(
            update(Subject).where(col(Subject.asked_for_pack).is_not(None)).values(asked_for_pack=None)
        )
        ids = list(subject_ids)
        for first in range(0, len(ids), LONGEST_LIST):
            part = col(Subject.id).in_(ids[first : first + LONGEST_LIST])
            session.connection().execute(update(Subject).where(part).values(asked_for_pack=pack))
