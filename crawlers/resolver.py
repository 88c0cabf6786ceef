"""Twisted's name resolver behind the guard, for the pages that Scrapy downloads.

Twisted connects to the addresses that its resolver gives and to no other, and asks the resolver for
numeric hosts too. So what is refused here is not reached, however it was spelled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IHostnameResolver, IResolutionReceiver
from zope.interface import implementer

from crawlers.fetch_guard import Rules, check_addresses
from monitor.errors import FetchFailed, FetchRefused

if TYPE_CHECKING:
    from collections.abc import Sequence

REFUSED_HOSTS: dict[tuple[str, int], str] = {}
"""(host, port) -> why, in this process. A crawl is one process, so this is the record of one crawl."""

RULES_SETTING = "FETCH_RULES"
"""The name under which run.py hands the rules of the source to Scrapy's settings."""


@implementer(IHostnameResolver)
class GuardedResolver:
    """What Scrapy gets as TWISTED_DNS_RESOLVER."""

    def __init__(self, reactor: Any, rules: Rules) -> None:  # noqa: ANN401 - Twisted has no types here
        """Stand before the resolver that the reactor has now."""
        self._reactor, self._inner, self._rules = reactor, reactor.nameResolver, rules

    @classmethod
    def from_crawler(cls, crawler: Any, reactor: Any) -> GuardedResolver:  # noqa: ANN401 - as above
        """Build it the way Scrapy does. Without rules in the settings, the strictest hold."""
        return cls(reactor, crawler.settings.get(RULES_SETTING) or Rules())

    def install_on_reactor(self) -> None:
        """Put it in place."""
        self._reactor.installNameResolver(self)

    def admits(self, host: str, port: int, addresses: Sequence[str]) -> bool:
        """Say whether a connection to these addresses is allowed, and remember why not."""
        try:
            check_addresses(host, port, addresses, self._rules)
        except FetchRefused as exc:
            REFUSED_HOSTS[host.lower(), port] = exc.message
            return False
        except FetchFailed:
            return False
        return True

    def resolveHostName(  # noqa: N802 - Twisted's name
        self,
        resolutionReceiver: Any,  # noqa: ANN401, N803 - Twisted's interface
        hostName: str,  # noqa: N803 - Twisted's name
        portNumber: int = 0,  # noqa: N803 - Twisted's name
        addressTypes: Sequence[type[Any]] | None = None,  # noqa: N803 - Twisted's name
        transportSemantics: str = "TCP",  # noqa: N803 - Twisted's name
    ) -> Any:  # noqa: ANN401 - Twisted's interface
        """Resolve through the inner resolver and hold the answer back until all of it is checked."""
        receiver = _HeldBack(self, resolutionReceiver, hostName, portNumber)
        return self._inner.resolveHostName(receiver, hostName, portNumber, addressTypes, transportSemantics)


@implementer(IResolutionReceiver)
class _HeldBack:
    """Holds addresses back until all are known, then hands on all of them, or none."""

    def __init__(self, resolver: GuardedResolver, receiver: Any, host: str, port: int) -> None:  # noqa: ANN401 - as above
        self._resolver, self._receiver, self._host, self._port = resolver, receiver, host, port
        self._found: list[Any] = []

    def resolutionBegan(self, resolution: Any) -> None:  # noqa: ANN401, N802 - Twisted's interface
        self._receiver.resolutionBegan(resolution)

    def addressResolved(self, address: Any) -> None:  # noqa: ANN401, N802 - Twisted's interface
        self._found.append(address)

    def resolutionComplete(self) -> None:  # noqa: N802 - Twisted's name
        if self._resolver.admits(self._host, self._port, [str(one.host) for one in self._found]):
            for address in self._found:
                self._receiver.addressResolved(address)
        self._receiver.resolutionComplete()
