"""``WS /v1/cluster/calls/{call}/listen``: another node hears a call of ours, for its listeners.

One socket for all of them. Text frames are JSON. Up: ``{"join": n, "name": …}`` and ``{"leave": n}``, and in
binary frames the microphone of listener ``n`` (two bytes) who has taken the call over. Down: ``{"joined": n,
"listener": id}`` or ``{"refused": n, …}``, ``{"state": n, "data": …}``, ``{"ended": n, "why": …}``; and the
frames that a listener here would get, each once, however many listen there.

The other node has checked what its listeners may, and proves itself by a ticket
(:mod:`voiceagent.cluster.tickets`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from contextlib import suppress
from typing import Any, cast

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from voiceagent.cluster.refusals import CARRIED, error_data
from voiceagent.cluster.tickets import HEADER, TicketRefused
from voiceagent.console.parts import Parts, parts_of
from voiceagent.console.ports_listen import Listener
from voiceagent.console.problems import Problem
from voiceagent.console.views import plain
from voiceagent.errors import RequestRefused
from voiceagent.tasks import TaskNest

router = APIRouter(tags=["calls"])
_log = logging.getLogger("voiceagent.console")

VOICE = 162
"""Bytes of a frame up: which listener (big-endian), and 20 ms of µ-law."""
MOST_NAME = 200
UNSUPPORTED = 1003


@router.websocket("/v1/cluster/calls/{call_id}/listen")
async def listen_for_node(websocket: WebSocket, call_id: str) -> None:
    """Let another node's listeners hear a call, until they are gone or it ends."""
    parts = parts_of(websocket)
    if parts.tickets is None:
        words = "This node lets no other one hear its calls: it has no cluster.secret."
        await Problem(404, "not_found", words).deny(websocket.send)
        return
    try:
        ticket = parts.tickets.take(websocket.headers.get(HEADER, ""), call_id, time.time())
    except TicketRefused as refusal:
        _log.info("a node's ticket for call %s was refused: %s", call_id, refusal)
        await Problem(403, "bad_ticket", f"The ticket is refused: {refusal}.").deny(websocket.send)
        return
    await websocket.accept()
    relay = _Relay(websocket, parts, call_id)
    _log.info("node %s hears call %s", ticket.sender, call_id)
    try:
        await relay.serve()
    except (WebSocketDisconnect, OSError):
        pass
    finally:
        await relay.close()


class _Relay:
    """The listeners of one other node on one call."""

    def __init__(self, websocket: WebSocket, parts: Parts, call_id: str) -> None:
        self._websocket = websocket
        self._parts = parts
        self._call_id = call_id
        self._listeners: dict[int, Listener] = {}
        self._nest = TaskNest("console/node-listen")
        self._sending = asyncio.Lock()

    async def serve(self) -> None:
        """Do what comes until the peer goes or breaks the rules."""
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return
            voice, text = message.get("bytes"), message.get("text")
            if voice is not None and len(voice) == VOICE:
                listener = self._listeners.get(int.from_bytes(voice[:2]))
                if listener is not None:
                    listener.voice(voice[2:])
            elif text is not None and (order := _order(text)) is not None:
                await self._do(*order)
            else:
                with suppress(RuntimeError):
                    await self._websocket.close(
                        UNSUPPORTED, "frames of this protocol are taken, nothing else"
                    )
                return

    async def _do(self, what: str, n: int, name: str) -> None:
        if what == "leave":
            listener = self._listeners.get(n)
            if listener is not None:
                listener.leave()
        elif n not in self._listeners:
            try:
                listener = await self._join(name)
            except CARRIED as error:
                await self._tell({"refused": n, **error_data(error)})
                return
            self._listeners[n] = listener
            self._parts.listeners.add(listener)
            await self._tell({"joined": n, "listener": listener.id})
            self._nest.start("hear", self._hear(n, listener))

    async def _join(self, name: str) -> Listener:
        try:
            self._parts.listeners.check()
        except Problem as problem:
            raise RequestRefused("listen", problem.detail, code=problem.code) from None
        return await self._parts.directory.listen(self._call_id, operator=name, here=True)

    async def _hear(self, n: int, listener: Listener) -> None:
        try:
            while (item := await listener.next()) is not None:
                if not isinstance(item, bytes):
                    await self._tell({"state": n, "data": plain(item)})
                elif n == next(iter(self._listeners)):
                    async with self._sending:
                        await self._websocket.send_bytes(item)
            self._gone(n)
            await self._tell(
                {"ended": n, "why": "closing" if self._parts.listeners.closed else listener.ended}
            )
        except (WebSocketDisconnect, OSError, RuntimeError):
            pass
        finally:
            self._gone(n)

    def _gone(self, n: int) -> None:
        listener = self._listeners.pop(n, None)
        if listener is not None:
            self._parts.listeners.remove(listener)
            listener.leave()

    async def _tell(self, data: dict[str, Any]) -> None:
        async with self._sending:
            await self._websocket.send_text(json.dumps(data))

    async def close(self) -> None:
        """Nobody of that node listens any more."""
        for n in list(self._listeners):
            self._gone(n)
        await self._nest.close()


def _order(text: str) -> tuple[str, int, str] | None:
    try:
        found: object = json.loads(text)
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    order = cast("dict[str, Any]", found)
    for what in ("join", "leave"):
        n, name = order.get(what), order.get("name", "")
        if isinstance(n, int) and 0 <= n < 1 << 16 and isinstance(name, str):
            return what, n, plain(name[:MOST_NAME])
    return None
