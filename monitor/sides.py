"""A side: the models, the gallery and the thresholds that belong together.

A watch has one. After a change of models it has another one for each older pack by which somebody is still
known: they gave no new samples yet. A subject is on one side only, so that nobody counts twice: whoever has a
template of the pack in force is looked for by that one, everybody else by the older ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from monitor import gallery as galleries
from monitor import switching
from monitor.db import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sqlalchemy import Engine

    from monitor.budget import Dial
    from monitor.gallery import Gallery
    from monitor.ml.interfaces import FaceModels, Pack
    from monitor.values import SubjectId

    Alive = Callable[[Collection[SubjectId]], Collection[SubjectId]]


@dataclass(frozen=True, slots=True)
class Side:
    """What one pack looks with."""

    pack: Pack
    gallery: Gallery
    dial: Dial


def older_pack(name: str, faces: FaceModels, now: Pack) -> Pack:
    """Put an older pack together: its recogniser, and all else from the pack in force.

    Detectors differ in how well they find a face, and not in where its points are; one look serves both.
    """
    faces = replace(faces, detector=now.faces.detector) if now.faces is not None else faces
    return replace(now, name=name, faces=faces)


def alive_on(engine: Engine, sides: tuple[Side, ...], number: int) -> Alive:
    """Give what says which subjects are enrolled at this moment and belong to the side of this number."""
    faces = sides[0].pack.faces

    def alive(subject_ids: Collection[SubjectId]) -> Collection[SubjectId]:
        with reading(engine) as session:
            living = galleries.alive(session, subject_ids)
            if len(sides) == 1 or faces is None:
                return living
            behind = switching.left_behind(session, living, faces.recogniser.model_id)
        return living & behind if number else living - behind

    return alive
