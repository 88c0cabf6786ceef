"""The real stages on one file, in memory: decode, detect, embed, match against the enrolled of a bench."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from monitor.gallery_sets import Entry, FlatSets
from monitor.stages.detect import detect
from monitor.stages.embed import embed
from monitor.stages.match import FixedBook, match
from monitor.values import Band, FaceTrack, Modality, ModelId, SubjectId, TemplateId, pieces_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from monitor.gallery_sets import Compared, SetScore
    from monitor.ml.interfaces import Pack, VoiceModels
    from monitor.stages.decode import Decoder
    from monitor.values import Span


@dataclass(frozen=True, slots=True)
class Known:
    """A gallery of voices in memory, each known by a number."""

    sets: FlatSets

    @classmethod
    def of(cls, voices: Mapping[int, NDArray[np.float32]]) -> Self:
        """Enrol (d,) float32 vectors of length 1."""
        sets = FlatSets(len(next(iter(voices.values()))))
        sets.add([Entry(SubjectId(str(who)), TemplateId(str(who)), vector) for who, vector in voices.items()])
        return cls(sets)

    def compare(
        self, _modality: Modality, _model_id: ModelId, vectors: NDArray[np.float32], k: int
    ) -> Compared:
        """Give the k nearest of each row, as the service's gallery does."""
        return self.sets.compare(vectors, k)

    def against(
        self,
        _modality: Modality,
        _model_id: ModelId,
        vectors: NDArray[np.float32],
        subject_ids: Collection[SubjectId],
    ) -> Mapping[SubjectId, tuple[SetScore, ...]]:
        """Compare each row with some of them alone."""
        return self.sets.against(vectors, subject_ids)


@dataclass(frozen=True, slots=True)
class Watch:
    """Everything that a look at one file needs. Safe for threads."""

    pack: Pack
    voices: VoiceModels
    decoder: Decoder
    known: Known

    @classmethod
    def of(
        cls, pack: Pack, models: VoiceModels, decoder: Decoder, voices: Mapping[int, NDArray[np.float32]]
    ) -> Self:
        """Look for these voices only."""
        return cls(replace(pack, faces=None), models, decoder, Known.of(voices))

    def finds(self, data: bytes) -> dict[int, tuple[Span, ...]]:
        """Say of each voice that may be heard at which seconds, told or shown to a human first."""
        with self.decoder.start(data) as clip:
            appearances = detect(clip, self.pack)
        matched = match(embed(appearances, self.pack), self.known, FixedBook(self.pack), lambda ids: ids)
        claims: dict[int, tuple[Span, ...]] = {}
        for candidate in matched.candidates:
            if candidate.band is not Band.BELOW and not isinstance(candidate.appearance, FaceTrack):
                who = int(candidate.subject_id)
                claims[who] = (*claims.get(who, ()), *pieces_of(candidate.appearance))
        return claims
