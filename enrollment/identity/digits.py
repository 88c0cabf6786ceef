"""Digits as people say them: from what was heard to a row of digits, in the languages that we can write.

A transcript has words ("three one"), numerals ("3 1", "31", "3-1.") or both; small numbers that were heard
where two digits ran together ("thirty-one") are left out on purpose, since they were not asked for.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Language:
    """One language of a challenge. `code` is ISO 639-1, `name` what its speakers call it.

    `words` has ten entries, for 0 to 9: the word that is shown, then others that mean the same or that a
    listener writes for it (homophones such as "to" for two). `sure` says whether the listener was tried on
    recorded people of the language, also in noise and on a telephone, and took no row for other digits
    (README.md); elsewhere other digits than those asked may be its own fault, and nobody is refused for them.
    """

    code: str
    name: str
    words: tuple[tuple[str, ...], ...]
    sure: bool

    def word(self, digit: str) -> str:
        """Give the word that is shown under a digit."""
        return self.words[int(digit)][0]


SURE: Final = frozenset({"en", "it", "ru"})
"""Languages in which none of 72 rows of a recorded person was refused, one speaker of each."""


def _language(code: str, name: str, words: str) -> Language:
    """Read "zero oh|one won|...": the digits apart by |, what is said for one apart by blanks."""
    rows = tuple(tuple(row.split()) for row in words.split("|"))
    if len(rows) != 10:
        msg = f"{code} has {len(rows)} digits"
        raise ValueError(msg)
    return Language(code, name, rows, code in SURE)


_ALL: Final = (
    _language(
        "en",
        "English",
        "zero oh o nought naught nil|one won|two to too|three|four for fore|five|six|seven|eight ate|nine",
    ),
    _language("de", "Deutsch", "null|eins ein eine|zwei zwo|drei|vier|fünf fuenf|sechs|sieben|acht|neun"),
    _language("fr", "Français", "zéro|un une|deux|trois|quatre|cinq|six|sept|huit|neuf"),
    _language("es", "Español", "cero|uno un una|dos|tres|cuatro|cinco|seis|siete|ocho|nueve"),
    _language("it", "Italiano", "zero|uno un una|due|tre|quattro|cinque|sei|sette|otto|nove"),
    _language("pt", "Português", "zero|um uma|dois duas|três|quatro|cinco|seis meia|sete|oito|nove"),
    _language("nl", "Nederlands", "nul|een één|twee|drie|vier|vijf|zes|zeven|acht|negen"),
    _language(
        "pl",
        "Polski",
        "zero|jeden jedna jedno|dwa dwie|trzy|cztery|pięć|sześć|siedem|osiem|dziewięć",
    ),
    _language(
        "ru", "Русский", "ноль нуль|один одна одно раз|два две|три|четыре|пять|шесть|семь|восемь|девять"
    ),
    _language("uk", "Українська", "нуль|один одна одне|два дві|три|чотири|п'ять|шість|сім|вісім|дев'ять"),
    _language("tr", "Türkçe", "sıfır|bir|iki|üç|dört|beş|altı|yedi|sekiz|dokuz"),
    _language("sv", "Svenska", "noll|ett en|två|tre|fyra|fem|sex|sju|åtta|nio nie"),
    _language("da", "Dansk", "nul|en et|to|tre|fire|fem|seks|syv|otte|ni"),
    _language(
        "el",
        "Ελληνικά",
        "μηδέν|ένα ένας μία|δύο δυο|τρία τρεις|τέσσερα τέσσερις|πέντε|έξι|επτά εφτά|οκτώ οχτώ|εννέα εννιά",
    ),
)

LANGUAGES: Final[Mapping[str, Language]] = MappingProxyType({one.code: one for one in _ALL})
"""Code -> language, in the order in which a form lists them."""

FALLBACK: Final = "en"
"""The language of a challenge where the person's own is none of these."""

_ASKED_FOR: Final = re.compile(r"\s*([A-Za-z]{2})(?:-[\w-]+)?\s*(?:;\s*q=([01](?:\.\d{0,3})?))?\s*")
"""One language of an Accept-Language header (RFC 9110, 12.5.4), and how much it is wanted."""

LONGEST_HEADER: Final = 500

_APOSTROPHES: Final = str.maketrans("", "", "'’ʼ`´")
_TOKEN: Final = re.compile(r"\d+|[^\W\d_]+")


def preferred(accept_language: str) -> str:
    """Give the language of a challenge that a browser asks for most; FALLBACK where it names none of them."""
    wanted: list[tuple[float, str]] = []
    for part in accept_language[:LONGEST_HEADER].split(","):
        match = _ASKED_FOR.fullmatch(part)
        if match is not None and match[1].lower() in LANGUAGES:
            wanted.append((float(match[2] or 1), match[1].lower()))
    most = max(wanted, key=lambda one: one[0], default=(0.0, ""))
    return most[1] if most[0] > 0 else FALLBACK


def digits_of(transcript: str, language: str) -> str:
    """Give the digits of a transcript in their order, such as "31507". Other words are passed over.

    Numerals count digit by digit, in any script's decimal digits. Words that are written together
    ("threeone", "dreieins") are parted where nothing is left over. Raises KeyError for a language that is
    none of LANGUAGES.
    """
    words = _lexicon(LANGUAGES[language])
    found: list[str] = []
    for token in _TOKEN.findall(_plain(transcript)):
        if token[0].isdigit():
            found += [
                str(unicodedata.digit(one)) for one in token if unicodedata.digit(one, None) is not None
            ]
        else:
            found += words[token] if token in words else _parted(token, words)
    return "".join(found)


def distance(asked: str, heard: str) -> int:
    """Count the digits to change, add or drop to get from one row to the other (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for place, one in enumerate(asked, 1):
        before, row[0] = row[0], place
        for at, other in enumerate(heard, 1):
            before, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, before + (one != other))
    return row[-1]


def _lexicon(language: Language) -> dict[str, str]:
    """Word -> digit, all in the plain form of `_plain`."""
    return {_plain(word): str(digit) for digit, words in enumerate(language.words) for word in words}


def _plain(text: str) -> str:
    """Small letters without accents and apostrophes: listeners leave them out as they like."""
    apart = unicodedata.normalize("NFKD", text.replace("ı", "i").casefold()).translate(_APOSTROPHES)
    return "".join(one for one in apart if not unicodedata.combining(one))


SHORTEST_PART: Final = 3
"""Letters of a word that may be found inside another: "o", "to" or "en" stand in too many."""


def _parted(token: str, words: Mapping[str, str]) -> Sequence[str]:
    """Part a token into words of digits with nothing left over; longest first. Nothing where that fails."""
    if not token:
        return []
    for length in range(len(token), SHORTEST_PART - 1, -1):
        if token[:length] in words:
            rest = _parted(token[length:], words)
            if rest or length == len(token):
                return [words[token[:length]], *rest]
    return []
