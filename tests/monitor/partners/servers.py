"""A bucket (moto's S3 over HTTP) and a folder (paramiko's SFTP server) on this machine."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import paramiko
from moto.server import ThreadedMotoServer
from paramiko.sftp import SFTP_NO_SUCH_FILE, SFTP_OK

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def s3() -> Iterator[str]:
    """Run an S3-compatible server; give its address."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def client(url: str) -> Any:
    """Give the partner's own client of a bucket."""
    return boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id="partner",
        aws_secret_access_key="theirs",
        region_name="us-east-1",
    )


@dataclass
class Sftp:
    """An SFTP server over a folder. `read` counts files that were opened."""

    folder: Path
    key: paramiko.PKey
    public: paramiko.PKey | None = None
    password: str = ""
    port: int = 0
    read: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Address of the server."""
        return f"sftp://127.0.0.1:{self.port}"

    @property
    def host_key(self) -> str:
        """Its public key as it is written down."""
        return f"{self.key.get_name()} {self.key.get_base64()}"


@contextlib.contextmanager
def sftp(folder: Path, public: paramiko.PKey | None = None, password: str = "") -> Iterator[Sftp]:
    """Run an SFTP server that lets in whoever has this key or password."""
    running = Sftp(folder, paramiko.ECDSAKey.generate(), public, password)
    listener = socket.create_server(("127.0.0.1", 0))
    running.port = listener.getsockname()[1]
    transports: list[paramiko.Transport] = []

    def serve() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(sock)
            transports.append(transport)
            transport.add_server_key(running.key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Files, running)
            with contextlib.suppress(paramiko.SSHException, EOFError, OSError):
                transport.start_server(server=_Login(running))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for transport in transports:
            transport.close()
        thread.join(5)


class _Login(paramiko.ServerInterface):
    def __init__(self, running: Sftp) -> None:
        self._running = running

    def check_auth_password(self, username: str, password: str) -> int:
        fits = bool(self._running.password) and password == self._running.password and username == "watch"
        return paramiko.AUTH_SUCCESSFUL if fits else paramiko.AUTH_FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        fits = key == self._running.public and username == "watch"
        return paramiko.AUTH_SUCCESSFUL if fits else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        del username
        return "password,publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        del kind, chanid
        return paramiko.OPEN_SUCCEEDED


class _Files(paramiko.SFTPServerInterface):
    def __init__(self, server: Any, running: Sftp) -> None:
        super().__init__(server)
        self._running = running

    def _path(self, path: str) -> Path:
        return self._running.folder / self.canonicalize(path).lstrip("/")

    def list_folder(self, path: str) -> Any:
        try:
            return [
                paramiko.SFTPAttributes.from_stat(one.lstat(), one.name)
                for one in sorted(self._path(path).iterdir())
            ]
        except FileNotFoundError:
            return SFTP_NO_SUCH_FILE

    def stat(self, path: str) -> Any:
        return paramiko.SFTPAttributes.from_stat(self._path(path).stat())

    lstat = stat

    def open(self, path: str, flags: int, attr: Any) -> Any:
        del flags, attr
        self._running.read.append(path)
        handle = paramiko.SFTPHandle()
        handle.readfile = self._path(path).open("rb")
        return handle

    def session_ended(self) -> int:
        return SFTP_OK
