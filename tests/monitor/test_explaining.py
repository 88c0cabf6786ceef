"""What is kept and told of how a sighting was made: in the finding, in the evidence, and for programs."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from monitor import findings
from monitor.explaining import MOST_PLATES, brief, captions, explanation, without_pictures
from monitor.ml.synthetic.interfaces import Look
from monitor.stages.evidence import FORMAT, evidence
from monitor.stages.heat_plates import SIDE, with_heat_plates
from monitor.stages.match import match
from monitor.stages.score import score
from monitor.values import Abstention, Assessment, Box, FaceSample, Made, Moment, Plate, Signal, Span
from tests.assets.assessments import assessed, composite, silent
from tests.monitor.stages.scene import Enrolled, Sheet, near, seen
from tests.monitor.stages.test_evidence import EXHIBIT

OLD = b"""{"kind":"image","face_score":0.7,"voice_score":null,"face_spans":[{"start_s":0,"end_s":0}],
"voice_spans":[],"synthetic":{"status":"declared","not_covered":"not assessed","reasons":[
{"source":"xmp","says":"Made.","weight":"synthetic","trusted":false}]},
"reasons":["Close."],"against":[],"not_looked":[],"copy_marks":[]}"""
"""A detail as it was sealed before anybody looked at how things are made."""


def _found(*signals: Signal) -> Assessment:
    found = assessed(Made.LIKELY, *signals).assessed
    assert found is not None
    return found


def test_a_finding_of_before_still_opens() -> None:
    detail = findings._DETAIL.validate_json(OLD)
    assert (detail.synthetic.assessed, detail.plates, detail.copy_of) == (None, (), "")
    assert detail.synthetic.reasons[0].says == "Made."


def test_a_finding_keeps_all_but_the_pictures_which_it_names() -> None:
    found = _found(composite(plates=(Plate(b"\xff\xd8", "A cheek."),)), silent())
    kept = without_pictures(found)
    detail = replace(findings._DETAIL.validate_json(OLD), synthetic=assessed(), plates=captions(found))
    detail = replace(detail, synthetic=replace(detail.synthetic, assessed=kept))
    again = findings._DETAIL.validate_json(findings._DETAIL.dump_json(detail))
    assert again == detail
    assert again.plates == (("composite_face", "A cheek."),)
    assert all(not one.plates for one in kept.signals)
    assert kept.signals[0].heats == found.signals[0].heats


def test_the_evidence_holds_what_was_found_of_its_making() -> None:
    (verdict,) = score(
        match([seen(near(0, 0.9))], Enrolled(a=near(0, 1.0)), Sheet(), set), assessed(), Sheet()
    )
    record = json.loads(evidence(verdict, EXHIBIT, {}))
    assert record["format"] == FORMAT == "likeness-evidence/2"
    assert record["synthetic"]["assessed"] == explanation(_found())
    bare = replace(verdict, synthetic=replace(verdict.synthetic, assessed=None))
    assert json.loads(evidence(bare, EXHIBIT, {}))["synthetic"]["assessed"] is None


@pytest.mark.parametrize("llr", [math.nan, math.inf, -math.inf, None])
def test_a_number_that_is_none_makes_a_signal_that_failed_and_never_costs_the_evidence(
    llr: float | None,
) -> None:
    odd = replace(composite(), llr=llr, moments=(Moment(Span(0, 1), math.nan),))
    said = json.loads(json.dumps(explanation(_found(odd)), allow_nan=False))
    (signal,) = said["signals"]
    assert (signal["llr"], signal["abstains"], signal["moments"]) == (None, Abstention.FAILED, [])


def test_a_signal_with_very_many_pictures_keeps_a_few_and_their_captions_fit() -> None:
    plates = tuple(Plate(b"x", f"Picture {number}.") for number in range(40))
    found = _found(composite(plates=plates))
    assert len(captions(found)) == MOST_PLATES == len(explanation(found)["signals"][0]["plates"])


def test_programs_are_told_in_short_and_nothing_of_the_person() -> None:
    told = brief(_found())
    assert json.dumps(told)
    assert set(told) == {"verdict", "llr", "thresholds", "version", "supports", "opposes", "signals"}
    assert told["signals"][1] == {
        "name": "voice_recent",
        "version": "aasist@34cd/1",
        "llr": None,
        "abstains": "narrow_band",
    }


def _look(at_s: float) -> Look:
    rgb = np.full((120, 200, 3), 90, np.uint8)
    rgb[:, 110:] = (0, 0, 255)  # somebody else, all blue
    face = FaceSample(at_s, Box(10, 10, 90, 90), np.zeros((5, 2), np.float32), rgb[:112, :112], 0.9)
    return Look(at_s, rgb, face)


def test_heat_is_laid_over_the_face_where_it_was_and_shows_nobody_else() -> None:
    (plate,) = with_heat_plates(composite(), [_look(3.0)]).plates
    picture = np.asarray(Image.open(io.BytesIO(plate.jpeg)).convert("RGB"), np.int32)
    assert picture.shape == (SIDE, 2 * SIDE, 3)
    left, right = picture[:, :SIDE], picture[:, SIDE:]
    changed = np.abs(left - right).sum(axis=2) > 60
    rows, columns = np.nonzero(changed)
    assert 0.6 < rows.mean() / SIDE < 0.9, "the lowest third of the face"
    assert 0.4 < columns.mean() / SIDE < 0.6, "its middle"
    assert not ((picture[..., 2] - picture[..., 0]) > 100).any(), "nobody else"
    assert "3.0 seconds" in plate.says


def test_without_the_frame_or_with_pictures_of_its_own_a_signal_stays_as_it_is() -> None:
    own = composite(plates=(Plate(b"x", "Mine."),))
    assert with_heat_plates(own, [_look(3.0)]) is own
    assert with_heat_plates(composite(), [_look(4.0)]).plates == ()
    assert with_heat_plates(silent(), []).plates == ()
