"""Writes down what is said in a sighting, with times: shown to the person, judged by nobody.

Only speech is listened to, and of a sighting only what is said around the subject's own turns: what strangers
say elsewhere in a long recording is nobody's business here. English is written down by the small English
network, which is as good and costs half; all else by the multilingual one.

Whisper invents words where nothing is said. So it is given the speech alone, cut out of the sound; a piece is
dropped where the network itself is unsure, where its text repeats itself, and where it writes of sounds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monitor.ml.synthetic.interfaces import Transcript
from monitor.ml.whisper import AROUND, ENGLISH, MULTILINGUAL, OWN, SILENT, UNSURE, Networks, levelled
from monitor.values import SAMPLE_RATE, Said, Span, pieces_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from monitor.ml.synthetic.interfaces import Listener, Sighting
    from monitor.ml.whisper import Lent
    from monitor.settings import Settings
    from monitor.values import Sound

MOST_S: Final = 600.0
"""Seconds of speech of one sighting that are written down: a minute of one core."""

NEAR_S: Final = 10.0
"""Seconds around the subject's turns in which others are written down too: a question and its answer."""

LEAST_S: Final = 0.4
"""Seconds of speech below which nobody listens: a word takes as long."""

WINDOW_S: Final = 28.0
"""Seconds that the network hears at once: it takes 30, with AROUND of silence before and after."""

PAUSE_S: Final = 1.0
"""A longer pause is left out of what the network hears; a shorter one helps it to end its sentences."""

EDGE_S: Final = 0.2
"""Seconds of the sound that are kept before and after speech: a detector of speech cuts soft consonants."""

BETWEEN: Final = round(0.4 * SAMPLE_RATE)
"""Samples of silence in the place of a pause that was left out."""

BEAM: Final = 2
THREADS: Final = 1
"""Items are looked at side by side, one thread each. On one core tiny.en takes 0.055 of real time with two
beams and 0.070 with five, base 0.11 and 0.13 (a minute of LibriSpeech, int8, 2026-11)."""

TOKENS: Final = 32
TOKENS_A_SECOND: Final = 12
"""Tokens that a window may be written down with: quick English takes 6 a second, and scripts whose letters
take several tokens each twice as many. A network that begins to loop is stopped here."""

SURE_OF_LANGUAGE: Final = 0.5
"""Probability of the likeliest language below which it is not known, and nothing is written down: Whisper's
own bound for asking again."""

REPEATS: Final = 2.4
"""Length of a text over that of its compressed bytes from which it repeats itself: Whisper's own."""

FEW_WORDS: Final = 0.34
MANY: Final = 8
"""Share of different words in a text of so many below which it repeats itself. Short loops compress badly."""

NEW_PIECE_S: Final = 0.8
LONGEST_PIECE_S: Final = 12.0
"""A pause from which a new piece begins, and the longest a piece may be: a line that is read at a glance."""

_SENTENCE_ENDS: Final = re.compile(
    r"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)[.?!…\u3002\uff1f\uff01]['\"”»)]?$"
)
"""Full stops, those of Chinese and Japanese too, but for the titles that the English network writes."""

_OF_SOUNDS: Final = re.compile(r"^\W*[\[(*♪].*[\])*♪]\W*$|♪")
"""What the network writes for music, laughter and the like: in brackets, or with a note."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word as the network wrote it, with its own leading space where the language has spaces."""

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Cut:
    """One stretch of the sound in a window: samples `begin` to `end` of the sound, `at` samples into it."""

    begin: int
    end: int
    at: int


@dataclass(frozen=True, slots=True)
class Window:
    """What the network hears at once, and where in the sound its parts are from."""

    samples: NDArray[np.float32]
    cuts: tuple[Cut, ...]

    def time(self, at_s: float) -> float:
        """Give the second of the sound for a second of the window; of a pause left out, its nearer edge."""
        at = at_s * SAMPLE_RATE - AROUND
        cut = min(self.cuts, key=lambda one: max(one.at - at, at - (one.at + one.end - one.begin), 0))
        return float(np.clip(cut.begin + at - cut.at, cut.begin, cut.end)) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Transcriber:
    """A Listener with Whisper. Networks are loaded at the first sighting with speech. Safe for threads."""

    settings: Settings
    networks: Networks = field(default_factory=lambda: Networks(THREADS))

    def transcribe(self, sound: Sound, speech: tuple[Span, ...]) -> Transcript:
        """Write down the first MOST_S of speech. Nothing where there is none, or its language is not known.

        Raises WeightsMissing, WeightsDiffer.
        """
        windows = tuple(windows_of(sound, upto(speech, MOST_S)))
        if not windows:
            return Transcript((), "")
        with self.networks.lent(self.settings, datetime.now(UTC)) as lent:
            language = self._language(lent, max(windows, key=lambda one: len(one.samples)))
            if not language:
                return Transcript((), "")
            network = self._network(lent, language)
            words = [word for one in windows for word in _heard(network, one, language)]
        return Transcript(tuple(pieces(words)), language)

    def rest(self, now: datetime) -> None:
        """Free the networks when none was used for a while. Cheap where there is nothing to do."""
        self.networks.rest(now)

    def _language(self, lent: Lent, window: Window) -> str:
        """Ask the multilingual network for the language; "" where it is not sure."""
        own = lent.get(OWN) if self.settings.whisper_dir is not None else None
        asked = own if own is not None and own.model.is_multilingual else lent.get(MULTILINGUAL)
        language, probability, _ = asked.detect_language(window.samples)
        return str(language) if probability >= SURE_OF_LANGUAGE else ""

    def _network(self, lent: Lent, language: str) -> Any:  # noqa: ANN401 - faster_whisper has no types
        """Choose who writes it down: the operator's own where it knows the language."""
        if self.settings.whisper_dir is not None and language in lent.get(OWN).supported_languages:
            return lent.get(OWN)
        return lent.get(ENGLISH if language == "en" else MULTILINGUAL)


def said(sighting: Sighting, listener: Listener) -> tuple[tuple[Said, ...], str]:
    """Write down what is said around the subject's turns, and in which language (ISO 639-1, or "").

    Nothing where the subject does not speak. `Said.subject` is True for what lies in the subject's turns for
    more than half. Raises what the listener raises.
    """
    own = [piece for turn in sighting.turns for piece in pieces_of(turn)]
    if sighting.sound is None or not own:
        return (), ""
    near = within(sighting.speech, [Span(max(0.0, p.start_s - NEAR_S), p.end_s + NEAR_S) for p in own])
    if seconds(near) > MOST_S:  # the subject's own words come first
        near = within(sighting.speech, [Span(max(0.0, p.start_s - EDGE_S), p.end_s + EDGE_S) for p in own])
    heard = listener.transcribe(sighting.sound, near)
    return tuple(Said(span, text, _mostly_in(span, own)) for span, text in heard.said), heard.language


def seconds(spans: Iterable[Span]) -> float:
    """Length of all spans together."""
    return sum(span.end_s - span.start_s for span in spans)


def within(spans: Sequence[Span], places: Sequence[Span]) -> tuple[Span, ...]:
    """Give what of spans, which are in order and apart, lies in any of the places, in order of time."""
    joined: list[Span] = []
    for place in sorted(places, key=lambda one: one.start_s):
        if joined and place.start_s <= joined[-1].end_s:
            joined[-1] = Span(joined[-1].start_s, max(joined[-1].end_s, place.end_s))
        else:
            joined.append(place)
    shared = (
        Span(max(span.start_s, place.start_s), min(span.end_s, place.end_s))
        for span in spans
        for place in joined
    )
    return tuple(span for span in shared if span.start_s < span.end_s)


def upto(spans: Sequence[Span], most_s: float) -> tuple[Span, ...]:
    """Give the first so many seconds of spans."""
    taken, left = [], most_s
    for span in spans:
        if left <= 0:
            break
        taken.append(Span(span.start_s, min(span.end_s, span.start_s + left)))
        left -= span.end_s - span.start_s
    return tuple(taken)


def windows_of(sound: Sound, speech: Sequence[Span]) -> Iterator[Window]:
    """Pack speech, its long pauses left out, into windows of WINDOW_S. None where there is too little."""
    if seconds(speech) < LEAST_S:
        return
    room = round(WINDOW_S * SAMPLE_RATE)
    cuts: list[Cut] = []
    filled = 0
    for begin, end in _stretches(sound, speech):
        start = begin
        while start < end:
            if cuts and filled + BETWEEN + (end - start) > room:
                yield from _window(sound, cuts)
                cuts, filled = [], 0
            at = filled + BETWEEN if cuts else 0
            stop = end if end - start <= room else _quietest(sound, start + room * 3 // 4, start + room)
            cuts.append(Cut(start, stop, at))
            filled, start = at + stop - start, stop
    yield from _window(sound, cuts)


def pieces(words: Sequence[Word]) -> Iterator[tuple[Span, str]]:
    """Join words to pieces: a sentence, or what is said between two pauses."""
    joined: list[Word] = []
    for word in words:
        if joined and _ends(joined, word):
            yield _piece(joined)
            joined = []
        joined.append(word)
    if joined:
        yield _piece(joined)


def _stretches(sound: Sound, speech: Sequence[Span]) -> Iterator[tuple[int, int]]:
    """Give speech with its edges, as samples of the sound; what only a short pause parts is one stretch."""
    length = len(sound.samples)
    begin = end = -1
    for span in speech:
        first = max(0, round((span.start_s - EDGE_S) * SAMPLE_RATE))
        last = min(length, round((span.end_s + EDGE_S) * SAMPLE_RATE))
        if begin >= 0 and first - end <= (PAUSE_S - 2 * EDGE_S) * SAMPLE_RATE:
            end = max(end, last)
            continue
        if begin < end:
            yield begin, end
        begin, end = first, last
    if begin < end:
        yield begin, end


def _window(sound: Sound, cuts: Sequence[Cut]) -> Iterator[Window]:
    if not cuts:
        return
    packed = np.zeros(cuts[-1].at + cuts[-1].end - cuts[-1].begin, np.float32)
    for cut in cuts:
        packed[cut.at : cut.at + cut.end - cut.begin] = sound.samples[cut.begin : cut.end]
    samples = levelled(packed)
    if samples is not None:
        yield Window(samples, tuple(cuts))


def _quietest(sound: Sound, begin: int, end: int) -> int:
    """Find the middle of the quietest tenth of a second: nobody is cut off in a word if it can be helped."""
    step = SAMPLE_RATE // 10
    rows = sound.samples[begin:end][: (end - begin) // step * step].reshape(-1, step)
    return begin + int(np.argmin(np.square(rows).mean(axis=1))) * step + step // 2


def _heard(network: Any, window: Window, language: str) -> Iterator[Word]:  # noqa: ANN401 - no types
    """Write down one window, at temperature 0: the same sound gives the same words every time."""
    segments, _ = network.transcribe(
        window.samples,
        language=language,
        task="transcribe",
        beam_size=BEAM,
        temperature=0.0,
        condition_on_previous_text=False,
        word_timestamps=True,
        max_new_tokens=TOKENS + round(TOKENS_A_SECOND * len(window.samples) / SAMPLE_RATE),
        no_speech_threshold=SILENT,
        log_prob_threshold=UNSURE,
    )
    for segment in segments:
        if not doubtful(segment.text, segment.avg_logprob, segment.no_speech_prob, segment.compression_ratio):
            for word in segment.words or ():
                yield Word(window.time(word.start), window.time(word.end), word.word)


def doubtful(text: str, log_probability: float, silent: float, compression: float) -> bool:
    """Say whether a segment is likely to be invented: unsure, said in silence, in a loop, or of sounds."""
    words = text.casefold().split()
    looping = len(words) >= MANY and len(set(words)) / len(words) < FEW_WORDS
    unsure = log_probability < UNSURE or (silent > SILENT and log_probability < UNSURE / 2)
    wordless = not any(map(str.isalnum, text)) or _OF_SOUNDS.search(text.strip()) is not None
    return unsure or looping or wordless or compression > REPEATS


def _ends(joined: Sequence[Word], word: Word) -> bool:
    last = joined[-1]
    return (
        word.start_s - last.end_s >= NEW_PIECE_S
        or word.end_s - joined[0].start_s > LONGEST_PIECE_S
        or _SENTENCE_ENDS.search(last.text.strip()) is not None
    )


def _piece(words: Sequence[Word]) -> tuple[Span, str]:
    text = "".join(word.text for word in words).strip()
    return Span(round(words[0].start_s, 2), round(max(word.end_s for word in words), 2)), text


def _mostly_in(span: Span, places: Sequence[Span]) -> bool:
    return seconds(within((span,), places)) > (span.end_s - span.start_s) / 2
