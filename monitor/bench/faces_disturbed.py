"""How well faces are told apart when something is the matter with the picture that is looked at.

One good picture of each person stays as it is; another one is disturbed and compared with it, at the
threshold that lets one in 10,000 pairs of undisturbed pictures of two people through. A picture that cannot
be looked at counts as a miss in `tar_` and is left out in `tar_of_looked_`; `looked_` counts the others,
`too_poor_` those that the service itself declines, and `not_found_` those in which it overlooks the face.
`said_covered_` is the share of pictures of which the service says, once it looks closer, that the lower half
of the face is covered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from monitor.bench.faces_conditions import CONDITIONS
from monitor.bench.faces_seeing import Outcome, Picture, look
from monitor.bench.faces_tracks import LENGTHS, follow
from monitor.bench.frame import Figure
from monitor.bench.people import in_threads
from monitor.bench.statistics import wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.bench.faces_seeing import Looked, Seen
    from monitor.bench.frame import Request
    from monitor.bench.people import Labelled
    from monitor.ml.interfaces import FaceModels

PEOPLE: Final = 300
"""People at most in most conditions: a share of 0.95 is then known to within 0.025."""

MOST_PEOPLE: Final = 1000
"""People at most in the conditions named in CLOSER: a share of 0.95 is then known to within 0.015."""

CLOSER: Final = ("24px", "lower_face_covered")
"""Conditions for which a share is aimed at, and which are therefore measured on more people."""

TRACKS: Final = 200
"""People at most whose tracks are made; a track costs as much as eight pictures."""

CHUNK: Final = 4
"""Pictures that one thread takes at a time, each under every condition."""


@dataclass(frozen=True, slots=True)
class Trials:
    """Pairs of two good pictures, one of each person: `probes` are disturbed, `references` (n, d) are not."""

    probes: tuple[Picture, ...]
    references: NDArray[np.float32]


def draw_trials(files: Sequence[Labelled], seen: Sequence[Seen], seed: int) -> Trials:
    """Draw two pictures with a face of each person who has them, of MOST_PEOPLE people at most."""
    rng = np.random.default_rng([seed, 1])
    own: dict[int, list[int]] = {}
    for place in rng.permutation(len(files)).tolist():
        if seen[place].face is not None:
            own.setdefault(files[place].person, []).append(place)
    pairs = [places[:2] for _, places in sorted(own.items()) if len(places) > 1]
    drawn = [pairs[i] for i in rng.permutation(len(pairs))[:MOST_PEOPLE]]
    probes = tuple(Picture(files[a].path, face) for a, _ in drawn if (face := seen[a].face) is not None)
    return Trials(
        probes, np.stack([seen[b].vector for _, b in drawn]) if drawn else np.empty((0, 1), np.float32)
    )


def disturbed(trials: Trials, threshold: float, models: FaceModels, request: Request) -> dict[str, Figure]:
    """Measure every condition and every length of track. Gives nothing where there are no pairs."""
    if not trials.probes:
        return {}
    first = _look(trials.probes[:PEOPLE], tuple(CONDITIONS), models, request)
    others = _look(trials.probes[PEOPLE:], CLOSER, models, request)
    figures: dict[str, Figure] = {}
    for place, name in enumerate(CONDITIONS):
        answers = [(answer, place) for answer in first]
        if name in CLOSER:
            answers += [(answer, CLOSER.index(name)) for answer in others]
        outcomes = np.array([answer.outcomes[i] for answer, i in answers])
        vectors = np.stack([answer.vectors[i] for answer, i in answers])
        figures |= _figures(name, vectors, trials.references[: len(answers)], threshold)
        figures[f"faces.too_poor_{name}"] = _share(outcomes == Outcome.TOO_POOR, "share of pictures")
        figures[f"faces.not_found_{name}"] = _share(outcomes == Outcome.NOT_FOUND, "share of pictures")
        covered = np.array([answer.covered[i] for answer, i in answers])
        figures[f"faces.said_covered_{name}"] = _share(covered, "share of pictures")
    return figures | _tracks(trials, threshold, models, request)


def _look(
    pictures: Sequence[Picture], conditions: Sequence[str], models: FaceModels, request: Request
) -> list[Looked]:
    return in_threads(
        lambda some: look(some, models, conditions), pictures, request, CHUNK, "look again, disturbed"
    )


def _tracks(trials: Trials, threshold: float, models: FaceModels, request: Request) -> dict[str, Figure]:
    numbered = list(enumerate(trials.probes[:TRACKS]))
    rows = in_threads(
        lambda some: [follow(picture, models, (request.seed, number)) for number, picture in some],
        numbered,
        request,
        CHUNK,
        "follow tracks",
    )
    figures: dict[str, Figure] = {}
    for place, frames in enumerate(LENGTHS):
        vectors = np.stack([row[place] for row in rows])
        figures |= _figures(
            f"track_{frames}", vectors, trials.references[: len(rows)], threshold, "share of tracks"
        )
    return figures


def _figures(
    name: str,
    vectors: NDArray[np.float32],
    references: NDArray[np.float32],
    threshold: float,
    unit: str = "share of pictures",
) -> dict[str, Figure]:
    """Rate n probes (n, d), NaN where not looked at, against their own and all others' references (n, d)."""
    looked = ~np.isnan(vectors[:, 0])
    over = np.nan_to_num(vectors) @ references.T >= threshold
    genuine = np.diagonal(over)
    others = over[looked][~np.eye(len(over), dtype=bool)[looked]]
    figures = {
        f"faces.tar_{name}": _share(genuine & looked, unit),
        f"faces.looked_{name}": _share(looked, unit),
    }
    if looked.any():
        figures[f"faces.tar_of_looked_{name}"] = _share(genuine[looked], f"{unit} looked at")
    if len(others):
        figures[f"faces.far_{name}"] = _share(others, "share of impostor pairs")
    return figures


def _share(which: NDArray[np.bool_], unit: str) -> Figure:
    return Figure(*wilson(int(which.sum()), len(which)), len(which), unit)
