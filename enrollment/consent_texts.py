"""What people agree to, word for word. Each text has a version; changing a word makes a new version.

Old versions stay here: a record names the version that somebody agreed to, and carries its words. Whoever
changes a text adds a new one at the end of its tuple, and everybody is asked again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Purpose(StrEnum):
    """What is asked, in the order in which it is asked. Each is a question of its own."""

    BIOMETRICS = "biometrics"
    REFERENCES = "references"
    SCORES = "scores"


@dataclass(frozen=True, slots=True)
class Text:
    """One text: what it is called, the sentence beside the box, and all the rest in paragraphs.

    `withdrawn` says what happens when this is taken back.
    """

    version: str
    title: str
    question: str
    paragraphs: tuple[str, ...]
    withdrawn: str

    @property
    def whole(self) -> str:
        """Everything that somebody agrees to, as one text."""
        return "\n\n".join((self.title, *self.paragraphs, self.question, self.withdrawn))


_BIOMETRICS_1 = Text(
    version="biometrics-2026-11",
    title="Measuring your face and your voice, and looking for them",
    question=(
        "Yes: make measurements of my face and my voice, keep them sealed, and compare them with published "
        "pictures, videos and sound, so that I can be told where I seem to appear."
    ),
    paragraphs=(
        (
            "What we collect. The pictures, the recording and the short clip that you give us. From them "
            "our program makes rows of numbers by which a face or a voice can be recognised. The law calls "
            "such numbers biometric data (GDPR, Article 4(14)) and biometric identifiers or information "
            "(Illinois, 740 ILCS 14). They are about as personal as data can be. You cannot change your "
            "face."
        ),
        (
            "Why. For one thing: to look for you in published pictures, videos and sound, to judge whether "
            "what was found may be made by a computer, and to tell you. And once, at the beginning and "
            "after that about once a year: to make sure that you are the person whose face and voice were "
            "given."
        ),
        (
            "How. Every picture and sound that the watch looks at is compared with your numbers. What does "
            "not match is forgotten at once. What may match is kept for you, sealed with a key that is "
            "yours alone, until you erase it."
        ),
        (
            "How long. As long as you are watched for. If you do not finish, 30 days after your last "
            "visit. If you erase your account, at once: the key is destroyed, and what it sealed opens no "
            "more. We keep nothing longer than that, and in no case longer than three years after you last "
            "had anything to do with us. The full list of times is on the page “How long we keep what”."
        ),
        (
            "Who sees it. You, and those whom you invite yourself. An operator of this service may look at "
            "your samples only where the program was not sure that they are yours, and every such look is "
            "written down and shown to you. Nobody else: no advertiser, no employer, no web site on which "
            "you are found, and no authority unless a court compels us."
        ),
        (
            "What never happens. Your face and your voice are not sold, leased, traded or lent, and nobody "
            "profits from them in any other way. They train no model. They are not used to find out how "
            "old you are, where you come from, what you feel or believe."
        ),
        (
            "It is your choice. Without a yes here we cannot look for you, and nothing else follows from a "
            "no. This is your explicit consent under Article 9(2)(a) of the GDPR and your written release "
            "under Section 15 of the Illinois Biometric Information Privacy Act."
        ),
    ),
    withdrawn=(
        "You can take this back at any time, as easily as you give it. Then the watch stops at once and "
        "the measurements of your face and voice are destroyed. What was lawful before stays lawful."
    ),
)

_REFERENCES_1 = Text(
    version="references-2026-11",
    title="Keeping the pictures and recordings themselves",
    question=(
        "Yes: keep my pictures and recordings, sealed, so that better models can read them later without "
        "asking me for new ones."
    ),
    paragraphs=(
        (
            "Programs that recognise faces and voices get better over time, and a new one cannot use the "
            "numbers of an old one. If we keep your pictures and recordings, it can read them. If we do "
            "not, we ask you for new ones when that happens, and you are found less often until you give "
            "them."
        ),
        (
            "They rest sealed with a key that is yours alone. They are opened for one thing: to be read by "
            "a new model. Each time is written down and shown to you."
        ),
        (
            "You can say no here and still be watched for. Then the pictures and recordings are deleted "
            "once your enrolment is decided, and only the measurements stay."
        ),
    ),
    withdrawn="You can take this back at any time. Then the pictures and recordings are deleted at once.",
)

_SCORES_1 = Text(
    version="scores-2026-11",
    title="Using scores to keep false alarms rare",
    question=(
        "Yes: when the watch is measured anew, let the scores of comparisons with my samples, and what I "
        "said of what was found, count among the numbers by which it is adjusted."
    ),
    paragraphs=(
        (
            "Each comparison gives a score between 0 and 1. To know from which score on somebody should be "
            "told, one must know which scores were right and which were wrong. Scores of people who agreed "
            "are the best measure of that, since they come from the watch as it is."
        ),
        (
            "Today this is not done: the watch is adjusted by public collections of faces and voices. We "
            "ask now so that nobody can begin with it without having been allowed to. What would be "
            "counted is the score alone: that one more comparison gave, say, 0.62 and was wrong. No face, "
            "no voice, no name and no address."
        ),
        (
            "Something else is done already, for everybody, and does not depend on your answer: the watch "
            "counts how many people in published media, who were taken for nobody, came how close to "
            "somebody who is enrolled. Those counts say how many, on which day, and nothing about whom."
        ),
        "You can say no here and everything works as well for you.",
    ),
    withdrawn=(
        "You can take this back at any time. From then on no score of yours may be counted. Counts made "
        "before cannot be taken out, since nothing in them says whose they are."
    ),
)

TEXTS: dict[Purpose, tuple[Text, ...]] = {
    Purpose.BIOMETRICS: (_BIOMETRICS_1,),
    Purpose.REFERENCES: (_REFERENCES_1,),
    Purpose.SCORES: (_SCORES_1,),
}
"""Every version of every text; the last one of each is in force."""


def current(purpose: Purpose) -> Text:
    """Give the text in force."""
    return TEXTS[purpose][-1]
