"""Which addresses and URLs are let through, and which are not."""

from __future__ import annotations

import pytest

from crawlers.fetch_guard import Rules, check_addresses, check_url, is_public, rules_of
from monitor.errors import FetchFailed, FetchRefused

OPEN = Rules(allow_http=True)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822", "1.1.1.1"])
def test_a_public_address_is_let_through(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",  # noqa: S104 - no bind
        "100.64.0.1", "192.0.2.1", "198.18.0.1", "203.0.113.5", "224.0.0.1", "240.0.0.1", "255.255.255.255",
        "192.88.99.1", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "fe80::1", "fe80::1%eth0",
        "fc00::1",
        "fec0::1", "ff02::1", "2001:db8::1", "2001::1", "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b:1::1",
        "not an address", "",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/a.png", "file:///etc/passwd", "gopher://example.com/",
        "data:image/png;base64,AA==",
        "//example.com/a.png", "example.com", "https:///a.png", "https://user:pass@example.com/a.png",
        "https://user@example.com/", "https://example.com:22/", "https://example.com:0x50/", "http://example.com:443/",
        "https://exa mple.com/", "https://example.com\\@127.0.0.1/", "https://example.com/" + "a" * 3000, "",
        "https://[::1/", "https://example.com:99999/",
    ],
)  # fmt: skip
def test_an_odd_url_is_refused(url: str) -> None:
    with pytest.raises(FetchRefused):
        check_url(url, OPEN)


def test_plain_http_needs_the_word_of_the_source() -> None:
    assert check_url("http://example.com/", OPEN).port == 80
    with pytest.raises(FetchRefused, match="plain http"):
        check_url("http://example.com/", Rules())


def test_the_port_that_a_source_names_is_allowed_for_its_host_only() -> None:
    rules = rules_of("https://Example.com.:8443/feed", allow_http=False, allow_private=False)
    assert check_url("https://example.com:8443/a", rules).host == "example.com"
    with pytest.raises(FetchRefused, match="port 8443"):
        check_url("https://other.example:8443/a", rules)


def test_one_private_address_among_public_ones_refuses_the_name() -> None:
    assert check_addresses("a.example", 443, ["1.1.1.1", "1.1.1.1", "8.8.8.8"], Rules()) == [
        "1.1.1.1",
        "8.8.8.8",
    ]
    with pytest.raises(FetchRefused, match=r"10\.0\.0\.7"):
        check_addresses("a.example", 443, ["1.1.1.1", "10.0.0.7"], Rules())
    with pytest.raises(FetchFailed):
        check_addresses("a.example", 443, [], Rules())


def test_private_addresses_are_for_the_host_and_port_of_the_source_alone() -> None:
    rules = rules_of("http://127.0.0.1:8000/", allow_http=True, allow_private=True)
    assert check_addresses("127.0.0.1", 8000, ["127.0.0.1"], rules) == ["127.0.0.1"]
    for host, port in (("127.0.0.1", 8001), ("localhost", 8000)):
        with pytest.raises(FetchRefused):
            check_addresses(host, port, ["127.0.0.1"], rules)


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "0.0.0.0", "224.0.0.1"])  # noqa: S104 - no bind
def test_cloud_metadata_stays_refused_for_a_source_of_ours_too(address: str) -> None:
    rules = rules_of("http://intranet.example:8000/", allow_http=True, allow_private=True)
    with pytest.raises(FetchRefused):
        check_addresses("intranet.example", 8000, [address], rules)
