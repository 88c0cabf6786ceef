"""What to read aloud for the voice sample: some ten seconds, with most sounds of a language.

They say nothing about anybody, and are no password: who says what is asked by the challenge alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Passage:
    """Sentences to read aloud. `language` is a BCP 47 tag, `name` its name in itself."""

    language: str
    name: str
    text: str


PASSAGES: Final[tuple[Passage, ...]] = (
    Passage(
        "en",
        "English",
        "On a bright Thursday morning the old ferry left the harbour with seven boxes of juicy pears. "
        "A young girl waved from the bridge, and the captain chose to answer with a cheerful whistle. "
        "By evening they had measured the whole length of the river.",
    ),
    Passage(
        "de",
        "Deutsch",
        "An einem kühlen Dienstag fuhr der Zug durch ein schönes Tal, vorbei an Kirschbäumen und zwei Höfen. "
        "Eine junge Frau öffnete das Fenster und hörte das Läuten der Glocken. "
        "„Vielleicht bleibe ich heute länger“, sagte sie und packte ihre Jacke ein.",
    ),
    Passage(
        "fr",
        "Français",
        "Un jeudi matin, la vieille cuisinière a cherché du thym, du beurre et huit œufs au marché. "
        "Le vent soufflait doucement sur la rue, et un garçon jouait de la guitare près du pont. "
        "Elle est rentrée sans bruit, un peu fatiguée mais contente.",
    ),
    Passage(
        "es",
        "Español",
        "El jueves por la mañana, Guillermo llevó nueve cajas de naranjas al barco que zarpaba hacia el sur. "
        "Una niña pequeña reía junto al faro mientras llovía un poco. "
        "Después de cenar, todos charlaron en voz baja bajo las estrellas.",
    ),
    Passage(
        "it",
        "Italiano",
        "Giovedì mattina il cuoco scelse pesche, funghi freschi e un buon pezzo di formaggio. "
        "Una ragazza con gli occhiali azzurri passeggiava lungo il fiume con il suo cagnolino. "
        "La sera, davanti al camino, ascoltarono una bella canzone.",
    ),
)
"""The first one is for whoever's language is not among them: any language does, for a voice."""


def passages(language: str) -> tuple[Passage, ...]:
    """Give all passages, the one in the person's own language first."""
    return tuple(sorted(PASSAGES, key=lambda one: one.language != language.partition("-")[0]))
