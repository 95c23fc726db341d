"""The calls of a whole fleet as the console sees them: its node's own, and through their owners the rest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from voiceagent.app.directory import NodeDirectory
from voiceagent.console.ports import Act, CallView, DialWish, LiveEvent, ResponseView, Trigger
from voiceagent.console.ports_listen import Listener


class FleetDirectory:
    """Fulfils ``console.ports.Directory``. What concerns a call of this node never leaves it."""

    def __init__(self, local: NodeDirectory) -> None:
        self._local = local

    async def calls(self) -> Sequence[CallView]:
        return self._local.calls()

    def seen(self) -> Sequence[CallView]:
        return self._local.calls()

    async def call(self, call_id: str) -> CallView:
        return self._local.call(call_id)

    async def timeline(self, call_id: str) -> Mapping[str, Any]:
        return await self._local.timeline(call_id)

    async def trigger(
        self, call_id: str, trigger: Trigger, *, idempotency_key: str | None, operator: str
    ) -> ResponseView:
        return self._local.trigger(call_id, trigger, idempotency_key=idempotency_key, operator=operator)

    def dial(self, wish: DialWish, *, idempotency_key: str | None, operator: str) -> CallView:
        return self._local.dial(wish, idempotency_key=idempotency_key, operator=operator)

    async def response(self, call_id: str, response_id: str) -> ResponseView:
        return self._local.response(call_id, response_id)

    async def withdraw(self, call_id: str, response_id: str, *, operator: str) -> ResponseView:
        return self._local.withdraw(call_id, response_id, operator=operator)

    async def hang_up(self, call_id: str, *, operator: str) -> CallView:
        return await self._local.hang_up(call_id, operator=operator)

    async def act(self, call_id: str, act: Act, *, idempotency_key: str | None, operator: str) -> CallView:
        return await self._local.act(call_id, act, idempotency_key=idempotency_key, operator=operator)

    async def tagged(self, call_id: str, tags: Sequence[str], *, operator: str) -> None:
        self._local.tagged(call_id, tags, operator=operator)

    async def listen(self, call_id: str, *, operator: str) -> Listener:
        return self._local.listen(call_id, operator=operator)

    def events(self, *, after: int | None = None) -> AsyncIterator[LiveEvent]:
        return self._local.events(after=after)

    def trunks(self) -> Sequence[Mapping[str, Any]]:
        return self._local.trunks()

    def alerts(self) -> Sequence[Mapping[str, Any]]:
        return self._local.alerts()

    def flows(self) -> Mapping[str, Any]:
        return self._local.flows()

    async def reload_flows(self, *, operator: str) -> Mapping[str, Any]:
        return await self._local.reload_flows(operator=operator)

    def ready(self) -> tuple[bool, Mapping[str, Any]]:
        return self._local.ready()
