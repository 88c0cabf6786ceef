"""A small network's word on whether a face is there or a photograph or screen of one: a hint, never more.

faceplugin's fr_liveness: three classes, the first of them live; nobody says what it was trained on. It had an
AUC of 0.90 on simulated recaptures, so it may call for a person to look and never refuses anybody.
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

LIVE: Final = 0.1
"""Probability of being live, median of the clip, below which a person should look."""

EVERY: Final = 2
"""Of the pieces that were kept every second one is asked about: two a second."""


def open_liveness(settings: Settings) -> Any:  # noqa: ANN401 - onnxruntime has no types
    """Load the network. Raises WeightsMissing, WeightsDiffer, DeviceMissing."""
    return open_session(path_of(settings.models_dir, WEIGHTS), settings.device)


def liveness(watched: Watched, network: Any) -> Sign:  # noqa: ANN401 - as above
    """Ask the network. Score: probability of being live, median of the clip.

    pass `live`; doubt `perhaps_recaptured`, `liveness_not_asked` (no face).
    """
    pieces = [one.around for one in watched.seen if one.around is not None][::EVERY]
    if not pieces:
        return Sign(CHECK, Outcome.DOUBT, "liveness_not_asked", 0.0)
    score = float(np.median([live(piece, network) for piece in pieces]))
    if score < LIVE:
        return Sign(CHECK, Outcome.DOUBT, "perhaps_recaptured", score)
    return Sign(CHECK, Outcome.PASS, "live", score)


def live(piece: NDArray[np.uint8], network: Any) -> float:  # noqa: ANN401 - as above
    """Probability that a (128, 128, 3) uint8 RGB piece shows a face that is there."""
    bgr = np.ascontiguousarray(piece[None, :, :, ::-1].transpose(0, 3, 1, 2), np.float32)
    [logits] = network.run(None, {"input": bgr})
    power = np.exp(logits[0] - logits[0].max())
    return float(power[0] / power.sum())
