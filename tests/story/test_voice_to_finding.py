"""Her voice inside other sound: found, at the right seconds; the voices of others are nobody's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from monitor.values import Band, MediaKind
from tests.assets import media, people

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.story.conftest import Watch

    Clips = list[list[NDArray[np.float32]]]

RATE = 16_000


@pytest.fixture(scope="module")
def speakers(data: Path) -> Clips:
    """Give the clips of each speaker, those of four seconds and more, the longest first."""
    folders = sorted(p for p in (data / people.VOICES).iterdir() if p.is_dir())
    found = [[people.speech(path) for path in sorted(folder.iterdir())] for folder in folders]
    return [sorted((c for c in clips if len(c) > 4 * RATE), key=len, reverse=True) for clips in found]


@pytest.fixture
def reader(watch: Watch, speakers: Clips) -> Clips:
    """Enrol the first speaker from two clips; give all clips."""
    watch.enrol("reader", people.wav(speakers[0][0]), people.wav(speakers[0][1]))
    return speakers


def test_her_clip_in_a_podcast_with_music_is_found_at_its_seconds(watch: Watch, reader: Clips) -> None:
    hers, other = reader[0][2][: 8 * RATE], reader[1][0][: 6 * RATE]
    podcast = np.concatenate([people.music(6), other, people.music(4), hers, people.music(5)])
    podcast += 0.3 * people.music(len(podcast) / RATE + 1, seed=4)[: len(podcast)]
    starts = 6 + len(other) / RATE + 4
    (view,) = watch.views(watch.look(people.wav(podcast)))
    assert view.band is Band.ALERT
    assert view.detail.kind is MediaKind.AUDIO
    (span,) = view.detail.voice_spans
    assert span.start_s == pytest.approx(starts, abs=1.5)
    assert span.end_s == pytest.approx(starts + len(hers) / RATE, abs=1.5)
    assert view.detail.copy_marks == ()


def test_among_three_speakers_only_her_seconds_are_hers(watch: Watch, reader: Clips) -> None:
    said = [
        (who, reader[who][2 + which][: 4 * RATE]) for who, which in ((1, 0), (0, 0), (2, 0), (0, 1), (1, 1))
    ]
    pause = np.zeros(RATE // 4, np.float32)
    talk = np.concatenate([x for _, one in said for x in (one, pause)])
    (view,) = watch.views(watch.look(people.wav(talk)))
    at = np.cumsum([0.0, *[len(one) / RATE + 0.25 for _, one in said]])
    hers = [(at[n], at[n + 1]) for n, (who, _) in enumerate(said) if who == 0]
    told = [(span.start_s, span.end_s) for span in view.detail.voice_spans]
    right = sum(max(0.0, min(b, d) - max(a, c)) for a, b in told for c, d in hers)
    assert right >= 0.95 * sum(b - a for a, b in told)
    assert right >= 0.7 * sum(d - c for c, d in hers)  # pauses between her words are not hers


def test_her_voice_under_a_video_is_found(watch: Watch, reader: Clips) -> None:
    hers = reader[0][2][: 6 * RATE]
    slides = [np.asarray(media.pattern(160, 120))]
    (view,) = watch.views(watch.look(people.video(slides, seconds_each=6.0, samples=hers)))
    assert view.detail.kind is MediaKind.VIDEO
    assert view.detail.voice_score is not None
    assert view.detail.face_score is None


def test_other_voices_are_nobody(watch: Watch, reader: Clips) -> None:
    for clips in reader[1:]:
        outcome = watch.look(people.wav(clips[0]))
        assert (outcome.state, outcome.findings) == ("done", ())
        assert outcome.turns_seen > 0


def test_music_is_nobody(watch: Watch, reader: Clips) -> None:  # noqa: ARG001 - she is enrolled
    assert watch.look(people.wav(people.music(20))).findings == ()
