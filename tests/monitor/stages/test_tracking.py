"""Faces are followed by place alone; a cut of the scene, a gap and a crowd end or limit tracks."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.ml.align import TEMPLATE
from monitor.stages.tracking import BEST, Tracker, portrait
from monitor.values import Box, DetectedFace, Frame

RNG = np.random.default_rng(5)
SCENE = RNG.integers(0, 255, (240, 320, 3), dtype=np.uint8)
OTHER_SCENE = np.ascontiguousarray(255 - np.sort(SCENE, axis=0))


def face(x: float, y: float = 60.0, side: float = 80.0) -> DetectedFace:
    """Put a frontal face somewhere."""
    landmarks = (TEMPLATE / 112 * side + [x, y]).astype(np.float32)
    return DetectedFace(Box(x, y, x + side, y + side), landmarks, 0.9)


def follow(*frames: tuple[float, list[DetectedFace]], most: int = 100) -> Tracker:
    """Show frames of one scene to a tracker."""
    tracker = Tracker(most)
    for number, (at_s, faces) in enumerate(frames):
        tracker.add(Frame(number, at_s, SCENE), faces)
    return tracker


def test_a_moving_face_is_one_track() -> None:
    (track,) = follow(*((n / 4, [face(20 + 15 * n)]) for n in range(8))).finish()
    assert (track.span.start_s, track.span.end_s) == (0.0, 1.75)


def test_two_faces_that_pass_each_other_stay_two() -> None:
    frames = [(n / 4, [face(10 + 8 * n, 20), face(200 - 8 * n, 130)]) for n in range(12)]
    assert len(follow(*frames).finish()) == 2


def test_a_cut_ends_every_track() -> None:
    tracker = Tracker(100)
    tracker.add(Frame(0, 0.0, SCENE), [face(100)])
    tracker.add(Frame(1, 0.25, OTHER_SCENE), [face(100)])
    assert [t.span.start_s for t in tracker.finish()] == [0.0, 0.25]


def test_a_face_that_was_gone_for_long_is_a_new_appearance() -> None:
    assert len(follow((0.0, [face(50)]), (0.5, []), (0.9, [face(50)])).finish()) == 1
    assert len(follow((0.0, [face(50)]), (3.0, [face(50)])).finish()) == 2


def test_an_hour_keeps_no_more_samples_than_a_minute() -> None:
    (track,) = follow(*((n / 4, [face(50)]) for n in range(200))).finish()
    assert len(track.samples) == BEST
    assert [s.at_s for s in track.samples] == sorted(s.at_s for s in track.samples)


def test_more_faces_than_are_followed_are_counted() -> None:
    tracker = follow((0.0, [face(x, 10, 30) for x in range(0, 280, 40)]), most=5)
    assert (len(tracker.finish()), tracker.overflowed) == (5, 2)


def test_a_still_picture_holds_whoever_is_in_it() -> None:
    tracker = follow((0.0, [face(50)]))
    tracker.hold(9.0)
    (track,) = tracker.finish()
    assert track.span.end_s == 9.0


def test_a_bystander_is_blurred_and_the_person_is_not() -> None:
    own, other = Box(60, 60, 140, 140), Box(150, 60, 230, 140)
    cut = portrait(SCENE, own, [other])
    own_part, other_part = cut[60:140, 60:140], cut[70:130, 160:220]
    assert np.array_equal(own_part, SCENE[60:140, 60:140])
    assert other_part.std() < 0.2 * SCENE[70:130, 160:220].std()


@given(
    st.tuples(*[st.floats(-500, 800, allow_nan=False)] * 2),
    st.floats(1, 600, allow_nan=False),
    st.tuples(*[st.floats(-500, 800, allow_nan=False)] * 2),
)
def test_a_portrait_of_any_box_is_a_picture(
    at: tuple[float, float], side: float, by: tuple[float, float]
) -> None:
    cut = portrait(SCENE, Box(*at, at[0] + side, at[1] + side), [Box(*by, by[0] + 50, by[1] + 50)])
    assert cut.ndim == 3
    assert min(cut.shape[:2]) >= 1
