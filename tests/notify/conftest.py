from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from voiceagent.store import Database


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    store = Database("sqlite://")
    await store.open()
    yield store
    await store.close()
