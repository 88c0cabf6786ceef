"""The picture of a fire drill: a kept sample, marked; and the worker's side of the person's button.

Only a kept sample is certain to match and is theirs to use. It is opened like every other one (audited),
decoded in the decoder's child process, and never leaves this machine but as the drill that was asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import col, select

from enrollment.standing import Standing
from enrollment.subjects import Ledger, open_reference, profile_of
from enrollment.tables import Account, Reference, Subject
from monitor import drills, intake, subject_keys
from monitor import log as logs
from monitor.db import reading, writing
from monitor.errors import DrillNotPossible, LikenessError
from monitor.tables import Drill
from monitor.values import Digest, Modality, Origin, OriginKind, SubjectId

if TYPE_CHECKING:
    from sqlmodel import Session

    from enrollment.desk import Desk
    from monitor.stages.decode import Decoder

ACTOR = "service:drill"

log = logs.get(__name__)


def newest_face(session: Session, subject_id: SubjectId) -> str | None:
    """Name the newest kept picture of somebody, None where none is kept."""
    query = select(Reference.id).where(
        Reference.subject_id == subject_id, Reference.modality == Modality.FACE
    )
    return session.exec(query.order_by(col(Reference.created_at).desc(), Reference.id)).first()


def check_possible(session: Session, subject_id: SubjectId) -> None:
    """Raise DrillNotPossible where nobody is watched for, or no picture was kept to make one of."""
    row = session.get(Subject, subject_id)
    if row is None or row.status != Standing.ACTIVE:
        msg = "a fire drill needs somebody who is watched for and told just now"
        raise DrillNotPossible(msg, hint="Finish or go on with the watch first.")
    if newest_face(session, subject_id) is None:
        msg = "a fire drill is made from a picture that was kept, and none was"
        raise DrillNotPossible(
            msg, hint="Agree to keeping the pictures and give one more, or enrol with `--keep-references`."
        )


def check_operators(session: Session, ledger: Ledger, subject_id: SubjectId) -> None:
    """Raise DrillNotPossible where this is nobody whom operators may drill with.

    That is who was enrolled by an operator that attested for them, and has no page of their own to ask on.
    """
    if session.get(Account, subject_id) is not None:
        msg = "this person has a page of their own, and asks for a drill there"
        raise DrillNotPossible(msg, hint="Ask them to press the button at /account/drill.")
    if not profile_of(session, ledger.keks, subject_id).attested:
        msg = "nobody attested for this person"
        raise DrillNotPossible(msg, hint="Use somebody of your own: `likeness subject add --attest`.")


def drillable(session: Session, ledger: Ledger) -> list[SubjectId]:
    """Name everybody whom operators may drill with."""
    found = []
    for typed in session.exec(select(Subject.id).order_by(col(Subject.created_at), Subject.id)):
        subject_id = SubjectId(typed)
        try:
            check_possible(session, subject_id)
            check_operators(session, ledger, subject_id)
        except LikenessError:
            continue
        found.append(subject_id)
    return found


def picture_of(ledger: Ledger, decoder: Decoder, subject_id: SubjectId) -> bytes:
    """Make the marked JPEG of a drill from the newest kept picture. Other bytes at each call.

    Raises DrillNotPossible, and what opening and decoding a sample raises.
    """
    with reading(ledger.engine) as session:
        check_possible(session, subject_id)
        reference_id = newest_face(session, subject_id)
    data = open_reference(ledger, str(reference_id))
    with decoder.start(data, signals=False) as clip:
        first = next(clip.frames(), None)
    if first is None:
        msg = "the kept picture shows nothing"
        raise DrillNotPossible(msg, hint="Give a new picture.")
    return drills.marked(first.rgb)


def drill_due(desk: Desk) -> int:
    """Hold the drills that people asked for on their page: put in where what is pushed is put in."""
    query = select(Drill).where(Drill.state == drills.ASKED, Drill.path == drills.DOOR)
    with reading(desk.engine) as session:
        row = session.exec(query.order_by(col(Drill.asked_at))).first()
    if row is None:
        return 0
    try:
        ledger = Ledger(desk.engine, desk.keks, desk.blobs, ACTOR)
        _put_in(desk, row.id, picture_of(ledger, desk.reader.decoder, SubjectId(row.subject_id)))
    except LikenessError as exc:
        log.warning("drill_failed", code=exc.code)
        with writing(desk.engine) as session:
            drills.fail(session, row.id, exc.code, desk.now())
    return 1


def _put_in(desk: Desk, drill_id: str, picture: bytes) -> None:
    now = desk.now()
    with writing(desk.engine) as session:
        if session.get_one(Drill, drill_id, with_for_update=True).state != drills.ASKED:
            return  # another worker holds it already
        drills.begin(session, drill_id, Digest.of(picture).hex, now)
    sealer = subject_keys.intake_sealer(desk.engine)
    door = intake.Door(desk.engine, desk.blobs, sealer, desk.settings.max_bytes)
    intake.submit(picture, Origin(OriginKind.PUSH, now, title=drills.TITLE), door)
