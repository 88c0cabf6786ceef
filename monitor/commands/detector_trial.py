"""Ask one of the operator's own detectors once, for `likeness detector test`, and tell what came of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.ml.align import align
from monitor.ml.synthetic.interfaces import Look
from monitor.ml.synthetic.own_inputs import blank, cut, resized, windows
from monitor.ml.synthetic.own_runners import Away
from monitor.values import FaceSample

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.ml.synthetic.own_detectors import OwnDetector
    from monitor.ml.synthetic.own_manifest import Input
    from monitor.settings import Settings


@dataclass(frozen=True, slots=True)
class Trial:
    """What a detector answered. `why` says why it did not, or is empty; `told` is for people."""

    scores: tuple[float, ...]
    llr: float | None
    ms: float
    why: str
    told: tuple[str, ...]


def trial(detector: OwnDetector, settings: Settings, on: Path | None) -> Trial:
    """Ask a detector about a file, or about grey. Raises what the decoder and the models raise."""
    wanted = detector.manifest.input
    pieces: Sequence[NDArray[np.generic]] = [blank(wanted)] if on is None else _pieces(on, wanted, settings)
    if not pieces:
        why = f"there is no {wanted.what} in {on.name if on else 'it'}"
        return Trial((), None, 0.0, why, (f"Not asked: {why}.",))
    began = time.perf_counter()
    try:
        scores = tuple(detector.runner.score(piece) for piece in pieces)
        llr = float(np.median([detector.manifest.scale.llr(score) for score in scores]))
    except (Away, ValueError) as exc:
        why = str(exc)
        return Trial((), None, 0.0, why, (f"No answer: {why}. In the watch it would be “says nothing”.",))
    ms = (time.perf_counter() - began) * 1000 / len(scores)
    told = (
        f"Answered {', '.join(f'{score:.4g}' for score in scores)}; {ms:.0f} ms each.",
        _meaning(detector, llr),
        "Try it on pictures that you know to be made, and on many that you know to be genuine.",
    )
    return Trial(scores, llr, round(ms, 1), "", told)


def _meaning(detector: OwnDetector, llr: float) -> str:
    if not detector.manifest.scale.counted:
        return (
            "It is shown and never counted: its manifest has no slope and offset, measured on your own data."
        )
    side = "made by a computer" if llr > 0 else "genuine"
    return f"That counts as {llr:+.2f}, towards {side} (as a weak signal: for 2 at most, 3 is “likely”)."


def _pieces(on: Path, wanted: Input, settings: Settings) -> Sequence[NDArray[np.generic]]:
    """Decode the first picture or the whole sound of a file, in the decoder's child."""
    from monitor.ml.packs import load_faces
    from monitor.stages.decode import Decoder

    with Decoder.of(settings) as decoder, decoder.start(on.read_bytes()) as clip:
        frame = next(clip.frames(), None)
        if wanted.what == "sound":
            for _ in clip.frames():
                pass
            sound = clip.sound()
            return [] if sound is None else windows(sound.samples, wanted.samples)
    if frame is None:
        return []
    if wanted.what == "picture":
        return [resized(frame.rgb, wanted.side)]
    faces = load_faces(settings).detector.detect(frame.rgb)
    looks = [
        Look(0.0, frame.rgb, FaceSample(0.0, f.box, f.landmarks, align(frame.rgb, f.landmarks), 1.0))
        for f in faces[:1]
    ]
    return [cut(look, wanted.side, wanted.widen) for look in looks]
