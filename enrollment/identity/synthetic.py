"""Was the voice of a clip made by a machine? A network's doubt lets a person look; it refuses nobody.

A cloned voice is like the person's: what tells it is how it was made. AASIST (monitor/ml/synthetic_voice.py)
hears classic synthesis and vocoders; recent neural speech mostly gets past it. Its weights are in no
registry: where they were not brought, and where it abstains, the report names the check as not made.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from enrollment.identity.signs import Outcome, Sign
from enrollment.identity.speech import SYNTHETIC
from monitor.ml.synthetic_voice import CLASSIC, Heard, SyntheticVoice, open_synthetic_voice

if TYPE_CHECKING:
    from pathlib import Path

    from monitor.ml.sessions import Device
    from monitor.settings import Settings
    from monitor.values import Sound, Span

MACHINE: Final = -9.0
"""Logit below which a person looks. By Opus as a browser writes it, 1 of 104 genuine recordings is below it
(95 %: 0.2 to 5 %): 30 rows of digits of five speakers, 50 readers of LibriSpeech, 24 of studios. Of machines:
15 of 15 rows of digits put together anew by Griffin and Lim's way, 3 of 6 such sentences, espeak and flite 12
of 12; Kokoro, VITS, JETS, StyleTTS, HiFi-GAN, WaveNet and WORLD 0 of 41 (2026-11). The network trained on
ASVspoof 5 is not asked: it called all of Griffin and Lim's digits as genuine as people's."""


class ChallengeScorer:
    """What `hear_voice` asks about synthetic speech."""

    def __init__(self, network: SyntheticVoice) -> None:
        """Take the loaded network."""
        self._network = network

    def score(self, sound: Sound, speech: tuple[Span, ...]) -> Sign | None:
        """Listen. Score: the logit, higher is more genuine. pass `voice_natural`; doubt `voice_synthetic`."""
        heard = self._network.assess(sound, speech)
        if not isinstance(heard, Heard):
            return None
        if heard.score < MACHINE:
            return Sign(SYNTHETIC, Outcome.DOUBT, "voice_synthetic", heard.score)
        return Sign(SYNTHETIC, Outcome.PASS, "voice_natural", heard.score)


def open_scorer(settings: Settings) -> ChallengeScorer | None:
    """Load the network once; None where its weights were not brought. Raises WeightsDiffer, DeviceMissing."""
    return _opened(settings.models_dir, settings.device)


@cache
def _opened(models_dir: Path, device: Device) -> ChallengeScorer | None:
    network = open_synthetic_voice(models_dir, device, CLASSIC)
    return ChallengeScorer(network) if network is not None else None
