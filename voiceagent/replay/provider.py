"""The provider's side of a replay: sockets that open, speak and close as they did, and its REST."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from voiceagent.call.hosted_leg import Reply
from voiceagent.errors import ProviderError
from voiceagent.realtime.call_reply import CallReply
from voiceagent.realtime.config import SILENCE
from voiceagent.realtime.frames import FrameListener, FrameTransport
from voiceagent.replay.errors_back import error_back
from voiceagent.replay.recording import Input
from voiceagent.replay.script import ReplayScript

SOUND = {"audio/pcmu": b"\x00\x80", "audio/pcma": b"\x2a\xaa"}
"""Loud samples of G.711, as agent audio that was not silent."""


class ReplaySocket:
    """One socket of the recording; fulfils :class:`voiceagent.realtime.frames.FrameTransport`."""

    buffered = 0
    dropped = 0

    def __init__(self, number: int, script: ReplayScript) -> None:
        self.number = number
        self._script = script
        self._loop = asyncio.get_running_loop()
        self._listener: FrameListener | None = None
        self._early: list[bytes] = []
        self._closing = False
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._left: Mapping[str, Any] | None = None

    def listen(self, listener: FrameListener) -> None:
        self._listener = listener
        early, self._early = self._early, []
        early += [_data(entry) for entry in self._script.pull_frames(self.number)]
        for data in early:
            listener.frame_received(data)

    def send(self, data: bytes) -> None:
        """The recording knows the answers."""

    def send_audio(self, data: bytes, *, keep: bool = False) -> None:
        """See :meth:`send`."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        if self._closing or self._gone.done():
            return
        self._closing = True
        if self._left is not None or not self._script.expects(self._is_end):
            left = self._left or {"code": code, "reason": reason}
            self._loop.call_soon(self._end, left["code"], left["reason"])

    async def wait_closed(self) -> None:
        key = ("gone", self.number)
        if self._script.knows(key, self._is_gone):
            await self._script.answered(key)
        else:
            await asyncio.shield(self._gone)

    # ── the recording speaks ────────────────────────────────────────────────────────────────────
    def frame(self, data: bytes) -> bool:
        """The provider has sent a frame."""
        if self._listener is None:
            self._early.append(data)
        else:
            self._listener.frame_received(data)
        return True

    def closed(self, entry: Mapping[str, Any]) -> bool:
        """The socket is gone. One that we had closed stays open until we do."""
        if entry["ours"] and not self._closing:
            self._left = entry
        else:
            self._end(entry["code"], entry["reason"])
        return True

    def _end(self, code: int | None, reason: str) -> None:
        if self._gone.done():
            return
        self._gone.set_result(None)
        if self._listener is not None:
            self._listener.transport_closed(code, reason)

    def _is_gone(self, one: Input) -> bool:
        return one.entry.get("socket") == self.number and one.entry.get("state") == "gone"

    def _is_end(self, one: Input) -> bool:
        return one.entry.get("socket") == self.number and one.entry.get("state") == "closed"


class ReplayProvider:
    """Opens the sockets of a recording in their order, and lets its frames in."""

    def __init__(self, script: ReplayScript, audio_format: str) -> None:
        self._script = script
        self._format = audio_format
        self._opened = 0
        self._sockets: dict[int, ReplaySocket] = {}
        script.takers |= {"link": self._link, "frame": self._frame}
        script.takers |= {"audio": self._audio, "words": self._words}

    async def open(
        self, url: str, headers: Mapping[str, str], *, timeout_s: float, max_bytes: int, audio_limit: int
    ) -> FrameTransport:
        """Open the next socket when it was opened then. An ``OpenTransport`` of the websocket model."""
        self._opened += 1
        number = self._opened
        entry = await self._script.answered(("socket", number))
        if entry["state"] == "failed":
            raise error_back(entry["error"])
        return self._socket(number)

    def _socket(self, number: int) -> ReplaySocket:
        found = self._sockets.get(number)
        if found is None:
            found = self._sockets[number] = ReplaySocket(number, self._script)
        return found

    def _link(self, entry: Mapping[str, Any]) -> bool:
        if entry["state"] == "closed":
            return self._socket(entry["socket"]).closed(entry)
        name = "gone" if entry["state"] == "gone" else "socket"
        return self._script.answer((name, entry["socket"]), entry)

    def _frame(self, entry: Mapping[str, Any]) -> bool:
        return self._socket(entry["socket"]).frame(_data(entry))

    def _audio(self, entry: Mapping[str, Any]) -> bool:
        return self._delta(entry, "audio", f'"{_sound(self._format, tuple(entry["amounts"]))}"')

    def _words(self, entry: Mapping[str, Any]) -> bool:
        return self._delta(entry, "audio_transcript", json.dumps(entry["words"]))

    def _delta(self, entry: Mapping[str, Any], what: str, delta: str) -> bool:
        item = (json.dumps(entry["response"]), json.dumps(entry["item"]), entry["index"])
        return self._socket(entry["socket"]).frame((_DELTA % (what, *item, delta)).encode())


def _data(entry: Mapping[str, Any]) -> bytes:
    return entry["frame"].encode("utf-8", "surrogatepass")


_DELTA = (
    '{"type":"response.output_%s.delta","event_id":"event_replayed","response_id":%s,"item_id":%s,'
    '"output_index":0,"content_index":%d,"delta":%s}'
)


@lru_cache(maxsize=256)
def _sound(audio_format: str, amounts: tuple[int, ...]) -> str:
    """Return audio that is sound and silence (negative amounts) as the recorded one was, in base64."""
    loud, quiet = SOUND[audio_format], SILENCE[audio_format]
    parts = [(loud * (size // 2 + 1))[:size] if size > 0 else quiet * -size for size in amounts]
    return base64.b64encode(b"".join(parts)).decode()


class ReplayControl:
    """The verbs of the provider's REST; fulfils :class:`voiceagent.call.hosted_leg.CallControl`."""

    def __init__(self, script: ReplayScript) -> None:
        self._script = script
        self._asked: dict[str, int] = {}
        self._told: dict[str, int] = {}
        script.takers["rest"] = self._rest

    def _rest(self, entry: Mapping[str, Any]) -> bool:
        verb = entry["verb"]
        self._told[verb] = self._told.get(verb, 0) + 1
        if "given_up" in entry:
            return True  # nobody waited for an answer any more
        return self._script.answer(("rest", verb, self._told[verb]), entry)

    async def _ask(self, verb: str) -> Reply:
        self._asked[verb] = self._asked.get(verb, 0) + 1
        key = ("rest", verb, self._asked[verb])
        if verb in ("hangup", "reject") and not self._script.knows(
            key, lambda one: one.kind == "rest" and one.entry["verb"] == verb
        ):
            raise ProviderError("this was not asked for in the recording", code="not_recorded")
        entry = await self._script.answered(key)
        if "error" in entry:
            raise error_back(entry["error"])
        return CallReply(entry["status"], entry["settled"])

    async def accept(self, call_id: str, session: Mapping[str, Any]) -> Reply:
        return await self._ask("accept")

    async def reject(self, call_id: str, status: int) -> Reply:
        return await self._ask("reject")

    async def refer(self, call_id: str, target: str) -> Reply:
        return await self._ask("refer")

    async def hangup(self, call_id: str) -> Reply:
        return await self._ask("hangup")
