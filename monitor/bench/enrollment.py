"""`likeness bench enrollment`: who gets in, who is held, and who is refused; and how quickly it counts.

Attacks and genuine people go through the modules of the service in a ledger of their own, with the real
models (enrollment_door.py): samples, challenge, clip, last click. Rates are in the terms of ISO/IEC 30107-3:
APCER is the share of attacks that became active, BPCER that of genuine people who were refused; being held,
for an operator to look at, is counted apart. The spoken digits must be in
/usr/share/asterisk/sounds; without them no clip can be made, and only the times are measured.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

import numpy as np

from enrollment.freshness import measure
from monitor import log as logs
from monitor.bench.challenge_digits import PACKAGES, SOUNDS
from monitor.bench.enrollment_cast import (
    CAST,
    GLASSES,
    guest,
    stranger_faces,
    stranger_recordings,
)
from monitor.bench.enrollment_door import Outcome, fill, opened
from monitor.bench.enrollment_tables import STATES, name_of, tables
from monitor.bench.enrollment_trials import (
    ATTACK_KINDS,
    ENROLLED,
    GENUINE_KINDS,
    GLASSES_KIND,
    LATE,
    OLD_CLIP,
    OTHER_VOICE,
    PHOTO_ONLY,
    Trial,
    clip_of,
    drawn_for,
)
from monitor.bench.frame import Figure, Result
from monitor.bench.statistics import wilson
from monitor.errors import ConfigError
from monitor.gallery import models_of
from monitor.ml.packs import load_pack
from monitor.values import Modality

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from monitor.bench.enrollment_cast import Guest
    from monitor.bench.enrollment_door import Door
    from monitor.bench.frame import Request
    from monitor.ml.interfaces import Pack
    from monitor.values import SubjectId

log = logs.get(__name__)

ROUNDS: Final = 1
"""How often each kind is tried, each time with another person, unless --limit says otherwise."""

AT_ONCE: Final = 2
"""Trials that are filmed and judged at once."""

NOT_FILMED: Final = frozenset({LATE, PHOTO_ONLY})
NO_CLIP: Final = b"\x1a\x45\xdf\xa3" + bytes(4096)
"""Kinds whose clip nobody opens, since it is too late or never handed in, and what stands for it: the first
bytes of a WebM."""

TIMED: Final = 100
"""People who are let in and erased for the two times."""


STORY: Final = Path(__file__).parents[2] / "tests/story/test_enrolment_in_browser.py"
"""The test in which somebody enrols in a browser; it says how long that took."""


@dataclass(slots=True)
class Counted:
    """What became of those who came, by kind."""

    of: Counter[tuple[bool, str, str]] = field(default_factory=Counter)

    def total(self, is_attack: bool, kind: str = "", state: str = "") -> int:  # noqa: FBT001 - as Trial
        """Count those of a kind, or all; in a state, or any."""
        return sum(
            count
            for (attacks, one, ended), count in self.of.items()
            if attacks is is_attack and kind in {"", one} and state in {"", ended}
        )


def run(request: Request) -> Result:
    """Measure. Raises ConfigError without --data, or where it is not the project's data folder."""
    if request.data is None:
        msg = "this bench needs faces and voices"
        raise ConfigError(msg, hint="Name the data folder with --data.")
    pack = load_pack(request.settings)
    figures: dict[str, Figure] = {}
    if SOUNDS.is_dir():
        figures |= rates(tried(request, pack, request.data))
    else:
        log.warning("no_clips", why=f"no recorded digits in {SOUNDS}", hint=f"apt-get install {PACKAGES}")
    figures |= times(request, pack)
    figures |= minutes(request)
    models = tuple(str(model_id) for model_id, _ in models_of(pack).values())
    result = Result.today("enrollment", figures, request, "cpu", (*models, "whisper-tiny.en"))
    return replace(result, table=tables(figures))


def tried(request: Request, pack: Pack, data: Path) -> Counted:
    """Try everything, and count what became of it; AT_ONCE doors are open, each with people of its own."""
    if pack.faces is None:
        msg = f"the pack {pack.name!r} has no faces"
        raise ConfigError(msg)
    cast = [guest(data, name, pack.faces) for name in CAST]
    town = Town(list(stranger_faces(data, pack)), list(stranger_recordings(data)))
    trials = list(trials_of(cast, request.limit or ROUNDS, request.seed))
    counted, done = Counted(), Lock()

    def told(trial: Trial, outcome: Outcome) -> None:
        with done:
            counted.of[trial.is_attack, trial.kind, outcome.state] += 1
            request.progress("people who came", counted.of.total(), len(trials))
        log.info("tried", kind=trial.kind, who=trial.victim.name, state=outcome.state, codes=outcome.codes)

    with ExitStack() as open_doors, ThreadPoolExecutor(AT_ONCE) as threads:
        doors = [open_doors.enter_context(opened(request.settings, pack)) for _ in range(AT_ONCE)]
        shares = [trials[number::AT_ONCE] for number in range(AT_ONCE)]
        at_work = [threads.submit(_present_all, *one, town, told) for one in zip(doors, shares, strict=True)]
        for share in at_work:
            share.result()
    return counted


@dataclass(frozen=True, slots=True)
class Town:
    """Who is enrolled already: faces (d,) float32, and recordings, the last of which nobody enrolled gave."""

    faces: Sequence[NDArray[np.float32]]
    recordings: Sequence[bytes]


def _present_all(
    door: Door, trials: Sequence[Trial], town: Town, told: Callable[[Trial, Outcome], None]
) -> None:
    """Film and present some trials at one door, and tell what became of each."""
    fill(door, Modality.FACE, town.faces)
    fill(door, Modality.VOICE, [door.desk.reader.voice("", one).vector for one in town.recordings[:-1]])
    presenter = Presenter(door, other_voice=town.recordings[-1])
    for trial in trials:
        clip = NO_CLIP if trial.kind in NOT_FILMED else clip_of(trial, drawn_for(trial))
        told(trial, presenter.present(trial, clip))


def trials_of(cast: Sequence[Guest], rounds: int, seed: int) -> Iterator[Trial]:
    """Give every kind in turn, in each round with another person; genuine ones first."""
    glasses = next(one for one in cast if one.name == GLASSES)
    for turn in range(rounds):
        for is_attack, kinds in ((False, GENUINE_KINDS), (True, ATTACK_KINDS)):
            for number, kind in enumerate(kinds):
                victim = glasses if kind == GLASSES_KIND else cast[(number // 4 + turn) % len(cast)]
                actor = cast[(cast.index(victim) + 1) % len(cast)]
                yield Trial(kind, is_attack, victim, actor, seed + 1000 * turn + 2 * number + is_attack)


@dataclass(slots=True)
class Presenter:
    """Presents trials at a door. Who was refused tries again with the samples that are there already."""

    door: Door
    other_voice: bytes
    there: SubjectId | None = None
    whose: str = ""

    def present(self, trial: Trial, clip: bytes) -> Outcome:
        """Go the whole way once, and say what became of it."""
        drawn = drawn_for(trial)
        others = trial.kind == OTHER_VOICE
        known = self._enrolled(trial.victim) if trial.kind == ENROLLED else []
        if trial.kind == OLD_CLIP:
            self._come(trial.victim, trial.victim.recording)
            self._answered(trial, clip)
            self._go()
        self._come(trial.victim, self.other_voice if others else trial.victim.recording)
        codes: tuple[str, ...] = ()
        if trial.kind != PHOTO_ONLY:
            codes = self.door.answer(self._must(), drawn, clip, late=trial.kind == LATE)
        outcome = self.door.start(self._must())
        if outcome.state != "refused" or others:
            self._go()
        for who in known:
            self.door.leave(who)
        return Outcome(outcome.state, (*codes, *outcome.codes))

    def _answered(self, trial: Trial, clip: bytes) -> None:
        self.door.answer(self._must(), drawn_for(trial), clip)

    def _come(self, who: Guest, recording: bytes) -> None:
        whose = who.name if recording == who.recording else f"{who.name}, another voice"
        if self.there is not None and self.whose != whose:
            self._go()
        if self.there is None:
            self.there, self.whose = self.door.arrive(who.photographs, recording), whose

    def _go(self) -> None:
        self.door.leave(self._must())
        self.there = None

    def _must(self) -> SubjectId:
        if self.there is None:
            msg = "nobody is there"
            raise AssertionError(msg)
        return self.there

    def _enrolled(self, victim: Guest) -> list[SubjectId]:
        middle = np.mean([one.vector for one in victim.shown], axis=0)
        return fill(self.door, Modality.FACE, [(middle / np.linalg.norm(middle)).astype(np.float32)])


def rates(counted: Counted) -> dict[str, Figure]:
    """Give rates with Wilson's 95 % intervals, over all and for each kind, and how many there were."""
    attacks, genuine = counted.total(is_attack=True), counted.total(is_attack=False)
    figures = {
        "enrollment.attacks": Figure.exact(attacks, "attacks", attacks),
        "enrollment.genuine": Figure.exact(genuine, "genuine people", genuine),
    }

    def rate(is_attack: bool, kind: str, state: str, unit: str) -> Figure:  # noqa: FBT001 - as Trial
        of = counted.total(is_attack, kind)
        return Figure(*wilson(counted.total(is_attack, kind, state), of), of, unit)

    for is_attack, kinds in ((True, ATTACK_KINDS), (False, GENUINE_KINDS)):
        for kind in kinds:
            for state in STATES if counted.total(is_attack, kind) else ():
                figures[name_of(kind, state, is_attack=is_attack)] = rate(is_attack, kind, state, "share")
    for name, is_attack, state in (
        ("apcer", True, "active"),
        ("attacks_held", True, "held"),
        ("bpcer", False, "refused"),
        ("bona_fide_held", False, "held"),
    ):
        unit = "share of attacks" if is_attack else "share of genuine people"
        figures[f"enrollment.{name}"] = rate(is_attack, "", state, unit)
    species = [figures[name_of(kind, "active", is_attack=True)] for kind in ATTACK_KINDS]
    figures["enrollment.apcer_worst"] = max(species, key=lambda one: one.value)
    return figures


def times(request: Request, pack: Pack) -> dict[str, Figure]:
    """Measure how long until somebody is found, and until an erased one is not."""
    with opened(request.settings, pack) as door:
        door.gallery.start()
        request.progress("times", 0, 1)
        fresh = measure(door.desk, TIMED, request.seed + 1)
        request.progress("times", 1, 1)
    found = {"searchable_p99_s": fresh.searchable_s, "erased_p99_s": fresh.erased_s}
    return {
        f"enrollment.{name}": Figure(
            float(np.percentile(seconds, 99)),
            float(np.percentile(seconds, 50)),
            float(max(seconds)),
            len(seconds),
            "s; bounds are the median and the longest",
        )
        for name, seconds in found.items()
    }


def minutes(request: Request) -> dict[str, Figure]:
    """Measure one whole enrolment in Chromium, recording included, by running the test that does it.

    Left out, and said, where this is no checkout with its tests, or there is no Chromium or no digits.
    """
    if not STORY.is_file() or shutil.which("chromium") is None or not SOUNDS.is_dir():
        log.warning("minutes_left_out", why="needs the repository's tests, Chromium and the recorded digits")
        return {}
    request.progress("a browser", 0, 1)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "minutes"
        told = {"LIKENESS_MINUTES_FILE": str(file)}
        if request.data is not None:
            told["LIKENESS_DATA"] = str(request.data.resolve())
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(STORY)]
        ended = subprocess.run(
            command, env={**os.environ, **told}, cwd=STORY.parents[2], check=False, capture_output=True
        )
        request.progress("a browser", 1, 1)
        if not file.is_file():
            log.warning("minutes_left_out", why="the test failed", rc=ended.returncode)
            return {}
        took = float(file.read_text(encoding="utf-8"))
    return {"enrollment.minutes": Figure.exact(took, "minutes")}
