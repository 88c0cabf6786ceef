"""How well the picture side of a challenge does: `python -m monitor.bench.challenge_pictures DATA [CLIPS]`.

DATA holds a folder of pictures per person (LFW). Genuine clips in twenty variations and seventeen attacks are
filmed (challenge_scenes.py, challenge_attacks.py), go through a browser's codec and the decoder's child
process, and are judged by every check that looks at pictures. Some people chose the bounds of the checks; it
measures on others. Prints a table as it stands in enrollment/README.md. CLIPS bounds how many are filmed.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from enrollment.identity.binding import bound
from enrollment.identity.flatness import depth
from enrollment.identity.lips import lips
from enrollment.identity.moire import screen
from enrollment.identity.signs import Outcome, Sign, worst
from enrollment.identity.stillness import alive
from enrollment.identity.turns import Turn, turns_done
from enrollment.identity.watched import FRAMES_PER_SECOND
from enrollment.identity.watching import watch
from monitor.bench.challenge_attacks import ATTACKS, Plan, attack
from monitor.bench.challenge_digits import said
from monitor.bench.challenge_heads import portraits
from monitor.bench.challenge_scenes import VARIATIONS, Variation, genuine, recorded
from monitor.ml.lip_motion import ENVELOPE_S, envelope
from monitor.ml.packs import load_faces
from monitor.settings import Settings
from monitor.stages.decode import DecodeLimits, Decoder
from monitor.values import Sound, Span

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from enrollment.identity.watched import Watched
    from monitor.bench.challenge_film import Film
    from monitor.bench.challenge_heads import Portrait
    from monitor.ml.interfaces import FaceModels

CHOSE: Final = ("Andre_Agassi", "Gloria_Macapagal_Arroyo", "Hans_Blix", "Angelina_Jolie", "Carlos_Moya")
"""People on whose clips the bounds were chosen."""

MEASURED: Final = (
    "Alejandro_Toledo",
    "Amelie_Mauresmo",
    "Arnold_Schwarzenegger",
    "Hamid_Karzai",
    "Guillermo_Coria",
    "Alvaro_Uribe",
    "David_Beckham",
    "Bill_Clinton",
    "Gray_Davis",
    "Atal_Bihari_Vajpayee",
)
"""People on whose clips this measures. The last one wears glasses."""

MOST_PICTURES: Final = 32
"""Pictures of one person that are read."""

ROUNDS: Final = 10
"""Each clip is made of every person, unless CLIPS says that fewer will do. One round has 37."""


@dataclass(frozen=True, slots=True)
class Person:
    """Portraits that films are made of, and vectors of three others, as enrolled samples."""

    portraits: Sequence[Portrait]
    own: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Case:
    """One clip: whose, and what. `kind` is a name of VARIATIONS or ATTACKS."""

    kind: str
    is_attack: bool
    person: int


@dataclass(slots=True)
class Counted:
    """How often each outcome came, and the codes behind them."""

    of: Counter[Outcome] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)

    def line(self, name: str) -> str:
        """Write one line of the table."""
        counts = " | ".join(str(self.of[one]) for one in Outcome)
        why = ", ".join(f"`{code}`" for code, _ in self.codes.most_common(4))
        return f"| {name} | {self.of.total()} | {counts} | {why} |"


def cases(people: int) -> Iterator[Case]:
    """Give every clip in turn, so that any first part of them holds all kinds."""
    for number in range(ROUNDS):
        for i, kind in enumerate(VARIATIONS):
            yield Case(kind, is_attack=False, person=(i + 3 * number) % people)
            if i < len(ATTACKS):
                yield Case(list(ATTACKS)[i], is_attack=True, person=(i + 5 + 3 * number) % people)


def read_person(folder: Path, models: FaceModels) -> Person:
    """Read one person's pictures. Raises ValueError for too few."""
    paths = sorted(folder.glob("*.jpg"))[:MOST_PICTURES]
    read = portraits((np.asarray(Image.open(path).convert("RGB")) for path in paths), models)
    frontal = sorted(read, key=lambda one: abs(one.pose.yaw_deg) + abs(one.pose.pitch_deg) / 2)
    samples = frontal[2:8:2]
    if len(samples) < 3:
        msg = f"{folder} holds too few pictures"
        raise ValueError(msg)
    rest = [one for one in read if not any(one is sample for sample in samples)]
    return Person(rest, np.stack([one.vector for one in samples]))


def filmed(case: Case, people: Sequence[Person], turns: Sequence[Turn], seed: int) -> tuple[Film, Variation]:
    """Film one case, with digits that somebody recorded."""
    rng = np.random.default_rng(seed)
    speech = said("allison", "".join(map(str, rng.permutation(10)[:6])), rng)
    victim, actor = people[case.person], people[(case.person + 1) % len(people)]
    if case.is_attack:
        return attack(case.kind, Plan(victim.portraits, actor.portraits, turns, speech, seed)), Variation()
    how = VARIATIONS[case.kind]
    return genuine(victim.portraits, turns, speech, how, seed), how


def judged(
    watched: Watched, sound: Sound, turns: Sequence[Turn], own: Person, models: FaceModels
) -> tuple[Sign, ...]:
    """Make every check that looks at pictures and can hold or refuse."""
    loud = np.flatnonzero(np.abs(sound.samples) > 0.02)
    spans = (Span(loud[0] / 16_000, loud[-1] / 16_000),) if len(loud) else ()
    return (
        turns_done(watched, turns),
        *bound(watched, own.own, models.thresholds),
        depth(watched),
        screen(watched),
        *alive(watched),
        lips(watched, envelope(sound), ENVELOPE_S, spans),
    )


def drawn(seed: int) -> tuple[Turn, ...]:
    """Draw three turns, no two alike in a row."""
    rng = np.random.default_rng(seed)
    turns: list[Turn] = []
    while len(turns) < 3:
        turn = list(Turn)[rng.integers(4)]
        if not turns or turn is not turns[-1]:
            turns.append(turn)
    return tuple(turns)


def measure(data: Path, most: int, settings: Settings) -> dict[tuple[bool, str], Counted]:
    """Film and judge up to `most` clips."""
    models = load_faces(settings)
    people = [read_person(data / name, models) for name in MEASURED]
    counts: dict[tuple[bool, str], Counted] = {}
    limits = replace(DecodeLimits.of(settings), frames_per_second=FRAMES_PER_SECOND)
    with Decoder(limits) as decoder:
        for seed, case in enumerate(islice(cases(len(people)), most)):
            turns = drawn(seed)
            film, how = filmed(case, people, turns, seed)
            with decoder.start(recorded(film, how), signals=False) as clip:
                watched, sound = watch(clip, models), clip.sound()
            if sound is None:
                msg = "a clip lost its sound"
                raise ValueError(msg)
            signs = judged(watched, sound, turns, people[case.person], models)
            counted = counts.setdefault((case.is_attack, case.kind), Counted())
            counted.of[worst(signs)] += 1
            counted.codes.update(sign.code for sign in signs if sign.outcome is not Outcome.PASS)
            sys.stderr.write(f"{seed + 1}: {case.kind}: {worst(signs)}\n")
    return counts


def main() -> None:
    """Measure, and print the table."""
    if len(sys.argv) < 2:
        sys.exit("usage: python -m monitor.bench.challenge_pictures DATA [CLIPS]")
    most = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    counts = measure(Path(sys.argv[1]), most, Settings())
    out = sys.stdout
    for is_attack, title in ((False, "genuine"), (True, "attack")):
        out.write(f"\n| {title} | clips | pass | a person looks | refused | because |\n")
        out.write("| --- | ---: | ---: | ---: | ---: | --- |\n")
        rows = {name: one for (attacks, name), one in counts.items() if attacks is is_attack}
        out.writelines(f"{one.line(name)}\n" for name, one in rows.items())
        total = Counted(sum((one.of for one in rows.values()), Counter()))
        out.write(f"{total.line('all')}\n")


if __name__ == "__main__":
    main()
