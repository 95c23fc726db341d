"""A process killed in the middle of telling: the next one tells everything, under the same ids."""

from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.kit.service import until
from tests.loopback.test_process import in_a_call, serving
from tests.loopback.test_webhooks import TAKEN, a_webhook, verified
from tests.notify.server import receiver

pytestmark = pytest.mark.loopback


def setting(port: int) -> str:
    return f"webhooks={json.dumps(a_webhook(port, events=['call.started', 'call.ended'], timeout_s=30.0))}"


def rows(folder: Path) -> list[tuple[str, str, str]]:
    """(type, id, state) of everything in the outbox."""
    with closing(sqlite3.connect(folder / "journals" / "voiceagent.db")) as connection:
        return connection.execute("SELECT type, id, state FROM outbox ORDER BY n").fetchall()


async def test_nothing_is_lost_and_nothing_is_told_under_another_id(tmp_path: Path) -> None:
    hanging: list[bytes] = []
    taken: list[bytes] = []
    async with (
        receiver(b"", hanging) as port,
        in_a_call(tmp_path, setting(port)) as (child, _, call),
    ):
        call.hang_up()
        await call.over(45)
        await until(lambda: hanging and len(rows(tmp_path)) == 2)
        child.process.send_signal(signal.SIGKILL)
        assert await child.status() == -signal.SIGKILL
    kept = rows(tmp_path)
    assert [(kind, state) for kind, _, state in kept] == [
        ("call.started", "waiting"),
        ("call.ended", "waiting"),
    ]
    async with receiver(TAKEN, taken) as port, serving(tmp_path, setting(port)):
        await until(lambda: len(taken) == 2)
        await until(lambda: all(state == "delivered" for _, _, state in rows(tmp_path)))
    told = [verified(one) for one in taken]
    assert [(one["type"], one["id"]) for one in told] == [(kind, name) for kind, name, _ in kept]
    assert verified(hanging[0]) == told[0]
