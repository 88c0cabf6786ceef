"""What is said in a clip: Whisper, by the networks of monitor/ml/whisper.py.

The listener is never told which digits were asked: with a prompt, Whisper writes what it was told to expect.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from enrollment.identity.digits import LANGUAGES
from monitor.ml.whisper import ENGLISH, MULTILINGUAL, OWN, SILENT, UNSURE, Networks, levelled

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from monitor.settings import Settings
    from monitor.values import Sound

BEAM: Final = 5
THREADS: Final = 2

MOST_TOKENS: Final = 48
"""Tokens of one transcript: six digits take some 15 with commas; a network that begins to repeat itself is
stopped here."""


@dataclass(slots=True)
class Listener:
    """Hears what is said. A network is loaded at its first clip, and freed by `rest`. Safe for threads."""

    networks: Networks = field(default_factory=lambda: Networks(THREADS))

    def hear(self, settings: Settings, sound: Sound, language: str, now: datetime) -> str | None:
        """Give what was said; None where the network does not know the language: "could not listen".

        Raises WeightsMissing, WeightsDiffer.
        """
        if language not in LANGUAGES:
            return None
        which = OWN if settings.whisper_dir is not None else ENGLISH if language == "en" else MULTILINGUAL
        samples = levelled(sound.samples)
        if samples is None:
            return ""
        with self.networks.lent(settings, now) as lent:
            network = lent.get(which)
            if language not in network.supported_languages:
                return None
            return _transcribe(network, samples, language)

    def rest(self, now: datetime) -> None:
        """Free the networks when none was used for a while. Cheap where there is nothing to do."""
        self.networks.rest(now)

    @property
    def loaded(self) -> bool:
        """Whether a network is in memory."""
        return self.networks.loaded


def _transcribe(network: Any, samples: NDArray[np.float32], language: str) -> str:  # noqa: ANN401 - no types
    """Write down what is said, at temperature 0: the same clip gives the same words every time."""
    segments, _ = network.transcribe(
        samples,
        language=language,
        task="transcribe",
        beam_size=BEAM,
        temperature=0.0,
        condition_on_previous_text=False,
        initial_prompt=None,
        hotwords=None,
        without_timestamps=True,
        max_new_tokens=MOST_TOKENS,
        no_speech_threshold=SILENT,
        log_prob_threshold=UNSURE,
    )
    return " ".join(segment.text.strip() for segment in segments)
