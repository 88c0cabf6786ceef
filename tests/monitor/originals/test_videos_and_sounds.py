"""Videos and sound that are copies of an original: at which seconds they were changed, and where."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from monitor.originals.outcomes import CHANGED_LLR, SAME_LLR
from monitor.values import Abstention, Box
from tests.assets.media import RATE, mp3, wav
from tests.monitor.originals.conftest import Bench, jpeg, scaled, scene

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.stages.decode import Decoder

    Picture = NDArray[np.uint8]

FPS = 20


def film(seconds: float, person: int = 12) -> list[Picture]:
    """Film somebody who moves before a wall: (180, 320, 3) uint8 each."""
    wall, body = scene(11, (320, 180)), scene(person, (64, 96))
    frames = []
    for number in range(round(seconds * FPS)):
        x = round(128 + 50 * np.sin(1.7 * number / FPS))
        y = round(50 + 20 * np.sin(2.9 * number / FPS))
        frame = wall.copy()
        frame[y : y + 96, x : x + 64] = body
        frames.append(frame)
    return frames


def encoded(frames: Sequence[Picture], crf: int, samples: NDArray[np.float32] | None = None) -> bytes:
    """Save a video as MP4: H.264, and AAC where there is sound."""
    kept = io.BytesIO()
    with av.open(kept, "w", format="mp4") as out:
        stream: Any = out.add_stream("libx264", rate=FPS, options={"crf": str(crf), "preset": "veryfast"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        track: Any = out.add_stream("aac", rate=RATE, layout="mono") if samples is not None else None
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        out.mux(stream.encode(None))
        if samples is not None:
            whole = (np.clip(samples, -1, 1) * 32767).astype(np.int16)[None]
            sound = av.AudioFrame.from_ndarray(whole, format="s16", layout="mono")
            sound.sample_rate = RATE
            out.mux(track.encode(sound))
            out.mux(track.encode(None))
    return kept.getvalue()


def babble(seconds: float, seed: int) -> NDArray[np.float32]:
    """Make sound that is never twice the same, with syllables as speech has them."""
    rng = np.random.default_rng(seed)
    count = round(seconds * RATE)
    sound = np.zeros(count)
    for _ in range(round(seconds * 12)):
        begin, long = rng.integers(0, count), rng.integers(RATE // 20, RATE // 4)
        at = np.arange(min(long, count - begin)) / RATE
        tones = sum(np.sin(2 * np.pi * pitch * at) for pitch in rng.uniform(150, 3500, 4))
        sound[begin : begin + len(at)] += np.hanning(len(at)) * tones if len(at) > 1 else 0
    return (0.12 * sound + rng.normal(0, 0.002, count)).astype(np.float32)


FILM, SOUND = film(6), babble(12, 1)


@pytest.fixture(scope="module")
def filmed(decoder: Decoder) -> Bench:
    """Give a shelf with one film, whose sound is another original's."""
    bench = Bench(decoder)
    bench.add(encoded(FILM, 20))
    bench.add(wav(SOUND))
    return bench


def smaller(frames: Sequence[Picture]) -> list[Picture]:
    """Crop, scale: as somebody does who passes a film on."""
    return [scaled(frame[6:, 8:-8], 0.7)[:120, :212] for frame in frames]


def test_an_excerpt_that_was_cropped_scaled_and_compressed_is_a_copy(filmed: Bench) -> None:
    found = filmed.ask(encoded(smaller(FILM[30:100]), 32, SOUND[RATE * 2 : RATE * 2 + 56_000]))
    assert found.llr == SAME_LLR, found.reasons
    assert found.reasons[0].startswith("This video is a copy of one that you gave us; nothing")
    assert "The sound is a copy" in found.reasons[-1]
    assert len(found.moments) >= 4


def test_a_person_who_was_replaced_for_some_seconds_is_found_at_those_seconds(filmed: Bench) -> None:
    mixed = [b if 40 <= n < 80 else a for n, (a, b) in enumerate(zip(FILM, film(6, 13), strict=True))]
    found = filmed.ask(encoded(smaller(mixed), 30), Box(70, 20, 130, 80))
    assert found.llr == CHANGED_LLR, found.reasons
    assert "around the face" in found.reasons[0]
    changed = [one.span.start_s for one in found.moments if one.llr > 0]
    same = [one.span.start_s for one in found.moments if one.llr < 0]
    assert len(changed) >= 2
    assert all(1.95 <= at < 4.05 for at in changed)
    assert same
    assert all(at < 2.05 or at >= 3.95 for at in same)
    assert len(found.plates) == 1


def test_a_still_of_a_registered_film_is_compared_with_its_own_moment(filmed: Bench) -> None:
    genuine = filmed.ask(jpeg(FILM[53], 80))
    assert genuine.llr == SAME_LLR, genuine.reasons
    forged = filmed.ask(jpeg(film(6, 13)[53], 80))
    assert forged.llr == CHANGED_LLR, forged.reasons


def test_another_film_is_no_copy(filmed: Bench) -> None:
    other = [np.ascontiguousarray(scaled(scene(40 + n // 10, (240, 136)), 1.0)) for n in range(30)]
    assert filmed.ask(encoded(other, 28)).abstains is Abstention.NO_ORIGINAL


def test_seconds_of_sound_that_were_replaced_are_named(filmed: Bench) -> None:
    heard = SOUND[RATE * 2 :].copy()
    heard[RATE * 4 : RATE * 6] = babble(2, 9)
    found = filmed.ask(mp3(0.5 * heard, RATE))
    assert found.llr == CHANGED_LLR
    assert "another sound was put into it" in found.reasons[0]
    [span] = [one.span for one in found.moments]
    assert abs(span.start_s - 4.0) < 0.5
    assert abs(span.end_s - 6.0) < 0.5
    assert "what was replaced is shaded" in found.plates[0].says


def test_sound_over_a_telephone_is_a_copy_and_a_cut_is_told(filmed: Bench) -> None:
    line = sosfilt(butter(4, [300, 3400], "bandpass", fs=RATE, output="sos"), SOUND[RATE:]).astype(np.float32)
    assert filmed.ask(wav(line)).llr == SAME_LLR
    cut = np.concatenate([SOUND[: RATE * 5], SOUND[RATE * 7 :]])
    found = filmed.ask(wav(cut))
    assert found.llr is not None
    assert found.llr > 0
    assert "The sound was cut" in found.reasons[0]
    assert abs(found.moments[0].span.start_s - 5.0) < 0.6


def test_silence_and_a_hum_are_copies_of_nothing(filmed: Bench) -> None:
    assert filmed.ask(wav(np.zeros(RATE * 5, np.float32))).abstains is Abstention.NO_ORIGINAL
