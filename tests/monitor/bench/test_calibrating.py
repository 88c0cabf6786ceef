"""The bench of calibration, and what it takes samples of: on people whose scores are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from monitor.bench import calibrating
from monitor.bench.calibrating import AS_IT_IS, HALVES, face_figures, run, seen_before, voice_figures
from monitor.bench.frame import Request
from monitor.bench.people import Labelled
from monitor.bench.sampling import LENGTHS, Samples, digest_of_names, sample_faces, sample_voices
from monitor.errors import ConfigError
from monitor.ml.calibrating import Measured, fit, score_people
from monitor.settings import Settings
from monitor.values import SAMPLE_RATE, Box, DetectedFace, Modality, Sound, Span

MEASURED = Measured(Modality.FACE, "fake@1/none", "made", "2026-11-23")


def people(count: int, pictures: int, seed: int) -> Samples:
    """Vectors around a direction for each of some people, every picture a source of its own."""
    rng = np.random.default_rng(seed)
    persons = np.repeat(np.arange(count), pictures)
    vectors = rng.normal(size=(count, 48))[persons] + rng.normal(size=(len(persons), 48)) * 0.8
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    paths = tuple(Path(f"{person}/{i}.jpg") for i, person in enumerate(persons))
    return Samples(vectors.astype(np.float32), persons, np.arange(len(persons)), paths, 0)


def fitted(samples: Samples):  # noqa: ANN201 - a Calibration
    return fit(score_people(samples.vectors, samples.persons, samples.sources), MEASURED)


def request(**changes: object) -> Request:
    return replace(Request(Settings(), None, 0, 0, lambda *_: None), **changes)


def test_a_calibration_of_other_people_comes_true() -> None:
    seen, other = people(150, 3, 1), people(150, 3, 2)
    figures = face_figures(other.vectors, other.persons, fitted(seen), same=False, seed=0)
    assert figures["calibration.ece_faces"].value < 0.02
    dial = figures["budget.predicted_over_counted"]
    assert 0.5 < dial.value < 2
    assert dial.low <= dial.value <= dial.high
    assert dial in [figure for name, figure in figures.items() if "_at_fmr_" in name]


def test_people_that_were_fitted_on_are_split_and_never_counted_with_their_own() -> None:
    samples = people(200, 3, 3)
    figures = face_figures(samples.vectors, samples.persons, fitted(samples), same=True, seed=0)
    without = face_figures(samples.vectors, samples.persons, None, same=True, seed=0)
    assert figures == without
    assert figures["calibration.ece_faces"].value < 0.02
    assert 0.5 < figures["budget.predicted_over_counted"].value < 2


def test_a_calibration_that_promises_too_little_is_caught() -> None:
    """The figures must be able to say that something is wrong."""
    seen, other = people(150, 3, 1), people(150, 3, 2)
    wrong = fitted(seen)
    wrong = replace(
        wrong,
        offset=wrong.offset + 0.2 * wrong.scale,
        tail=tuple((max(-1.0, score - 0.08), rate) for score, rate in wrong.tail[1:]),
    )
    figures = face_figures(other.vectors, other.persons, wrong, same=False, seed=0)
    assert figures["calibration.ece_faces"].value > 0.02
    assert figures["budget.predicted_over_counted"].value < 0.5


def test_voices_have_figures_of_their_own_names() -> None:
    figures = voice_figures(people(150, 3, 2), fitted(people(150, 3, 1)), same=False, seed=0)
    assert "calibration.ece_voices" in figures
    assert "budget.voices.predicted_over_counted" in figures


def test_the_very_files_are_known_again_and_others_are_not() -> None:
    found = fitted(people(30, 3, 1))
    paths = people(30, 3, 1).files
    moved = [Path("elsewhere") / path for path in reversed(paths)]
    same = replace(found, made_of=digest_of_names(paths))
    assert seen_before(moved, same)
    assert seen_before(paths, None)
    assert not seen_before(paths[1:], same)
    assert not seen_before(paths, found)


class FakePack:
    """A pack with faces only. A fake."""

    name, provider, voices = "fake", "CPUExecutionProvider", None

    def __init__(self, calibration: object) -> None:
        """Take the calibration."""
        model = type("Model", (), {"model_id": "fake@1/none"})
        self.faces = type("Faces", (), {"detector": model, "recogniser": model, "calibration": calibration})


def test_the_result_says_whose_people_were_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen, other = people(120, 3, 1), people(120, 3, 2)
    calibration = replace(fitted(seen), made_of=digest_of_names(seen.files))
    monkeypatch.setattr(calibrating, "load_pack", lambda *_, **__: FakePack(calibration))
    for samples, words in ((seen, HALVES), (replace(other, files=other.files[1:]), AS_IT_IS)):
        monkeypatch.setattr(calibrating, "sample_faces", lambda *_, samples=samples: samples)
        labelled = [Labelled(path, 0) for path in samples.files]
        monkeypatch.setattr(calibrating, "read_people", lambda *_, labelled=labelled: labelled)
        result = run(request(data=tmp_path))
        assert words in result.data_set
        assert result.as_json()


def test_no_folder_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="no folder"):
        run(request())


class Reader:
    """Detectors and recognisers that find the colour of a picture and the loudness of a sound. A fake."""

    model_id, dimension = "fake@1/none", 4

    def detect(self, image: np.ndarray) -> tuple[DetectedFace, ...]:
        """Find nothing in black pictures, otherwise one face in a corner and one in the middle."""
        if not image.any():
            return ()
        corner = np.array([[3, 3], [9, 3], [6, 6], [4, 9], [8, 9]], np.float32)
        faces = [(Box(0, 0, 12, 12), corner), (Box(40, 40, 60, 60), corner + 44)]
        return tuple(DetectedFace(box, points, 0.9) for box, points in faces)

    def speech(self, sound: Sound) -> tuple[Span, ...]:
        """All of it, in two spans."""
        end = len(sound.samples) / SAMPLE_RATE
        return (Span(0.0, end / 2), Span(end / 2, end))

    def embed(self, given: object) -> np.ndarray:
        """Give rows of length 1 that tell lengths of sounds apart."""
        rows = np.array([[len(getattr(one, "samples", [])), 1, 0, 0] for one in given], np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


READERS = type("Models", (), {"detector": Reader(), "recogniser": Reader(), "both_looks": False})


def picture(path: Path, colour: int) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.new("RGB", (100, 100), (colour, colour, colour)).save(path)


def test_pictures_without_a_face_and_files_that_are_none_are_counted_and_left_out(tmp_path: Path) -> None:
    for name in ("anna", "ben"):
        picture(tmp_path / name / "1.png", 200)
    picture(tmp_path / "ben" / "2.png", 0)
    (tmp_path / "ben" / "3.jpg").write_bytes(b"no picture")
    samples = sample_faces(request(data=tmp_path), READERS)
    assert (len(samples.vectors), samples.missed) == (2, 2)
    assert list(samples.persons) == [0, 1]
    assert len(samples.files) == 4


def test_recordings_are_cut_and_never_compared_with_their_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("anna/1", "anna/2", "ben/1"):
        path = tmp_path / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        path.touch()
    rng = np.random.default_rng(0)
    monkeypatch.setattr(
        "monitor.bench.sampling.read_sound",
        lambda path: Sound(
            rng.normal(size=SAMPLE_RATE * (15 if "ben" in str(path) else 3)).astype(np.float32)
        ),
    )
    samples = sample_voices(request(voices=tmp_path), READERS)
    anna, ben = (samples.persons == 0), (samples.persons == 1)
    assert (anna.sum(), ben.sum()) == (2 * 2, 2 * len(LENGTHS))
    assert len(np.unique(samples.sources[anna])) == 2
    assert len(np.unique(samples.sources[ben])) == len(LENGTHS)
    assert not set(samples.sources[anna]) & set(samples.sources[ben])
    assert samples.missed == 0
