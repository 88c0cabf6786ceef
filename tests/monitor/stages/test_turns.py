"""Speech is cut into windows that cover it all, and none is shorter than a voice needs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.stages import turns as turns_file
from monitor.stages.turns import LEAST_SPEECH_S, WINDOW_S, stretches, turns, windows
from monitor.values import SAMPLE_RATE, ModelId, Sound, Span


class Speaks:
    """A speech detector that was told where the speech is. A fake, for unit tests only."""

    model_id = ModelId("told")

    def __init__(self, *spans: tuple[float, float]) -> None:
        """Take the spans."""
        self.spans = tuple(Span(a, b) for a, b in spans)

    def speech(self, _: Sound) -> tuple[Span, ...]:
        """Give them."""
        return self.spans


def seconds(count: float) -> Sound:
    """Make a ramp, so that every sample says where it came from."""
    return Sound(np.arange(int(count * SAMPLE_RATE), dtype=np.float32))


def test_short_speech_is_not_compared() -> None:
    assert turns(seconds(10), Speaks((1.0, 2.5)))[0] == ()


def test_short_pieces_close_together_are_one_turn_without_the_pauses() -> None:
    ((turn,), left_out) = turns(seconds(10), Speaks((1.0, 2.0), (2.5, 3.5)))
    assert turn.span == Span(1.0, 3.5)
    assert turn.net_speech_s == pytest.approx(2.0)
    assert turn.sound.samples[SAMPLE_RATE] == pytest.approx(2.5 * SAMPLE_RATE)
    assert left_out == ()


def test_a_long_pause_parts_speech() -> None:
    found, _ = turns(seconds(20), Speaks((0.0, 2.5), (10.0, 12.5)))
    assert [t.span for t in found] == [Span(0.0, 2.5), Span(10.0, 12.5)]


def test_too_many_turns_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_file, "MOST_TURNS", 2)
    found, (left_out,) = turns(seconds(60), Speaks((0.0, 60.0)))
    assert len(found) == 2
    assert left_out.code == "too_many_turns"


@given(st.lists(st.tuples(st.floats(0.05, 3), st.floats(0.3, 20)), min_size=1, max_size=8))
def test_windows_cover_every_stretch_and_hold_enough(parts: list[tuple[float, float]]) -> None:
    speech, at = [], 0.0
    for pause, length in parts:
        speech.append(Span(at + pause, at + pause + length))
        at += pause + length
    for stretch in stretches(speech):
        net = sum(s.end_s - s.start_s for s in stretch)
        cut = windows(stretch)
        assert bool(cut) == (net >= LEAST_SPEECH_S)
        for pieces in cut:
            held = sum(p.end_s - p.start_s for p in pieces)
            assert held == pytest.approx(min(net, WINDOW_S), abs=1e-3)
        if cut:
            assert cut[0][0].start_s == pytest.approx(stretch[0].start_s)
            assert cut[-1][-1].end_s == pytest.approx(stretch[-1].end_s)
