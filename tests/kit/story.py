"""Whole calls in virtual time: a real flow, a real call handler, a real session and sequencer.

Only the two ends are fakes: the leg (:mod:`tests.kit.fake_leg`) and the provider's server
(:mod:`tests.kit.scripted_provider`, in memory).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.kit.fake_leg import FakeLeg
from tests.kit.kept import differences
from tests.kit.scripted_provider import ScriptedProvider
from tests.kit.virtual_loop import eventually
from voiceagent.call.call import Call
from voiceagent.call.config import CallConfig
from voiceagent.call.inputs import Inputs, inputs_of
from voiceagent.call.ledger import LedgerEntry
from voiceagent.call.leg import G711
from voiceagent.call.outcome import CallOutcome
from voiceagent.call.queue_room import QueueRoom
from voiceagent.call.transcript import Utterance
from voiceagent.call.transfers import Dial
from voiceagent.errors import ProviderError
from voiceagent.ids import counted_tokens
from voiceagent.ivr.flow import Flow
from voiceagent.realtime.config import RealtimeSessionConfig
from voiceagent.realtime.model_events import RealtimeModelNoticeEvent
from voiceagent.realtime.session import RealtimeSession
from voiceagent.realtime.websocket import OpenAIRealtimeWebSocketModel
from voiceagent.records.journal import Journal
from voiceagent.records.recording import Recordings

UNLIKE: list[str] = []
"""Where the journals of the stories of a test do not give the record that their calls gave."""
TRANSCRIPTION = {"model": "scripted", "language": "en"}


@dataclass
class Observed:
    """An observer that keeps what it was told."""

    ended: list[Call] = field(default_factory=list)
    tools: list[tuple[str, bool]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    happenings: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    entries: list[Mapping[str, Any]] = field(default_factory=list)

    def call_changed(self, call: Call) -> None:
        self.states.append(call.state.value)

    def response_changed(self, call: Call, entry: LedgerEntry) -> None: ...

    def utterance_changed(self, call: Call, line: Utterance) -> None: ...

    def noticed(self, call: Call, notice: RealtimeModelNoticeEvent) -> None:
        self.notices.append(notice.code)

    def digit_pressed(self, call: Call, digit: str) -> None: ...

    def tool_ended(self, call: Call, name: str, ok: bool, seconds: float) -> None:
        self.tools.append((name, ok))

    def happened(self, call: Call, kind: str, facts: Mapping[str, Any]) -> None:
        self.happenings.append((kind, facts))

    def call_ended(self, call: Call) -> None:
        self.ended.append(call)
        UNLIKE.extend(differences(call, self.entries))


class Story:
    """One call in virtual time. ``provider`` and ``leg`` are the two ends to play with."""

    def __init__(
        self,
        flow: Flow,
        *,
        config: CallConfig | None = None,
        leg: FakeLeg | None = None,
        connect_s: float = 0.0,
        refuse: ProviderError | None = None,
        second: bool = False,
        wall: Callable[[], float] | None = None,
        dial: Dial | None = None,
        metadata: Mapping[str, str] | None = None,
        recordings: Recordings | None = None,
        queues: QueueRoom | None = None,
        call_id: str = "call_1",
        record_inputs: bool = False,
    ) -> None:
        self.provider = ScriptedProvider()
        self.second = ScriptedProvider() if second else None
        """The provider that stands in when the first cannot be reached."""
        self._wall = wall
        self.leg = leg or FakeLeg()
        self.observed = Observed()
        self.entries = self.observed.entries
        journal = Journal(None, None, monotonic=asyncio.get_running_loop().time)
        journal.tap(self.entries.append)
        if record_inputs:
            Inputs(journal, "seed")
        self._connect_s = connect_s
        self._event_ids, self._session_ids = counted_tokens("e"), counted_tokens("s")
        self.refuse = refuse
        self.call = Call(
            call_id,
            self.leg,
            flow,
            open_session=self._open,
            config=config or CallConfig(),
            journal=journal,
            observer=self.observed,
            tokens=counted_tokens("r"),
            transcription=TRANSCRIPTION,
            open_second=self._open_second if second else None,
            dial=dial,
            metadata=metadata,
            recordings=recordings,
            queues=queues,
        )
        self._run: asyncio.Task[CallOutcome] | None = None
        self._turns = 0

    async def _open(self, flow: Flow, audio_format: G711, journal: Journal) -> RealtimeSession:
        if self._connect_s:
            await asyncio.sleep(self._connect_s)
        if self.refuse is not None:
            raise self.refuse

        return await self._session(self.provider, flow, journal)

    async def _open_second(self, flow: Flow, audio_format: G711, journal: Journal) -> RealtimeSession:
        assert self.second is not None
        return await self._session(self.second, flow, journal)

    async def _session(self, provider: ScriptedProvider, flow: Flow, journal: Journal) -> RealtimeSession:
        async def transport(*_: Any, **__: Any) -> Any:
            return provider.transport()

        model = OpenAIRealtimeWebSocketModel(
            url="ws://scripted",
            api_key="k",
            transport=transport,
            tokens=self._event_ids,
            tap=inputs_of(journal),
            trace=lambda step, now: journal.write("sequencer", step),
            **({"wall": self._wall} if self._wall is not None else {}),
        )
        config = RealtimeSessionConfig(
            instructions=flow.instructions, transcription=TRANSCRIPTION, playout=True
        )
        session = RealtimeSession(model=model, config=config, tokens=self._session_ids)
        await session.open()
        return session

    # ── directing ───────────────────────────────────────────────────────────────────────────────
    def start(self) -> None:
        """The call is offered."""
        self._run = asyncio.get_running_loop().create_task(self.call.run(), name="the call")

    async def ends(self, within_s: float = 300.0) -> CallOutcome:
        """Wait for the call's end (loop time)."""
        assert self._run is not None
        async with asyncio.timeout(within_s):
            return await self._run

    async def agent_speaks(self) -> None:
        """Wait until the agent's voice is heard."""
        await eventually(lambda: self.call.floor == "agent", within_s=60)

    async def agent_silent(self) -> None:
        """Wait until the agent has spoken and nothing of it is waiting."""
        await eventually(lambda: self.call.floor == "nobody", within_s=60)

    async def creates(self, count: int) -> Mapping[str, Any]:
        """Wait until that many creates have reached the provider; return the last one's ``response``."""
        await eventually(lambda: len(self.provider.creates()) >= count, within_s=60)
        return self.provider.creates()[count - 1].get("response", {})

    def provider_gone(self, reason: str = "gone") -> None:
        """The provider is lost, and nobody is there who could be reached again."""
        self.refuse = ProviderError("nobody is there", code="unreachable")
        self.provider.drop(1006, reason)

    async def caller_says(self, text: str, seconds: float = 1.0) -> None:
        """The caller speaks one turn; the provider hears it and transcribes it."""
        await self.caller_begins()
        await asyncio.sleep(seconds)
        await self.caller_stops(text)

    async def caller_begins(self) -> None:
        """The provider hears speech, and interrupts by itself, as server VAD does."""
        self._turns += 1
        self.provider.emit(
            "input_audio_buffer.speech_started", audio_start_ms=0, item_id=f"turn_{self._turns}"
        )
        if self.provider.active is not None:
            self.provider.cancel(self.provider.active, "turn_detected")
        await asyncio.sleep(0.05)

    async def caller_stops(self, text: str) -> None:
        """The turn ends and is transcribed."""
        item = f"turn_{self._turns}"
        self.provider.emit("input_audio_buffer.speech_stopped", audio_end_ms=1000, item_id=item)
        self.provider.emit("input_audio_buffer.committed", item_id=item, previous_item_id=None)
        await asyncio.sleep(0.2)
        self.provider.emit(
            "conversation.item.input_audio_transcription.completed",
            item_id=item,
            content_index=0,
            transcript=text,
            usage={"type": "duration", "seconds": 1.0},
        )
        await asyncio.sleep(0.05)

    def kinds(self) -> list[str]:
        """How every response request ended, in order of submission."""
        return [entry.outcome.kind.value if entry.outcome else "open" for entry in self.call.ledger]
