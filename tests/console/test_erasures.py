"""Erasing over the API: refusals say why, and that somebody looked is kept, too."""

from __future__ import annotations

import asyncio
from typing import Any

from voiceagent.app.erasure import CallIsLive
from voiceagent.errors import RequestRefused
from voiceagent.store import Database, DatabaseDown, audit
from voiceagent.store.audit import Deed

from .fake_directory import FakeDirectory
from .kit import BEARER, PATIENCE_S, VIEWER, a_client, an_app

BODY = {"caller": "+442079460958"}


class Eraser:
    """Says what it is told to say."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[str, bool, str]] = []

    async def erase(self, caller: str, *, dry_run: bool, by: Deed) -> Any:
        self.asked.append((caller, dry_run, by.actor))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def ask(store: Database, eraser: Eraser | None, **more: Any) -> tuple[int, dict[str, Any], list[str]]:
    """Status, body, and the results that stand in the audit log."""
    app = an_app(FakeDirectory(), database=store, erasures=eraser)
    writer = asyncio.create_task(app.state.parts.audit.run())
    async with a_client(app, headers=BEARER) as client:
        answer = await client.post("/v1/erasures", json=BODY | more)
    await app.state.parts.audit.flush(PATIENCE_S)
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)
    lines = await store.run(lambda c: audit.read(c))
    return answer.status_code, answer.json(), [f"{line.action} {line.result}" for line in lines]


async def test_the_report_is_the_answer(store: Database) -> None:
    eraser = Eraser({"calls": [], "complete": True})
    assert await ask(store, eraser) == (200, {"calls": [], "complete": True}, [])
    assert eraser.asked == [("+442079460958", False, "console.token")]


async def test_looking_is_kept_without_the_number(store: Database) -> None:
    status, _, lines = await ask(store, Eraser({"calls": [{"call_id": "c1"}]}), dry_run=True)
    assert (status, lines) == (200, ["erasure dry_run"])
    assert "2079460958" not in str(await store.run(lambda c: audit.read(c)))


async def test_refusals(store: Database) -> None:
    status, told, lines = await ask(store, Eraser(CallIsLive("that person is on the line (call_9)")))
    assert (status, told["code"], lines) == (409, "call_live", ["erasure call_live"])
    status, told, _ = await ask(store, Eraser(RequestRefused("caller", "is no number or name of one person")))
    assert (status, told["field"]) == (422, "caller")
    status, told, _ = await ask(store, Eraser(DatabaseDown("away")))
    assert (status, told["code"]) == (503, "database_down")
    status, told, _ = await ask(store, None)
    assert (status, told["code"]) == (501, "not_supported")
    status, told, _ = await ask(store, Eraser({}), number="+44")
    assert status == 422, "an unknown field is a mistake"


async def test_only_admins(store: Database) -> None:
    eraser = Eraser({})
    app = an_app(FakeDirectory(), database=store, erasures=eraser)
    async with a_client(app, headers={"Authorization": f"Bearer {VIEWER}"}) as client:
        assert (await client.post("/v1/erasures", json=BODY)).status_code == 403
    assert eraser.asked == []
