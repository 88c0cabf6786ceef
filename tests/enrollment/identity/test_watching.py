"""Real detector, real recogniser, real photographs: genuine clips pass, attacks do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from enrollment.identity.binding import bound
from enrollment.identity.flatness import depth
from enrollment.identity.liveness import liveness, open_liveness
from enrollment.identity.signs import Outcome, Sign, worst
from enrollment.identity.stillness import alive
from enrollment.identity.turns import Turn, turns_done
from enrollment.identity.watched import FRAMES_PER_SECOND
from enrollment.identity.watching import watch
from monitor.bench.challenge_attacks import Plan, attack
from monitor.bench.challenge_scenes import Variation, genuine, recorded
from monitor.settings import Settings
from monitor.stages.decode import DecodeLimits, Decoder
from tests.assets.people import music
from tests.assets.persons import Person, person, seen_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from enrollment.identity.watched import Watched
    from monitor.ml.interfaces import FaceModels, Pack

    Turns = tuple[Turn, ...]

TURNS = (Turn.LEFT, Turn.DOWN, Turn.RIGHT)
SOUND = music(1.5)
ONE_TURN = TURNS[:1]
"""Enough of a clip where what is wrong with it has nothing to do with the turns."""


@pytest.fixture(scope="module")
def models(pack: Pack) -> FaceModels:
    """Give the face half of the default pack."""
    assert pack.faces is not None
    return pack.faces


@pytest.fixture(scope="module")
def victim(data: Path, models: FaceModels) -> Person:
    """Give somebody with photographs from many sides."""
    return person(data, "Andre_Agassi", models)


@pytest.fixture(scope="module")
def actor(data: Path, models: FaceModels) -> Person:
    """Give somebody else."""
    return person(data, "Alejandro_Toledo", models)


@pytest.fixture(scope="module")
def watched(victim: Person, models: FaceModels) -> Watched:
    """Watch a genuine clip that went through a browser's codec and the decoder's child process."""
    film = genuine(victim.portraits, TURNS, SOUND, seed=4)
    with (
        Decoder(DecodeLimits(frames_per_second=FRAMES_PER_SECOND)) as decoder,
        decoder.start(recorded(film)) as clip,
    ):
        return watch(clip, models)


def pictures(watched: Watched, victim: Person, models: FaceModels, turns: Turns = TURNS) -> dict[str, Sign]:
    signs = (
        turns_done(watched, turns),
        *bound(watched, victim.own, models.thresholds),
        depth(watched),
        *alive(watched),
    )
    return {sign.check: sign for sign in signs}


@pytest.fixture
def tried(victim: Person, actor: Person, models: FaceModels) -> Callable[[str, Turns], dict[str, Sign]]:
    """Give what an attack of a kind looks like to the checks."""

    def watch_attack(kind: str, turns: Turns) -> dict[str, Sign]:
        film = attack(kind, Plan(victim.portraits, actor.portraits, turns, SOUND, seed=4))
        return pictures(seen_of(film, models), victim, models, turns)

    return watch_attack


def test_every_frame_of_a_genuine_clip_is_watched(watched: Watched) -> None:
    rate = len(watched.sights) / watched.seconds
    assert rate == pytest.approx(FRAMES_PER_SECOND, rel=0.1)
    assert watched.share == 1.0
    assert watched.others == 0.0
    assert watched.longest_gap_s < 0.3
    assert all(np.linalg.norm(one.vector) == pytest.approx(1, abs=1e-4) for one in watched.embedded)
    assert len(watched.embedded) >= 3 * watched.seconds


def test_a_genuine_clip_passes(watched: Watched, victim: Person, models: FaceModels) -> None:
    signs = pictures(watched, victim, models)
    assert worst(tuple(signs.values())) is Outcome.PASS, signs


def test_the_same_clip_of_somebody_else_is_refused(
    watched: Watched, actor: Person, models: FaceModels
) -> None:
    assert pictures(watched, actor, models)["face"].code == "face_other"


def test_a_mirrored_clip_is_held_and_not_refused(victim: Person, models: FaceModels) -> None:
    film = genuine(victim.portraits, TURNS, SOUND, Variation(mirrored=True), seed=4)
    signs = pictures(seen_of(film, models), victim, models)
    assert signs["turns"].code == "turns_mirrored"
    assert worst(tuple(signs.values())) is Outcome.DOUBT


@pytest.mark.parametrize(
    ("kind", "turns", "check", "code"),
    [
        ("print held still", TURNS, "turns", "turns_missing"),
        ("print moved by hand", TURNS, "turns", ""),
        ("wrong order", TURNS, "turns", "turns_wrong"),
        ("still image", ONE_TURN, "frozen", "frozen"),
        ("black frames", ONE_TURN, "black", "black_frames"),
        ("loop", TURNS, "loop", "loop"),
        ("two people", ONE_TURN, "alone", "two_faces"),
        ("person changed, then the victim", ONE_TURN, "same_face", "two_people"),
        ("victim, then another person", ONE_TURN, "face", "face_other"),
        ("another person", ONE_TURN, "face", "face_other"),
    ],
)
def test_an_attack_is_refused(
    kind: str, turns: Turns, check: str, code: str, tried: Callable[[str, Turns], dict[str, Sign]]
) -> None:
    sign = tried(kind, turns)[check]
    assert sign.outcome is Outcome.FAIL
    assert sign.code == (code or sign.code)


def test_liveness_says_a_number_and_decides_nothing(watched: Watched) -> None:
    sign = liveness(watched, open_liveness(Settings(device="cpu")))
    assert sign.outcome is Outcome.PASS
    assert 0 <= sign.score <= 1
