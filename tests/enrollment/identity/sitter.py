"""Somebody who sits before the camera: real photographs, a real voice, and samples that were given."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from sqlmodel import select

from enrollment import references
from enrollment.desk import Desk
from enrollment.given import VECTOR, State
from enrollment.identity import challenges
from enrollment.identity.challenges import Takers, report_of
from enrollment.identity.draw import Drawn
from enrollment.identity.listen import Listener
from enrollment.identity.turns import Turn
from enrollment.lookups import Lookups
from enrollment.tables import Challenge, GivenSample, Subject
from monitor import crypto, subject_keys
from monitor.bench.challenge_digits import said, sentences
from monitor.bench.challenge_film import BITS
from monitor.bench.challenge_heads import portraits
from monitor.bench.challenge_scenes import genuine
from monitor.db import reading, utc_now, writing
from monitor.gallery import models_of
from monitor.settings import Settings
from monitor.values import Modality, Sound, SubjectId
from tests.enrollment.newcomer import begun
from tests.enrollment.people import unit_vectors

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from numpy.typing import NDArray
    from sqlalchemy import Engine

    from enrollment.identity.challenges import ProofView
    from enrollment.samples import Reader
    from monitor.bench.challenge_film import Film
    from monitor.bench.challenge_heads import Portrait
    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys
    from monitor.ml.interfaces import Pack
    from tests.assets.remembering import Memory

LISTENER = Listener()
"""Loaded once in a process of tests, at the first clip."""

VOICE = "allison"
SAMPLES, PHOTOGRAPHS = 3, 12
HEARD = ("en",)


ASKED = Drawn((Turn.LEFT, Turn.UP, Turn.RIGHT), "305719", "en")
"""What most clips here answer: filming takes longer than judging, so that one clip serves many tests."""


@dataclass(frozen=True)
class Sitter:
    """One person: photographs (the first ones are samples), and the speaker whose voice they have."""

    shown: tuple[Portrait, ...]
    faces: NDArray[np.float32]
    voices: NDArray[np.float32]
    voice: str

    def film(self, drawn: Drawn = ASKED) -> Film:
        """Film them as they do what was drawn."""
        return genuine(self.shown, drawn.turns, said(self.voice, drawn.digits, np.random.default_rng(1)))

    def clip(self, memory: Memory, bits: int = BITS) -> bytes:
        """Give the recording of that film, made once in a run: they do what is asked in ASKED."""
        faces = hashlib.blake2b(self.faces).hexdigest()
        return memory.get(f"clip {faces} {self.voice} {bits}", lambda: self.film().webm(bits))


class Room:
    """One database, one person who gave samples, and a worker's desk. Its clock stands until it is put on."""

    def __init__(self, engine: Engine, keys: KeyEncryptionKeys, blobs: BlobStore, reader: Reader) -> None:
        self.engine, self.keys, self.clock = engine, keys, utc_now()
        self.takers = Takers(engine, blobs, Lookups(engine, keys))
        self.who = begun(engine, keys)
        nobody: Any = None
        self.desk = Desk(
            engine,
            keys,
            blobs,
            Settings(),
            self.takers.lookups,
            reader,
            nobody,
            nobody,
            now=self.now,
            listener=LISTENER,
        )

    def now(self) -> datetime:
        """Tell the time."""
        return self.clock

    def begin(self, drawn: Drawn | None = None) -> ProofView:
        """Draw a challenge; the given one, where a clip of it is there already."""
        view = challenges.begin(self.takers, self.who, "en", HEARD, self.now())
        if drawn is not None:
            with writing(self.engine) as session:
                session.get_one(Challenge, view.challenge_id).drawn = drawn.as_json()
        return view

    def hand_in(self, clip: bytes, view: ProofView) -> None:
        """Hand a clip in."""
        challenges.hand_in(self.takers, self.who, view.challenge_id, clip, self.now())

    def answer(self, clip: bytes, drawn: Drawn = ASKED) -> None:
        """Draw a challenge, and hand a clip in."""
        self.hand_in(clip, self.begin(drawn))

    @property
    def row(self) -> Challenge:
        """The newest challenge."""
        return newest(self.engine, self.who)

    def report(self) -> dict[str, Any]:
        """Open what the checks found."""
        with reading(self.engine) as session:
            found = report_of(session, self.keys, self.row)
        assert found is not None
        return dict(json.loads(found))

    def give_samples(self, pack: Pack, one: Sitter) -> None:
        """Give the samples of a sitter, judged as usable."""
        vectors = {Modality.FACE: one.faces[:SAMPLES], Modality.VOICE: one.voices}
        _give((self.engine, self.keys, self.takers.blobs), pack, self.who, vectors)
        self.clock = utc_now()


def sitter(data: Path, pack: Pack, number: int = 0) -> Sitter:
    """Seat one of the people with the most photographs, with the voice of VOICE."""
    folders = sorted(
        (data / "faces/lfw-dev").iterdir(), key=lambda one: (-len(list(one.iterdir())), one.name)
    )
    assert pack.faces is not None
    read = (cv2.imread(str(path)) for path in sorted(folders[number].glob("*.jpg"))[:PHOTOGRAPHS])
    shown = portraits([cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB) for bgr in read], pack.faces)
    return Sitter(shown, np.stack([one.vector for one in shown]), voice_of(VOICE, pack), VOICE)


def voice_of(speaker: str, pack: Pack) -> NDArray[np.float32]:
    """Give the vector of a speaker's voice sample: (1, d) float32."""
    assert pack.voices is not None
    return pack.voices.recogniser.embed([Sound(sentences(speaker, 10.0, np.random.default_rng(9)))])


def give_some(engine: Engine, keys: KeyEncryptionKeys, blobs: BlobStore, pack: Pack, who: SubjectId) -> None:
    """Give somebody samples that are nobody's: where it does not matter whose they are."""
    rng = np.random.default_rng(0)
    assert pack.faces is not None
    assert pack.voices is not None
    sizes = {
        Modality.FACE: pack.faces.recogniser.dimension,
        Modality.VOICE: pack.voices.recogniser.dimension,
    }
    _give((engine, keys, blobs), pack, who, {m: unit_vectors(rng, 1, size) for m, size in sizes.items()})


def _give(
    stores: tuple[Engine, KeyEncryptionKeys, BlobStore],
    pack: Pack,
    who: SubjectId,
    given: dict[Modality, NDArray[np.float32]],
) -> None:
    engine, keys, blobs = stores
    models = models_of(pack)
    with reading(engine) as session:
        public = session.get_one(Subject, who).reference_public
        key = subject_keys.key_of(session, keys, who)
    for modality, vectors in given.items():
        model_id = models[modality][0]
        for vector in vectors:
            kept = references.put(blobs, who, public, modality, uuid.uuid4().bytes)
            context = crypto.Context(who, kept.reference_id, VECTOR, model_id)
            with writing(engine) as session:
                session.add(references.blob_row(who, kept, references.GIVEN))
                session.flush()
                session.add(
                    GivenSample(
                        id=kept.reference_id,
                        subject_id=who,
                        modality=modality,
                        blob_id=kept.blob_id,
                        clip_lookup=uuid.uuid4().hex,
                        state=State.USABLE,
                        sealed_vector=crypto.seal(key, vector.astype(np.float32).tobytes(), context),
                        model_id=model_id,
                        quality=0.9,
                    )
                )


def newest(engine: Engine, who: SubjectId) -> Challenge:
    """Give somebody's newest challenge."""
    with reading(engine) as session:
        query = select(Challenge).where(Challenge.subject_id == who).order_by(Challenge.drawn_at.desc())  # type: ignore[attr-defined]
        return session.exec(query).first()  # type: ignore[return-value]
