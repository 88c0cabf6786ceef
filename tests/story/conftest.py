"""A watch of one's own for each story: real models, real decoder, real database, nothing pretended."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
import structlog
from sqlmodel import select

from monitor import claims, findings, subject_keys
from monitor.blobs import BlobStore
from monitor.budget import Dial, halves_of
from monitor.copies import CopyIndex
from monitor.crew import Crew
from monitor.db import reading, utc_now, writing
from monitor.gallery import Gallery, add_template, models_of
from monitor.intake import Door, submit
from monitor.pipeline import process
from monitor.stages.decode import DecodeLimits, Decoder
from monitor.stages.detect import detect
from monitor.stages.embed import embed
from monitor.tables import Finding, MediaItem
from monitor.tools import Tools
from monitor.values import FindingId, MediaId, Origin, OriginKind, SubjectId

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys
    from monitor.findings import FindingView
    from monitor.ml.interfaces import Pack
    from monitor.progress import Outcome

OWNER = "test:1"


@dataclass
class Watch:
    """A whole watch; `look` takes one item from the door to its end."""

    tools: Tools
    door: Door

    def enrol(self, name: str, *samples: bytes) -> SubjectId:
        """Enrol somebody from pictures and sounds, the way enrolment does."""
        subject_id = SubjectId(name)
        with writing(self.tools.engine) as session:
            subject_keys.create(session, self.tools.keks, subject_id)
        for sample in samples:
            with self.tools.decoder.start(sample) as clip:
                probes = embed(detect(clip, self.tools.pack), self.tools.pack)
            mean = np.concatenate([p.vectors for p in probes]).mean(axis=0)
            with writing(self.tools.engine) as session:
                vector = (mean / np.linalg.norm(mean)).astype(np.float32)
                add_template(
                    session,
                    self.tools.keks,
                    subject_id,
                    probes[0].modality,
                    probes[0].model_id,
                    vector,
                    quality=1.0,
                )
        self.tools.gallery.follow()
        return subject_id

    def submit(self, data: bytes, url: str = "https://example.org/a") -> MediaId:
        """Put bytes in at the door."""
        origin = Origin(OriginKind.PUSH, utc_now(), url=url)
        return submit(data, origin, self.door).media_id

    def look(self, data: bytes, url: str = "https://example.org/a") -> Outcome:
        """Put bytes in and take them the whole path."""
        media_id = self.submit(data, url)
        assert media_id in [w.media_id for w in claims.claim(self.tools.engine, OWNER, 60.0, 10)]
        return process(media_id, self.tools, OWNER)

    def work(self, threads: int = 1) -> list[Outcome]:
        """Let a crew look at everything that waits."""
        outcomes: list[Outcome] = []
        crew = Crew(self.tools, threads=threads, lease_s=30.0, seen=outcomes.append)
        crew.run(threading.Event(), once=True)
        return outcomes

    def item(self, media_id: MediaId) -> MediaItem:
        """Read an item's row."""
        with reading(self.tools.engine) as session:
            row = session.get(MediaItem, media_id)
        assert row is not None
        return row

    def views(self, outcome: Outcome) -> list[FindingView]:
        """Open the findings of a look."""
        with reading(self.tools.engine) as session:
            return [findings.read(session, self.tools.keks, f) for f in outcome.findings]

    def findings_of(self, media_id: MediaId) -> list[FindingId]:
        """List the findings on an item."""
        with reading(self.tools.engine) as session:
            return [
                FindingId(f) for f in session.exec(select(Finding.id).where(Finding.media_id == media_id))
            ]


@pytest.fixture
def log_as_before() -> Iterator[None]:
    """Put the log back as it was: the verbs set it up for a process of their own."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = before


@pytest.fixture(scope="session")
def decoder() -> Iterator[Decoder]:
    """Give one decoder for all stories; each item has a child of its own anyway."""
    with Decoder(DecodeLimits(frames_per_second=4.0)) as running:
        yield running


@pytest.fixture
def watch(
    sqlite_engine: Engine, keys: KeyEncryptionKeys, blobs: BlobStore, pack: Pack, decoder: Decoder
) -> Iterator[Watch]:
    """Give a whole watch with an empty gallery."""
    yield from running(sqlite_engine, keys, blobs, pack, decoder)


def running(
    engine: Engine, keks: KeyEncryptionKeys, blobs: BlobStore, pack: Pack, decoder: Decoder
) -> Iterator[Watch]:
    """Run a watch on some database."""
    subject_keys.ensure_service_keys(engine, keks)
    with Gallery(engine, keks, models_of(pack)) as gallery, Dial(engine, halves_of(pack)) as dial:
        gallery.start()
        tools = Tools(
            engine,
            keks,
            subject_keys.intake_opener(engine, keks),
            blobs,
            pack,
            gallery,
            decoder,
            dial,
            keep_original_bytes=2**20,
            copies=CopyIndex(engine),
        )
        yield Watch(tools, Door(engine, blobs, subject_keys.intake_sealer(engine), 2**28))
