"""An endpoint, a clock that stands still, and a receiver that answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from voiceagent.notify.courier import Courier
from voiceagent.notify.endpoint import Endpoint
from voiceagent.notify.message import EVENTS
from voiceagent.notify.schedule import Answer
from voiceagent.store import Database, outbox

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
OLD_SECRET = "whsec_b2xkIG9sZCBvbGQgb2xkIG9sZCBvbGQh"


@dataclass
class Clock:
    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Receiver:
    """Takes what is sent; answers with ``answers`` in turn, then with ``answer``."""

    answers: list[Answer] = field(default_factory=list[Answer])
    answer: Answer = field(default_factory=lambda: Answer(204))
    ids: list[str] = field(default_factory=list[str])
    bodies: list[bytes] = field(default_factory=list[bytes])
    headers: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    before: Callable[[], None] = lambda: None
    more: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, endpoint: Endpoint, headers: dict[str, str], body: bytes) -> Answer:
        await asyncio.sleep(0)
        self.before()
        self.ids.append(headers["webhook-id"])
        self.headers.append(headers)
        self.bodies.append(body)
        self.more.set()
        return self.answers.pop(0) if self.answers else self.answer

    async def until(self, count: int) -> None:
        """Wait for so many attempts in all."""
        while len(self.ids) < count:
            self.more.clear()
            await self.more.wait()


def an_endpoint(name: str = "crm", **changes: Any) -> Endpoint:
    facts: dict[str, Any] = {
        "name": name,
        "url": "https://hooks.example.com/in?token=abc",
        "secrets": (SECRET,),
        "events": EVENTS,
        "waits_s": (5.0, 300.0),
    }
    return Endpoint(**(facts | changes))


def a_courier(
    database: Database, receiver: Receiver, clock: Clock, node: str = "a", **changes: Any
) -> Courier:
    return Courier(
        an_endpoint(**changes),
        database,
        send=receiver.send,
        clock=clock,
        chance=lambda: 0.5,
        database_wait_s=0.0,
        node=node,
    )


async def put(database: Database, *ids: str, endpoints: tuple[str, ...] = ("crm",), at: float = 1.0) -> None:
    for one in ids:
        await database.run(
            lambda c, one=one: outbox.put(
                c, endpoints, event_id=one, kind="call.ended", call_id="c1", payload=f'"{one}"', at=at
            )
        )
