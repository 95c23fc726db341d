"""Whole calls for ``voiceagent bench calls``: flow, call, session and journal over an RTP port, without SIP.

The flow converses: it asks for an answer at the end of each turn, and a barge-in is obeyed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from voiceagent.app.directory import NodeDirectory
from voiceagent.bench.calls import CallUnderTest, ComposeCall
from voiceagent.call.call import Call
from voiceagent.call.config import CallConfig
from voiceagent.call.inputs import Inputs
from voiceagent.call.leg import (
    G711,
    Heard,
    Leg,
    LegCapabilities,
    LegEnd,
    LegInfo,
    LegListener,
    LegTap,
    MediaFigures,
    Progress,
    TransferResult,
)
from voiceagent.call.outcome import CallOutcome
from voiceagent.call.session_opening import opened, watched
from voiceagent.call.session_setup import SessionDefaults, session_config
from voiceagent.errors import MediaError
from voiceagent.ids import random_token
from voiceagent.ivr.flow import Flow, flow
from voiceagent.ivr.verbs import Call as FlowCall
from voiceagent.media.path import MediaPath
from voiceagent.media.port import MediaPort
from voiceagent.media.wheel import MediaWheel
from voiceagent.realtime.providers import ProviderProfile
from voiceagent.realtime.session import RealtimeSession
from voiceagent.realtime.websocket import OpenAIRealtimeWebSocketModel
from voiceagent.records.journal import Journal, JournalWriter
from voiceagent.simulate.record import Record

DEFAULTS = SessionDefaults()


@flow("bench")
async def converses(call: FlowCall) -> None:
    """Answer whatever the caller says."""
    await call.converse(turns=1000, seconds=7200.0)


class PortLeg:
    """A leg that is nothing but an RTP port; what would take signalling is refused."""

    capabilities = LegCapabilities(can_transfer=False, can_hold=False, can_consult=False)
    audio_format: G711 = "audio/pcmu"

    def __init__(self, number: int, wheel: MediaWheel, phone_port: int) -> None:
        self.info = LegInfo(f"leg-{number}", "direct", "caller", "bench")
        self._phone_port = phone_port
        self._listener: LegListener | None = None
        self._port = MediaPort(wheel, self)
        self.rtp_port = self._port.open("127.0.0.1")[1]

    def listen(self, listener: LegListener) -> None:
        self._listener = listener
        self.on_audio = listener.leg_audio

    async def prepare(self) -> None:
        """The port is open."""

    async def answer(self) -> None:
        """Let the packets flow."""
        self._port.connect(MediaPath(("127.0.0.1", self._phone_port)))

    async def reject(self, status: int, reason: str, *, retry_after_s: int | None = None) -> None:
        await self.hang_up(reason)

    async def hang_up(self, reason: str = "") -> None:
        self._port.close()
        if self._listener is not None:
            listener, self._listener = self._listener, None
            del self.on_audio  # the listener's
            listener.leg_ended(LegEnd.WE_HUNG_UP, None, reason)

    async def transfer(
        self, target: str, *, timeout_s: float, progress: Progress | None = None
    ) -> TransferResult:
        return TransferResult(False, 501)

    async def transfer_to(
        self, other: Leg, *, timeout_s: float, progress: Progress | None = None
    ) -> TransferResult:
        return TransferResult(False, 501)

    async def hold(self, on: bool) -> bool:
        return False

    async def send_digits(self, digits: str) -> None:
        self._port.send_digits(digits)

    def play(self, audio: bytes, *, response_id: str, item_id: str) -> None:
        self._port.play(audio, response_id, item_id)

    def play_end(self, *, response_id: str) -> None:
        self._port.play_end(response_id)

    def stop_playing(self) -> Sequence[Heard]:
        cut = self._port.stop_playing()
        return [Heard(one.response_id, one.item_id, one.heard_ms, one.cut) for one in cut]

    def play_music(self, on: bool) -> None:
        """Nobody waits in such a call."""

    def tap(self, tap: LegTap | None) -> None:
        """Nobody records it."""

    def speak_live(self, voice: Callable[[], bytes] | None) -> None:
        """Nobody takes such a call over."""

    def figures(self) -> MediaFigures:
        port = self._port.figures()
        return MediaFigures(port.received, port.sent, port.lost, port.late)

    # ── the port tells ──────────────────────────────────────────────────────────────────────────
    def on_audio(self, audio: bytes) -> None:
        """Nobody listens yet."""

    def on_digit(self, digit: str) -> None:
        if self._listener is not None:
            self._listener.leg_digit(digit)

    def on_playback_started(self, response_id: str, item_id: str) -> None:
        if self._listener is not None:
            self._listener.leg_playback_started(response_id, item_id)

    def on_playback_ended(self, response_id: str, item_id: str, heard_ms: int, cut: bool) -> None:
        if self._listener is not None:
            self._listener.leg_playback_ended(Heard(response_id, item_id, heard_ms, cut))

    def on_media_lost(self, silence_s: float) -> None:
        return

    def on_media_failed(self, error: MediaError) -> None:
        raise error


class WholeCall:
    """A call that runs until it is closed."""

    def __init__(self, call: Call, leg: PortLeg) -> None:
        self.rtp_port = leg.rtp_port
        self._call = call
        self._life: asyncio.Task[CallOutcome] = asyncio.create_task(call.run())

    async def close(self) -> None:
        self._call.end("bench_over")
        await self._life


def whole_calls(
    journals: JournalWriter, *, inputs: bool, directory: NodeDirectory | None = None
) -> ComposeCall:
    """Return the composition whose journals hold the inputs, or not; ``directory`` observes the calls."""

    async def compose(number: int, wheel: MediaWheel, url: str, phone_port: int) -> CallUnderTest:
        provider = ProviderProfile(name="load", url=url, auth="none", session_minutes=None)
        name = f"call-{number}"

        async def open_session(flow: Flow, audio_format: G711, journal: Journal) -> RealtimeSession:
            hooks = watched(journal, DEFAULTS, place="first", provider="load", model=name)
            model = OpenAIRealtimeWebSocketModel(provider=provider, model=name, **hooks)
            return await opened(model, session_config(flow, audio_format, DEFAULTS), journal)

        journal = journals.open(f"{name}-{random_token()}", monotonic=asyncio.get_running_loop().time)
        recorded = Inputs(journal, random_token()) if inputs else None
        leg = PortLeg(number, wheel, phone_port)
        call = Call(
            name,
            leg,
            converses,
            open_session=open_session,
            config=CallConfig(),
            journal=journal,
            observer=directory or Record(lambda: None),
            tokens=random_token if recorded is None else recorded.tokens("call"),
            transcription=None,
        )
        if directory is not None:
            directory.add(call)
        return WholeCall(call, leg)

    return compose
