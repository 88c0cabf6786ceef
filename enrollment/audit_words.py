"""Who looked at somebody's data, in words: the audit of one subject as the person reads it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlmodel import col, select

from enrollment.standing import is_shown
from enrollment.tables import Account
from monitor.tables import AuditEvent

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel import Session

    from monitor.values import SubjectId

MOST = 500
"""Events on one page or in one copy; the newest ones. A busy year has fewer."""

WORDS = {
    "account.begin": "began this account",
    "account.open": "opened your page by a second factor, for the first time",
    "account.second_reset": "took away your passkeys and telephone number, after making sure it was you",
    "account.sign_in": "signed in",
    "account.sign_out": "signed out",
    "alert.again": "had a message sent again",
    "alert.look": "looked at the messages to you",
    "budget.subject": "changed how sure the watch must be before you are told",
    "challenge.attested": "confirmed that your samples are yours",
    "challenge.judged": "looked at the recording that shows that it is you",
    "consent.give": "agreed",
    "consent.refuse": "did not agree, or took it back",
    "contact.ask": "asked for another e-mail address",
    "contact.change": "changed the e-mail address",
    "delegate.accept": "accepted to see your findings",
    "delegate.decline": "declined to see your findings",
    "delegate.end": "ended that somebody sees your findings",
    "delegate.invite": "invited somebody to see your findings",
    "delegate.look": "looked at your findings",
    "drill.ask": "asked for a fire drill: a test picture of you, to see whether you are told",
    "drill.end": "ended a fire drill, and removed what was found by it",
    "enrolment.approved": "let your enrolment pass",
    "enrolment.asked": "pressed the last button of the enrolment",
    "enrolment.held": "held your enrolment for a person to look at",
    "enrolment.like_you": "met somebody else who tried to enrol with a face or voice like yours, and held it",
    "enrolment.like_you_looked_at": "looked at the face or voice of yours that somebody else's was like",
    "enrolment.looked_at": "looked at your held enrolment",
    "enrolment.rejected": "refused your enrolment",
    "enrolment.started": "began to watch for you",
    "enrolment.vote": "gave a judgement on your enrolment",
    "export.made": "made the copy of your data",
    "export.order": "asked for a copy of your data",
    "export.take": "took the copy of your data",
    "finding.dismiss": "said of something found that it is not you",
    "finding.show": "looked at something that was found of you",
    "finding.undismiss": "took back that something is not you",
    "lookalike.expire": "forgot somebody whom you called “not me”",
    "lookalike.learn": "learnt somebody whom you called “not me”",
    "lookalike.list": "looked at the list of those whom you called “not me”",
    "lookalike.refuse": "did not learn somebody who is too much like you",
    "messages.resume": "switched messages on",
    "messages.stop": "switched messages off",
    "original.add": "added an original of yours",
    "original.list": "looked at the list of your originals",
    "original.remove": "took away an original of yours",
    "passkey.make": "added a passkey",
    "passkey.remove": "removed a passkey",
    "phone.change": "changed the telephone number",
    "phone.confirm": "added a telephone number",
    "phone.remove": "removed the telephone number",
    "profile.change": "changed your name or date of birth",
    "proof.held": "asked two operators to look at your yearly proof",
    "proof.lapsed": "noted that the yearly proof is overdue",
    "proof.renewed": "took your yearly proof",
    "reference.open": "opened a kept sample of yours, to read it with a new model",
    "samples.settled": "looked at the samples that you gave later",
    "search.add": "added something to look for",
    "search.list": "looked at what is searched for on your behalf",
    "search.remove": "took away something to look for",
    "session.end": "signed a browser out",
    "session.end_others": "signed every other browser out",
    "sighting.list": "opened the list of what was found",
    "sighting.open": "opened the page of something that was found",
    "sighting.plate": "looked at a picture that shows how something found of you may have been made",
    "sighting.reasons": "saved what we found of how something found of you was made",
    "subject.add": "enrolled you",
    "subject.add_samples": "added samples of yours",
    "subject.face_not_watched": "stopped comparing with an old measurement of your face",
    "subject.invite": "invited you to open a page of your own",
    "subject.pause": "paused the watch",
    "subject.resume": "went on with the watch",
    "subject.show": "looked at your data",
    "subject.templates_replaced": "measured your face anew with a new model",
}
"""What an action is, as the rest of a sentence that begins with who did it."""

ACTORS = {
    "subject": "You",
    "delegate": "Somebody you let see your findings",
    "operator": "An operator",
    "worker": "The program",
    "service": "The program",
}


@dataclass(frozen=True, slots=True)
class Look:
    """One event. `by_others`: it was neither the person nor the program."""

    at: datetime
    actor: str
    action: str
    detail: dict[str, Any]

    @property
    def by_others(self) -> bool:
        """Whether somebody else did it."""
        return self.actor.partition(":")[0] in {"operator", "delegate"}


def looks(session: Session, subject_id: SubjectId, now: datetime, most: int = MOST) -> list[Look]:
    """List what was done with one person's data, the newest first, as far as it may be shown already."""
    account = session.get(Account, subject_id)
    query = select(AuditEvent).where(AuditEvent.subject_id == subject_id)
    rows = session.exec(query.order_by(col(AuditEvent.seq).desc()).limit(most))
    return [
        Look(row.at, row.actor, row.action, json.loads(row.detail))
        for row in rows
        if is_shown(row.action, account, now)
    ]


def in_words(look: Look) -> str:
    """Say one event as a sentence."""
    kind, _, name = look.actor.partition(":")
    who = f"The operator {name}" if kind == "operator" and name else ACTORS.get(kind, "The program")
    return f"{who} {WORDS.get(look.action, f'did something with your data ({look.action})')}."
