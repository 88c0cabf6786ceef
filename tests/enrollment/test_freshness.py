"""From the last click to being found, from erasure to being unmatched: with desk and gallery at work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enrollment.freshness import measure
from monitor.values import Modality
from tests.enrollment.newcomers import door_of

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from monitor.blobs import BlobStore
    from monitor.crypto import KeyEncryptionKeys
    from monitor.ml.interfaces import Pack


def test_a_click_is_found_and_an_erasure_is_not(
    engine: Engine, keys: KeyEncryptionKeys, blobs: BlobStore, pack: Pack
) -> None:
    with door_of(engine, keys, blobs, pack) as door:
        door.gallery.start()
        figures = measure(door.desk, 3).figures()
        # How long it takes is the bench's to say; this is that it happens.
        assert figures["people"] == 3
        assert 0 < figures["searchable_p50_s"] <= figures["searchable_p99_s"]
        assert 0 < figures["erased_p50_s"] <= figures["erased_p99_s"]
        assert door.gallery.sizes == {Modality.FACE: 0, Modality.VOICE: 0}
