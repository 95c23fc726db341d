"""A hosted call in virtual time: the story of a direct one, with a provider that hears and plays itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.kit.fake_leg import FakeLeg
from tests.kit.scripted_provider import ScriptedProvider, _merge
from tests.kit.story import TRANSCRIPTION, Story
from voiceagent.call.config import CallConfig
from voiceagent.call.hosted_leg import HostedLeg
from voiceagent.call.leg import G711
from voiceagent.errors import ProviderError
from voiceagent.ids import counted_tokens
from voiceagent.ivr.flow import Flow
from voiceagent.realtime.calls_rest import CallsRest
from voiceagent.realtime.config import RealtimeSessionConfig
from voiceagent.realtime.providers import provider
from voiceagent.realtime.session import RealtimeSession
from voiceagent.realtime.sip_attach import OpenAIRealtimeSIPModel
from voiceagent.realtime.webhook_event import CallOffer
from voiceagent.records.journal import Journal, plain
from voiceagent.replay.check import Verdict, check_journal

OFFER = CallOffer(
    "rtc_1", (("From", '"Alice" <sip:alice@x>;tag=1'), ("To", "<sip:100@y>"), ("Call-ID", "c1@test"))
)


class HostedProvider(ScriptedProvider):
    """Plays what its responses generate, in real time, and says so by ``output_audio_buffer.*``."""

    def __init__(self) -> None:
        super().__init__(audio_format={"type": "audio/pcmu"})
        self.lose_stops = 0
        """How many of the next ``stopped`` events get lost."""
        self.alive = False
        """Whether the call exists."""
        self.know_after = 0
        """How many attaches are answered 404 although the call exists."""
        self.status: int | None = None
        """What every further attach is answered with, when set."""
        self.attaches: list[float] = []
        self.accepted: dict[str, Any] = {}
        self.verbs: list[tuple[str, Any]] = []
        self.answers: dict[str, list[httpx.Response]] = {}
        """By verb: answers to give before the ordinary ones."""
        self._began = 0.0
        self._audio_ms: dict[str, int] = {}
        self._waiting: list[str] = []
        self._done: set[str] = set()
        self._stop: asyncio.TimerHandle | None = None

    # ── REST ────────────────────────────────────────────────────────────────────────────────────
    def rest(self) -> CallsRest:
        """Return a client of ours."""
        transport = httpx.MockTransport(self._verb)
        return CallsRest(provider("openai"), api_key="k", transport=transport, chance=lambda: 0.5)

    async def _verb(self, request: httpx.Request) -> httpx.Response:
        verb = request.url.path.rsplit("/", 1)[1]
        self.verbs.append((verb, json.loads(request.content) if request.content else None))
        await asyncio.sleep(self.latency_s)
        planned = self.answers.get(verb)
        if planned:
            return planned.pop(0)
        if verb == "accept":
            self.alive = True
            self.accepted = self.verbs[-1][1]
        elif not self.alive and verb != "reject":
            return httpx.Response(404)
        if verb in ("hangup", "reject"):
            self.end_call()
        return httpx.Response(200)

    def end_call(self, code: int = 1006) -> None:
        """The call is over, whoever ended it; the control socket goes with it."""
        self.alive = False
        if self._stop is not None:
            self._stop.cancel()
        self.drop(code)

    def drop_socket(self, code: int = 1006, reason: str = "") -> None:
        """Lose the control socket, but not the call: what is being played goes on."""
        if self._drop is not None:
            self._drop(code, reason)
        self._deliver = None

    # ── control sockets ─────────────────────────────────────────────────────────────────────────
    async def open(self, url: str, headers: Mapping[str, str], **_: Any) -> Any:
        """Open a control socket, or answer 404."""
        self.attaches.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.latency_s)
        if self.status is not None:
            raise ProviderError("no", code=f"http_{self.status}")
        if not self.alive or self.know_after:
            self.know_after = max(0, self.know_after - 1)
            raise ProviderError("the provider answered HTTP 404", code="http_404")
        return self.transport()

    def connected(self, deliver: Callable[[str], None], drop: Callable[[int, str], None]) -> None:
        """Greet a control socket with the session as it was accepted."""
        super().connected(lambda text: deliver(text) if "session.created" not in text[:60] else None, drop)
        _merge(self.session, self.accepted)
        self._deliver = deliver
        self.emit("session.created", session=self.session)

    # ── playing ─────────────────────────────────────────────────────────────────────────────────
    def emit(self, kind: str, **fields: Any) -> dict[str, Any]:
        if kind == "response.output_audio.delta":
            self._put(fields["response_id"], len(fields["delta"]) * 3 // 4 // 8)
        event = super().emit(kind, **fields)
        if kind == "response.done":
            self._generated(fields["response"]["id"], fields["response"]["status"] == "cancelled")
        elif kind == "input_audio_buffer.speech_started" and self.active is None:
            self._cut()
        return event

    def _put(self, response_id: str, audio_ms: int) -> None:
        self._audio_ms[response_id] = self._audio_ms.get(response_id, 0) + audio_ms
        if response_id not in self._waiting and response_id != self.playing:
            self._waiting.append(response_id)
            self._play_next()

    def _play_next(self) -> None:
        if self.playing is None and self._waiting:
            response_id = self._waiting.pop(0)
            self._began = asyncio.get_running_loop().time()
            self.buffer_started(response_id)
            self._stop_when_played()

    def _generated(self, response_id: str, cancelled: bool) -> None:
        self._done.add(response_id)
        if response_id == self.playing and cancelled:
            self._cut()
        elif response_id == self.playing:
            self._stop_when_played()
        elif cancelled and response_id in self._waiting:
            self._waiting.remove(response_id)

    def _stop_when_played(self) -> None:
        if self.playing in self._done:
            loop = asyncio.get_running_loop()
            left = self._audio_ms[self.playing] / 1000 - (loop.time() - self._began)
            self._stop = loop.call_later(max(0.0, left), self._played)

    def _played(self) -> None:
        if self.lose_stops:
            self.lose_stops -= 1
            self.playing = None
        else:
            self.buffer_stopped()
        self._play_next()

    def _cut(self) -> None:
        if self._stop is not None:
            self._stop.cancel()
        self._waiting.clear()
        response_id, self.playing = self.playing, None
        if response_id is not None:
            self.emit("output_audio_buffer.cleared", response_id=response_id)

    def _on_output_audio_buffer_clear(self, _event: dict[str, Any]) -> None:
        self._cut()


class Caller:
    """The caller of a hosted call: what a fake leg is for a direct one."""

    def __init__(self, server: HostedProvider) -> None:
        self._server = server

    def press(self, digits: str) -> None:
        """The caller presses keys."""
        for digit in digits:
            self._server.emit("input_audio_buffer.dtmf_event_received", event=digit, received_at=1)

    def caller_hangs_up(self) -> None:
        """The caller's BYE reaches the provider."""
        self._server.end_call()


class HostedStory(Story):
    """One hosted call in virtual time; see :class:`tests.kit.story.Story`."""

    provider: HostedProvider

    def __init__(self, flow: Flow, *, config: CallConfig | None = None) -> None:
        server = HostedProvider()
        session = RealtimeSessionConfig(instructions=flow.instructions, transcription=TRANSCRIPTION)
        self.hosted = HostedLeg(OFFER, server.rest(), session=session.to_accept(model="gpt-realtime"))
        self.caller = Caller(server)
        leg: Any = self.hosted
        super().__init__(flow, config=config, leg=leg)
        self.provider = server
        self.model: OpenAIRealtimeSIPModel | None = None

    async def _open(self, flow: Flow, audio_format: G711, journal: Journal) -> RealtimeSession:
        model = OpenAIRealtimeSIPModel(
            call_id=OFFER.call_id,
            api_key="k",
            transport=self.provider.open,
            tokens=counted_tokens("e"),
            trace=lambda step, now: journal.write("sequencer", step, loop_t=round(now, 6)),
            accepted=self.hosted.session,
            over=self.hosted.call_over,
            digits_end_prompts=False,
            chance=lambda: 0.5,
        )
        self.model = model
        model.add_listener(self.hosted.model_event)
        config = RealtimeSessionConfig(instructions=flow.instructions, transcription=TRANSCRIPTION)
        session = RealtimeSession(model=model, config=config, tokens=counted_tokens("s"))
        await session.open()
        return session


def verdict(story: Story, folder: Path) -> Verdict:
    """Write the story's journal to a file and have I1 to I12 checked on it, as on any real call's."""
    path = folder / "call.jsonl"
    path.write_text(
        "".join(json.dumps(entry, default=plain) + "\n" for entry in story.entries), encoding="utf-8"
    )
    return check_journal(path)


class DirectStory(Story):
    """A direct call with the same handle on its caller."""

    def __init__(self, flow: Flow, *, config: CallConfig | None = None) -> None:
        super().__init__(flow, config=config)
        self.caller: FakeLeg = self.leg
