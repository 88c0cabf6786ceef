"""Whether a sighting was made by a computer is asked of who was found, and of nobody else."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from monitor.ml.synthetic.fusing import shipped_fusion
from monitor.ml.synthetic.interfaces import Transcript
from monitor.stages.assess import Assessor
from monitor.values import Abstention, Aspect, Made, Signal, Span
from tests.assets import people

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from monitor.ml.synthetic.interfaces import Sighting
    from monitor.values import Sound
    from tests.story.conftest import Watch

SHE, OTHER = "Gloria_Macapagal_Arroyo", "Angelina_Jolie"


@dataclass
class Noting:
    """A scorer for this test: it notes what it is shown, and says one thing."""

    name: str = "composite_face"
    shown: list[Sighting] = field(default_factory=list)

    def assess(self, sighting: Sighting) -> Signal:
        """Note what is shown."""
        self.shown.append(sighting)
        return Signal(self.name, "test", Aspect.FACE, -1.0, reasons=("Nothing was seen.",))


class Failing:
    """A scorer that always fails."""

    name = "synthetic_face"

    def assess(self, sighting: Sighting) -> Signal:
        """Fail."""
        raise RuntimeError(sighting.sha256)


class Deaf:
    """A listener that nobody should ask about a picture."""

    def transcribe(self, sound: Sound, speech: tuple[Span, ...]) -> Transcript:
        """Fail."""
        raise AssertionError(sound, speech)

    def rest(self, now: datetime) -> None:
        """Hold nothing that could be freed."""


def test_a_sighting_is_assessed_and_a_stranger_is_not(watch: Watch, data: Path) -> None:
    hers = people.pictures(data, SHE)
    watch.enrol("s1", people.jpeg(hers[0]))
    noting = Noting()
    assessor = Assessor((noting, Failing()), Deaf(), shipped_fusion(), watch.tools.pack)
    watch.tools = replace(watch.tools, assessor=assessor)

    stranger = watch.look(people.jpeg(people.pictures(data, OTHER)[0]))
    assert (stranger.findings, noting.shown) == ((), [])

    outcome = watch.look(people.jpeg(hers[1]))
    (view,) = watch.views(outcome)
    (sighting,) = noting.shown
    (look,) = sighting.looks
    box = look.face.box
    assert look.rgb.shape == hers[1].shape
    assert np.abs(look.rgb.astype(int) - hers[1]).mean() < 10
    assert 0 <= box.x0 < box.x1 <= look.rgb.shape[1]
    assessed = view.detail.synthetic.assessed
    assert assessed is not None
    assert (assessed.made, assessed.said) == (Made.NO_SIGN, ())
    one, failed = assessed.signals
    assert (one.llr, one.reasons) == (-1.0, ("Nothing was seen.",))
    assert (failed.llr, failed.abstains) == (None, Abstention.FAILED)
