"""Puts the parts of the watch together from Settings. Entry files and verbs call this; nothing else does."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from monitor import log as logs
from monitor import subject_keys, switching
from monitor.blobs import BlobStore
from monitor.crypto import KeyEncryptionKeys
from monitor.db import reading
from monitor.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from monitor.ml.interfaces import Pack
    from monitor.ml.synthetic.interfaces import Scorer
    from monitor.originals.known import Shelf
    from monitor.settings import Settings
    from monitor.sides import Side
    from monitor.stages.assess import Assessor
    from monitor.stages.decode import Decoder
    from monitor.tools import Tools

MEBIBYTE = 2**20

log = logs.get(__name__)


@contextlib.contextmanager
def build_tools(settings: Settings, engine: Engine) -> Iterator[Tools]:
    """Load the models and the gallery, start the decoder; stop and wipe them at the end.

    Raises KeysError for keys that are missing or wrong, ModelError for models or a GPU that are, ConfigError
    where another pack is in force than the settings name.
    """
    settings = switching.in_force(engine, settings)
    keks = KeyEncryptionKeys.from_settings(settings)
    subject_keys.ensure_service_keys(engine, keks)

    import cv2  # noqa: PLC0415 - half a second that a process without models does not spend

    from monitor.budget import Dial, halves_of  # noqa: PLC0415
    from monitor.copies import CopyIndex  # noqa: PLC0415
    from monitor.gallery import Gallery, models_of  # noqa: PLC0415
    from monitor.ml.packs import load_pack  # noqa: PLC0415
    from monitor.originals.known import Shelf  # noqa: PLC0415
    from monitor.stages.decode import Decoder  # noqa: PLC0415
    from monitor.tools import Tools  # noqa: PLC0415

    cv2.setNumThreads(1)  # items run side by side; a resize that takes every core takes them from others
    with contextlib.ExitStack() as held:
        decoder = held.enter_context(Decoder.of(settings))
        decoder.warm()  # it imports its decoders while the models are loaded here
        pack = load_pack(settings)
        gallery = held.enter_context(Gallery(engine, keks, models_of(pack)))
        gallery.start()
        yield Tools(
            engine=engine,
            keks=keks,
            opener=subject_keys.intake_opener(engine, keks),
            blobs=BlobStore(settings.blobs),
            pack=pack,
            gallery=gallery,
            decoder=decoder,
            dial=held.enter_context(Dial(engine, halves_of(pack))),
            keep_original_bytes=settings.keep_original_mb * MEBIBYTE,
            copies=CopyIndex(engine),
            assessor=_assessor(settings, pack, Shelf(engine, keks, BlobStore(settings.blobs)), decoder),
            older=tuple(
                held.enter_context(_older(elder, settings, engine, keks, pack))
                for elder in _elders(settings, engine, pack)
            ),
        )


def _assessor(settings: Settings, pack: Pack, shelf: Shelf, decoder: Decoder) -> Assessor | None:
    """Put the signals of synthetic media together, in the order in which they are shown."""
    if settings.synthetic == "off":
        return None
    from monitor.ml.synthetic.face_against_voice import open_face_against_voice  # noqa: PLC0415 - as above
    from monitor.ml.synthetic.fusing import shipped_fusion  # noqa: PLC0415
    from monitor.ml.synthetic.lips_against_sound import open_lips_against_sound  # noqa: PLC0415
    from monitor.ml.synthetic.own_detectors import open_own_detectors  # noqa: PLC0415
    from monitor.ml.synthetic.provenance import Provenance  # noqa: PLC0415
    from monitor.ml.synthetic.track_consistency import open_track_consistency  # noqa: PLC0415
    from monitor.ml.transcribing import Transcriber  # noqa: PLC0415
    from monitor.originals.scorer import KnownOriginals  # noqa: PLC0415
    from monitor.stages.assess import Assessor  # noqa: PLC0415

    scorers: tuple[Scorer, ...] = (
        KnownOriginals(shelf, decoder),
        Provenance(),
        open_face_against_voice(pack),
        open_lips_against_sound(pack),
        open_track_consistency(pack),
        *open_own_detectors(settings.detectors, settings.device),
    )
    return Assessor(scorers, Transcriber(settings), shipped_fusion(), pack)


def _elders(settings: Settings, engine: Engine, pack: Pack) -> tuple[switching.Elder, ...]:
    """Name the older packs that are still needed; say so where even with them somebody is not looked for."""
    line_up = switching.line_up(engine, settings)
    if pack.faces is not None:
        with reading(engine) as session:
            people = switching.not_watched(session, line_up, pack.faces.recogniser.model_id)
        if people:
            log.warning(
                "faces_of_another_model", people=people, why="enrolled with a pack that is not in use"
            )
    return line_up.elders


@contextlib.contextmanager
def _older(
    elder: switching.Elder, settings: Settings, engine: Engine, keks: KeyEncryptionKeys, pack: Pack
) -> Iterator[Side]:
    """Load an older pack's recogniser and the gallery of those who are still known by it."""
    from monitor.budget import Dial, halves_of  # noqa: PLC0415 - as above
    from monitor.gallery import Gallery, models_of  # noqa: PLC0415
    from monitor.ml.packs import load_faces  # noqa: PLC0415
    from monitor.sides import Side, older_pack  # noqa: PLC0415

    faces = load_faces(settings.model_copy(update={"pack": elder.pack}))
    if faces.recogniser.model_id != elder.model_id:
        msg = f"the pack {elder.pack} is not the one by which people are still known"
        hint = "Bring its weights back, or drop those templates: `likeness models switch --drop-old`."
        raise ConfigError(msg, hint=hint)
    older = older_pack(elder.pack, faces, pack)
    with Gallery(engine, keks, models_of(older)) as gallery, Dial(engine, halves_of(older)) as dial:
        gallery.start()
        yield Side(older, gallery, dial)
