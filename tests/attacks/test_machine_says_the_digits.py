"""Attack: the digits drawn are said by a machine in the victim's voice, or shared out between two voices.

The attacker has recordings of the victim and a minute. Whole resynthesis is like the victim to a recogniser
of speakers; a half of each voice is like the victim on average. Neither may become active without a person's
look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from enrollment.identity.signs import Outcome, Sign
from enrollment.identity.speech import ONE_VOICE, SYNTHETIC, VOICE, hear_voice
from enrollment.identity.synthetic import ChallengeScorer, open_scorer
from monitor.bench.challenge_digits import said, sentences
from monitor.bench.enrollment_cast import machine, spliced
from monitor.bench.sound import OPUS_12K, through
from monitor.settings import load_settings
from monitor.values import Sound

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.ml.interfaces import Pack, VoiceModels

ROW = "305719"


@pytest.fixture(scope="module")
def voices(pack: Pack) -> VoiceModels:
    """Give the real voice models."""
    assert pack.voices is not None
    return pack.voices


@pytest.fixture(scope="module")
def scorer() -> ChallengeScorer:
    """Give the scorer of synthetic speech, where its weights were brought."""
    found = open_scorer(load_settings())
    if found is None:
        pytest.skip("bring the weights: likeness models pull --pack synthetic --from DIR")
    return found


@pytest.fixture(scope="module")
def spoken() -> NDArray[np.float32]:
    """Give a row of digits, as recorded."""
    return said("allison", ROW, np.random.default_rng(1))


@pytest.fixture(scope="module")
def resynthesised(spoken: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the same row in a machine's voice."""
    return machine(spoken)


@pytest.fixture(scope="module")
def own(voices: VoiceModels) -> NDArray[np.float32]:
    """Give the vector of the victim's sample."""
    return voices.recogniser.embed([Sound(sentences("allison", 10.0, np.random.default_rng(9)))])


def found(
    samples: NDArray[np.float32],
    voices: VoiceModels,
    own: NDArray[np.float32],
    scorer: ChallengeScorer | None = None,
) -> dict[str, Sign]:
    signs = hear_voice(Sound(samples), voices, own, scorer).signs
    return {sign.check: sign for sign in signs}


def test_a_machine_in_the_victims_voice_goes_to_a_person(
    resynthesised: NDArray[np.float32], voices: VoiceModels, own: NDArray[np.float32], scorer: ChallengeScorer
) -> None:
    signs = found(resynthesised, voices, own, scorer)
    assert signs[VOICE].outcome is Outcome.PASS  # the recogniser is taken in: that is the attack
    assert (signs[SYNTHETIC].outcome, signs[SYNTHETIC].code) == (Outcome.DOUBT, "voice_synthetic")


def test_played_quietly_it_goes_to_a_person_as_well(
    resynthesised: NDArray[np.float32], voices: VoiceModels, own: NDArray[np.float32], scorer: ChallengeScorer
) -> None:
    signs = found(np.asarray(resynthesised * 0.12, np.float32), voices, own, scorer)
    assert signs[SYNTHETIC].outcome is Outcome.DOUBT


def test_a_half_in_another_voice_goes_to_a_person(
    spoken: NDArray[np.float32], voices: VoiceModels, own: NDArray[np.float32]
) -> None:
    assert found(spliced(spoken), voices, own)[ONE_VOICE].code == "voice_changes"


def test_two_who_take_turns_with_the_digits_go_to_a_person(
    voices: VoiceModels, own: NDArray[np.float32]
) -> None:
    rng = np.random.default_rng(2)
    turns = [said("allison" if place % 2 else "june", digit, rng) for place, digit in enumerate(ROW)]
    assert found(np.concatenate(turns), voices, own)[ONE_VOICE].code == "voice_changes"


def test_the_person_herself_is_one_voice_and_no_machine(
    spoken: NDArray[np.float32], voices: VoiceModels, own: NDArray[np.float32], scorer: ChallengeScorer
) -> None:
    for heard in (spoken, through(spoken, OPUS_12K)):
        signs = found(heard, voices, own, scorer)
        assert {sign.outcome for sign in signs.values()} == {Outcome.PASS}, signs
