"""The calls of a whole fleet as the console sees them: its node's own, and through their owners the rest."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from voiceagent.app.directory import NodeDirectory
from voiceagent.app.fleet_dialling import FleetDialling
from voiceagent.app.fleet_ears import Ears
from voiceagent.app.fleet_feed import FleetFeed
from voiceagent.app.fleet_orders import Orders, obey
from voiceagent.app.fleet_wire import call_view, response_view
from voiceagent.cluster.ports import CallEntry, Cluster, ClusterDown, Command
from voiceagent.console.ports import Act, CallView, DialWish, LiveEvent, ResponseView, Trigger
from voiceagent.console.ports_listen import Listener
from voiceagent.ids import Tokens, random_token


class FleetDirectory:
    """Fulfils ``console.ports.Directory``. What concerns a call of this node never leaves it.

    Without ``cluster``, or with one that nobody shares, there are no other calls. ``secret`` is the fleet's,
    by which nodes let each other hear their calls.
    """

    def __init__(
        self,
        local: NodeDirectory,
        cluster: Cluster | None = None,
        *,
        tokens: Tokens = random_token,
        within_s: float = 5.0,
        secret: str | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._local = local
        self._cluster = cluster
        self._others = cluster if cluster is not None and cluster.shared else None
        self._orders = None if self._others is None else Orders(self._others, tokens, within_s=within_s)
        self._dialling = (
            None
            if self._others is None or self._orders is None
            else FleetDialling(local, self._others, self._orders, within_s=within_s)
        )
        self._ears = None if self._others is None else Ears(self._others, secret, tokens)
        self._wall = wall
        self._feed = None if self._others is None else FleetFeed(local, self._others)

    # ── looking ─────────────────────────────────────────────────────────────────────────────────
    async def calls(self) -> Sequence[CallView]:
        own = self._local.calls()
        if self._feed is None:
            return own
        stale = False
        try:
            await self._feed.fresh()
        except ClusterDown:
            stale = True
        return self._with_others(own, stale)

    def _with_others(self, own: Sequence[CallView], stale: bool) -> Sequence[CallView]:
        assert self._feed is not None
        everyone = [*own, *(self._view(entry, stale) for entry in self._feed.others)]
        return sorted(everyone, key=lambda view: view.state == "ended")

    def _view(self, entry: CallEntry, stale: bool) -> CallView:
        view = call_view(entry.data, node=entry.node, stale=stale)
        if view.state == "ended":
            return view
        return replace(view, duration_s=round(max(0.0, self._wall() - view.started_at), 1))

    def seen(self) -> Sequence[CallView]:
        own = self._local.calls()
        if self._others is None:
            return own
        return self._with_others(own, bool(self._others.stale))

    async def call(self, call_id: str) -> CallView:
        if self._remote(call_id):
            return await self._order("call", call_id, read=_call)
        return self._local.call(call_id)

    async def timeline(self, call_id: str) -> Mapping[str, Any]:
        try:
            return await self._local.timeline(call_id)
        except KeyError:
            if self._orders is None or not self._remote(call_id):
                raise
        try:
            return await self._order("timeline", call_id)
        except KeyError:  # of long ago: its journal may be kept on another node
            for _, told in await self._orders.ask_all("timeline", call_id):
                return told
            raise

    async def response(self, call_id: str, response_id: str) -> ResponseView:
        if self._remote(call_id):
            return await self._order("response", call_id, {"response_id": response_id}, read=_response)
        return self._local.response(call_id, response_id)

    async def cluster(self) -> Mapping[str, Any]:
        if self._cluster is None:
            return {"node": "", "shared": False, "stale": "", "nodes": []}
        nodes = [
            {"name": one.name, "epoch": one.epoch, "seen_at": one.seen_at, **asdict(one.facts)}
            for one in await self._cluster.nodes()
        ]
        cluster = self._cluster
        return {"node": cluster.name, "shared": cluster.shared, "stale": cluster.stale, "nodes": nodes}

    # ── acting ──────────────────────────────────────────────────────────────────────────────────
    async def trigger(
        self, call_id: str, trigger: Trigger, *, idempotency_key: str | None, operator: str
    ) -> ResponseView:
        if self._remote(call_id):
            return await self._order(
                "trigger", call_id, trigger, actor=operator, key=idempotency_key, read=_response
            )
        return self._local.trigger(call_id, trigger, idempotency_key=idempotency_key, operator=operator)

    async def dial(self, wish: DialWish, *, idempotency_key: str | None, operator: str) -> CallView:
        if idempotency_key is not None and self._dialling is not None:
            return await self._dialling.dial(wish, idempotency_key, operator)
        return self._local.dial(wish, idempotency_key=idempotency_key, operator=operator)

    async def withdraw(self, call_id: str, response_id: str, *, operator: str) -> ResponseView:
        if self._remote(call_id):
            which = {"response_id": response_id}
            return await self._order("withdraw", call_id, which, actor=operator, read=_response)
        return self._local.withdraw(call_id, response_id, operator=operator)

    async def hang_up(self, call_id: str, *, operator: str) -> CallView:
        if self._remote(call_id):
            return await self._order("hang_up", call_id, actor=operator, read=_call)
        return await self._local.hang_up(call_id, operator=operator)

    async def act(self, call_id: str, act: Act, *, idempotency_key: str | None, operator: str) -> CallView:
        if self._remote(call_id):
            return await self._order("act", call_id, act, actor=operator, key=idempotency_key, read=_call)
        return await self._local.act(call_id, act, idempotency_key=idempotency_key, operator=operator)

    async def tagged(self, call_id: str, tags: Sequence[str], *, operator: str) -> None:
        if not self._remote(call_id):
            self._local.tagged(call_id, tags, operator=operator)
            return
        try:
            await self._order("tagged", call_id, {"tags": list(tags)}, actor=operator)
        except KeyError:
            return

    async def listen(self, call_id: str, *, operator: str, here: bool = False) -> Listener:
        if not here and self._ears is not None and self._orders is not None and self._remote(call_id):
            return await self._ears.listen(call_id, await self._orders.node_of(call_id), operator)
        return self._local.listen(call_id, operator=operator)

    async def obey(self, command: Command) -> Mapping[str, Any]:
        """Do an order of another node, or of this one, here."""
        if command.op == "dialled" and command.args.get("wait") and self._dialling is not None:
            await self._dialling.over(command.idempotency_key or "")
        return await obey(self._local, command)

    # ── following ───────────────────────────────────────────────────────────────────────────────
    async def follow(self, after: int | str | None = None) -> AsyncIterator[LiveEvent]:
        if self._feed is not None:
            return await self._feed.follow(after)
        return self._local.events(after=after if isinstance(after, int) else None)

    def standing(self) -> Mapping[str, Any]:
        return {} if self._feed is None else self._feed.standing()

    def stood(self, up: bool) -> None:
        """The registry has answered, or has not: whoever follows is to know."""
        if self._feed is not None:
            self._feed.stood(up)

    # ── what is this node's own ─────────────────────────────────────────────────────────────────
    def trunks(self) -> Sequence[Mapping[str, Any]]:
        return self._local.trunks()

    def alerts(self) -> Sequence[Mapping[str, Any]]:
        return self._local.alerts()

    def flows(self) -> Mapping[str, Any]:
        return self._local.flows()

    async def reload_flows(self, *, operator: str) -> Mapping[str, Any]:
        return await self._local.reload_flows(operator=operator)

    def ready(self) -> tuple[bool, Mapping[str, Any]]:
        ready, parts = self._local.ready()
        if self._others is None:
            return ready, parts
        return ready, {**parts, "cluster": self._others.stale or "ok"}

    def forget(self, calls: Collection[str]) -> None:
        """Know nothing of other nodes' calls, which have ended, any more."""
        if self._feed is not None:
            self._feed.forget(calls)

    async def close(self) -> None:
        """Hear other nodes' calls no more, place none for a key that they may have."""
        if self._dialling is not None:
            await self._dialling.close()
        if self._ears is not None:
            await self._ears.close()

    # ── inner workings ──────────────────────────────────────────────────────────────────────────
    def _remote(self, call_id: str) -> bool:
        return self._orders is not None and not self._local.has(call_id)

    async def _order(self, op: str, call_id: str, args: Any = None, **how: Any) -> Any:
        assert self._orders is not None
        return await self._orders.give(op, call_id, args, **how)


def _call(data: Any, node: str) -> CallView:
    return call_view(data, node=node)


def _response(data: Any, node: str) -> ResponseView:
    return response_view(data)
