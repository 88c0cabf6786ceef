"""Changing the model: which pack is in force, who is still known by an older one, and how far a switch is.

Packs differ in their face half alone (ml/packs.py), so a switch is about faces; voices stay as they are.

    running     the worker looks with the old pack, whose gallery is complete, and makes templates of the
                new model beside it out of the samples that were kept (renewing.py)
    done        the new pack is in force. Whoever has no template of its model stays watched by the old one,
                with a gallery of its own, until they gave new samples
    tidied      the old templates of everybody who has new ones are deleted, subject by subject

Everything here is the ledger's: any process may ask, and whoever dies leaves nothing half-way.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, distinct, exists, func
from sqlmodel import col, select

from monitor import audit
from monitor.db import one_at_a_time, reading, utc_now, writing
from monitor.errors import ConfigError
from monitor.tables import GalleryEvent, ModelSwitch, NotRenewed, SubjectKey, Template
from monitor.values import Modality, ModelId, SubjectId

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

    from sqlalchemy import ColumnElement, Engine
    from sqlmodel import Session

    from monitor.settings import Settings

RUNNING, DONE, CANCELLED = "running", "done", "cancelled"

LOCK = 0x6C696B65_73776974
"""Number of the advisory lock on PostgreSQL ("likeswit"): one begins a switch at a time."""

GRACE_S = 60.0
"""Seconds after a switch during which old templates stay: every worker goes over to the new pack in that time
(it asks every two seconds, and loading takes a few), and until then needs them."""

TIDY_AT_ONCE = 200
"""Subjects tidied in one round: a few milliseconds each, and looking goes on beside it."""


@dataclass(frozen=True, slots=True)
class Elder:
    """An older pack by whose face model somebody is still known."""

    pack: str
    model_id: ModelId


@dataclass(frozen=True, slots=True)
class LineUp:
    """What a worker looks with: the pack in force, and the older ones that are still needed."""

    pack: str
    elders: tuple[Elder, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """How far the last switch is, in people and in kept samples.

    `people` have templates of a face; of these `moved` have one of the new model, `must_give` none and no
    kept sample that is still to be read. `waiting` and `refused` are kept samples: still to be read, and
    those that cannot be (`reasons`: code -> how many).
    """

    switch: ModelSwitch
    people: int
    moved: int
    must_give: int
    waiting: int
    refused: int
    reasons: Mapping[str, int]


def in_force(engine: Engine, settings: Settings, *, going_on: bool = False) -> Settings:
    """Give the settings with the pack in force: that of the last switch, or else the one that is set.

    Raises ConfigError where LIKENESS_PACK says otherwise, unless a process that was running before the
    switch is `going_on`.
    """
    with reading(engine) as session:
        last = _last_done(session)
    if last is None or last.to_pack == settings.pack:
        return settings
    if "pack" in settings.model_fields_set and not going_on:
        msg = f"LIKENESS_PACK is {settings.pack}, but the enrolled were switched to {last.to_pack}"
        hint = f"Set LIKENESS_PACK={last.to_pack}, or go back with `likeness models switch {settings.pack}`."
        raise ConfigError(msg, hint=hint)
    return settings.model_copy(update={"pack": last.to_pack})


def line_up(engine: Engine, settings: Settings) -> LineUp:
    """Say what a worker looks with, for settings whose pack is in force."""
    with reading(engine) as session:
        known = _models_ever(session)
        if not known:
            return LineUp(settings.pack)
        last = _last_done(session)
        if last is None:
            return LineUp(settings.pack)
        asked = select(col(Template.model_id)).distinct().where(_is_face(), _without(last.to_model))
        models = sorted(one for (one,) in session.connection().execute(asked))
    elders = (Elder(known[model], ModelId(model)) for model in models if model in known)
    return LineUp(settings.pack, tuple(elders))


def left_behind(
    session: Session, subject_ids: Collection[SubjectId], model_id: ModelId
) -> frozenset[SubjectId]:
    """Give those of these subjects whose faces are all by other models than this one."""
    # By subject alone: with the model in the query SQLite takes the index on models and reads everybody.
    parts = (col(Template.subject_id), col(Template.modality), col(Template.model_id))
    query = select(*parts).where(parts[0].in_(list(subject_ids)))
    known: dict[SubjectId, set[str]] = {}
    for subject_id, modality, model in session.connection().execute(query):
        if modality == Modality.FACE:
            known.setdefault(SubjectId(subject_id), set()).add(model)
    return frozenset(one for one, models in known.items() if model_id not in models)


def not_watched(session: Session, line_up_: LineUp, model_id: ModelId) -> int:
    """Count the people whose face nobody looks for: known by models of which none is in use."""
    used = [model_id, *(elder.model_id for elder in line_up_.elders)]
    query = select(func.count(distinct(col(Template.subject_id)))).where(
        _is_face(), *(_without(model) for model in used)
    )
    return int(session.connection().execute(query).scalar_one())


def running(session: Session) -> ModelSwitch | None:
    """Give the switch that is under way."""
    return session.exec(select(ModelSwitch).where(ModelSwitch.state == RUNNING)).first()


def start(engine: Engine, old: Elder, new: Elder, actor: str) -> ModelSwitch:
    """Begin a switch, or find the one that is under way to the same pack.

    Raises ConfigError when it is no change at all, or when another switch is under way.
    """
    with writing(engine) as session:
        one_at_a_time(session, LOCK)
        found = running(session)
        if found is not None and found.to_pack == new.pack and found.to_model == new.model_id:
            return found
        if found is not None:
            msg = f"a switch to {found.to_pack} is under way"
            raise ConfigError(msg, hint="Let it end, or stop it: `likeness models switch --cancel`.")
        if old.model_id == new.model_id:
            msg = f"{new.pack} is the pack in force"
            hint = "Where LIKENESS_PACK was changed before the switch, set it back first."
            raise ConfigError(msg, hint=hint)
        made = ModelSwitch(
            id=uuid.uuid4().hex,
            from_pack=old.pack,
            to_pack=new.pack,
            from_model=old.model_id,
            to_model=new.model_id,
        )
        session.add(made)
        audit.record(session, actor, "models.switch", **{"from": old.pack, "to": new.pack})
        session.flush()
        session.refresh(made)
        session.expunge(made)
    return made


def cancel(engine: Engine, actor: str) -> ModelSwitch:
    """Stop the switch that is under way and delete the templates that it made. Raises ConfigError."""
    with writing(engine) as session:
        found = running(session)
        if found is None:
            msg = "no switch is under way"
            raise ConfigError(msg, hint="`likeness models switch --status` says how the last one ended.")
        made = select(Template).where(
            _is_face(), Template.model_id == found.to_model, _is_renewed(found.to_model)
        )
        for template in session.exec(made).all():
            session.delete(template)
            session.add(GalleryEvent(kind="drop", subject_id=template.subject_id, template_id=template.id))
        found.state, found.ended_at = CANCELLED, utc_now()
        audit.record(session, actor, "models.switch.cancel", to=found.to_pack)
        session.flush()
        session.expunge(found)
    return found


def waiting(session: Session, switch: ModelSwitch, most: int) -> list[tuple[str, SubjectId]]:
    """Give the next kept samples without a template of the new model: (reference, subject), by subject."""
    parts = (col(Template.reference_id), col(Template.subject_id))
    query = select(*parts).distinct().where(*_waits(switch)).order_by(parts[1], parts[0]).limit(most)
    found = session.connection().execute(query)
    return [(str(reference_id), SubjectId(subject_id)) for reference_id, subject_id in found]


def is_renewed(session: Session, switch: ModelSwitch, reference_id: str) -> bool:
    """Say whether a template of the new model was made of this sample."""
    query = select(Template.id).where(
        Template.reference_id == reference_id, Template.model_id == switch.to_model
    )
    return session.exec(query.limit(1)).first() is not None


def to_be_asked(session: Session, switch: ModelSwitch) -> list[SubjectId]:
    """Give everybody without a template of the new model."""
    query = select(col(Template.subject_id)).distinct().where(_is_face(), _without(switch.to_model))
    return [SubjectId(one) for (one,) in session.connection().execute(query)]


def standing(engine: Engine) -> Standing | None:
    """Say how far the last switch is; None where there never was one."""
    with reading(engine) as session:
        last = session.exec(select(ModelSwitch).order_by(col(ModelSwitch.started_at).desc()).limit(1)).first()
        if last is None:
            return None
        connection = session.connection()
        who, what = col(Template.subject_id), col(Template.reference_id)
        people = connection.execute(select(func.count(distinct(who))).where(_is_face())).scalar_one()
        without = connection.execute(
            select(func.count(distinct(who))).where(_is_face(), _without(last.to_model))
        ).scalar_one()
        left = connection.execute(
            select(func.count(distinct(what)), func.count(distinct(who))).where(*_waits(last))
        ).one()
        still = connection.execute(
            select(func.count(distinct(who))).where(*_waits(last), _without(last.to_model))
        ).scalar_one()
        refused = select(col(NotRenewed.code), func.count()).where(NotRenewed.switch_id == last.id)
        counted = connection.execute(refused.group_by(col(NotRenewed.code)))
        reasons = {str(code): int(count) for code, count in counted}
    return Standing(last, people, people - without, without - still, left[0], sum(reasons.values()), reasons)


def tidy(engine: Engine, now: datetime, actor: str) -> int:
    """Delete the old templates of subjects who have new ones, once the switch is GRACE_S old.

    One transaction each; gives how many subjects. Idempotent.
    """
    with reading(engine) as session:
        last = _last_done(session)
        if last is None or last.ended_at is None or now - last.ended_at < timedelta(seconds=GRACE_S):
            return 0
        if running(session) is not None:
            return 0  # its own templates are not in force yet
        old = (
            select(col(Template.subject_id))
            .distinct()
            .where(_is_face(), col(Template.model_id) != last.to_model, _with(last.to_model))
        )
        subjects = [one for (one,) in session.connection().execute(old.limit(TIDY_AT_ONCE))]
    for subject_id in subjects:
        with writing(engine) as session:
            held = session.get(SubjectKey, subject_id, with_for_update=True)
            if held is not None:
                gone = _drop(session, subject_id, last.to_model)
                audit.record(session, actor, "subject.templates_replaced", subject_id, templates=gone)
    return len(subjects)


def drop_old(engine: Engine, actor: str) -> int:
    """Delete every face template that is not of the pack in force; give how many people lose their last.

    Their faces are not watched for from then on. Raises ConfigError where no switch is done, or one runs.
    """
    with writing(engine) as session:
        last = _last_done(session)
        if last is None or running(session) is not None:
            msg = "nothing is old: no switch has ended" if last is None else "a switch is under way"
            raise ConfigError(msg, hint="`likeness models switch --status` says how far it is.")
        alone = to_be_asked(session, last)
        old = (
            select(col(Template.subject_id))
            .distinct()
            .where(_is_face(), col(Template.model_id) != last.to_model)
        )
        for (subject_id,) in session.connection().execute(old).all():
            _drop(session, subject_id, last.to_model)
        for subject_id in alone:
            audit.record(session, actor, "subject.face_not_watched", subject_id)
        audit.record(session, actor, "models.switch.drop_old", people=len(alone))
    return len(alone)


def _drop(session: Session, subject_id: str, but: str) -> int:
    """Delete one subject's face templates of other models, and tell the galleries that hold them."""
    old = (_is_face(), col(Template.subject_id) == subject_id, col(Template.model_id) != but)
    ids = [one for (one,) in session.connection().execute(select(col(Template.id)).where(*old))]
    for template_id in ids:
        session.add(GalleryEvent(kind="drop", subject_id=subject_id, template_id=template_id))
    session.flush()
    session.connection().execute(delete(Template).where(col(Template.id).in_(ids)))
    return len(ids)


def _last_done(session: Session) -> ModelSwitch | None:
    query = select(ModelSwitch).where(ModelSwitch.state == DONE)
    return session.exec(query.order_by(col(ModelSwitch.ended_at).desc()).limit(1)).first()


def _models_ever(session: Session) -> dict[str, str]:
    """Name the pack of each face model that was ever in force."""
    found = session.exec(select(ModelSwitch).order_by(col(ModelSwitch.started_at))).all()
    old = {one.from_model: one.from_pack for one in found}
    return old | {one.to_model: one.to_pack for one in found if one.state == DONE}


def _is_face() -> ColumnElement[bool]:
    return col(Template.modality) == Modality.FACE


def _with(model_id: str) -> ColumnElement[bool]:
    """Whether the subject of a template has one of this model too."""
    other = Template.__table__.alias()  # type: ignore[attr-defined]  # SQLModel sets it on every table
    there: ColumnElement[bool] = exists().where(
        other.c.subject_id == col(Template.subject_id),
        other.c.modality == Modality.FACE,
        other.c.model_id == model_id,
    )
    return there


def _without(model_id: str) -> ColumnElement[bool]:
    return ~_with(model_id)


def _is_renewed(model_id: str) -> ColumnElement[bool]:
    """Whether a template of another model was made of the same sample."""
    other = Template.__table__.alias()  # type: ignore[attr-defined]  # as above
    there: ColumnElement[bool] = exists().where(
        other.c.reference_id == col(Template.reference_id), other.c.model_id != model_id
    )
    return there


def _waits(switch: ModelSwitch) -> tuple[ColumnElement[bool], ...]:
    """Tell the templates whose kept sample is still to be read by the new model."""
    other = Template.__table__.alias()  # type: ignore[attr-defined]  # as above
    refused = NotRenewed.__table__.alias()  # type: ignore[attr-defined]  # as above
    return (
        _is_face(),
        col(Template.reference_id).is_not(None),
        col(Template.model_id) != switch.to_model,
        ~exists().where(
            other.c.reference_id == col(Template.reference_id), other.c.model_id == switch.to_model
        ),
        ~exists().where(
            refused.c.switch_id == switch.id, refused.c.reference_id == col(Template.reference_id)
        ),
    )
