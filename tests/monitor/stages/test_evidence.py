"""The evidence record says how sure, by which thresholds, and what those were measured on."""

from __future__ import annotations

import json

import pytest

from monitor.errors import EvidenceIncomplete
from monitor.ml.interfaces import Thresholds
from monitor.stages.evidence import Exhibit, evidence
from monitor.stages.match import match
from monitor.stages.score import score
from monitor.values import Band, Modality, SubjectId, SyntheticAssessment, SyntheticStatus, Verdict
from tests.monitor.stages.scene import MODEL, Enrolled, Sheet, heard, near, seen

NOT_ASSESSED = SyntheticAssessment(SyntheticStatus.NOT_ASSESSED, (), "no scorer")
EXHIBIT = Exhibit("00" * 32, None, "video", 9, (), ())
MEASURED = Thresholds(0.6, 0.4, MODEL, "LFW A to I", "2026-11-23", people=700, genuine=9, impostor=80)


def test_a_finding_s_evidence_names_ratio_margin_doubts_pieces_and_thresholds() -> None:
    gallery = Enrolled(a=near(0, 1.0), b=near(1, 1.0))
    probes = [
        seen(near(0, 0.9), end=8, quality=0.25),
        heard(near(0, 0.9, 5), 1, 3),
        heard(near(0, 0.9, 5), 6, 8),
    ]
    (verdict,) = score(match(probes, gallery, Sheet(), set), NOT_ASSESSED, Sheet())
    record = json.loads(evidence(verdict, EXHIBIT, {Modality.FACE: MEASURED}))
    assert (record["band"], record["agreement"]) == ("alert", "both")
    assert record["llr"] == pytest.approx(24.0)
    face, voice = record["candidates"]
    assert (face["modality"], face["doubts"], face["band"]) == ("face", ["weak"], "review")
    assert face["margin"] == pytest.approx(0.9, abs=1e-5)
    assert face["lookalike"] == -1.0
    assert voice["pieces"] == [[1, 3], [6, 8]]
    assert voice["llr"] == pytest.approx(12.0)
    assert record["thresholds"]["face"] == {
        "alert": 0.6,
        "review": 0.4,
        "source": MEASURED.source,
        "model_id": MODEL,
        "data_set": "LFW A to I",
        "date": "2026-11-23",
        "people": 700,
        "pairs_of_one_person": 9,
        "pairs_of_two_people": 80,
    }
    assert "700 people" in record["thresholds"]["face"]["source"]


def test_a_verdict_without_a_candidate_is_no_evidence() -> None:
    with pytest.raises(EvidenceIncomplete):
        evidence(Verdict(SubjectId("a"), Band.REVIEW, (), (), NOT_ASSESSED, (), ()), EXHIBIT, {})
