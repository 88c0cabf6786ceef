"""The real models, each asked once in a run about each frame and each sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.assets.remembering import Memory, memory_of_the_run, remembering

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.ml.interfaces import Pack


@pytest.fixture(scope="session")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memory]:
    """Open what the tests of this run remember together."""
    found = memory_of_the_run(tmp_path_factory)
    yield found
    found.close()


@pytest.fixture(scope="session")
def pack(pack: Pack, memory: Memory) -> Pack:
    """Give the real default models, which remember."""
    return remembering(pack, memory)
