"""The provider of the recovery bench: answers turns over real sockets, and dies at random points of the wire.

It keeps the truth to compare with: which turns a call has completed before each death, and what the next
session was told of them. A *point* is one server event sent or one client event (but audio) received.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from voiceagent.bench.load_server import call_number

LAST_POINT = 45
"""A session dies after 1 to so many points: set-up, replay, and up to three turns."""
FIRST_POINT = 5
LONGEST_OUTAGE_S = 2.0
CHUNKS = 3
CHUNK = base64.b64encode(b"\x5a" * 960).decode()
"""120 ms of a loud constant, as G.711."""
_TURN = re.compile(r"Turn (\d+)\.")


def answer_text(turn: int) -> str:
    """What the model says in this turn."""
    return f"This is the answer to turn number {turn}."


def order_text(turn: int) -> str:
    """What the model says once the tool of this turn has answered."""
    return f"The order of turn number {turn} is placed."


@dataclass
class CallTruth:
    """What is true of one call, whichever session it is on."""

    completed: list[str] = field(default_factory=list[str])
    """Answers that the flow was told to be heard to their end."""
    executed: Counter[int] = field(default_factory=Counter[int])
    """How often the tool of a turn had its effect."""
    killed_at: float | None = None
    back_at: float = 0.0
    expected: list[str] = field(default_factory=list[str])
    """What was completed when the last session died."""


@dataclass
class Tally:
    """The bench's counts over all calls."""

    kills: int = 0
    points: Counter[str] = field(default_factory=Counter[str])
    expected: int = 0
    restored: int = 0
    missing: list[str] = field(default_factory=list[str])
    sessions: int = 0
    refused: int = 0


class Session:
    """One connection."""

    def __init__(self, provider: MortalProvider, number: int, connection: ServerConnection) -> None:
        self._provider = provider
        self._truth = provider.truths[number]
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._outbox: asyncio.Queue[str | None] = asyncio.Queue()
        # A call that never came about is another matter than one that survives: its first session gets
        # through its set-up.
        first = FIRST_POINT if self._truth.killed_at is None else 1
        self._points = provider.dice.randint(first, LAST_POINT)
        self._items: list[dict[str, Any]] = []
        self._active: str | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._compared = False
        self._dead = False
        self._expected = list(self._truth.expected)

    async def run(self) -> None:
        """Serve until either side is gone."""
        async with asyncio.TaskGroup() as group:
            writer = group.create_task(self._write(), name="bench provider's writer")
            try:
                self._say("session.created", session=self._session({}))
                async for message in self._connection:
                    self._take(json.loads(message))
            except ConnectionClosed:
                pass
            finally:
                self._dead = True
                for timer in self._timers:
                    timer.cancel()
                writer.cancel()

    async def _write(self) -> None:
        while True:
            text = await self._outbox.get()
            if text is None:
                await self._die()
                return
            try:
                await self._connection.send(text)
            except ConnectionClosed:
                return

    async def _die(self) -> None:
        code = self._provider.dice.choice((1006, 1006, 1011, 1001))
        if code == 1006:
            self._connection.transport.abort()
        else:
            await self._connection.close(code, "on purpose")

    def _point(self, name: str) -> bool:
        """Count a point; return whether the session lives on."""
        provider = self._provider
        if self._dead:
            return False
        self._points -= 1
        if self._points > 0 or provider.tally.kills >= provider.kills:
            return True
        self._dead = True
        now = self._loop.time()
        provider.tally.kills += 1
        provider.tally.points[name] += 1
        outage = provider.dice.uniform(0.2, LONGEST_OUTAGE_S) if provider.dice.random() < 0.5 else 0.0
        self._truth.killed_at, self._truth.back_at = now, now + outage
        self._truth.expected = list(self._truth.completed)
        self._outbox.put_nowait(None)
        return False

    def _say(self, kind: str, **fields: Any) -> None:
        if not self._dead:
            event = {"type": kind, "event_id": f"ev_{next(self._provider.ids)}", **fields}
            self._outbox.put_nowait(json.dumps(event))
            self._point(f"sent {kind}")

    def _take(self, event: dict[str, Any]) -> None:
        kind = event["type"]
        if kind == "input_audio_buffer.append" or not self._point(f"received {kind}"):
            return
        match kind:
            case "session.update":
                self._say("session.updated", session=self._session(event["session"]))
            case "conversation.item.create":
                self._items.append(event["item"])
                for name in ("added", "done"):
                    self._say(f"conversation.item.{name}", item=event["item"], previous_item_id=None)
            case "response.create":
                self._compare()
                self._respond(event.get("response") or {})
            case "response.cancel":
                self._say(
                    "error",
                    error={
                        "type": "invalid_request_error",
                        "code": "response_cancel_not_active",
                        "message": "no active response",
                        "event_id": event.get("event_id"),
                    },
                )
            case "conversation.item.truncate":
                self._say(
                    "conversation.item.truncated",
                    item_id=event["item_id"],
                    content_index=0,
                    audio_end_ms=event["audio_end_ms"],
                )
            case _:
                return

    def _compare(self) -> None:
        """The first create of a new session: everything completed before must have been replayed."""
        if self._compared:
            return
        self._compared = True
        told = {
            str(part.get("text", ""))
            for item in self._items
            if item.get("type") == "message" and item.get("role") == "assistant"
            for part in item.get("content", ())
        }
        tally = self._provider.tally
        tally.expected += len(self._expected)
        for text in self._expected:
            if text in told:
                tally.restored += 1
            else:
                tally.missing.append(text)

    # ── answering ───────────────────────────────────────────────────────────────────────────────
    def _respond(self, asked: dict[str, Any]) -> None:
        if self._active is not None:
            message = f"Conversation already has an active response in progress: {self._active}."
            code = "conversation_already_has_active_response"
            self._say("error", error={"type": "invalid_request_error", "code": code, "message": message})
            return
        turns = _TURN.findall(str(asked.get("instructions") or ""))
        rid = self._active = f"resp_{next(self._provider.ids)}"
        self._response("created", rid, "in_progress", asked, [])
        if turns and int(turns[-1]) % 3 == 0:
            item = {
                "id": f"call_{rid}"[:32],
                "object": "realtime.item",
                "type": "function_call",
                "status": "completed",
                "call_id": f"c_{rid}",
                "name": "place_order",
                "arguments": json.dumps({"turn": int(turns[-1])}),
            }
            self._after(0.02, self._call_tool, rid, item, asked)
            return
        text = answer_text(int(turns[-1])) if turns else self._follow_up()
        self._after(0.03, self._speak, rid, text, 0, asked)

    def _follow_up(self) -> str:
        outputs = [item for item in self._items if item.get("type") == "function_call_output"]
        return order_text(int(json.loads(outputs[-1]["output"])["turn"])) if outputs else "Well."

    def _call_tool(self, rid: str, item: dict[str, Any], asked: dict[str, Any]) -> None:
        place = {"response_id": rid, "output_index": 0, "item": item}
        self._say("response.output_item.added", **{**place, "item": {**item, "status": "in_progress"}})
        self._say("response.output_item.done", **place)
        self._active = None
        self._response("done", rid, "completed", asked, [item])

    def _speak(self, rid: str, text: str, chunk: int, asked: dict[str, Any]) -> None:
        item_id = f"item_{rid}"
        place = {"response_id": rid, "item_id": item_id, "output_index": 0, "content_index": 0}
        item = {"id": item_id, "object": "realtime.item", "type": "message", "role": "assistant"}
        if chunk == 0:
            self._say("response.output_item.added", response_id=rid, output_index=0, item=item)
            self._say("conversation.item.added", item=item, previous_item_id=None)
            self._say("response.output_audio_transcript.delta", **place, delta=text)
        if chunk < CHUNKS:
            self._say("response.output_audio.delta", **place, delta=CHUNK)
            self._after(0.03, self._speak, rid, text, chunk + 1, asked)
            return
        done = {**item, "status": "completed", "content": [{"type": "output_audio", "transcript": text}]}
        self._say("response.output_audio.done", **place)
        self._say("response.output_audio_transcript.done", **place, transcript=text)
        self._say("response.output_item.done", response_id=rid, output_index=0, item=done)
        self._say("conversation.item.done", item=done, previous_item_id=None)
        self._active = None
        self._response("done", rid, "completed", asked, [done])

    def _response(self, kind: str, rid: str, status: str, asked: dict[str, Any], output: list[Any]) -> None:
        response = {
            "object": "realtime.response",
            "id": rid,
            "status": status,
            "output": output,
            "metadata": asked.get("metadata"),
            "conversation_id": "conv_1",
        }
        self._say(f"response.{kind}", response=response)

    def _after(self, seconds: float, act: Any, *arguments: Any) -> None:
        self._timers.append(self._loop.call_later(seconds, act, *arguments))

    @staticmethod
    def _session(update: dict[str, Any]) -> dict[str, Any]:
        return {"type": "realtime", "id": "sess", "model": "bench", **update}


class MortalProvider:
    """Listens on a port of the loopback; kills sessions until ``kills`` are reached."""

    def __init__(self, calls: int, kills: int, seed: int) -> None:
        self.dice = random.Random(seed)
        self.kills = kills
        self.truths = [CallTruth() for _ in range(calls)]
        self.tally = Tally()
        self.ids = itertools.count(1)
        self._server: Server | None = None

    async def start(self) -> str:
        """Listen; return the URL with ``{model}``."""
        self._server = await serve(
            self._talk, "127.0.0.1", 0, process_request=self._admit, compression=None, ping_interval=None
        )
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1/realtime?model={{model}}"

    async def close(self) -> None:
        """End everything."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        truth = self.truths[call_number(request.path)]
        if asyncio.get_running_loop().time() < truth.back_at:
            self.tally.refused += 1
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "not yet\n")
        return None

    async def _talk(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.tally.sessions += 1
        await Session(self, call_number(connection.request.path), connection).run()
