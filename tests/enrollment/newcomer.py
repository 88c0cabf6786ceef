"""Somebody who came by the web form, agreed, and gives samples now; and the desk that judges them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlmodel import select

from enrollment import consent, sessions, subjects
from enrollment.consent_texts import Purpose
from enrollment.desk import Desk
from enrollment.given import GivenView, Givers, listing
from enrollment.lookups import Lookups
from enrollment.profiles import Profile
from enrollment.samples import Reader
from enrollment.standing import Standing
from enrollment.tables import Account, GivenSample
from monitor import subject_keys
from monitor.app import create_app
from monitor.blobs import BlobStore
from monitor.crypto import KeyEncryptionKeys, new_key_line, parse_keys
from monitor.db import reading, utc_now, writing
from monitor.settings import Settings
from monitor.values import SubjectId
from tests.databases import in_place

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi import FastAPI
    from sqlalchemy import Engine

    from monitor.ml.interfaces import Pack
    from monitor.stages.decode import Decoder

URL = "http://testserver"
MOST = 4 * 2**20


def begun(engine: Engine, keys: KeyEncryptionKeys, email: str = "eva@example.org") -> SubjectId:
    """Make somebody who said who they are and agreed, and has given nothing yet."""
    subject_id = SubjectId(uuid.uuid4().hex)
    lookup = Lookups(engine, keys).email(email)
    signer = subject_keys.receipt_signer(engine, keys)
    with writing(engine) as session:
        profile = Profile("Eva", email, born="1990-02-03")
        subjects.create(session, keys, subject_id, profile, standing=Standing.NEW)
        session.add(Account(subject_id=subject_id, email_lookup=lookup))
        agreed = {purpose: purpose is Purpose.BIOMETRICS for purpose in Purpose}
        consent.answer(session, signer, subject_id, agreed, utc_now())
    return subject_id


def signed_in(engine: Engine, subject_id: SubjectId) -> str:
    """Sign a browser in; give its cookie."""
    with writing(engine) as session:
        return sessions.begin(session, subject_id, "Firefox on Linux", utc_now())


def desk_for(engine: Engine, keys: KeyEncryptionKeys, blobs: BlobStore, reader: Reader, **how: Any) -> Desk:
    """Make a desk that judges samples. The gallery is not asked here."""
    nobody: Any = None
    return Desk(engine, keys, blobs, Settings(), Lookups(engine, keys), reader, nobody, nobody, **how)


@dataclass
class Newcomer:
    """One person in front of a web process over a fresh database."""

    app: FastAPI
    settings: Settings
    engine: Engine
    keys: KeyEncryptionKeys
    blobs: BlobStore
    eva: SubjectId
    cookie: str
    browser: TestClient

    @classmethod
    def at(cls, home: Path, **how: Any) -> Newcomer:
        """Start the web process in a folder, and sign her in."""
        chosen: dict[str, Any] = {
            "home": home,
            "kek": SecretStr(new_key_line("k1")),
            "link_secret": SecretStr("a-secret-that-only-the-tests-know-of-0123"),
            "public_url": URL,
            "enrolment": "open",
            "sample_max_bytes": MOST,
        }
        settings = Settings(**chosen | how)
        app = create_app(in_place(settings))
        assert settings.kek is not None
        keys = KeyEncryptionKeys(parse_keys([settings.kek.get_secret_value()]))
        engine = app.state.engine
        eva = begun(engine, keys)
        cookie = signed_in(engine, eva)
        browser = TestClient(app, base_url=URL, follow_redirects=False, cookies={"session": cookie})
        return cls(app, settings, engine, keys, BlobStore(settings.blobs), eva, cookie, browser)

    @property
    def givers(self) -> Givers:
        """What takes samples in."""
        return Givers(self.engine, self.blobs, Lookups(self.engine, self.keys), MOST)

    def desk(self, pack: Pack, decoder: Decoder, **how: Any) -> Desk:
        """Give the worker's desk, with the real models."""
        return desk_for(self.engine, self.keys, self.blobs, Reader(pack, decoder, MOST), **how)

    def views(self) -> list[GivenView]:
        """List what she gave, as she sees it."""
        with reading(self.engine) as session:
            return listing(session, self.keys, self.eva)

    def rows(self) -> list[GivenSample]:
        """List what she gave, as it rests."""
        with reading(self.engine) as session:
            return list(session.exec(select(GivenSample).order_by(GivenSample.created_at, GivenSample.id)))  # type: ignore[arg-type]

    def close(self) -> None:
        """End it."""
        self.browser.close()
        self.engine.dispose()
