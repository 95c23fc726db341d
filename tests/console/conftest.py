"""A database in memory for the console's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from voiceagent.store import Database, users


@pytest_asyncio.fixture
async def store() -> AsyncIterator[Database]:
    database = Database("sqlite://")
    await database.open()
    yield database
    await database.close()


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tested here is not how hard Argon2 works."""
    monkeypatch.setattr(users, "COST", {"time_cost": 1, "memory_cost": 64, "parallelism": 1})
