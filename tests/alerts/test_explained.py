"""What was found of its being made by a computer: every signal has words, and no word claims too much."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from alerts.explained import explained, in_short, place
from alerts.synthetic_words import (
    ABSTENTIONS,
    ASPECTS,
    FOR_MAILS,
    OF_A_COPY,
    SIGNALS,
    VERDICTS,
    looks_of,
    strength,
)
from alerts.timelines import MOST_BARS, timeline
from alerts.words import about_synthetic
from monitor.findings import FindingDetail
from monitor.ml.synthetic.fusing import NOT_COVERED, shipped_fusion
from monitor.values import Abstention, Aspect, Box, Heat, Made, MediaKind, Moment, Span, SyntheticAssessment
from tests.assets.assessments import assessed, composite, silent

CLAIMS = (
    r"\b(is|are|was) (a )?(fake|forged|deepfake|manipulated|authentic|genuine|real)\b",
    r"\bproves?\b",
    r"\bproven\b",
    r"(?<!no )(?<!and no )\bproof\b",
    r"\bdefinite",
    r"\bcertain(ly|ty)?\b",
    r"\bundoubtedly\b|\bwithout (any )?doubt\b",
    r"\bguarantee",
    r"\bclearly\b|\bobviously\b",
    r"\d ?(%|per ?cent)",
    r"\bliar?s?\b|\blying\b",
)
"""What no page of ours says: a verdict on the thing itself, a proof, a percentage that reads as certainty."""

SAID = (
    *(text for one in VERDICTS.values() for text in (one.line, one.means)),
    *(text for one in SIGNALS.values() for text in (one.title, one.at)),
    *(text for name in ("own:door",) for text in (looks_of(name).title, looks_of(name).at)),
    *ABSTENTIONS.values(),
    *(strength(llr) for llr in (-99.0, -3.0, -1.0, 0.0, 1.0, 3.0, 99.0)),
    FOR_MAILS,
    OF_A_COPY,
    re.sub(r"{[{%#].*?[}%#]}|<[^>]+>", " ", (files("alerts") / "templates/real_or_made.html").read_text()),
    re.sub(r"{[{%#].*?[}%#]}|<[^>]+>", " ", (files("alerts") / "templates/made.html").read_text()),
)


def detail(synthetic: SyntheticAssessment, **how: object) -> FindingDetail:
    rest: dict[str, tuple[()]] = dict.fromkeys(("reasons", "against", "not_looked", "copy_marks"), ())
    return FindingDetail(MediaKind.VIDEO, 0.7, None, (), (), synthetic, **rest, **how)  # type: ignore[arg-type]


@pytest.mark.parametrize("claim", CLAIMS)
def test_no_word_claims_too_much(claim: str) -> None:
    assert [text for text in SAID if re.search(claim, text, re.IGNORECASE)] == []


@pytest.mark.parametrize(
    "text",
    ["This picture is fake.", "It proves that", "a definite forgery", "97 % synthetic", "That is proof."],
)
def test_words_that_do_are_seen(text: str) -> None:
    assert any(re.search(claim, text, re.IGNORECASE) for claim in CLAIMS)


def test_no_sign_is_said_to_be_no_proof_and_cannot_tell_to_be_open() -> None:
    assert "no proof" in VERDICTS[Made.NO_SIGN].means
    assert "no proof" in VERDICTS[Made.LIKELY].means
    assert "could be either" in VERDICTS[Made.CANNOT_TELL].means


def test_no_verdict_no_signal_and_no_abstention_is_without_words() -> None:
    assert set(VERDICTS) == set(Made)
    assert set(ABSTENTIONS) == set(Abstention)
    assert set(ASPECTS) == set(Aspect)
    fused = shipped_fusion()
    assert set(fused.shares) - {"weak"} <= set(SIGNALS)
    assert set().union(*fused.decides.values()) <= set(SIGNALS)


def test_what_is_not_covered_is_always_listed() -> None:
    found = explained(detail(assessed()))
    assert found is not None
    assert found.not_covered == ("a real video in which only the mouth was changed (lip-sync)",)
    for word in ("reenactment", "lip-sync", "text-to-video"):
        assert any(word in one for one in NOT_COVERED)


def test_the_section_names_what_speaks_strongest_and_why_a_signal_says_nothing() -> None:
    found = explained(detail(assessed(), plates=(("other", "x"), ("composite_face", "The left cheek."))))
    assert found is not None
    first, second = found.checks
    assert "The edge of the face is softer" in found.strongest[0]
    assert found.strongest[1] == "Nothing speaks against it being made or changed."
    assert (first.speaks, first.state) == (True, "speaks moderately for it being made or changed")
    assert [(one.number, one.says) for one in first.pictures] == [(1, "The left cheek.")]
    assert first.places == ("At 0:03: most in the lower middle of the face, as you look at it.",)
    assert (second.speaks, second.state) == (False, "says nothing here")
    assert second.found == (ABSTENTIONS[Abstention.NARROW_BAND],)
    assert [one.text for one in found.own_words] == ["Please send money."]
    assert len(found.other_words) == 1
    assert found.copy == ""


def test_a_copy_says_that_it_is_one() -> None:
    found = explained(detail(assessed(), copy_of="00" * 32))
    assert found is not None
    assert "copy was not looked at again" in found.copy


def test_where_nobody_looked_there_is_no_section() -> None:
    assert explained(detail(SyntheticAssessment(assessed().status, (), ""))) is None


def test_an_operator_reads_it_in_short() -> None:
    synthetic = assessed(Made.CANNOT_TELL, silent("own:door", Abstention.FAILED))
    assert synthetic.assessed is not None
    line, check = in_short(synthetic.assessed)
    assert line == "We cannot tell whether this was made or changed by a computer."
    assert check == "A check that the operator of this service added: door: says nothing here."


@pytest.mark.parametrize("made", list(Made))
def test_a_message_says_the_same_whatever_was_found(made: Made) -> None:
    assert about_synthetic(assessed(made)) == FOR_MAILS
    assert not re.search("sign was|likely|possible", FOR_MAILS)


def test_the_words_for_strength_grow_with_the_ratio_and_are_the_same_both_ways() -> None:
    words = [strength(llr) for llr in (0.5, 1.0, 3.0, 6.0)]
    assert [word.split()[1] for word in words] == ["speaks", "weakly", "moderately", "strongly"]
    assert strength(-6.0) == strength(6.0).replace(" for ", " against ")


def test_a_timeline_has_a_bar_a_second_and_marks_what_weighs_most() -> None:
    line = timeline(composite().moments)
    assert line is not None
    assert (len(line.bars), line.step_s, line.until) == (12, 1, "0:12")
    assert line.strongest == ("0:00", "0:03", "0:06")
    for bar in line.bars:
        assert bar.y + bar.height <= 50 if bar.speaks_for else bar.y == 50
    assert sum(bar.speaks_for for bar in line.bars) == 4
    assert line.says.startswith("From 0:00 to 0:12, 12 stretches: 4 for it")


def test_a_timeline_of_an_hour_stays_one_picture_and_loses_no_peak() -> None:
    moments = [Moment(Span(at, at + 1), 4.0 if at == 1801 else 0.1) for at in range(3600)]
    line = timeline(moments)
    assert line is not None
    assert len(line.bars) == MOST_BARS
    assert "30:00" in line.strongest
    assert max(bar.x + bar.width for bar in line.bars) <= line.width


def test_a_gap_that_was_not_looked_at_has_no_bar_and_one_moment_no_timeline() -> None:
    line = timeline([Moment(Span(0, 1), 1.0), Moment(Span(8, 9), -1.0)])
    assert line is not None
    assert [bar.at for bar in line.bars] == ["0:00", "0:08"]
    assert timeline([Moment(Span(0, 1), 1.0)]) is None


def test_a_heat_of_nothing_points_nowhere() -> None:
    assert place(Heat(1.0, Box(0, 0, 1, 1), ((0, 0),))) == "At 0:01: nowhere in particular."
    assert place(Heat(1.0, Box(0, 0, 1, 1), ())) == "At 0:01: nowhere in particular."
