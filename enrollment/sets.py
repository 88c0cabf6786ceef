"""Samples that are one person's: held against each other, and against what is enrolled already."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from monitor.errors import OtherPerson
from monitor.values import Modality

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from enrollment.samples import Looked, Sample
    from monitor.ml.interfaces import Thresholds

    Known = Mapping[Modality, NDArray[np.float32]]
    """The vectors that are enrolled of a subject: (n, d) float32, rows of length 1."""

SAME_PERSON = 0.6
"""Part of the review threshold that two samples of one person reach nearly always: 0.25 for faces of the
registry pack, where 1 % of genuine pairs and 99 % of strangers lie below (LFW); 0.30 for its voices."""

ONE_PICTURE = 0.97
"""Cosine from which two samples are taken for one and the same, cut, mirrored or saved again. Different
pictures of one person in LFW reach it in fewer than 1 of 1,000 pairs."""

ENOUGH = 3
"""Different samples from which more add little: with one, EdgeFace finds 97.7 % of LFW at one false alarm
in a hundred strangers, with three 99.6 %; fr_feature 91.4 % and 98.6 %."""


def agreeing(
    looked: Sequence[Looked], thresholds: Mapping[Modality, Thresholds], known: Known
) -> list[Looked]:
    """Refuse each sample that is not of the person whom most of its kind show, and note what adds nothing.

    Where a set is enrolled already, `known`, that set says who the person is. Where no person is shown by
    more than half of the samples, all of them are refused: nobody could say who is the odd one out.
    """
    result = list(looked)
    for modality, limits in thresholds.items():
        places = [i for i, one in enumerate(result) if one.modality is modality and one.sample is not None]
        samples = [sample for i in places if (sample := result[i].sample) is not None]
        if not samples:
            continue
        own = known.get(modality)
        errors = _strangers(samples, own, SAME_PERSON * limits.review)
        for i, error, sample in zip(places, errors, _noted(samples, own), strict=True):
            changed = None if error is not None else sample
            result[i] = replace(result[i], sample=changed, error=error or result[i].error)
    return result


def advice(looked: Sequence[Looked], known: Known) -> list[str]:
    """Say in whole sentences what would make a person easier to find: more, and different, samples."""
    said = []
    for modality, things in ((Modality.FACE, "pictures of the face"), (Modality.VOICE, "recordings")):
        vectors = [one.sample.vector for one in looked if one.sample and one.modality is modality]
        count = different([*known.get(modality, ()), *vectors])
        if vectors and count < ENOUGH:
            said.append(f"{count} of {ENOUGH} or more different {things}: more of them are found more often")
    return said


def different(vectors: Sequence[NDArray[np.float32]]) -> int:
    """Count vectors, (d,) float32 of length 1 each, that are not of one and the same picture."""
    kept: list[NDArray[np.float32]] = []
    for vector in vectors:
        if all(float(vector @ other) < ONE_PICTURE for other in kept):
            kept.append(vector)
    return len(kept)


def in_words(quality: float) -> str:
    """Say a sample's quality in a word."""
    return next(word for least, word in ((0.7, "good"), (0.5, "fair"), (0.0, "weak")) if quality >= least)


def _strangers(
    samples: Sequence[Sample], own: NDArray[np.float32] | None, least: float
) -> list[OtherPerson | None]:
    vectors = np.stack([sample.vector for sample in samples])
    if own is not None and len(own):
        centre = own.mean(axis=0)
        alike = vectors @ (centre / np.linalg.norm(centre))
        return [None if cosine >= least else _not_the_enrolled(float(cosine)) for cosine in alike]
    pairs = vectors @ vectors.T
    central = int(np.argmax(pairs.sum(axis=1)))
    agree = pairs[central] >= least
    if 2 * int(agree.sum()) > len(samples):
        named = samples[central].name
        return [
            None if ok else _odd_one_out(named, float(cosine))
            for ok, cosine in zip(agree, pairs[central], strict=True)
        ]
    return [_nobody_agrees(samples, one) for one in samples]


def _noted(samples: Sequence[Sample], own: NDArray[np.float32] | None) -> list[Sample]:
    """Note of each sample whether it is one that was there before."""
    seen: list[tuple[str, NDArray[np.float32]]] = [
        ("one that is enrolled", row) for row in (own if own is not None else ())
    ]
    noted = []
    for sample in samples:
        twin = next((name for name, row in seen if float(row @ sample.vector) >= ONE_PICTURE), None)
        seen.append((sample.name, sample.vector))
        note = f"The same as {twin}, or nearly: it adds nothing. Another picture or recording would."
        noted.append(sample if twin is None else replace(sample, notes=(*sample.notes, note)))
    return noted


def _odd_one_out(central: str, cosine: float) -> OtherPerson:
    msg = f"this is not the person in {central} (likeness {cosine:.2f})"
    return OtherPerson(msg, hint="Leave out the file that shows somebody else.")


def _not_the_enrolled(cosine: float) -> OtherPerson:
    msg = f"this is not the person who is enrolled (likeness {cosine:.2f})"
    hint = "Leave it out; if you checked that it is the same person, say how with --attest."
    return OtherPerson(msg, hint=hint)


def _nobody_agrees(samples: Sequence[Sample], one: Sample) -> OtherPerson:
    others = ", ".join(sample.name for sample in samples if sample is not one)
    msg = f"this and {others} do not show one person"
    hint = "Keep the files that show the person to be enrolled, and add another one of the same person."
    return OtherPerson(msg, hint=hint)
