from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.cluster.fleet import Fleet


@pytest.fixture
async def fleet(world: str) -> AsyncIterator[Fleet]:
    """A fleet of the world that the test is for."""
    made = Fleet()
    yield made
    await made.close()
