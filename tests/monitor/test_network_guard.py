"""The tests' own guard: nothing but this machine can be reached from a test."""

from __future__ import annotations

import socket

import pytest


@pytest.mark.parametrize(
    ("family", "address"),
    [
        (socket.AF_INET, ("192.0.2.1", 80)),
        (socket.AF_INET, ("example.org", 80)),
        (socket.AF_INET6, ("2001:db8::1", 80, 0, 0)),
    ],
    ids=str,
)
def test_an_address_elsewhere_is_never_connected_to(family: int, address: tuple[object, ...]) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as reaching:
        with pytest.raises(RuntimeError, match="reached for the network"):
            reaching.connect(address)
        with pytest.raises(RuntimeError, match="reached for the network"):
            reaching.connect_ex(address)


def test_this_machine_can_be_reached() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as client,
    ):
        assert client.getpeername() == server.getsockname()
