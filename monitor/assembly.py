"""Puts the parts of the watch together from Settings. Entry files and verbs call this; nothing else does."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from monitor import subject_keys
from monitor.blobs import BlobStore
from monitor.crypto import KeyEncryptionKeys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from monitor.pipeline import Tools
    from monitor.settings import Settings

MEBIBYTE = 2**20


@contextlib.contextmanager
def build_tools(settings: Settings, engine: Engine) -> Iterator[Tools]:
    """Load the models and the gallery, start the decoder; stop and wipe them at the end.

    Raises KeysError for keys that are missing or wrong, ModelError for models or a GPU that are.
    """
    keks = KeyEncryptionKeys.from_settings(settings)
    subject_keys.ensure_service_keys(engine, keks)

    import cv2  # noqa: PLC0415 - half a second that a process without models does not spend

    from monitor.budget import Dial, halves_of  # noqa: PLC0415
    from monitor.gallery import Gallery, models_of  # noqa: PLC0415
    from monitor.ml.packs import load_pack  # noqa: PLC0415
    from monitor.pipeline import Tools  # noqa: PLC0415
    from monitor.stages.decode import Decoder  # noqa: PLC0415

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
        )
