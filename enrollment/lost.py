"""For somebody who lost every second way in: an operator who made sure who it is takes the old ones away.

From then on the mailbox alone lets in, as at the beginning, and findings stay closed until the person has
made a new second way. A letter says that it happened: whoever did not ask for it can stop it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlmodel import col, delete

from enrollment import letters
from enrollment.letter_words import letter
from enrollment.subjects import profile_of, rewrite_profile
from enrollment.tables import Account, OneTimeCode, Passkey, WebSession
from monitor import audit
from monitor.db import writing
from monitor.errors import ContactInvalid, NotFound

if TYPE_CHECKING:
    from datetime import datetime

    from enrollment.subjects import Ledger
    from monitor.values import SubjectId

SAID = letter(
    (
        "somebody who could no longer come in asked us for help, and we made sure that it was you.",
        "Passkeys and telephone number of your page were taken away, and every browser was signed out.",
        "Please come in with a new link and make a new passkey, or give your number again.",
        "If this was not you, answer this letter at once.",
    )
)


def forget_second_ways(ledger: Ledger, subject_id: SubjectId, how: str, now: datetime) -> None:
    """Take away passkeys, telephone number and sessions of one person, audited; write a letter about it.

    `how` says how the operator made sure who it is; it is sealed in the profile. Raises ContactInvalid
    without it, NotFound for nobody or somebody without an account, SubjectErased.
    """
    if not how.strip():
        msg = "how you made sure who it is, is needed"
        raise ContactInvalid(msg, hint='For example: --how "passport seen in person, J. Weber, 3 May".')
    sealer = letters.sealer_of(ledger.engine, ledger.keks)
    with writing(ledger.engine) as session:
        profile = profile_of(session, ledger.keks, subject_id)
        account = session.get(Account, subject_id, with_for_update=True)
        if account is None:
            msg = f"subject {subject_id} has no account: they never came by the web form"
            raise NotFound(msg)
        for table in (Passkey, OneTimeCode, WebSession):
            session.connection().execute(delete(table).where(col(table.subject_id) == subject_id))
        attested = "; ".join(part for part in (profile.attested, f"second way reset: {how.strip()}") if part)
        rewrite_profile(session, ledger.keks, subject_id, replace(profile, phone="", attested=attested))
        account.phone_at = None
        audit.record(session, ledger.actor, "account.second_reset", subject_id)
        letters.write(session, sealer, profile.email, SAID, kind="security", now=now, subject_id=subject_id)
