"""What a look is done with, put together once (assembly.py) and shared by all threads of a worker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor import log as logs
from monitor.errors import StorageError
from monitor.sides import Side

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.blobs import BlobStore
    from monitor.budget import Dial
    from monitor.copies import CopyIndex
    from monitor.crypto import IntakeOpener, KeyEncryptionKeys
    from monitor.gallery import Gallery
    from monitor.ml.interfaces import Pack
    from monitor.stages.assess import Assessor
    from monitor.stages.decode import Decoder
    from monitor.values import BlobId

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Tools:
    """Everything that a look needs, safe to share. Without `copies` every copy is looked at.

    Without `assessor` nobody asks whether a sighting was made by a computer.
    """

    engine: Engine
    keks: KeyEncryptionKeys
    opener: IntakeOpener
    blobs: BlobStore
    pack: Pack
    gallery: Gallery
    decoder: Decoder
    dial: Dial
    keep_original_bytes: int
    older: tuple[Side, ...] = ()
    copies: CopyIndex | None = None
    assessor: Assessor | None = None

    @property
    def sides(self) -> tuple[Side, ...]:
        """What is looked with: the pack in force, then older ones by which somebody is still known."""
        return (Side(self.pack, self.gallery, self.dial), *self.older)


def forget(blobs: BlobStore, blob_id: BlobId) -> None:
    """Delete bytes that no row names any more; what a failing disk leaves behind `jobs.sweep` takes later."""
    try:
        blobs.delete(blob_id)
    except StorageError as exc:
        log.warning("blob_not_deleted", blob_id=blob_id, code=exc.code)
