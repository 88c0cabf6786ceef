"""What is tried at the door: attacks by somebody who is not the person, and genuine people in many ways.

In the terms of ISO/IEC 30107-3 each kind of attack is a species of presentation attack instrument, or, where
the recording never was before a camera, of injection. A picture attack comes with the victim's own voice and
the right digits, and a sound attack with genuine pictures: so each check is tried by an attacker who has got
past all others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from enrollment.identity.draw import draw
from monitor.bench.challenge_attacks import ATTACKS, Plan, attack
from monitor.bench.challenge_scenes import VARIATIONS, Variation, genuine, recorded
from monitor.bench.enrollment_cast import digits, machine, spliced
from monitor.bench.sound import telephone, white, with_noise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from enrollment.identity.draw import Drawn
    from monitor.bench.enrollment_cast import Guest

    Samples = NDArray[np.float32]

LANGUAGE: Final = "en"


@dataclass(frozen=True, slots=True)
class Trial:
    """One presentation. `victim` is whose samples are given; `seed` fixes what is drawn and filmed."""

    kind: str
    is_attack: bool
    victim: Guest
    actor: Guest
    seed: int


def drawn_for(trial: Trial) -> Drawn:
    """Draw the challenge of a trial by its seed."""
    rng = np.random.default_rng(trial.seed)
    return draw(LANGUAGE, (LANGUAGE,), lambda values: str(values[int(rng.integers(len(values)))]))


def clip_of(trial: Trial, drawn: Drawn) -> bytes:
    """Film what is handed in, as the browser would send it. Raises KeyError for an unknown kind."""
    if not trial.is_attack:
        return _genuine(trial, drawn)
    spoken = digits(drawn.digits, trial.seed)
    if trial.kind in ATTACKS:
        plan = Plan(trial.victim.shown, trial.actor.shown, drawn.turns, spoken, trial.seed)
        return attack(trial.kind, plan).webm()
    said = SOUNDS.get(trial.kind, _as_it_is)(spoken, trial, drawn)
    return genuine(trial.victim.shown, drawn.turns, said, seed=trial.seed).webm()


def _as_it_is(spoken: Samples, trial: Trial, drawn: Drawn) -> Samples:  # noqa: ARG001 - as SOUNDS
    return spoken


def _other_digits(spoken: Samples, trial: Trial, drawn: Drawn) -> Samples:  # noqa: ARG001 - as SOUNDS
    return digits("".join(str((int(one) + 3) % 10) for one in drawn.digits), trial.seed)


def _two_swapped(spoken: Samples, trial: Trial, drawn: Drawn) -> Samples:  # noqa: ARG001 - as SOUNDS
    row = drawn.digits
    return digits(row[3:] + row[:3], trial.seed)


def _machine(spoken: Samples, trial: Trial, drawn: Drawn) -> Samples:  # noqa: ARG001 - as SOUNDS
    return machine(spoken)


def _other_machine(spoken: Samples, trial: Trial, drawn: Drawn) -> Samples:  # noqa: ARG001 - as SOUNDS
    return machine(spoken, 1.2)


def _spliced(spoken: Samples, trial: Trial, drawn: Drawn) -> Samples:  # noqa: ARG001 - as SOUNDS
    return spliced(spoken)


def _silent(spoken: Samples, trial: Trial, drawn: Drawn) -> Samples:  # noqa: ARG001 - as SOUNDS
    hiss = np.random.default_rng(trial.seed).standard_normal(len(spoken))
    return np.asarray(1e-4 * hiss, np.float32)  # 80 dB under full scale, as a muted microphone


SOUNDS: Final[Mapping[str, Callable[[Samples, Trial, Drawn], Samples]]] = {
    "wrong digits": _other_digits,
    "digits in another order": _two_swapped,
    "machine's voice, the victim's": _machine,
    "machine's voice, another's": _other_machine,
    "voice spliced of two": _spliced,
    "silence": _silent,
}
"""What can be tried with sound: the digits as the victim says them -> what is heard."""

OTHER_VOICE, OLD_CLIP, LATE, PHOTO_ONLY, ENROLLED = (
    "another person's voice",
    "a clip that was given before",
    "stale challenge",
    "photographs and no clip",
    "the victim is enrolled already",
)
"""Attacks that are not in the clip: another sample, another time, none at all, another account."""

ATTACK_KINDS: Final = (*ATTACKS, *SOUNDS, OTHER_VOICE, OLD_CLIP, LATE, PHOTO_ONLY, ENROLLED)


def _quiet(spoken: Samples) -> Samples:
    return np.asarray(spoken * 0.12, np.float32)


def _noisy(spoken: Samples, db: float) -> Samples:
    return with_noise(spoken, white(len(spoken), np.random.default_rng(5)), db, spoken)


SPOKEN: Final[Mapping[str, Callable[[Samples], Samples]]] = {
    "spoken quietly": _quiet,
    "a noisy room": partial(_noisy, db=15.0),
    "a telephone's microphone": telephone,
}
"""Genuine variations of the sound."""

PACES: Final = {"spoken slowly": 0.8, "spoken quickly": 1.25}
"""Times as fast as recorded."""

GLASSES_KIND: Final = "glasses"

GENUINE_KINDS: Final = (*VARIATIONS, *SPOKEN, *PACES, GLASSES_KIND)


def _genuine(trial: Trial, drawn: Drawn) -> bytes:
    spoken = digits(drawn.digits, trial.seed, PACES.get(trial.kind, 1.0))
    if trial.kind in SPOKEN:
        spoken = SPOKEN[trial.kind](spoken)
    how = VARIATIONS.get(trial.kind, Variation())
    return recorded(genuine(trial.victim.shown, drawn.turns, spoken, how, trial.seed), how)
