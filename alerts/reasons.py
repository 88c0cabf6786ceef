"""What stands behind "made by a computer?": its pictures, its file, and the page that tells how to read it.

    GET  /sightings/ID/plates/F/N   one picture from the sealed evidence, for whoever may see the sighting
    GET  /sightings/ID/reasons/F    all of it as JSON, for the person alone; its shape: alerts/README.md
    GET  /help/real-or-made         for everybody: what the words mean, and what to look for oneself

Each look at a picture or the file is on record before it is answered.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from alerts.interfaces import OWNER
from alerts.synthetic_words import SIGNALS, VERDICTS
from alerts.tables import IncidentFinding
from monitor import audit, findings
from monitor.db import reading, writing
from monitor.errors import NotFound
from monitor.ml.synthetic.fusing import NOT_COVERED
from monitor.stages.evidence import plate_of, reasons_of
from monitor.values import FindingId

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Engine

    from alerts.links import Visit
    from monitor.crypto import KeyEncryptionKeys

FORMAT: Final = "likeness-reasons/1"
"""Name and version of the file that a person saves."""

HELP: Final = "/help/real-or-made"


class ReasonPages:
    """The routes. `visit` says whose incident a browser may see, or gives None; `page` renders a template."""

    def __init__(
        self,
        engine: Engine,
        keks: KeyEncryptionKeys,
        visit: Callable[[str, Request], Visit | None],
        page: Callable[..., HTMLResponse],
    ) -> None:
        self._engine, self._keks, self._visit, self._page = engine, keks, visit, page

    def router(self) -> APIRouter:
        """Give the routes for an application to include."""
        router = APIRouter(include_in_schema=False)
        router.get("/sightings/{incident_id}/plates/{finding_id}/{number}", response_model=None)(self.plate)
        router.get("/sightings/{incident_id}/reasons/{finding_id}", response_model=None)(self.reasons)
        router.get(HELP, response_class=HTMLResponse)(self.help)
        return router

    def plate(self, incident_id: str, finding_id: str, number: int, request: Request) -> Response:
        """Show one picture of the evidence. Raises NotFound for a finding of any other incident."""
        visit = self._seen(incident_id, finding_id, request)
        with reading(self._engine) as session:
            jpeg = plate_of(session, self._keks, FindingId(finding_id), number)
        if jpeg is None:
            raise _no_such_page()
        self._record(visit, "sighting.plate", finding_id)
        return Response(jpeg, media_type="image/jpeg")

    def reasons(self, incident_id: str, finding_id: str, request: Request) -> Response:
        """Give all reasons as a file. Raises NotFound for delegates, and where nobody looked."""
        visit = self._seen(incident_id, finding_id, request)
        if visit.actor != OWNER:
            raise _no_such_page()
        with reading(self._engine) as session:
            view = findings.read(session, self._keks, FindingId(finding_id))
            found = reasons_of(session, self._keks, FindingId(finding_id))
        if found is None:
            raise _no_such_page()
        self._record(visit, "sighting.reasons", finding_id)
        declared = view.detail.synthetic
        document = {
            "format": FORMAT,
            "finding_id": finding_id,
            "media_sha256": view.sha256,
            "copy_of_sha256": view.detail.copy_of or None,
            "in_words": {made.value: f"{said.line}. {said.means}" for made, said in VERDICTS.items()}[
                found["verdict"]
            ],
            "declared": {"status": declared.status.value, "says": [one.says for one in declared.reasons]},
            "explanation": found,
        }
        name = f"reasons-{finding_id[:8]}.json"
        return Response(
            json.dumps(document, indent=1),
            media_type="application/json",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    def help(self) -> HTMLResponse:
        """Tell what the words mean. The same for everybody; it knows nobody."""
        checks = list(SIGNALS.values())
        return self._page(
            "real_or_made.html", verdicts=list(VERDICTS.values()), checks=checks, not_covered=NOT_COVERED
        )

    def _seen(self, incident_id: str, finding_id: str, request: Request) -> Visit:
        """Say whose sighting it is. Raises NotFound where the browser may not see it."""
        visit = self._visit(incident_id, request)
        with reading(self._engine) as session:
            part = session.get(IncidentFinding, finding_id)
        if visit is None or part is None or part.incident_id != visit.incident_id:
            raise _no_such_page()
        return visit

    def _record(self, visit: Visit, action: str, finding_id: str) -> None:
        with writing(self._engine) as session:
            audit.record(session, visit.actor, action, visit.subject_id, finding=finding_id)


def _no_such_page() -> NotFound:
    return NotFound("there is no such page")
