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
from monitor.gallery_sets import CENTRED, HANDICAP
from monitor.tables import SubjectKey
from monitor.values import Modality, ModelId, SubjectId

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlalchemy import Engine

    from monitor.crypto import KeyEncryptionKeys
    from monitor.gallery import Compared

SIZE = 64
MODEL = ModelId("random@0123456789abcdef/none")
MODELS = {Modality.FACE: (MODEL, SIZE)}


def unit_vectors(rng: np.random.Generator, count: int, size: int = SIZE) -> NDArray[np.float32]:
    """Make (count, size) float32, rows of length 1."""
    vectors = rng.standard_normal((count, size))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


class TwinGallery:
    """Compares everything with everything in float64, by the set rule. Slow, and right."""

    def __init__(self, handicap: float = HANDICAP) -> None:
        """Start empty."""
        self.handicap = handicap
        self.sets: dict[SubjectId, dict[str, tuple[NDArray[np.float64], float]]] = {}
        self.lookalikes: dict[SubjectId, list[NDArray[np.float64]]] = {}

    def add(
        self, subject_id: SubjectId, template_id: str, vector: NDArray[np.float32], quality: float = 1.0
    ) -> None:
        """Keep one template."""
        self.sets.setdefault(subject_id, {})[template_id] = (vector.astype(np.float64), quality)

    def learn(self, subject_id: SubjectId, vector: NDArray[np.float32]) -> None:
        """Keep one lookalike."""
        self.lookalikes.setdefault(subject_id, []).append(vector.astype(np.float64))

    def remove(self, subject_id: SubjectId) -> None:
        """Forget a subject."""
        self.sets.pop(subject_id, None)
        self.lookalikes.pop(subject_id, None)

    def score(self, subject_id: SubjectId, probe: NDArray[np.float64]) -> tuple[float, float, float]:
        """Give the cosine to the centroid, the score by the set rule, and the cosine to a lookalike."""
        own = self.sets[subject_id].values()
        centroid = np.sum([vector * quality for vector, quality in own], axis=0)
        cosine = float(centroid @ probe / np.linalg.norm(centroid))
        score = cosine - CENTRED * np.log2(len(own))
        best = max(float(vector @ probe) for vector, _ in own) - self.handicap
        lookalike = max((float(one @ probe) for one in self.lookalikes.get(subject_id, [])), default=-1.0)
        return cosine, max(score, best) if len(own) > 1 else cosine, lookalike

    def must_agree(self, compared: Compared, probes: NDArray[np.float32], k: int) -> None:
        """Check who is nearest, the scores and their order, and how many were compared."""
        assert compared.subjects == len(self.sets)
        for found, probe in zip(compared.nearest, probes.astype(np.float64), strict=True):
            scores = {subject_id: self.score(subject_id, probe) for subject_id in self.sets}
            nearest = sorted(scores, key=lambda one: -scores[one][0])[:k]
            best = sorted((scores[one][1] for one in nearest), reverse=True)
            np.testing.assert_allclose([one.score for one in found], best, atol=1e-6)
            assert len({one.subject_id for one in found}) == len(found)
            for one in found:
                assert abs(scores[one.subject_id][1] - one.score) < 1e-6
                assert abs(scores[one.subject_id][2] - one.lookalike) < 1e-6


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
