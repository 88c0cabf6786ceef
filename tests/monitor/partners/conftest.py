"""A partner with a feed of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.monitor.partners.partner import Partner

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Partner]:
    """Start one web process for all tests of a module."""
    with Partner.at(tmp_path_factory.mktemp("partners")) as partner:
        yield partner


_numbers = iter(range(10**6))


@pytest.fixture
def partner(process: Partner) -> Partner:
    """Give a feed that nobody has pushed to yet."""
    return process.add(f"agency-{next(_numbers)}")
