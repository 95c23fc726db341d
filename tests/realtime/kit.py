"""A session over an in-memory provider, with everything that was heard and sent at hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.kit.provider_links import MemoryTransport
from tests.kit.scripted_provider import ScriptedProvider
from voiceagent.ids import counted_tokens
from voiceagent.realtime.config import RealtimeSessionConfig
from voiceagent.realtime.model_events import RealtimeModelEvent
from voiceagent.realtime.providers import ProviderProfile
from voiceagent.realtime.session import RealtimeSession
from voiceagent.realtime.websocket import OpenAIRealtimeWebSocketModel

E = TypeVar("E")


@dataclass
class Room:
    """One session and its provider."""

    session: RealtimeSession
    model: OpenAIRealtimeWebSocketModel
    provider: ScriptedProvider
    events: list[RealtimeModelEvent] = field(default_factory=list)
    transports: list[MemoryTransport] = field(default_factory=list)
    stop_keeping: Callable[[], None] = lambda: None

    @property
    def transport(self) -> MemoryTransport:
        return self.transports[-1]

    def heard(self, kind: type[E]) -> list[E]:
        """Return all events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    def quiet(self) -> None:
        """Keep no more events (for measurements)."""
        self.stop_keeping()

    def wire(self) -> list[str]:
        """Return the client's frames after set-up, by name."""
        return self.provider.types()[1:]


class Ear:
    """A leg's playout in loop time: plays what arrives, reports what was heard, stops on order."""

    def __init__(self, room: Room) -> None:
        import asyncio

        from voiceagent.realtime import model_events as me

        self._me = me
        self._room = room
        self._loop = asyncio.get_running_loop()
        self._start: dict[str, float] = {}
        self._ms: dict[str, int] = {}
        self._of: dict[str, str] = {}
        self._free_at = 0.0
        self._timers: dict[str, Any] = {}
        self.stopped: list[str] = []
        room.session.add_listener(self.on_event)

    def on_event(self, event: RealtimeModelEvent) -> None:
        me = self._me
        if isinstance(event, me.RealtimeModelAudioEvent):
            now = self._loop.time()
            item = event.item_id
            if item not in self._start:
                self._start[item] = max(now, self._free_at)
                self._ms[item] = 0
                self._of[item] = event.response_id
                self._loop.call_at(self._start[item], self._begin, item)
            self._ms[item] += len(event.data) // 8
            self._free_at = self._start[item] + self._ms[item] / 1000
        elif isinstance(event, me.RealtimeModelAudioDoneEvent):
            if event.item_id in self._start:
                at = self._start[event.item_id] + self._ms[event.item_id] / 1000
                self._timers[event.item_id] = self._loop.call_at(at, self._end, event.item_id)
        elif isinstance(event, me.RealtimeModelAudioInterruptedEvent):
            self.stop(event.response_id)

    def _begin(self, item: str) -> None:
        if item in self._start:
            self._room.session.playback_started(self._of[item], item)

    def _end(self, item: str) -> None:
        if item in self._start:
            del self._start[item]
            self._room.session.playback_ended(self._of[item], item, self._ms[item])

    def stop(self, response_id: str) -> None:
        now = self._loop.time()
        self.stopped.append(response_id)
        for item, start in list(self._start.items()):
            if self._of[item] == response_id:
                del self._start[item]
                heard = max(0, min(self._ms[item], round((now - start) * 1000)))
                self._free_at = now
                self._room.session.playback_ended(response_id, item, heard, cut=True)


@asynccontextmanager
async def open_room(
    *,
    config: RealtimeSessionConfig | None = None,
    provider: ScriptedProvider | None = None,
    profile: str | ProviderProfile = "embedded",
    close: bool = True,
    **options: Any,
) -> AsyncIterator[Room]:
    """Open a session over memory."""
    server = provider or ScriptedProvider()
    transports: list[MemoryTransport] = []

    async def opener(url: str, headers: Mapping[str, str], **_: Any) -> MemoryTransport:
        transports.append(server.transport())
        return transports[-1]

    model = OpenAIRealtimeWebSocketModel(
        provider=profile, transport=opener, tokens=counted_tokens("m"), **options
    )
    session = RealtimeSession(model=model, config=config, tokens=counted_tokens("s"))
    room = Room(session, model, server, transports=transports)
    room.stop_keeping = session.add_listener(room.events.append)
    await session.open()
    try:
        yield room
    finally:
        if close:
            await session.close()
