"""People made of random vectors, and the brute-force twin of the gallery."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import delete
from sqlmodel import col

from monitor import subject_keys
from monitor.db import writing
from monitor.gallery import add_template, tombstone
from monitor.tables import SubjectKey
from monitor.values import Modality, ModelId, SubjectId, TemplateId

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys
    from monitor.gallery import Hit

SIZE = 64
MODEL = ModelId("random@0123456789abcdef/none")
MODELS = {Modality.FACE: (MODEL, SIZE)}


def unit_vectors(rng: np.random.Generator, count: int, size: int = SIZE) -> NDArray[np.float32]:
    """Make (count, size) float32, rows of length 1."""
    vectors = rng.standard_normal((count, size))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


class TwinGallery:
    """Compares everything with everything in float64. Slow, and right."""

    def __init__(self) -> None:
        """Start empty."""
        self.vectors: dict[TemplateId, NDArray[np.float64]] = {}
        self.owner: dict[TemplateId, SubjectId] = {}

    def add(self, subject_id: SubjectId, template_id: TemplateId, vector: NDArray[np.float32]) -> None:
        """Keep one template."""
        self.vectors[template_id] = vector.astype(np.float64)
        self.owner[template_id] = subject_id

    def remove(self, subject_id: SubjectId) -> None:
        """Forget a subject."""
        for template_id in [one for one, owner in self.owner.items() if owner == subject_id]:
            del self.vectors[template_id], self.owner[template_id]

    def must_agree(self, found: list[list[Hit]], probes: NDArray[np.float32], k: int) -> None:
        """Check the scores and their order, and that each hit has the score and owner it says."""
        for hits, probe in zip(found, probes.astype(np.float64), strict=True):
            scores = {template_id: float(vector @ probe) for template_id, vector in self.vectors.items()}
            best = sorted(scores.values(), reverse=True)[:k]
            np.testing.assert_allclose([hit.score for hit in hits], best, atol=1e-6)
            for hit in hits:
                assert abs(scores[hit.template_id] - hit.score) < 1e-6
                assert self.owner[hit.template_id] == hit.subject_id
            assert len({hit.template_id for hit in hits}) == len(hits)


def enrol(
    engine: Engine,
    keys: KeyEncryptionKeys,
    vectors: NDArray[np.float32],
    twin: TwinGallery | None = None,
    model: ModelId = MODEL,
) -> SubjectId:
    """Enrol a person with these vectors, in one transaction."""
    subject_id = SubjectId(uuid.uuid4().hex)
    with writing(engine) as session:
        subject_keys.create(session, keys, subject_id)
        for vector in vectors:
            template_id = add_template(session, keys, subject_id, Modality.FACE, model, vector, 1.0)
            if twin is not None:
                twin.add(subject_id, template_id, vector)
    return subject_id


def erase_row(engine: Engine, subject_id: SubjectId) -> None:
    """Do the part of an erasure that the gallery sees: tombstone and key in one transaction."""
    with writing(engine) as session:
        tombstone(session, subject_id)
        session.connection().execute(delete(SubjectKey).where(col(SubjectKey.subject_id) == subject_id))
