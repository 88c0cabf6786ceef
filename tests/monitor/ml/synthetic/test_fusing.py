"""Signals together: monotone, never carried by a weak one, and "cannot tell" is not "no sign"."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.ml.synthetic.fusing import Fusion, fuse, read_fusion, shipped_fusion
from monitor.values import Abstention, Aspect, Made, Signal

FACE, VOICE = (Aspect.FACE,), (Aspect.VOICE,)
ORDER = [Made.CANNOT_TELL, Made.NO_SIGN, Made.POSSIBLE, Made.LIKELY]


def says(name: str, llr: float | None, **more: Any) -> Signal:
    return Signal(name, "1", Aspect.FACE, llr, None if llr is not None else Abstention.FACE_SMALL, **more)


@pytest.fixture(scope="module")
def fusion() -> Fusion:
    return shipped_fusion()


def test_nothing_said_is_cannot_tell(fusion: Fusion) -> None:
    found = fuse([says("composite_face", None)], FACE, fusion)
    assert (found.made, found.llr) == (Made.CANNOT_TELL, None)
    assert found.not_covered


def test_a_face_that_no_face_signal_looked_at_is_never_called_free_of_signs(fusion: Fusion) -> None:
    quiet = [says("composite_face", None), says("voice_recent", -1.0)]
    assert fuse(quiet, FACE, fusion).made is Made.CANNOT_TELL
    assert fuse(quiet, (Aspect.FACE, Aspect.VOICE), fusion).made is Made.CANNOT_TELL
    assert fuse([says("composite_face", -1.0)], FACE, fusion).made is Made.NO_SIGN


@pytest.mark.parametrize(
    "name", ["voice_classic", "voice_recent", "voice_neural", "face_against_voice", "track_consistency",
             "lips_against_sound", "own:anything"],
)  # fmt: skip
def test_no_weak_signal_carries_a_verdict(fusion: Fusion, name: str) -> None:
    assert fuse([says(name, 1e6)], VOICE, fusion).made is not Made.LIKELY


def test_what_is_only_shown_is_not_counted(fusion: Fusion) -> None:
    quiet = says("composite_face", -1.0)
    loud = says("own:shown", 50.0, shown_only=True)
    assert fuse([quiet, loud], FACE, fusion).llr == fuse([quiet], FACE, fusion).llr


def test_a_known_original_that_was_changed_outweighs_everything(fusion: Fusion) -> None:
    signals = [says("composite_face", -9.0), says("known_original", 8.0, strong=True)]
    found = fuse(signals, FACE, fusion)
    assert found.made is Made.LIKELY
    assert (found.supports, found.opposes) == ("known_original", "composite_face")


def test_an_untouched_copy_of_an_original_speaks_against(fusion: Fusion) -> None:
    alone = fuse([says("composite_face", 5.0)], FACE, fusion)
    copy = fuse([says("composite_face", 5.0), says("known_original", -4.0, strong=True)], FACE, fusion)
    assert alone.llr is not None
    assert copy.llr is not None
    assert copy.llr < alone.llr


NAMES = ("composite_face", "synthetic_face", "voice_classic", "voice_recent", "voice_neural", "provenance")


@given(
    st.dictionaries(st.sampled_from(NAMES), st.floats(-10, 10), min_size=1),
    st.floats(0, 10),
    st.data(),
)
def test_stronger_evidence_never_lowers_the_verdict(
    llrs: dict[str, float], more: float, data: st.DataObject
) -> None:
    fusion = shipped_fusion()
    raised = data.draw(st.sampled_from(sorted(llrs)))
    before = fuse([says(n, v) for n, v in llrs.items()], (), fusion)
    after = fuse([says(n, v + more if n == raised else v) for n, v in llrs.items()], (), fusion)
    assert before.llr is not None
    assert after.llr is not None
    assert after.llr >= before.llr - 1e-9
    assert ORDER.index(after.made) >= ORDER.index(before.made)


def test_weights_that_would_turn_evidence_round_are_refused() -> None:
    said: dict[str, Any] = {
        "version": "x", "data_set": "", "date": "", "possible": 1.0, "likely": 2.0, "decides": {},
        "shares": {"weak": {"group": "own", "weight": -1.0, "least": -1.0, "most": 1.0}},
    }  # fmt: skip
    with pytest.raises(ValueError, match="no negative weight"):
        read_fusion(json.loads(json.dumps(said)))
