from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.cluster.fleet import Fleet
from tests.kit.redis_server import RedisServer, redis_server


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """One Redis for all tests that leave it alive; each has keys of its own there."""
    with redis_server() as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis to be frozen and killed."""
    with redis_server() as server:
        yield server


@pytest.fixture
def world() -> str:
    """What stands behind the fleet, unless a test is for several."""
    return "redis"


@pytest.fixture
async def fleet(world: str, request: pytest.FixtureRequest) -> AsyncIterator[Fleet]:
    """A fleet of the world that the test is for."""
    made = Fleet(request.getfixturevalue("shared_redis").url if world == "redis" else None)
    yield made
    await made.close()
