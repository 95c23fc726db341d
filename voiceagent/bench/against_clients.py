"""The two clients of the comparison: this package's session, and the peer's realtime model."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Mapping
from importlib import import_module
from typing import Any, Protocol

from voiceagent.bench.against_world import TOOL_S, Ear, Pipe, Server
from voiceagent.errors import ConfigError
from voiceagent.ids import counted_tokens
from voiceagent.realtime import model_events as me
from voiceagent.realtime.config import RealtimeSessionConfig
from voiceagent.realtime.frames import FrameListener
from voiceagent.realtime.providers import ProviderProfile
from voiceagent.realtime.requests import Origin, ResponseRequest
from voiceagent.realtime.session import RealtimeSession
from voiceagent.realtime.websocket import OpenAIRealtimeWebSocketModel
from voiceagent.tasks import TaskNest

LINES = {"prompt": "Ask the caller for the order number.", "operator": "Say that a colleague will ring back."}
TURNS = {"type": "server_vad", "create_response": True, "interrupt_response": True}
_BYTES_PER_MS = 8


class Client(Protocol):
    """One sequencer with all that belongs to it, connected to a scripted server."""

    async def open(self) -> None: ...

    def ask(self, name: str, kind: str) -> None:
        """Ask for a response; ``name`` travels in its metadata as ``q``."""
        ...

    async def close(self) -> None: ...


class _Memory:
    """A frame transport to the scripted server."""

    def __init__(self, server: Server, seed: str) -> None:
        self._server = server
        self._up = Pipe(seed + "/up", server.take)
        self._seed = seed
        self._listener: FrameListener | None = None
        self.buffered = 0
        self.dropped = 0

    def listen(self, listener: FrameListener) -> None:
        self._listener = listener
        self._server.down = Pipe(self._seed + "/down", listener.frame_received)
        self._server.emit("session.created", session=self._server.session)

    def send(self, data: bytes) -> None:
        self._up.send(data.decode())

    def send_audio(self, data: bytes, *, keep: bool = False) -> None:
        return

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._server.down = None

    async def wait_closed(self) -> None:
        return


class Ours:
    """A :class:`~voiceagent.realtime.session.RealtimeSession`, as a call has it."""

    def __init__(self, server: Server, seed: str) -> None:
        self._server = server
        self._dice = random.Random(seed + "/tools")
        self._loop = asyncio.get_running_loop()

        async def opened(url: str, headers: Mapping[str, str], **options: Any) -> _Memory:
            return _Memory(server, seed)

        profile = ProviderProfile(name="scripted", url="ws://scripted/{model}", auth="none")
        model = OpenAIRealtimeWebSocketModel(
            provider=profile, model="scripted", transport=opened, tokens=counted_tokens("ev")
        )
        config = RealtimeSessionConfig(turn_detection=TURNS, playout=True)
        self._session = RealtimeSession(model=model, config=config)
        self._ear = server.ear = Ear(self._started, self._ended)
        self._session.add_listener(self._on_event)

    async def open(self) -> None:
        await self._session.open()

    def ask(self, name: str, kind: str) -> None:
        origin = Origin.IVR if kind == "prompt" else Origin.OPERATOR
        self._session.submit(
            ResponseRequest(id=name, origin=origin, instructions=LINES[kind], metadata={"q": name})
        )

    async def close(self) -> None:
        await self._session.close()

    def _started(self, rid: str, item: str) -> None:
        self._server.audible(rid)
        self._session.playback_started(rid, item)

    def _ended(self, rid: str, item: str, heard_ms: int, cut: bool) -> None:
        self._session.playback_ended(rid, item, heard_ms, cut=cut)

    def _on_event(self, event: me.RealtimeModelEvent) -> None:
        match event:
            case me.RealtimeModelAudioEvent():
                self._ear.audio(event.response_id, event.item_id, len(event.data) // _BYTES_PER_MS)
            case me.RealtimeModelTurnEndedEvent():
                self._ear.complete(event.response_id)
            case me.RealtimeModelAudioInterruptedEvent():
                self._ear.stop(event.response_id)
            case me.RealtimeModelToolCallEvent():
                wait = self._dice.uniform(*TOOL_S)
                self._loop.call_later(wait, self._session.send_tool_output, event.call_id, "42")
            case me.RealtimeModelResponseOutcomeEvent():
                asked = self._server.wishes.get(event.request_id)
                if asked is not None and event.outcome.kind.value != "completed":
                    asked.signs.append(event.outcome.kind.value)
            case me.RealtimeModelNoticeEvent(code="bad_frame" | "frame_failed"):
                self._server.truth.bad_frames += 1
            case _:
                return


class _FakeSocket:
    """What the peer takes for its WebSocket."""

    def __init__(self, server: Server, seed: str) -> None:
        self._up = Pipe(seed + "/up", server.take)
        self._inbox: asyncio.Queue[str | None] = asyncio.Queue()
        server.down = Pipe(seed + "/down", self._inbox.put_nowait)
        server.emit("session.created", session=server.session)

    async def send(self, data: str) -> None:
        self._up.send(data)

    async def close(self, *_: Any) -> None:
        self._inbox.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[str]:
        while (message := await self._inbox.get()) is not None:
            yield message


class Peer:
    """``openai-agents``: its WebSocket model, where its sequencer lives, over a fake socket.

    Prompts and operators' lines are raw ``response.create`` messages with instructions and metadata, each
    with an event id of its own; tool results go through its tool output event. Its audio is played until it
    says that it was interrupted.
    """

    def __init__(self, server: Server, seed: str) -> None:
        os.environ.setdefault("OPENAI_AGENTS_DISABLE_TRACING", "1")
        wire = import_module("agents.realtime.openai_realtime")
        self._inputs = import_module("agents.realtime.model_inputs")
        self._server = server
        self._dice = random.Random(seed + "/tools")
        self._loop = asyncio.get_running_loop()
        self._nest = TaskNest("peer")
        self._seed = seed
        self._model: Any = wire.OpenAIRealtimeWebSocketModel()
        self._model._create_websocket_connection = self._connect
        self._ear = server.ear = Ear(self._started, self._ended)

    async def _connect(self, **_: Any) -> _FakeSocket:
        return _FakeSocket(self._server, self._seed)

    async def open(self) -> None:
        self._model.add_listener(self)
        settings = {
            "model_name": "scripted",
            "modalities": ["audio"],
            "input_audio_format": "g711_ulaw",
            "output_audio_format": "g711_ulaw",
            "turn_detection": TURNS,
        }
        await self._model.connect({"api_key": "none", "initial_model_settings": settings})

    def ask(self, name: str, kind: str) -> None:
        body = {"instructions": LINES[kind], "metadata": {"q": name}}
        message = {
            "type": "response.create",
            "other_data": {"event_id": f"ask_{name}", "response": body},
        }
        self._send(self._inputs.RealtimeModelSendRawMessage(message=message))

    def _send(self, event: Any) -> None:
        self._nest.start("send", self._model.send_event(event))

    def _answer(self, call: Any) -> None:
        self._send(self._inputs.RealtimeModelSendToolOutput(tool_call=call, output="42", start_response=True))

    async def close(self) -> None:
        await self._model.close()
        await self._nest.close()

    def _started(self, rid: str, item: str) -> None:
        self._server.audible(rid)

    def _ended(self, rid: str, item: str, heard_ms: int, cut: bool) -> None:
        return

    async def on_event(self, event: Any) -> None:
        """Hear the peer's events."""
        match event.type:
            case "audio":
                self._ear.audio(event.response_id, event.item_id, len(event.data) // _BYTES_PER_MS)
            case "turn_ended":
                self._ear.complete(event.response_id)
            case "audio_interrupted":
                self._ear.stop()
            case "function_call":
                self._loop.call_later(self._dice.uniform(*TOOL_S), self._answer, event)
            case "raw_server_event":
                self._raw(event.data)
            case "error":
                if not hasattr(event.error, "event_id"):
                    self._server.truth.bad_frames += 1
            case "exception":
                self._server.truth.bad_frames += 1
            case _:
                return

    def _raw(self, frame: Mapping[str, Any]) -> None:
        """Note every sign by which an application could tell what became of one of its requests."""
        name = sign = ""
        if frame["type"] == "error":
            name = str(frame["error"].get("event_id")).removeprefix("ask_")
            sign = str(frame["error"].get("code"))
        elif frame["type"] == "response.done" and frame["response"]["status"] != "completed":
            metadata: Mapping[str, Any] = frame["response"].get("metadata") or {}
            name = str(metadata.get("q"))
            sign = frame["response"]["status"]
        asked = self._server.wishes.get(name)
        if asked is not None:
            asked.signs.append(sign)


def require_peer() -> str:
    """Return the peer's version. Raises :class:`~voiceagent.errors.ConfigError` when it is not installed."""
    try:
        import_module("agents.realtime.openai_realtime")
        from importlib.metadata import version

        return version("openai-agents")
    except ImportError:
        raise ConfigError(
            "--against openai-agents", "is not installed; install it with: pip install 'voiceagent[bench]'"
        ) from None
