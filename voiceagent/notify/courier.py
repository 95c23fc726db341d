"""Delivers what waits for one endpoint, one message at a time; other endpoints have couriers of their own.

First attempts are made in the order of the events; what failed comes again in between. The database is the
only memory: after a crash an attempt whose end was not written is made again, with the same id.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from voiceagent.notify.endpoint import Endpoint
from voiceagent.notify.message import signed_headers
from voiceagent.notify.schedule import Again, Answer, Dead, Taken, verdict
from voiceagent.notify.sending import send
from voiceagent.store import Database, DatabaseDown, outbox
from voiceagent.store.database import Result, Work
from voiceagent.store.outbox import Delivery

_log = logging.getLogger("voiceagent.webhooks")

Send = Callable[[Endpoint, dict[str, str], bytes], Awaitable[Answer]]
FIRST, RETRIES = 8, 2
"""Of one look into the database: first attempts, and further ones."""
LONGEST_SLEEP_S = 60.0
"""Times in the database are wall-clock times, which may jump."""
DATABASE_WAIT_S = 5.0
LEASE_MORE_S = 30.0
"""A lease lasts so much longer than an attempt may: time to write down how it went."""
GIVEN_UP = "the endpoint is disabled: it answered 410 Gone"


class Told(Protocol):
    """Told of every attempt: ``what`` is delivered, failed, dead or gone."""

    def __call__(self, endpoint: str, what: str, /) -> None: ...


class Courier:
    """The courier of one endpoint. :meth:`run` is its task."""

    def __init__(
        self,
        endpoint: Endpoint,
        database: Database,
        *,
        told: Told = lambda endpoint, what: None,
        send: Send = send,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
        database_wait_s: float = DATABASE_WAIT_S,
        node: str = "",
    ) -> None:
        """``node`` bears the leases: of the nodes with one database only one tries a message at a time."""
        self.endpoint = endpoint
        self.disabled = False
        """It answered 410 Gone, and has taken nothing since."""
        self.last_error = ""
        """Of the newest attempt; empty when it was taken."""
        self._database = database
        self._told = told
        self._send = send
        self._clock = clock
        self._chance = chance
        self._database_wait_s = database_wait_s
        self._node = node
        self._paused_until = 0.0
        self._news = asyncio.Event()

    @property
    def state(self) -> str:
        """on, failing, paused or disabled."""
        if self.disabled:
            return "disabled"
        if self._clock() < self._paused_until:
            return "paused"
        return "failing" if self.last_error else "on"

    def wake(self) -> None:
        """Something waits."""
        self._news.set()

    async def run(self) -> None:
        """Deliver whatever comes, until cancelled."""
        await self.open()
        while True:
            self._news.clear()
            wait = await self.round()
            if wait == 0:
                continue
            try:
                async with asyncio.timeout(min(wait, LONGEST_SLEEP_S)):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def open(self) -> None:
        """Learn what earlier processes knew, and take up what they had begun."""
        await self._keep(partial(outbox.release, endpoint=self.endpoint.name, by=self._node))
        self.disabled = await self._keep(partial(outbox.is_gone, endpoint=self.endpoint.name))

    async def round(self) -> float:
        """Try what is due; return after how many seconds to look again (0: at once)."""
        name, now = self.endpoint.name, self._clock()
        if now < self._paused_until:
            return self._paused_until - now
        found = await self._keep(lambda c: outbox.due(c, name, now=now, first=FIRST, retries=RETRIES))
        for delivery in found:
            if not await self._claim(delivery):
                continue  # another node was faster
            await self._attempt(delivery)
            if self.disabled or self._clock() < self._paused_until:
                break
        if found:
            return 0
        due = await self._keep(lambda c: outbox.next_due(c, name))
        return LONGEST_SLEEP_S if due is None else max(0.01, due - self._clock())

    async def _claim(self, delivery: Delivery) -> bool:
        now = self._clock()
        until = now + self.endpoint.timeout_s + LEASE_MORE_S
        return await self._keep(partial(outbox.claim, n=delivery.n, by=self._node, now=now, until=until))

    async def _attempt(self, delivery: Delivery) -> None:
        endpoint, body = self.endpoint, delivery.payload.encode()
        headers = signed_headers(endpoint.secrets, delivery.id, self._clock(), body)
        answer = await self._send(endpoint, headers, body)
        now = self._clock()
        judged = verdict(answer, delivery.attempts, now, self._chance, endpoint.waits_s)
        n, status = delivery.n, answer.status
        match judged:
            case Taken():
                await self._keep(lambda c: outbox.delivered(c, n, status=status or 0, at=now))
                self._taken()
            case Again(at=at, pause_s=pause_s, error=error):
                self._paused_until = max(self._paused_until, now + pause_s)
                await self._keep(
                    lambda c: outbox.failed(c, n, status=status, error=error, at=now, retry_at=at)
                )
                self._failed(delivery, error, "failed")
            case Dead(error=error, gone=gone):
                await self._keep(
                    lambda c: outbox.failed(c, n, status=status, error=error, at=now, retry_at=None)
                )
                if gone:
                    await self._keep(lambda c: outbox.give_up(c, endpoint.name, error=GIVEN_UP, at=now))
                    self.disabled = True
                self._failed(delivery, error, "gone" if gone else "dead")

    def _taken(self) -> None:
        if self.disabled or self.last_error:
            _log.info("webhooks are taken again by %s", self.endpoint.name)
        self.disabled, self.last_error = False, ""
        self._told(self.endpoint.name, "delivered")

    def _failed(self, delivery: Delivery, error: str, what: str) -> None:
        if what != "failed" or not self.last_error:
            _log.warning("webhook %s for %s: %s: %s", delivery.id, self.endpoint.name, what, error)
        self.last_error = error
        self._told(self.endpoint.name, what)

    async def _keep(self, work: Work[Result]) -> Result:
        """Do work in the database however long it is away: what was sent has to be known as sent."""
        while True:
            try:
                return await self._database.run(work)
            except DatabaseDown:
                await asyncio.sleep(self._database_wait_s)
