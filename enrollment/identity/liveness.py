"""A small network's word on whether a face is there, or a photograph or screen of one: for an operator.

faceplugin's fr_liveness: three classes, the first of them live; nobody says what it was trained on. On clips
made of photographs of LFW it tells people apart rather than clips: its log-odds are -8 to 0 for genuine ones
and -10 to -4 for prints. So it decides nothing: its score and a word stand in the report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from enrollment.identity.signs import Outcome, Sign
from monitor.ml.sessions import open_session
from monitor.ml.weights import path_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from enrollment.identity.watched import Watched
    from monitor.settings import Settings

CHECK: Final = "liveness"

WEIGHTS: Final = "fr_liveness.onnx"

LIVE: Final = 0.0003
"""Probability of being live, median of the clip, from which the report says `live`: half of all genuine clips
have 0.006 and more, half of all prints less than this."""

EVERY: Final = 2
"""Of the pieces that were kept every second one is asked about: two a second."""


def open_liveness(settings: Settings) -> Any:  # noqa: ANN401 - onnxruntime has no types
    """Load the network. Raises WeightsMissing, WeightsDiffer, DeviceMissing."""
    return open_session(path_of(settings.models_dir, WEIGHTS), settings.device)


def liveness(watched: Watched, network: Any) -> Sign:  # noqa: ANN401 - as above
    """Ask the network. Score: probability of being live, median of the clip.

    pass, whatever it says: `live`, `liveness_low`, `liveness_not_asked` (no face).
    """
    pieces = [one.around for one in watched.seen if one.around is not None][::EVERY]
    if not pieces:
        return Sign(CHECK, Outcome.PASS, "liveness_not_asked", 0.0)
    score = float(np.median([live(piece, network) for piece in pieces]))
    return Sign(CHECK, Outcome.PASS, "live" if score >= LIVE else "liveness_low", score)


def live(piece: NDArray[np.uint8], network: Any) -> float:  # noqa: ANN401 - as above
    """Probability that a (128, 128, 3) uint8 RGB piece shows a face that is there."""
    bgr = np.ascontiguousarray(piece[None, :, :, ::-1].transpose(0, 3, 1, 2), np.float32)
    [logits] = network.run(None, {"input": bgr})
    power = np.exp(logits[0] - logits[0].max())
    return float(power[0] / power.sum())
