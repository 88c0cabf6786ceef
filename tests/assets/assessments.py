"""What signals may say of a sighting, put together by hand."""

from __future__ import annotations

from monitor.values import (
    Abstention,
    Aspect,
    Assessment,
    Box,
    Heat,
    Made,
    Moment,
    Plate,
    Said,
    Signal,
    Span,
    SyntheticAssessment,
    SyntheticStatus,
)

HOSTILE = '</q><script>alert("x")</script>\u202e{{ 7 * 7 }}'


def composite(llr: float = 3.1, *, plates: tuple[Plate, ...] = ()) -> Signal:
    """Make a signal that says something, with all that it can have."""
    return Signal(
        "composite_face",
        "heads@12ab/1",
        Aspect.FACE,
        llr=llr,
        reasons=("The edge of the face is softer than its middle.",),
        moments=tuple(Moment(Span(at, at + 1.0), -0.5 if at % 3 else 2.5) for at in range(12)),
        heats=(Heat(3.0, Box(10, 10, 90, 90), ((0, 0, 0), (0, 0, 0), (0, 255, 0))),),
        look_for=("Look at the hairline.",),
        limits="It misses faces that a program drew as a whole.",
        plates=plates,
    )


def silent(name: str = "voice_recent", why: Abstention = Abstention.NARROW_BAND) -> Signal:
    """Make a signal that says nothing."""
    return Signal(name, "aasist@34cd/1", Aspect.VOICE, abstains=why)


def assessed(made: Made = Made.LIKELY, *signals: Signal) -> SyntheticAssessment:
    """Make an assessment with a transcript in which somebody else tries to get at the page."""
    found = Assessment(
        made,
        None if made is Made.CANNOT_TELL else 3.1,
        signals or (composite(), silent()),
        supports="composite_face" if not signals else "",
        not_covered=("a real video in which only the mouth was changed (lip-sync)",),
        thresholds=(1.5, 3.0),
        version="fusion/1",
        said=(Said(Span(2, 4), "Please send money.", subject=True), Said(Span(5, 6), HOSTILE, subject=False)),
        language="en",
    )
    return SyntheticAssessment(SyntheticStatus.NOT_ASSESSED, (), "", found)
