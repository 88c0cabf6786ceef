"""The second look: points that several looks agree on, and vectors made from them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from monitor.ml.align import CHIP, CHIP_POINTS, SIDE, align, crop_of, cut_chip
from monitor.stages.second_look import MIRRORED, look_again, points_of
from monitor.values import Box, DetectedFace, FaceSample, FaceTrack, Modality, ModelId, Probe, Span

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.ml.interfaces import FaceDetector, FaceModels


@dataclass
class Finds:
    """A detector that finds one face where it is told, whatever it is shown, and notes the sizes shown."""

    shift: tuple[float, float] = (0.0, 0.0)
    nothing: bool = False
    shown: list[int] = field(default_factory=list)

    def detect(self, image: NDArray[np.uint8]) -> tuple[DetectedFace, ...]:
        """See FaceDetector.detect."""
        side = image.shape[0]
        self.shown.append(side)
        if self.nothing:
            return ()
        points = (CHIP_POINTS + np.float32(self.shift)) * side / CHIP
        return (DetectedFace(Box(0, 0, side, side), points.astype(np.float32), 0.9),)


@dataclass
class Reads:
    """A recogniser that gives the mean colour of a crop, and notes how many crops it was given."""

    crops: list[NDArray[np.uint8]] = field(default_factory=list)

    def embed(self, aligned: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See FaceRecogniser.embed."""
        self.crops += list(aligned)
        colours = aligned.reshape(len(aligned), -1, 3).mean(axis=1) + 1
        return np.asarray(colours / np.linalg.norm(colours, axis=1, keepdims=True), np.float32)


class Splits(Reads):
    """A recogniser to which all that counts is whether the lower half is red as the upper one is."""

    def embed(self, aligned: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See FaceRecogniser.embed."""
        red = aligned[..., 0].astype(np.float32)
        parts = np.stack([red[:, :76].mean(axis=(1, 2)), red[:, 76:].mean(axis=(1, 2))], axis=1)
        return np.asarray(parts / np.linalg.norm(parts, axis=1, keepdims=True), np.float32)


@dataclass
class Models:
    """The face half of a pack."""

    detector: Finds
    recogniser: Reads
    both_looks: bool = False


def picture() -> NDArray[np.uint8]:
    noise = np.random.default_rng(3).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 3), np.uint8)


def landmarks(scale: float = 1.0) -> NDArray[np.float32]:
    return np.asarray(CHIP_POINTS * scale + 60, np.float32)


def test_the_middle_of_a_chip_is_the_crop_that_alignment_cuts() -> None:
    crop = align(picture(), landmarks())
    middle = crop_of(cut_chip(picture(), landmarks()))
    assert middle.shape == (SIDE, SIDE, 3)
    assert np.abs(crop.astype(int) - middle).max() <= 2


def test_looks_that_agree_leave_the_points_where_they_are() -> None:
    # a mirrored look finds the same points only on a symmetrical face, which the template is not quite
    chip = cut_chip(picture(), landmarks())
    mirrored = np.column_stack([CHIP - 1 - CHIP_POINTS[:, 0], CHIP_POINTS[:, 1]])[list(MIRRORED)]
    found = points_of(chip, as_detector(Finds()))
    assert np.allclose(found, (3 * CHIP_POINTS + 2 * mirrored) / 5, atol=0.5)


def test_a_shift_to_one_side_is_undone_by_the_mirror() -> None:
    chip = cut_chip(picture(), landmarks())
    still = points_of(chip, as_detector(Finds()))
    moved = points_of(chip, as_detector(Finds(shift=(4.0, 0.0))))
    assert np.allclose(moved, still, atol=0.5)


def test_two_sizes_are_looked_at_both_ways() -> None:
    finds = Finds()
    points_of(cut_chip(picture(), landmarks()), as_detector(finds))
    assert sorted(finds.shown) == [160, 160, 256, 256]


@pytest.mark.parametrize("finds", [Finds(nothing=True), Finds(shift=(60.0, 0.0))])
def test_nothing_found_or_a_neighbour_found_leaves_the_first_points(finds: Finds) -> None:
    found = points_of(cut_chip(picture(), landmarks()), as_detector(finds))
    assert np.array_equal(found, CHIP_POINTS)


def sample(*, quality: float = 0.8, chip: bool = True) -> FaceSample:
    cut = cut_chip(picture(), landmarks())
    return FaceSample(
        0.0, Box(0, 0, 100, 100), landmarks(), crop_of(cut), quality, 0.9, cut if chip else None
    )


def probe_of(*samples: FaceSample, vectors: int) -> Probe:
    track = FaceTrack(0, Span(0, 0), samples, picture, picture)
    rows = np.tile(np.float32([1, 0, 0]), (vectors, 1))
    return Probe(track, Modality.FACE, ModelId("m"), rows, np.full(vectors, 0.8, np.float32))


def test_every_sample_that_was_compared_is_embedded_anew() -> None:
    models = Models(Finds(), Reads())
    probe = probe_of(sample(), sample(quality=0.05), sample(), vectors=2)
    again = look_again(probe, as_models(models))
    assert len(models.recogniser.crops) == 2 + 1  # one of them once more, without its mouth
    assert again.vectors.shape == probe.vectors.shape
    assert not np.allclose(again.vectors, probe.vectors)
    assert again.appearance is probe.appearance


@pytest.mark.parametrize(("mouth", "covered"), [(0, False), (128, True)])
def test_a_face_that_stays_the_same_without_its_mouth_is_covered(mouth: int, *, covered: bool) -> None:
    """The face is grey; what lies where the mouth is shows no colour of its own, or one of its own."""
    chip = np.full((CHIP, CHIP, 3), 128, np.uint8)
    chip[76 + 24 :, :, 0] = mouth
    own = replace(sample(), chip=chip)
    again = look_again(probe_of(own, vectors=1), as_models(Models(Finds(nothing=True), Splits())))
    assert again.covered is covered
    assert not probe_of(own, vectors=1).covered


def test_where_both_looks_count_the_vectors_are_their_mean() -> None:
    probe = probe_of(sample(), vectors=1)
    alone = look_again(probe, as_models(Models(Finds(), Reads()))).vectors
    both = look_again(probe, as_models(Models(Finds(), Reads(), both_looks=True))).vectors
    mean = probe.vectors + alone
    assert np.allclose(both, mean / np.linalg.norm(mean))
    assert not np.allclose(both, alone, atol=0.01)


def test_a_probe_without_chips_is_left_as_it_is() -> None:
    models = Models(Finds(), Reads())
    probe = probe_of(sample(chip=False), vectors=1)
    assert look_again(probe, as_models(models)) is probe
    assert not models.recogniser.crops


def test_a_voice_is_left_as_it_is() -> None:
    probe: Any = replace(probe_of(sample(), vectors=1), appearance=object())
    assert look_again(probe, as_models(Models(Finds(), Reads()))) is probe


def as_models(models: Any) -> FaceModels:
    return models  # type: ignore[no-any-return]


def as_detector(finds: Any) -> FaceDetector:
    return finds  # type: ignore[no-any-return]
