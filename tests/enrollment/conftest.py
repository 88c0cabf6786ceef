"""What the tests of enrolment by the web form share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.enrollment.newcomer import Newcomer
from tests.enrollment.residents import Residents, residents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def eva(tmp_path: Path) -> Iterator[Newcomer]:
    """Give a web process over a fresh database, and the browser of somebody who gives samples."""
    newcomer = Newcomer.at(tmp_path / "home")
    yield newcomer
    newcomer.close()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Residents]:
    """Give a web process over a fresh database, and people with accounts there."""
    yield from residents(tmp_path / "home")
