"""Files of an S3-compatible bucket: listed in the order of their names, read as they come.

Every connection goes through `dial`, which asks the guard. No proxy, profile or file of this machine has a
say: place and keys are those that were set up.
"""

from __future__ import annotations

from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from monitor.errors import FetchFailed, LikenessError
from monitor.partners.places import PIECE_BYTES, SILENCE_S, Found, extra_missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.partners.places import Dial, Place


class Bucket:
    """One bucket that was entered."""

    def __init__(self, place: Place, dial: Dial) -> None:
        """Prepare to ask; nothing leaves yet. Raises ExtraMissing."""
        self._place, self._client, self._date = place, _client(place, dial), ""

    def files(self, after: str) -> Iterator[Found]:
        """Give the objects whose names come after `after`, in order. Raises FetchFailed."""
        asked = {"Bucket": self._place.bucket, "Prefix": self._place.prefix, "StartAfter": after}
        while True:
            with _own_errors():
                page = self._client.list_objects_v2(**asked)
            self._date = self._date or page["ResponseMetadata"]["HTTPHeaders"].get("date", "")
            for one in page.get("Contents", ()):
                if not one["Key"].endswith("/"):
                    yield Found(one["Key"], one["Size"], one["ETag"], one["LastModified"].timestamp())
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def pieces(self, found: Found) -> Iterator[bytes]:
        """Give the bytes of an object, if it is still the one that was listed. Raises FetchFailed."""
        with _own_errors():
            asked = {"Bucket": self._place.bucket, "Key": found.name, "IfMatch": found.version}
            body = self._client.get_object(**asked)["Body"]
        try:
            with _own_errors():
                yield from body.iter_chunks(PIECE_BYTES)
        finally:
            body.close()

    def now(self) -> float | None:
        """Give the time that the server said with the first list."""
        try:
            return parsedate_to_datetime(self._date).timestamp()
        except ValueError:
            return None

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


def _client(place: Place, dial: Dial) -> Any:  # noqa: ANN401 - boto3 has no types
    try:
        import boto3  # noqa: PLC0415 - an extra
        from botocore.config import Config  # noqa: PLC0415 - as above
    except ImportError as exc:
        raise extra_missing() from exc
    config = Config(
        connect_timeout=SILENCE_S,
        read_timeout=SILENCE_S,
        retries={"max_attempts": 2},
        s3={"addressing_style": "path"},
        proxies={},
    )
    keys = {"aws_access_key_id": place.user, "aws_secret_access_key": place.secret}
    session = boto3.session.Session(**keys, region_name=place.region)
    client = session.client("s3", endpoint_url=place.url, config=config)
    manager = client._endpoint.http_session._manager  # noqa: SLF001 - botocore offers no other way
    manager.pool_classes_by_scheme = _guarded_pools(manager.pool_classes_by_scheme, dial)
    return client


def _guarded_pools(pools: dict[str, Any], dial: Dial) -> dict[str, Any]:
    """Give pools whose connections come from `dial` and from nowhere else."""

    def connect(connection: Any) -> Any:  # noqa: ANN401 - urllib3's own
        sock = dial(connection.host, connection.port)
        sock.settimeout(connection.timeout if isinstance(connection.timeout, float) else SILENCE_S)
        return sock

    def guarded(pool: Any) -> Any:  # noqa: ANN401 - as above
        kind = type("GuardedConnection", (pool.ConnectionCls,), {"_new_conn": connect})
        return type("GuardedPool", (pool,), {"ConnectionCls": kind})

    return {scheme: guarded(pool) for scheme, pool in pools.items()}


@contextmanager
def _own_errors() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - an extra
    from urllib3.exceptions import HTTPError  # noqa: PLC0415 - comes with it

    try:
        yield
    except ClientError as exc:
        said = str(exc.response.get("Error", {}).get("Code", "no code"))[:60]
        msg = f"the bucket answered {said!a}"
        raise FetchFailed(msg, hint="Look at the name of the bucket, the access key and its rights.") from exc
    except (BotoCoreError, HTTPError, OSError) as exc:
        guarded = getattr(exc, "kwargs", {}).get("error")
        if isinstance(guarded, LikenessError):  # what the guard said, in botocore's wrapping
            raise guarded from exc
        msg = f"the bucket could not be read: {type(exc).__name__}"
        raise FetchFailed(msg) from exc
