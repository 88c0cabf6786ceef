"""Face and voice of one video, with the real models: together they are counted, apart it is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.values import Agreement, Band
from tests.assets import people

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.story.conftest import Watch

SHE = "Gloria_Macapagal_Arroyo"
RATE = 16_000


def clips(data: Path, number: int) -> list[NDArray[np.float32]]:
    """Read the clips of one reader, those of six seconds and more, the longest first."""
    folders = sorted(p for p in (data / people.VOICES).iterdir() if p.is_dir())
    read = (people.speech(path) for path in sorted(folders[number].iterdir()))
    return sorted((c for c in read if len(c) >= 6 * RATE), key=len, reverse=True)


@pytest.fixture
def watched(watch: Watch, data: Path) -> Watch:
    """Enrol a face and the first reader's voice as one person."""
    own = clips(data, 0)
    watch.enrol("she", people.jpeg(people.pictures(data, SHE)[0]), people.wav(own[0]), people.wav(own[1]))
    return watch


def test_her_face_and_her_voice_go_together(watched: Watch, data: Path) -> None:
    slides = people.pictures(data, SHE)[1:2]
    film = people.video(slides, seconds_each=6.0, samples=clips(data, 0)[2][: 6 * RATE])
    (view,) = watched.views(watched.look(film))
    assert (view.band, view.detail.agreement) == (Band.ALERT, Agreement.BOTH)
    assert view.detail.face_margin is not None
    assert view.detail.voice_score is not None
    assert {limit.modality for limit in view.detail.limits} == {"face", "voice"}
    assert all(limit.source for limit in view.detail.limits)


def test_her_face_with_another_voice_is_found_and_said(watched: Watch, data: Path) -> None:
    slides = people.pictures(data, SHE)[1:2]
    film = people.video(slides, seconds_each=6.0, samples=clips(data, 1)[0][: 6 * RATE])
    (view,) = watched.views(watched.look(film))
    assert (view.band, view.detail.agreement) == (Band.ALERT, Agreement.FACE_NOT_VOICE)
    assert any(said.startswith("Your face, not your voice") for said in view.detail.against)


def test_her_voice_under_another_face_is_found_and_said(watched: Watch, data: Path) -> None:
    slides = people.pictures(data, "Angelina_Jolie")[:1]
    film = people.video(slides, seconds_each=6.0, samples=clips(data, 0)[2][: 6 * RATE])
    (view,) = watched.views(watched.look(film))
    assert (view.band, view.detail.agreement) == (Band.ALERT, Agreement.VOICE_NOT_FACE)
    assert view.detail.face_score is None
    assert any(said.startswith("Your voice, not your face") for said in view.detail.against)
