"""The gallery: everybody enrolled, in memory, as fresh as the ledger.

It opens the sealed templates of one pack, keeps them in FlatSets, one per modality, and follows the
events of the ledger: a new template is searchable within 2 s in every process, an erased or paused subject
is gone within 1 s. Nothing of it is ever on disk in the clear. `alive` asks the ledger itself whether a
matched subject still exists, so that an erasure holds from its commit on.
"""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Never, Self

from sqlalchemy.exc import SQLAlchemyError

from monitor import log as logs
from monitor import lookalikes
from monitor.db import reading
from monitor.errors import BadVector, GalleryNotReady, LikenessError, ModelMismatch
from monitor.gallery_events import Batch, Tail
from monitor.gallery_rows import Models, SealedRow, add_template, alive, opened, pages, rows_of, tombstone
from monitor.gallery_sets import Compared, Entry, FlatSets, SetScore
from monitor.lookalikes import SealedLookalike, opened_lookalikes
from monitor.values import Modality, ModelId, SubjectId, TemplateId

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys
    from monitor.ml.interfaces import Pack

__all__ = ["Compared", "Gallery", "SetScore", "add_template", "alive", "models_of", "tombstone"]

FOLLOW_EVERY_S = 0.25
"""How often the background follower looks: an eighth of the 2 s in which a new template is promised."""

STALE_AFTER_S = 2.0
"""Seconds after which what the gallery knows is too old to search without looking again."""

STOP_WITHIN_S = 30.0
"""How long `stop` waits for the follower, which may be waiting for a database of its own (SQLITE_BUSY_MS)."""

log = logs.get(__name__)


def models_of(pack: Pack) -> Models:
    """Say what a gallery of this pack holds."""
    models: Models = {}
    if pack.faces is not None:
        models[Modality.FACE] = (pack.faces.recogniser.model_id, pack.faces.recogniser.dimension)
    if pack.voices is not None:
        models[Modality.VOICE] = (pack.voices.recogniser.model_id, pack.voices.recogniser.dimension)
    return models


class Gallery:
    """Everybody enrolled with the models of one pack. Safe for any number of threads.

    Call `start` in a process that goes on, or `follow` once in one that does not; `close` overwrites the
    vectors. A search when the last look at the ledger is too old looks again by itself.
    """

    def __init__(
        self, engine: Engine, keks: KeyEncryptionKeys, models: Mapping[Modality, tuple[ModelId, int]]
    ) -> None:
        """Hold templates of these models only: modality -> (model, length of its vectors)."""
        self._engine = engine
        self._keks = keks
        self._models: Models = dict(models)
        self._sets = {modality: FlatSets(size) for modality, (_, size) in self._models.items()}
        self._tail = Tail()
        self._started_at_end = False
        self._loaded = False
        self._followed_at: float | None = None
        self._following = threading.Lock()
        self._stopping = threading.Event()
        self._follower: threading.Thread | None = None
        self.problem = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Gallery({', '.join(f'{name}: {len(held)}' for name, held in self._sets.items())})"

    def __reduce__(self) -> Never:
        """Refuse to be pickled: each process opens the sealed rows for itself."""
        msg = "a gallery is never pickled"
        raise TypeError(msg)

    @property
    def ready(self) -> bool:
        """Whether a search would answer at once: loaded, and not stale."""
        return self._loaded and self.stale_s <= STALE_AFTER_S

    @property
    def stale_s(self) -> float:
        """Seconds since the ledger was last looked at with success; infinite before the first time."""
        return math.inf if self._followed_at is None else time.monotonic() - self._followed_at

    @property
    def seq(self) -> int:
        """The number up to which every event of the ledger is in the gallery.

        It passes an erasure only when a search with the subject's own vector no longer found them.
        """
        return self._tail.seq if self._loaded else 0

    @property
    def sizes(self) -> dict[Modality, int]:
        """How many templates are held, by modality."""
        return {modality: len(held) for modality, held in self._sets.items()}

    def start(self, interval: float = FOLLOW_EVERY_S) -> None:
        """Load everything, then follow the ledger in the background until `stop`.

        Raises what `follow` raises: a wrong key is known at once and not after the first item.
        """
        self.follow()
        self._stopping.clear()
        self._follower = threading.Thread(
            target=self._keep_following, args=(interval,), name="gallery-follower", daemon=True
        )
        self._follower.start()

    def stop(self) -> None:
        """End the background follower. What is loaded stays searchable."""
        self._stopping.set()
        if self._follower is not None:
            self._follower.join(STOP_WITHIN_S)
            self._follower = None

    def close(self) -> None:
        """Stop, and overwrite every vector."""
        self.stop()
        with self._following:
            self._loaded, self._followed_at = False, None
            self._started_at_end, self._tail = False, Tail()
            for held in self._sets.values():
                held.clear()

    def follow(self) -> int:
        """Apply what is new in the ledger and give the number of changes; the first time, load everything.

        Raises GalleryNotReady when the database does not answer, KeyMissing or KeyWrong when the
        key-encryption key is not the right one.
        """
        with self._following:
            return self._follow()

    def compare(
        self, modality: Modality, model_id: ModelId, vectors: NDArray[np.float32], k: int
    ) -> Compared:
        """Compare each vector with everybody by the set rule (gallery_sets.py); give the k nearest subjects.

        `vectors` is (n, d) float32, rows of length 1; n may be 0. Raises GalleryNotReady when the gallery
        was never loaded or cannot catch up, ModelMismatch when the vectors are of another model or size,
        BadVector when one is NaN, infinite, zero or of another length.
        """
        held = self._sets_of(modality, model_id, vectors)
        self._look_again_when_stale()
        return held.compare(vectors, k)

    def against(
        self,
        modality: Modality,
        model_id: ModelId,
        vectors: NDArray[np.float32],
        subject_ids: Collection[SubjectId],
    ) -> Mapping[SubjectId, tuple[SetScore, ...]]:
        """Compare each vector with these subjects alone; whoever has no such set is left out.

        Takes and raises what `compare` does.
        """
        held = self._sets_of(modality, model_id, vectors)
        self._look_again_when_stale()
        return held.against(vectors, subject_ids)

    def _sets_of(self, modality: Modality, model_id: ModelId, vectors: NDArray[np.float32]) -> FlatSets:
        held, size = self._models.get(modality, (ModelId(""), 0))
        if held != model_id or vectors.ndim != 2 or vectors.shape[1] != size:
            msg = f"{modality} vectors of {model_id}, {vectors.shape}, against {held or 'no model'}, {size}"
            raise ModelMismatch(
                msg, hint="A gallery belongs to one pack; change it with `likeness models switch`."
            )
        return self._sets[modality]

    def _look_again_when_stale(self) -> None:
        if not self._loaded:
            msg = "the gallery is not loaded yet"
            raise GalleryNotReady(msg)
        if self.stale_s <= STALE_AFTER_S:
            return
        if not self._following.acquire(timeout=STALE_AFTER_S):
            msg = f"the gallery has not caught up for {self.stale_s:.1f} s"
            raise GalleryNotReady(msg)
        try:
            if self.stale_s > STALE_AFTER_S:
                self._follow()
        finally:
            self._following.release()

    def _keep_following(self, interval: float) -> None:
        while not self._stopping.wait(interval):
            try:
                self.follow()
            except LikenessError as exc:  # the next round tries again; meanwhile `ready` and `problem` tell
                if self.problem != exc.code:
                    log.warning("gallery_cannot_follow", code=exc.code)
                self.problem = exc.code
            else:
                self.problem = ""

    def _follow(self) -> int:
        try:
            changes = self._load()
            looked_at = time.monotonic()  # what commits from now on may be missed by this look
            changes += self._catch_up()
        except SQLAlchemyError as exc:
            msg = "the gallery cannot read the ledger"
            raise GalleryNotReady(msg, hint="The database does not answer; the item is tried again.") from exc
        except GalleryNotReady:  # somebody who left was still found: what is held is not to be believed
            self._loaded = False
            for held in self._sets.values():
                held.clear()
            raise
        self._loaded, self._followed_at = True, looked_at
        return changes

    def _load(self) -> int:
        if self._loaded:
            return 0
        if not self._started_at_end:  # once only: a load that broke off goes on from the same place
            with reading(self._engine) as session:
                self._tail.start(session)
            self._started_at_end = True
        added = sum(self._add(page) for page in pages(self._engine, self._models))
        return added + sum(self._learn(page) for page in lookalikes.pages(self._engine, self._models))

    def _catch_up(self) -> int:
        changes, more = 0, True
        while more:
            with reading(self._engine) as session:
                batch = self._tail.read(session)
                added = [one.template_id for one in batch.events if one.kind == "add" and one.template_id]
                rows = rows_of(session, self._models, added, paused=False)
                learnt = [one.template_id for one in batch.events if one.kind == "learn" and one.template_id]
                known = lookalikes.rows_of(session, self._models, learnt)
            changes += self._erase(batch) + self._add(rows) + self._learn(known)
            self._tail.accept(batch)
            more = batch.more
        return changes

    def _erase(self, batch: Batch) -> int:
        erased = [SubjectId(event.subject_id) for event in batch.events if event.kind == "erase"]
        paused = [SubjectId(event.subject_id) for event in batch.events if event.kind == "pause"]
        unlearnt = [one.template_id for one in batch.events if one.kind == "unlearn" and one.template_id]
        gone = sum(held.unlearn(one) for one in unlearnt for held in self._sets.values())
        for event in batch.events:
            if event.kind == "drop" and event.template_id:
                who = SubjectId(event.subject_id)
                gone += sum(held.drop(who, event.template_id) for held in self._sets.values())
        gone += sum(held.leave(subject_id) for subject_id in paused for held in self._sets.values())
        return gone + sum(held.remove(subject_id) for subject_id in erased for held in self._sets.values())

    def _learn(self, rows: Sequence[SealedLookalike]) -> int:
        learnt = 0
        for row in opened_lookalikes(self._keks, self._models, rows):
            entry = Entry(row.subject_id, TemplateId(row.lookalike_id), row.vector)
            try:
                learnt += self._sets[row.modality].learn(entry)
            except BadVector as exc:  # it costs an alert too many, and nothing else
                log.warning("lookalike_is_no_vector", lookalike_id=row.lookalike_id, code=exc.code)
        return learnt

    def _add(self, rows: Sequence[SealedRow]) -> int:
        added = 0
        for row in opened(self._keks, self._models, rows):
            entry = Entry(row.subject_id, row.template_id, row.vector, row.quality)
            try:
                added += self._sets[row.modality].add([entry])
            except BadVector as exc:  # one bad row must not switch the watch off
                log.warning("template_is_no_vector", template_id=row.template_id, code=exc.code)
        return added
