"""``WS /v1/calls/{call}/listen``: hear both sides of a call.

Down: binary frames (:mod:`voiceagent.media.live_track`), and text frames with JSON ``{"type": "state", …}``
whenever it changes. A reader who is too slow loses the oldest frames; nobody is waited for.

Up: the microphone of whoever has taken the call over, in binary frames of 160 bytes (20 ms of µ-law).
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from voiceagent.console.auth import Visitor
from voiceagent.console.parts import Parts, audit, ended, parts_of, visitor_of
from voiceagent.console.ports_listen import Listener
from voiceagent.console.problems import FLEET_ERRORS, Problem, not_reached, refused, unknown_call
from voiceagent.console.views import plain
from voiceagent.errors import CallEnded, RequestRefused

router = APIRouter(tags=["calls"])

NORMAL, UNSUPPORTED, POLICY, RESTART = 1000, 1003, 1008, 1012
"""Close codes (RFC 6455 §7.4.1; 1012 of the IANA registry)."""
CLOSE_S = 1.0
LOOK_S = 1.0
"""How often at least it is asked whether the listener may go on: who is shut out hears no more."""
FRAME = 160
"""Bytes of 20 ms of µ-law."""
FRAMES_PER_S = 100
WINDOW_S = 5.0
"""Twice as many frames as there are in a second are taken, over so long."""
STATUSES = {"not_answered": 409, "not_supported": 409, "too_many_listeners": 503, "not_here": 409}


@router.websocket("/v1/calls/{call_id}/listen")
async def listen(websocket: WebSocket, call_id: str) -> None:
    """Hear both sides of a call until it ends or the socket is closed."""
    parts, visitor = parts_of(websocket), visitor_of(websocket)
    try:
        parts.listeners.check()
        listener = await _join(parts, visitor, call_id)
    except Problem as problem:
        await problem.deny(websocket.send)
        return
    parts.listeners.add(listener)
    audit(websocket, "call.listen", call_id, listener=listener.id)
    began = asyncio.get_running_loop().time()
    try:
        await websocket.accept()
        await _serve(websocket, parts, visitor, listener)
    except (WebSocketDisconnect, OSError):
        pass
    finally:
        parts.listeners.remove(listener)
        listener.leave()
        seconds = round(asyncio.get_running_loop().time() - began, 1)
        facts = {"listener": listener.id, "seconds": seconds, "dropped": listener.dropped}
        audit(websocket, "call.listen_ended", call_id, **facts)


async def _join(parts: Parts, visitor: Visitor, call_id: str) -> Listener:
    try:
        return await parts.directory.listen(call_id, operator=visitor.name)
    except RequestRefused as error:
        raise refused(error, STATUSES) from None
    except CallEnded as error:
        raise await ended(parts.directory, call_id, error) from None
    except KeyError:
        raise unknown_call(call_id) from None
    except FLEET_ERRORS as error:
        raise not_reached(error) from None


async def _serve(websocket: WebSocket, parts: Parts, visitor: Visitor, listener: Listener) -> None:
    """Send and receive until either is over; then close with the reason."""
    loop = asyncio.get_running_loop()
    sending = loop.create_task(_send(websocket, listener), name="console/listen-send")
    receiving = loop.create_task(_receive(websocket, listener), name="console/listen-receive")
    tasks = {sending, receiving}
    try:
        while not (sending.done() or receiving.done()):
            pause = min(LOOK_S, parts.config.heartbeat_s)
            await asyncio.wait(tasks, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            if not parts.policy.still_welcome(visitor, loop.time()):
                await _close(websocket, POLICY, "signed_out")
                return
        if receiving.done():
            if receiving.result() is not None:
                await _close(websocket, UNSUPPORTED, str(receiving.result()))
            return
        sending.result()
        await _close(
            websocket, *((RESTART, "closing") if parts.listeners.closed else (NORMAL, listener.ended))
        )
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _close(websocket: WebSocket, code: int, reason: str) -> None:
    """Close, but not for long: a socket that takes nothing more must not keep us."""
    with suppress(TimeoutError, RuntimeError):
        async with asyncio.timeout(CLOSE_S):
            await websocket.close(code, reason)


async def _send(websocket: WebSocket, listener: Listener) -> None:
    while (item := await listener.next()) is not None:
        if isinstance(item, bytes):
            await websocket.send_bytes(item)
        else:
            await websocket.send_text(json.dumps({"type": "state", **plain(item)}))


async def _receive(websocket: WebSocket, listener: Listener) -> str | None:
    """Pass the microphone on until the peer goes (None) or breaks the rules (how)."""
    loop = asyncio.get_running_loop()
    began, count = loop.time(), 0
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        frame = message.get("bytes")
        if frame is None or len(frame) != FRAME:
            return f"frames of {FRAME} bytes are taken, nothing else"
        count += 1
        if count > FRAMES_PER_S * WINDOW_S:
            if loop.time() - began < WINDOW_S:
                return "faster than sound"
            began, count = loop.time(), 0
        listener.voice(frame)
