"""Somebody before a browser's camera and microphone, both of which are files that can be changed.

Chromium opens the files anew each time a page turns the devices on, so that one person can do one thing
after the other: look ahead, read aloud, and follow the directions of a challenge at the pace of the page.
The person is photographs that turn and speak (monitor/bench/challenge_heads.py), the voice is recorded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from monitor.bench.challenge_digits import sentences
from monitor.bench.challenge_film import RATE, Film
from monitor.bench.challenge_heads import Moment
from monitor.bench.challenge_scenes import DIRECTIONS, VARIATIONS, Play, acted, camera, play
from monitor.bench.enrollment_cast import VOICE, digits
from monitor.values import SAMPLE_RATE
from tests.assets import people

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from enrollment.identity.draw import Drawn
    from monitor.bench.enrollment_cast import Guest

SHOWN_AT = 30
"""Frames a second at which Chromium shows a file of JPEGs, whatever they were taken at."""

PLAIN = VARIATIONS["plain"]

BEGINS_S = 2.0
"""When the person presses "Begin now", after the camera was turned on."""

AHEAD_S, TURN_S, BACK_S = 1.0, 2.2, 1.0
"""How long the page (static/proof.js) shows each direction."""

SPEAKING_S = 9.5
"""How long the film goes on after the last direction: longer than the page waits for the digits."""

REACTS_S, GOES_S, STAYS_S = 0.4, 0.45, 0.6
"""What the person takes: to see a direction, to turn or come back, and before coming back."""


@dataclass(frozen=True)
class Devices:
    """The two files. Give `flags` to the browser."""

    folder: Path

    @property
    def flags(self) -> tuple[str, ...]:
        """What Chromium is started with."""
        return (
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={self.folder / 'camera.mjpeg'}",
            f"--use-file-for-fake-audio-capture={self.folder / 'microphone.wav'}",
        )

    def show(self, film: Film) -> None:
        """Put a film before the camera, and its sound before the microphone."""
        again = -(-SHOWN_AT // RATE)
        taken = b"".join(people.jpeg(rgb, 88) * again for rgb in film.frames)
        (self.folder / "camera.mjpeg").write_bytes(taken)
        (self.folder / "microphone.wav").write_bytes(people.wav(film.sound))


def looks_ahead(who: Guest, seconds: float = 4.0) -> Film:
    """The person looks into the camera, breathes and blinks, and says nothing."""
    breath = np.random.default_rng(2).normal(0, 1e-4, round(seconds * SAMPLE_RATE)).astype(np.float32)
    planned = play((), breath, replace(PLAIN, lips=0.0), seed=2)
    return _filmed(who, planned)


def reads_aloud(seconds: float = 14.0) -> Film:
    """The person reads: the camera is off, so there is one black frame."""
    spoken = sentences(VOICE, seconds, np.random.default_rng(9))
    return Film(np.zeros((1, 480, 640, 3), np.uint8), spoken)


def answers(who: Guest, drawn: Drawn) -> Film:
    """The person does what was drawn, each thing when the page says so, and then looks ahead."""
    first_s = BEGINS_S + AHEAD_S + REACTS_S
    speaks_s = BEGINS_S + AHEAD_S + (TURN_S + BACK_S) * len(drawn.turns) + REACTS_S
    spoken = without_pauses(digits(drawn.digits, seed=1))
    sound = np.zeros(round((speaks_s + SPEAKING_S) * SAMPLE_RATE), np.float32)
    begins = round(speaks_s * SAMPLE_RATE)
    sound[begins : begins + len(spoken)] = spoken
    # Breath, blinks and lips come from the plan of somebody who only speaks; the turns are laid over it.
    still = play((), sound, PLAIN, seed=3)
    lead = round(still.speech_at_s * SAMPLE_RATE)
    moments = []
    for number, one in enumerate(still.moments[round(still.speech_at_s * RATE) :]):
        at_s = number / RATE
        yaw, pitch = one.yaw_deg, one.pitch_deg
        for turn_number, turn in enumerate(drawn.turns):
            bump = _bump(at_s - first_s - turn_number * (TURN_S + BACK_S))
            yaw, pitch = yaw + bump * DIRECTIONS[turn][0], pitch + bump * DIRECTIONS[turn][1]
        moments.append(Moment(yaw, pitch, one.mouth, one.blink))
    return _filmed(who, Play(tuple(moments), still.sound[lead:], speaks_s))


def without_pauses(spoken: NDArray[np.float32], longest_s: float = 0.12) -> NDArray[np.float32]:
    """Speak on: the studio's pauses, longer than the page waits for six digits, are cut short."""
    size = SAMPLE_RATE // 100
    frames = spoken[: len(spoken) // size * size].reshape(-1, size)
    quiet = np.sqrt((frames**2).mean(axis=1)) < 0.01
    runs = np.zeros(len(quiet), np.int64)
    for number, is_quiet in enumerate(quiet):
        runs[number] = runs[number - 1] + 1 if is_quiet and number else int(is_quiet)
    return frames[runs <= longest_s * 100].ravel()


def _bump(at_s: float) -> float:
    """One turn out and back, from 0 to 1 to 0, smoothly; it begins at 0."""
    out = np.clip(at_s / GOES_S, 0, 1)
    back = np.clip((2 * GOES_S + STAYS_S - at_s) / GOES_S, 0, 1)
    part = float(min(out, back))
    return part * part * (3 - 2 * part)


def _filmed(who: Guest, planned: Play) -> Film:
    frames = [frame for frame, _ in acted(who.shown, planned, PLAIN)]
    return Film(camera(frames, PLAIN, seed=4), planned.sound)
