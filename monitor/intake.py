"""The one door in: `submit(data, origin, door)`. Whoever stands at it can put in and open nothing.

Bytes are judged by their first bytes alone; nothing here decodes anything. What comes in is digested
first, sealed to the workers' public key, and queued once per digest; a copy adds a place where it was seen.
"""

from __future__ import annotations

import hashlib
import secrets
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import filetype
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from monitor import sealed_media, subject_keys
from monitor.blobs import BlobStore
from monitor.db import reading, writing
from monitor.errors import BlobMissing, EmptyMedia, NotMedia, Tampered, TooLarge, retryable_codes
from monitor.tables import GalleryEvent, MediaItem, MediaOrigin
from monitor.values import BlobId, Digest, MediaId, MediaKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Engine

    from monitor.crypto import IntakeOpener, IntakeSealer
    from monitor.settings import Settings
    from monitor.values import Origin

HEAD_BYTES = 8192
"""As many first bytes as `kind_of` looks at: give it these, or more, to judge a file before it is read."""

WHOLE_BYTES = 2**20
"""Up to this an item is held in memory and sealed in one go, and only if somebody will look at it; what is
larger is sealed as it comes."""

ID_BYTES = 16
"""Random: the id of an item says nothing of its content."""

IMAGES = frozenset(
    {"image/jpeg", "image/png", "image/apng", "image/gif", "image/webp", "image/tiff", "image/bmp"}
    | {"image/avif", "image/heic", "image/jpx"}
)
VIDEOS = frozenset(
    {"video/mp4", "video/x-m4v", "video/3gpp", "video/quicktime", "video/x-matroska", "video/webm"}
    | {"video/x-msvideo", "video/x-ms-wmv", "video/mpeg", "video/x-flv"}
)
SOUNDS = frozenset(
    {"audio/aac", "audio/mpeg", "audio/mp4", "audio/ogg", "audio/x-flac", "audio/x-wav", "audio/amr"}
    | {"audio/x-aiff"}
)
"""What is taken, in `filetype`'s words. SVG, HTML, PDF and archives are not among them: they are refused."""

MAY_PASS = retryable_codes() | {BlobMissing.code}
"""Codes of failures after which another look may help; new bytes also mend a lost blob."""

TRANSPORT_PACKET = 188
"""An MPEG transport stream repeats its sync byte every so many bytes."""

MP3_SYNC = 0xFFE0
"""Eleven bits set begin a frame of MPEG sound; `filetype` knows only the commonest rest."""


@dataclass(frozen=True, slots=True)
class Door:
    """What it takes to put media in. No key of it opens anything."""

    engine: Engine
    blobs: BlobStore
    sealer: IntakeSealer
    max_bytes: int

    @classmethod
    def of(cls, settings: Settings, engine: Engine) -> Door:
        """Open the door. Needs no key-encryption key. Raises KeyMissing before the service keys were made."""
        return cls(engine, BlobStore(settings.blobs), subject_keys.intake_sealer(engine), settings.max_bytes)


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of a submission. `due`: it was queued for a look by this very submission."""

    media_id: MediaId
    seen_before: bool
    due: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """One item that came in pieces and was judged, digested and kept: what `submit_kept` takes.

    Small ones are in `data`, which stays out of `repr`; of larger ones the sealed bytes are in `blob_id`.
    """

    digest: Digest
    kind: MediaKind
    size_bytes: int
    data: bytes | None = field(default=None, repr=False)
    blob_id: BlobId | None = None


def submit(data: bytes, origin: Origin, door: Door) -> Submitted:
    """Take one media item in. The same bytes again add an origin, and a look only if one is due.

    A second look is due when somebody was enrolled since the last one, or when the last one failed in a way
    that may pass.

    Raises:
        EmptyMedia, TooLarge, NotMedia: it is not taken; nothing is stored.
        StorageFull, StorageError: the sealed bytes could not be stored; nothing is.
    """
    # 1. judge it by size and first bytes
    _check_size(len(data), door.max_bytes)
    kind = kind_of(data)
    # 2. digest it before anything else touches it
    digest = Digest.of(data)
    # 3. seal and store the bytes, but only if somebody will look at them
    with reading(door.engine) as session:
        known = _known(session, digest)
        wanted = known is None or look_due(session, known)
    blob_id = door.blobs.put(door.sealer.seal(data, seal_info(digest))) if wanted else None
    # 4. one row per digest, one per place
    new = _NewItem(digest, kind, len(data), blob_id)
    with nullcontext() if blob_id is None else door.blobs.deleted_on_failure(blob_id):
        submitted, unused = _enter(door.engine, new, origin)
    _forget(door.blobs, unused)
    return submitted


def keep(pieces: Iterable[bytes], door: Door) -> Kept:
    """Take the bytes of one item as they come, without ever holding more than WHOLE_BYTES and a piece.

    Whoever keeps one hands it to `submit_kept`; if that never happens, the sealed bytes belong to no row and
    are swept away (jobs.sweep).

    Raises:
        EmptyMedia, TooLarge, NotMedia: it is not taken; nothing is stored.
        StorageFull, StorageError: the sealed bytes could not be stored; nothing is.
        Whatever `pieces` raises; nothing is stored then. It may not raise OSError.
    """
    came = _Coming(pieces, door.max_bytes)
    first = came.first(WHOLE_BYTES)
    kind = kind_of(first)
    if came.is_over:
        return Kept(came.digest(), kind, came.size, data=first)
    blob_id = door.blobs.put_pieces(sealed_media.sealed(came.rest(), door.sealer))
    return Kept(came.digest(), kind, came.size, blob_id=blob_id)


def submit_kept(kept: Kept, origin: Origin, door: Door) -> Submitted:
    """Take in what `keep` kept; the rest is as with `submit`. Raises StorageError or StorageFull."""
    if kept.data is not None:
        return submit(kept.data, origin, door)
    if kept.blob_id is None:
        msg = "nothing was kept of this item"
        raise BlobMissing(msg)
    with door.blobs.deleted_on_failure(kept.blob_id):
        new = _NewItem(kept.digest, kept.kind, kept.size_bytes, kept.blob_id)
        submitted, unused = _enter(door.engine, new, origin)
    _forget(door.blobs, unused)
    return submitted


def opened(blob_id: BlobId, sha256: str, blobs: BlobStore, opener: IntakeOpener) -> Iterator[bytes]:
    """Give the bytes of a kept item, in pieces. Use none of them before the last one came.

    Raises BlobMissing, StorageError, and Tampered where they are not the bytes of that digest.
    """
    with blobs.open(blob_id) as stream:
        version = stream.read(1)
        if version != sealed_media.VERSION:
            yield opener.open(version + stream.read(), seal_info(sha256))
            return
        digest = hashlib.sha256()
        for chunk in sealed_media.opened(stream, opener):
            digest.update(chunk)
            yield chunk
    if digest.hexdigest() != sha256:
        msg = "sealed media is whole in its parts, but not the item that it stands for"
        raise Tampered(msg)


def kind_of(data: bytes) -> MediaKind:
    """Say what the bytes are, by the bytes: the first HEAD_BYTES of a file are enough.

    Raises EmptyMedia, and NotMedia for everything that is neither picture, video nor sound.
    """
    if not data:
        msg = "the file is empty"
        raise EmptyMedia(msg)
    head = bytes(data[:HEAD_BYTES])
    mime = filetype.guess_mime(head)
    if mime in IMAGES:
        return MediaKind.ANIMATION if _moves(head, mime) else MediaKind.IMAGE
    if mime in VIDEOS or (mime is None and _other_video(head)):
        return MediaKind.VIDEO
    if mime in SOUNDS or (mime is None and _other_sound(head)):
        return MediaKind.AUDIO
    msg = "by its own bytes it is neither a picture, nor a video, nor sound"
    hint = "Its name does not count. If it opens elsewhere, convert it to JPEG, PNG, MP4 or WAV."
    raise NotMedia(msg + (f" ({mime})" if mime else ""), hint=hint)


def seal_info(digest: Digest | str) -> bytes:
    """Give what is bound to sealed media, for opening too: `digest` is a Digest or MediaItem.sha256."""
    return b"media:" + (digest if isinstance(digest, str) else digest.hex).encode()


def _check_size(size: int, most: int) -> None:
    if size == 0:
        msg = "the file is empty"
        raise EmptyMedia(msg)
    if size > most:
        msg = f"{size} bytes are more than the {most} that are taken"
        raise TooLarge(msg, hint="LIKENESS_MAX_BYTES sets the limit.")


def _moves(head: bytes, mime: str) -> bool:
    """Guess from the first bytes whether a picture is animated; the decoder finds out for sure."""
    if mime == "image/gif":
        return b"NETSCAPE2.0" in head or head.count(b"\x21\xf9\x04") > 1
    if mime == "image/webp":
        return b"ANIM" in head[:64]
    return b"acTL" in head.partition(b"IDAT")[0] if mime in {"image/png", "image/apng"} else False


def _other_video(head: bytes) -> bool:
    """Know what `filetype` misses: ISO files of newer brands, fragments, Matroska, transport streams."""
    iso = head[4:8] in {b"ftyp", b"styp", b"moov"}
    matroska = head.startswith(b"\x1aE\xdf\xa3")
    packets = [head[place : place + 1] for place in range(0, 4 * TRANSPORT_PACKET, TRANSPORT_PACKET)]
    return iso or matroska or packets == [b"G"] * 4


def _other_sound(head: bytes) -> bool:
    sync = int.from_bytes(head[:2], "big")
    layer = sync >> 1 & 3
    return head.startswith(b"caff\x00\x01") or (sync & MP3_SYNC == MP3_SYNC and layer != 0 and sync != 0xFFFF)


class _Coming:
    """Bytes on their way in: counted, capped and digested as they pass."""

    def __init__(self, pieces: Iterable[bytes], most: int) -> None:
        self._pieces, self._most, self._hash = iter(pieces), most, hashlib.sha256()
        self._first = bytearray()
        self.size, self.is_over = 0, False

    def first(self, length: int) -> bytes:
        """Read until there are more than `length` bytes, or no more; give what came."""
        for piece in self._counted():
            self._first += piece
            if len(self._first) > length:
                return bytes(self._first)
        self.is_over = True
        _check_size(self.size, self._most)
        return bytes(self._first)

    def rest(self) -> Iterator[bytes]:
        """Give everything, from the first byte on, once."""
        first, self._first = bytes(self._first), bytearray()
        yield first
        yield from self._counted()

    def digest(self) -> Digest:
        """Give the digest of all that passed."""
        return Digest("sha256", self._hash.hexdigest())

    def _counted(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self.size += len(piece)
            _check_size(self.size, self._most)
            self._hash.update(piece)
            yield piece


@dataclass(frozen=True, slots=True)
class _NewItem:
    digest: Digest
    kind: MediaKind
    size_bytes: int
    blob_id: BlobId | None


def _known(session: Session, digest: Digest, *, lock: bool = False) -> MediaItem | None:
    query = select(MediaItem).where(MediaItem.sha256 == digest.hex)
    return session.exec(query.with_for_update() if lock else query).first()


def _enter(engine: Engine, new: _NewItem, origin: Origin) -> tuple[Submitted, BlobId | None]:
    """Write the rows. Gives what became of it, and the blob that nothing points to any more."""
    with writing(engine) as session:
        media_id = _insert(session, new) if new.blob_id is not None else None
        if media_id is not None:
            _add_origin(session, media_id, origin)
            return Submitted(media_id, seen_before=False, due=True), None
        row = _known(session, new.digest, lock=True)
        if row is None:
            msg = "the item went away while a copy of it came in"
            raise BlobMissing(msg, hint="Submit it again.")
        due = new.blob_id is not None and look_due(session, row)
        unused = look_again(row, new.blob_id) if due else new.blob_id
        _add_origin(session, MediaId(row.id), origin)
        return Submitted(MediaId(row.id), seen_before=True, due=due), unused


def _insert(session: Session, new: _NewItem) -> MediaId | None:
    """Insert the row of a digest; None where there is one already, be it since a moment ago."""
    row = MediaItem(
        id=secrets.token_hex(ID_BYTES),
        sha256=new.digest.hex,
        kind=new.kind.value,
        size_bytes=new.size_bytes,
        blob_id=new.blob_id,
    )
    return MediaId(row.id) if _added(session, row) else None


def look_again(row: MediaItem, blob_id: BlobId | None) -> BlobId | None:
    """Queue a known item once more. Gives the blob that it had before."""
    before = None if row.blob_id is None else BlobId(row.blob_id)
    row.blob_id, row.state, row.attempts = blob_id, "received", 0
    row.failed_stage = row.failed_code = row.failed_reason = None
    row.lease_owner = row.lease_until = row.done_at = None
    return before


def look_due(session: Session, row: MediaItem) -> bool:
    """Say whether a known item is to be looked at once more; see `submit`."""
    if row.state == "failed":
        return row.blob_id is None or row.failed_code in MAY_PASS
    if row.state != "done":
        return False
    enrolled_since = (
        select(GalleryEvent.seq)
        .where(GalleryEvent.kind == "add", col(GalleryEvent.seq) > (row.gallery_seq or 0))
        .limit(1)
    )
    return session.exec(enrolled_since).first() is not None


def _add_origin(session: Session, media_id: MediaId, origin: Origin) -> None:
    """Write down one place, once."""
    seen = (
        select(MediaOrigin.id)
        .where(MediaOrigin.media_id == media_id, MediaOrigin.kind == origin.kind.value)
        .where(col(MediaOrigin.url).is_(None) if origin.url is None else MediaOrigin.url == origin.url)
    )
    if session.exec(seen).first() is not None:
        return
    place = MediaOrigin(
        media_id=media_id,
        kind=origin.kind.value,
        url=origin.url,
        page_url=origin.page_url,
        title=origin.title,
        source_id=origin.source_id,
        seen_at=origin.seen_at,
    )
    _added(session, place)


def _added(session: Session, row: MediaItem | MediaOrigin) -> bool:
    """Add a row, or say that another process was first."""
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return False
    return True


def _forget(blobs: BlobStore, blob_id: BlobId | None) -> None:
    if blob_id is not None:
        blobs.delete(blob_id)
