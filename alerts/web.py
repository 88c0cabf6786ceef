"""The pages behind the links of messages. Nothing acts on GET: mail programs open links before people do.

    GET  /m/TOKEN              the door: the same page for every token, right or wrong
    POST /m/TOKEN              uses the link up, sets a cookie for one incident, leads to it
    POST /m/TOKEN/again        a fresh link to the same address, for a link that is old or used
    GET  /sightings            everything found of whoever is signed in, newest first
    GET  /sightings/ID         what was found, for the browser that holds the cookie, or is signed in
    GET  /sightings/ID/faces/F the face that was compared, from the sealed evidence
    GET  /sightings/ID/plates/F/N, /sightings/ID/reasons/F, /help/real-or-made: see alerts/reasons.py
    GET  /sightings/ID/not-me  says what "this is not me" does, and asks; afterwards what became of it
    POST /sightings/ID/not-me  dismisses the incident; POST .../undo takes that back
    POST /sightings/ID/close   ends the session
    GET  /stop/TOKEN           asks; POST stops messages, or starts them again (also RFC 8058's one click)

Whoever has a sign-in of their own (see Gate) is asked for it, and for a second factor, whatever cookie
the browser holds; delegates read and change nothing.

A form that came from another site is refused, except at /stop: there the token alone decides, because
mail programs post it themselves.
"""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from sqlmodel import Session, select

from alerts import incidents, overview, policy
from alerts.explained import explained
from alerts.interfaces import OWNER
from alerts.links import OPEN_FOR, SESSION_FOR, Links, Purpose, Visit, alert_of, end_visit, redeem, visit_of
from alerts.reasons import ReasonPages
from alerts.reports import reports_of
from alerts.tables import Alert, Incident, IncidentFinding
from alerts.words import about_dismissal, sighting_of
from monitor import audit, dismissals
from monitor.db import reading, writing
from monitor.errors import LinkInvalid, NotFound
from monitor.same_site import refuse_other_sites
from monitor.stages.evidence import crop_of
from monitor.values import FindingId, SubjectId

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from alerts.interfaces import Gate
    from monitor.crypto import KeyEncryptionKeys

COOKIE = "page"
"""Its path is the one incident's, so that two incidents may be open in two tabs."""

LISTED = 50
"""Findings on one page. More copies than this add nothing to what the person can do about them."""

CHANNEL_WORDS = {"email": "e-mail", "sms": "text message"}
MINUTES = int(SESSION_FOR.total_seconds() // 60)
"""How long a page stays open, as the pages say it."""


class Pages:
    """The routes, over one database, one set of keys and one signer of links."""

    def __init__(  # noqa: PLR0913 - what the pages work with
        self,
        engine: Engine,
        keks: KeyEncryptionKeys,
        links: Links,
        gate: Gate,
        *,
        lookalike_days: int,
        exit_url: str,
    ) -> None:
        self._engine, self._keks, self._links, self._gate = engine, keks, links, gate
        self._exit_url = exit_url
        self._lookalike_days = lookalike_days
        self._secure = links.public_url.startswith("https:")

    def router(self) -> APIRouter:
        """Give the routes for an application to include."""
        router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
        router.get("/m/{token}")(self.door)
        router.post("/m/{token}", response_model=None)(self.open)
        router.post("/m/{token}/again")(self.again)
        router.get("/sightings", response_model=None)(self.listing)
        router.get("/sightings/{incident_id}", response_model=None)(self.sighting)
        router.get("/sightings/{incident_id}/faces/{finding_id}", response_model=None)(self.face)
        router.get("/sightings/{incident_id}/not-me", response_model=None)(self.not_me_page)
        router.post("/sightings/{incident_id}/not-me", response_model=None)(self.not_me)
        router.post("/sightings/{incident_id}/not-me/undo", response_model=None)(self.not_me_undo)
        router.post("/sightings/{incident_id}/close")(self.close)
        reasons = ReasonPages(self._engine, self._keks, self._visit, _page)
        router.include_router(reasons.router())
        router.get("/stop/{token}")(self.stop_page)
        router.post("/stop/{token}")(self.stop)
        return router

    def door(self, token: str) -> HTMLResponse:  # noqa: ARG002 - looking at it would already tell something
        """Show the door. It knows nothing of the token and changes nothing."""
        return _page("door.html", minutes=MINUTES, days=OPEN_FOR.days)

    def open(self, token: str, request: Request) -> Response:
        """Use the link up and lead to the page."""
        self._refuse_other_sites(request)
        try:
            cookie, visit = redeem(self._engine, self._links, token)
        except LinkInvalid:
            return _page("gone.html", status=HTTPStatus.GONE, again=f"{request.url.path}/again")
        path = f"/sightings/{visit.incident_id}"
        answer = RedirectResponse(path, HTTPStatus.SEE_OTHER)
        answer.set_cookie(
            COOKIE,
            cookie,
            max_age=int(SESSION_FOR.total_seconds()),
            path=path,
            secure=self._secure,
            httponly=True,
            samesite="strict",
        )
        return answer

    def again(self, token: str, request: Request) -> HTMLResponse:
        """Put a fresh link into the outbox, at most one an hour. The answer is the same for any token."""
        self._refuse_other_sites(request)
        try:
            alert = alert_of(self._engine, self._links.read(Purpose.OPEN, token))
        except LinkInvalid:
            return _page("again.html")
        with writing(self._engine) as session:
            self._ask_for_link(session, alert)
        return _page("again.html")

    def listing(self, request: Request, page: Annotated[int, Query(ge=1, le=10_000)] = 1) -> Response:
        """List what was found of whoever is signed in, and of those who let them see. Raises SignInNeeded."""
        watched = self._gate.whose(request)
        with reading(self._engine) as session:
            found = overview.page_of(session, self._keks, watched, page)
        with writing(self._engine) as session:
            for one in watched:
                actor = "delegate" if one.name else OWNER
                audit.record(session, actor, "sighting.list", one.subject_id)
        return self._private("sightings.html", found=found, page=page)

    def sighting(self, incident_id: str, request: Request) -> Response:
        """Show one incident to the browser that opened its link."""
        visit = self._visit(incident_id, request)
        if visit is None:
            return self._private("closed.html", status=HTTPStatus.FORBIDDEN)
        with reading(self._engine) as session:
            incident = _incident(session, visit)
            views = incidents.findings_of(session, self._keks, incident.id, LISTED + 1)
            reports = {view.finding_id: reports_of(session, view.media_id) for view in views[:LISTED]}
        with writing(self._engine) as session:
            audit.record(session, visit.actor, "sighting.open", visit.subject_id, incident=incident.id)
        looked_at = incident.looked_at is not None
        sightings = [sighting_of(view, looked_at=looked_at) for view in views[:LISTED]]
        return self._private(
            "sighting.html",
            sightings=sightings,
            made={view.finding_id: explained(view.detail) for view in views[:LISTED]},
            plates=f"{request.url.path}/plates",
            reasons=f"{request.url.path}/reasons" if visit.actor == OWNER else "",
            reports=reports,
            more=len(views) > LISTED,
            exact=list(dict.fromkeys(one for s in sightings for place in s.places for one in place.exact)),
            close=f"{request.url.path}/close",
            pictures=f"{request.url.path}/faces",
            not_me=f"{request.url.path}/not-me" if visit.actor == OWNER else "",
            signed_in=visit.signed_in,
            dismissed=incident.state == incidents.State.NOT_ME,
            minutes=MINUTES,
        )

    def face(self, incident_id: str, finding_id: str, request: Request) -> Response:
        """Show the face that was compared. Raises NotFound for a finding of any other incident."""
        visit = self._visit(incident_id, request)
        with reading(self._engine) as session:
            part = session.get(IncidentFinding, finding_id)
            if visit is None or part is None or part.incident_id != visit.incident_id:
                raise _no_such_page()
            jpeg = crop_of(session, self._keks, FindingId(finding_id))
        if jpeg is None:
            raise _no_such_page()
        return Response(jpeg, media_type="image/jpeg")

    def not_me_page(self, incident_id: str, request: Request) -> Response:
        """Say what a dismissal does and ask, or say what became of it. Changes nothing."""
        visit = self._owner(incident_id, request)
        if visit is None:
            return self._private("closed.html", status=HTTPStatus.FORBIDDEN)
        with reading(self._engine) as session:
            incident = _incident(session, visit)
            views = incidents.findings_of(session, self._keks, incident.id, LISTED)
            standing = dismissals.standing(session, [view.finding_id for view in views])
        sighting, dismissed = sighting_of(views[0], looked_at=False), incident.state == incidents.State.NOT_ME
        return self._private(
            "not_me.html",
            standing=about_dismissal(standing, sighting.thing) if dismissed else None,
            what=sighting.what,
            thing=sighting.thing,
            copies=len(views) - 1,
            days=self._lookalike_days,
            here=f"/sightings/{incident.id}/not-me",
            back=f"/sightings/{incident.id}",
            minutes=MINUTES,
        )

    def not_me(self, incident_id: str, request: Request) -> Response:
        """Dismiss the incident for its subject, and lead to the page that says so."""
        self._refuse_other_sites(request)
        visit = self._owner(incident_id, request)
        if visit is None:
            return self._private("closed.html", status=HTTPStatus.FORBIDDEN)
        with writing(self._engine) as session:
            incidents.not_me(session, visit.incident_id, SubjectId(visit.subject_id))
        return RedirectResponse(f"/sightings/{visit.incident_id}/not-me", HTTPStatus.SEE_OTHER)

    def not_me_undo(self, incident_id: str, request: Request) -> Response:
        """Take the subject's dismissal back, and lead to what was found."""
        self._refuse_other_sites(request)
        visit = self._owner(incident_id, request)
        if visit is None:
            return self._private("closed.html", status=HTTPStatus.FORBIDDEN)
        with writing(self._engine) as session:
            incident = _incident(session, visit)
            if incident.state == incidents.State.NOT_ME:
                incidents.take_back(session, incident.id, SubjectId(visit.subject_id), "subject")
        return RedirectResponse(f"/sightings/{visit.incident_id}", HTTPStatus.SEE_OTHER)

    def close(self, incident_id: str, request: Request) -> HTMLResponse:
        """End the session and take the cookie back."""
        self._refuse_other_sites(request)
        end_visit(self._engine, request.cookies.get(COOKIE, ""))
        self._gate.leave(request)
        answer = self._private("closed.html")
        answer.delete_cookie(COOKIE, path=f"/sightings/{incident_id}", secure=self._secure, httponly=True)
        return answer

    def stop_page(self, token: str) -> HTMLResponse:
        """Ask whether messages shall stop. Changes nothing."""
        alert = self._alert_to_stop(token)
        return _page("stop.html", state="asking", channel=CHANNEL_WORDS[alert.channel])

    def stop(self, token: str, what: Annotated[str, Form()] = "this") -> HTMLResponse:
        """Stop messages by this link's channel (`this`) or all (`all`), or `resume` them."""
        alert = self._alert_to_stop(token)
        subject, now = SubjectId(alert.subject_id), self._links.now()
        channels = (alert.channel,) if what not in {"all", "resume"} else tuple(CHANNEL_WORDS)
        with writing(self._engine) as session:
            for channel in channels:
                if what == "resume":
                    policy.resume(session, subject, channel)
                else:
                    policy.stop(session, subject, channel, now)
            action = "messages.resume" if what == "resume" else "messages.stop"
            audit.record(session, "subject", action, subject, channels=channels)
        only = CHANNEL_WORDS[alert.channel] if len(channels) == 1 else ""
        return _page("stop.html", state="resumed" if what == "resume" else "stopped", only=only)

    def _private(self, name: str, *, status: HTTPStatus = HTTPStatus.OK, **words: object) -> HTMLResponse:
        """Make a page about a person: it has a way out, to another site."""
        return _page(name, status=status, exit_url=self._exit_url, **words)

    def _visit(self, incident_id: str, request: Request) -> Visit | None:
        """Say whose incident a browser may see; None: nobody's. Raises SignInNeeded, NotFound."""
        with reading(self._engine) as session:
            incident = session.get(Incident, incident_id)
        if incident is not None and self._gate.guards(SubjectId(incident.subject_id)):
            actor = self._gate.admit(request, SubjectId(incident.subject_id))
            if (
                incident.state not in overview.SHOWN
            ):  # an operator has not looked yet, or said: not this person
                raise _no_such_page()
            return Visit(incident.subject_id, incident.id, actor, signed_in=True)
        try:
            return visit_of(self._engine, self._links, request.cookies.get(COOKIE, ""), incident_id)
        except LinkInvalid:
            return None

    def _owner(self, incident_id: str, request: Request) -> Visit | None:
        """Say whose incident a browser may change: a delegate's reading changes nothing."""
        visit = self._visit(incident_id, request)
        if visit is not None and visit.actor != OWNER:
            raise _no_such_page()
        return visit

    def _alert_to_stop(self, token: str) -> Alert:
        read = self._links.read(Purpose.STOP, token)
        if read.expired:
            msg = "this link to stop messages is too old; the newest message has a fresh one"
            raise LinkInvalid(msg)
        return alert_of(self._engine, read)

    def _ask_for_link(self, session: Session, alert: Alert) -> None:
        now = self._links.now()
        key = f"{alert.incident_id}.{alert.channel}.link.{now:%Y%m%d%H}"
        incident = session.get(Incident, alert.incident_id)
        there = session.exec(select(Alert.id).where(Alert.idempotency_key == key)).first()
        if incident is not None and there is None:
            session.add(incidents.new_alert(incident, alert.channel, key, now, kind="link"))

    def _refuse_other_sites(self, request: Request) -> None:
        refuse_other_sites(request, self._links.public_url)


def _incident(session: Session, visit: Visit) -> Incident:
    incident = session.get(Incident, visit.incident_id)
    if incident is None or incident.subject_id != visit.subject_id:
        raise _no_such_page()
    return incident


def _no_such_page() -> NotFound:
    return NotFound("there is no such page")


def _page(name: str, *, status: HTTPStatus = HTTPStatus.OK, **words: object) -> HTMLResponse:
    return HTMLResponse(_templates().get_template(name).render(words), status)


@cache
def _templates() -> Environment:
    return Environment(
        loader=ChoiceLoader([PackageLoader("alerts"), PackageLoader("monitor", "web")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
