"""Outgoing webhooks of this node: which events become messages, what they say, and who delivers them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast

import structlog

from voiceagent.app.archive import Archive
from voiceagent.console.ports import LiveEvent
from voiceagent.ids import Tokens
from voiceagent.notify.courier import Courier, Send
from voiceagent.notify.endpoint import Endpoint
from voiceagent.notify.message import Message, end_token, found_token, message
from voiceagent.notify.sending import send
from voiceagent.observe.metrics import Metrics
from voiceagent.observe.redact import hide_secret_values
from voiceagent.records.rows import CallRecord
from voiceagent.store import Database, DatabaseDown, outbox
from voiceagent.tasks import TaskNest

_log = structlog.get_logger("voiceagent.webhooks")

DELIVERED_KEPT_S = 3 * 86_400.0
DEAD_KEPT_S = 30 * 86_400.0
SWEEP_S = 3600.0
BACKLOG_S = 10.0
NO_SETTING = "the endpoint is not in the settings any more"

_CALL = ("id", "caller", "called", "direction", "kind", "flow", "trunk", "provider", "started_at")
_ENDED = (*_CALL, "duration_s", "outcome", "transfer", "figures")
_RESPONSE = ("id", "call_id", "origin", "metadata", "submitted_at", "outcome")
_TOLD = {
    "call.started": "call.started",
    "call.found_again": "call.found_again",
    "response.state": "response.finished",
    "alert.raised": "alert.raised",
    "alert.cleared": "alert.cleared",
}
"""Types of live events, and as what endpoints are told of them."""
_OPEN = frozenset({"id", "call_id", "caller", "called"})
"""Never masked: a few digits of a PIN in a telephone number say nothing."""


class Outgoing:
    """Knows the endpoints, makes messages of live events, owns one courier for each endpoint."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        database: Database,
        archive: Archive,
        metrics: Metrics,
        tokens: Tokens,
        *,
        masked: Callable[[str, str], str] = lambda call_id, text: text,
        send: Send = send,
        clock: Callable[[], float] = time.time,
        node: str = "",
    ) -> None:
        """``masked(call_id, text)`` returns a text without what was typed in secret in that call."""
        self._database = database
        self._archive = archive
        self._metrics = metrics
        self._tokens = tokens
        self._masked = masked
        self._clock = clock
        self.couriers = {
            one.name: Courier(one, database, told=metrics.webhook_delivery, send=send, clock=clock, node=node)
            for one in endpoints
        }
        self._found: set[str] = set()
        """Calls that go on though they were told as lost: their end has an id of its own."""

    # ── events come ─────────────────────────────────────────────────────────────────────────────
    @property
    def kinds(self) -> frozenset[str]:
        """Types of live events of which some endpoint is told."""
        wanted = {kind for courier in self.couriers.values() for kind in courier.endpoint.events}
        if "call.ended" in wanted:
            wanted.add("call.found_again")  # else the true end would have the id of the loss
        return frozenset(kind for kind, told in _TOLD.items() if told in wanted)

    def on_event(self, event: LiveEvent) -> None:
        """Take a live event. The end of a call is told by :meth:`ended` instead, with the call's record."""
        told = _TOLD.get(event.type)
        if told == "call.started":
            self._keep(told, event.call_id, _some(event.data, _CALL))
        elif told == "response.finished":
            if event.data.get("outcome") is not None:
                self._keep(told, event.call_id, _some(event.data, _RESPONSE))
        elif told == "call.found_again":
            if event.call_id not in self._found:
                self._found.add(event.call_id)
                self._keep(told, event.call_id, _some(event.data, _CALL), found_token(event.call_id))
        elif told is not None:
            self._keep(told, event.call_id, event.data)

    def ended(self, call_id: str, data: Mapping[str, Any]) -> Message | None:
        """Return the event that tells the end of a call; None when nobody asked for it."""
        again = call_id in self._found
        self._found.discard(call_id)
        return self._message("call.ended", call_id, _some(data, _ENDED), end_token(call_id, again=again))

    def ended_unheard(self, call_id: str, data: Mapping[str, Any]) -> None:
        """Tell how a call has truly ended that was told as lost before it had."""
        self._keep("call.ended", call_id, _some(data, _ENDED), end_token(call_id, again=True))

    def ended_before(self, record: CallRecord) -> Message | None:
        """… of a call that is known by its record only; the event has the same id."""
        return self.ended(record.id, ended_data(record))

    def written(self, one: Message) -> None:
        """A message stands in the outbox."""
        for name in one.endpoints:
            if name in self.couriers:
                self.couriers[name].wake()

    def dropped(self, one: Message) -> None:
        """A message found no place while the database was away."""
        for name in one.endpoints:
            self._metrics.webhook_delivery(name, "dropped")

    def _keep(self, kind: str, call_id: str, data: Mapping[str, Any], token: str | None = None) -> None:
        told = self._message(kind, call_id, data, token)
        if told is not None:
            self._archive.keep_event(told)

    def _message(
        self, kind: str, call_id: str, data: Mapping[str, Any], token: str | None = None
    ) -> Message | None:
        wanted = [
            name
            for name, courier in self.couriers.items()
            if kind in courier.endpoint.events and not courier.disabled
        ]
        if not wanted:
            return None
        clean = self._clean(call_id, data)
        token = token or self._tokens() + self._tokens()
        return message(token, kind, call_id, self._clock(), clean, wanted)

    def _clean(self, call_id: str, value: Any, name: str = "") -> Any:
        """Return data without secrets: as the journal hides them, and what looks like a key."""
        if isinstance(value, str):
            return value if name in _OPEN else hide_secret_values(self._masked(call_id, value))
        if isinstance(value, Mapping):
            items = cast("Mapping[str, Any]", value).items()
            return {key: self._clean(call_id, item, key) for key, item in items}
        if isinstance(value, list | tuple):
            return [self._clean(call_id, item, name) for item in cast("Sequence[Any]", value)]
        return value

    # ── tasks ───────────────────────────────────────────────────────────────────────────────────
    def open(self, nest: TaskNest) -> None:
        """Begin to deliver; what an earlier process left is taken up."""
        self._archive.put, self._archive.events_dropped = self.written, self.dropped
        for name, courier in self.couriers.items():
            nest.start(f"webhooks {name}", courier.run())
        nest.start("webhooks kept", self._keep_house())

    async def _keep_house(self) -> None:
        """Forget what is old, and measure what waits."""
        now = self._clock()
        swept_at = float("-inf")
        strangers = partial(outbox.give_up_strangers, endpoints=list(self.couriers), error=NO_SETTING, at=now)
        loop = asyncio.get_running_loop()
        while True:
            try:
                if strangers is not None:
                    await self._database.run(strangers)
                    strangers = None
                if loop.time() - swept_at >= SWEEP_S:
                    now = self._clock()
                    await self._database.run(
                        partial(
                            outbox.sweep,
                            delivered_before=now - DELIVERED_KEPT_S,
                            dead_before=now - DEAD_KEPT_S,
                        )
                    )
                    swept_at = loop.time()
                self._metrics.webhook_backlog(await self._database.run(outbox.waiting))
            except DatabaseDown:
                pass
            await asyncio.sleep(BACKLOG_S)

    # ── the console asks ────────────────────────────────────────────────────────────────────────
    def endpoints(self) -> Sequence[Mapping[str, Any]]:
        """How every endpoint stands: name, url (without its path), events, state, last_error."""
        return [
            {
                "name": name,
                "url": courier.endpoint.shown,
                "events": list(courier.endpoint.events),
                "state": courier.state,
                "last_error": courier.last_error,
            }
            for name, courier in self.couriers.items()
        ]

    def wake(self, endpoint: str) -> bool:
        """Have what waits for an endpoint tried; False when it is none of ours."""
        courier = self.couriers.get(endpoint)
        if courier is not None:
            courier.wake()
        return courier is not None


def _some(data: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: data[name] for name in names if name in data}


def ended_data(record: CallRecord) -> dict[str, Any]:
    """Return a record as the event of its call's end tells a call."""
    told = {name: getattr(record, name) for name in _CALL}
    figures = {name: value for name, value in record.figures.items() if not isinstance(value, list)}
    if record.first_words_ms is not None:
        figures["first_words_ms"] = record.first_words_ms
    return {
        **told,
        "duration_s": record.duration_s,
        "outcome": {"kind": record.outcome, "reason": record.reason, "detail": record.fault},
        "transfer": None,
        "figures": {
            **figures,
            "barge_ins": record.barge_ins,
            "answered": float(record.answered_at is not None),
        },
    }
