"""Leaving for good, and what is left to see of it: a signed receipt, and that every watcher has forgotten.

GET  /account/leave                 says what goes and what stays, and asks
POST /account/leave                 erases, and leads to the receipt
GET  /enrol/erased/ID               the receipt; who has forgotten. ID is known to the person alone
GET  /enrol/erased/ID/receipt.json  the signed file
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response
from sqlmodel import col, func, select

from enrollment import erasure, letters, receipts
from enrollment.letter_words import Button, letter
from enrollment.subjects import profile_of
from enrollment.tables import Subject
from monitor.db import reading, writing
from monitor.errors import NotFound, StorageError
from monitor.tables import Finding

if TYPE_CHECKING:
    from enrollment.sessions import Person
    from enrollment.web.frame import Frame

WAITS_S = 1.5
"""How long the answer waits for the workers to say that they have forgotten; they promise one second."""

LOOKS_EVERY_S = 0.1


class LeavingPages:
    """The routes of leaving."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def router(self) -> APIRouter:
        """Give the routes for an application to include."""
        router = APIRouter(include_in_schema=False)
        router.get("/account/leave", response_model=None)(self.ask)
        router.post("/account/leave", response_model=None)(self.leave)
        router.get("/enrol/erased/{subject_id}", response_model=None)(self.erased)
        router.get("/enrol/erased/{subject_id}/receipt.json", response_model=None)(self.receipt)
        return router

    def ask(self, request: Request) -> Response:
        """Say what an erasure does, and ask. Changes nothing."""
        person = self._frame.careful(request)
        with reading(self._frame.engine) as session:
            found = session.exec(
                select(func.count()).where(col(Finding.subject_id) == person.subject_id)
            ).one()
            status = session.get_one(Subject, person.subject_id).status
        return self._frame.page("leave.html", findings=found, standing=status)

    def leave(self, request: Request) -> Response:
        """Erase the person, tell them by a last letter, and lead to the receipt."""
        frame = self._frame
        frame.refuse_other_sites(request)
        person = frame.careful(request)
        with reading(frame.engine) as session:
            email = profile_of(session, frame.keks, person.subject_id).email
        try:
            erasure.erase(frame.engine, frame.keks, frame.blobs, person.subject_id, "subject")
        except StorageError:
            # Somebody reads from the database. The key is gone; the worker clears the rest and signs.
            if not erasure.is_erased(frame.engine, person.subject_id):
                raise
        self._write(person, email)
        self._wait(person)
        answer = frame.go(f"/enrol/erased/{person.subject_id}")
        frame.sign_out(answer)
        return answer

    def erased(self, subject_id: str) -> Response:
        """Show the receipt and how far the watchers are."""
        state = erasure.forgotten(self._frame.engine, subject_id)
        receipt = receipts.read(state.receipt) if state.receipt else None
        return self._frame.page("erased.html", state=state, receipt=receipt, subject_id=subject_id)

    def receipt(self, subject_id: str) -> Response:
        """Give the signed receipt as a file. Raises NotFound while there is none."""
        state = erasure.forgotten(self._frame.engine, subject_id)
        if not state.receipt:
            msg = "the receipt is not signed yet"
            raise NotFound(msg)
        headers = {"Content-Disposition": f'attachment; filename="erasure-{subject_id}.json"'}
        return Response(state.receipt, media_type="application/json", headers=headers)

    def _write(self, person: Person, email: str) -> None:
        """Put a last letter into the outbox. It belongs to nobody, and its address goes when it is sent."""
        if not email:
            return
        url = f"{self._frame.settings.public_url.rstrip('/')}/enrol/erased/{person.subject_id}"
        words = letter(
            (
                "you asked us to erase everything. It is done: the key of your data was destroyed.",
                "The link below shows the signed receipt. Keep it if you want to be able to prove it.",
            ),
            button=Button("See the receipt", url),
            after=("This is our last letter. With it the address that it goes to is deleted.",),
        )
        sealer, now = letters.sealer_of(self._frame.engine, self._frame.keks), self._frame.now()
        with writing(self._frame.engine) as session:
            letters.write(session, sealer, email, words, kind="erased", now=now)

    def _wait(self, person: Person) -> None:
        until = time.monotonic() + WAITS_S
        while time.monotonic() < until:
            if erasure.forgotten(self._frame.engine, person.subject_id).by_all:
                return
            time.sleep(LOOKS_EVERY_S)
