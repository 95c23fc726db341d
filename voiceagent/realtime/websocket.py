"""The realtime model over a WebSocket: connects, configures, and hands the socket to the link."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import Any, Literal, Protocol
from urllib.parse import quote

from voiceagent.errors import ConfigError, ProviderError, VoiceAgentError
from voiceagent.ids import Tokens, random_token
from voiceagent.realtime.config import BYTES_PER_MS, RealtimeSessionConfig, without_field
from voiceagent.realtime.frames import FrameTransport
from voiceagent.realtime.link import Listeners, RealtimeLink, Trace, sequencer_config
from voiceagent.realtime.model import RealtimeModel
from voiceagent.realtime.model_events import RealtimeModelConnectionStatusEvent, RealtimeModelListener
from voiceagent.realtime.model_inputs import RealtimeModelSendEvent
from voiceagent.realtime.providers import ProviderProfile, provider
from voiceagent.realtime.sequencer_config import SequencerConfig
from voiceagent.realtime.tap import LinkTap, open_tapped
from voiceagent.realtime.wire import MAX_FRAME_BYTES
from voiceagent.realtime.wire_events import ErrorEvent, SessionEvent
from voiceagent.realtime.wire_frames import session_update_frame

TransportName = Literal["auto", "picows", "websockets"]


class OpenTransport(Protocol):
    """Opens a socket; :func:`~.transport_websockets.open_websockets` is one."""

    def __call__(
        self, url: str, headers: Mapping[str, str], *, timeout_s: float, max_bytes: int, audio_limit: int
    ) -> Awaitable[FrameTransport]: ...


DROPPED_FIELDS = 6
"""How many fields that a provider does not know we take out of the configuration before giving up."""


def client_of(transport: TransportName | OpenTransport) -> OpenTransport:
    """Return the client that is meant, loaded: that takes 0.1 s, so it is asked for before the first call."""
    if not isinstance(transport, str):
        return transport
    if transport == "picows" or (transport == "auto" and find_spec("picows") is not None):
        try:
            from voiceagent.realtime.transport_picows import open_picows
        except ImportError:
            if transport == "picows":
                raise  # asked for by name; "auto" only prefers it, and an old one may lack what we need
        else:
            return open_picows
    from voiceagent.realtime.transport_websockets import open_websockets

    return open_websockets


class OpenAIRealtimeWebSocketModel(RealtimeModel):
    """A model behind the Realtime WebSocket of any provider of that wire.

    ``provider`` names a profile (or is one); ``url`` overrides its address and gets ``?model=`` added when it
    has no query of its own. ``transport`` picks the client: ``picows`` where installed, else ``websockets``;
    or a function that opens one. There is no automatic reconnect: a lost socket ends the session.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        model: str | None = None,
        api_key: str | None = None,
        provider: str | ProviderProfile = "openai",
        transport: TransportName | OpenTransport = "auto",
        open_timeout_s: float | None = None,
        headers: Mapping[str, str] | None = None,
        sequencer: SequencerConfig | None = None,
        max_frame_bytes: int = MAX_FRAME_BYTES,
        tokens: Tokens = random_token,
        trace: Trace | None = None,
        wall: Callable[[], float] = time.time,
        tap: LinkTap | None = None,
    ) -> None:
        self.profile = _profile(provider)
        self.config_layout = self.profile.config_layout
        self._url = url
        self._model = model or self.profile.default_model
        self._api_key = api_key
        self._transport: TransportName | OpenTransport = transport
        self._timeout_s = open_timeout_s or self.profile.handshake_seconds
        self._headers = dict(headers or {})
        self._sequencer = sequencer
        self._max_bytes = max_frame_bytes
        self._tokens = tokens
        self._trace = trace
        self._wall = wall
        self._tap = tap
        self._listeners = Listeners()
        self._link: RealtimeLink | None = None
        self._opening = False

    # ── connecting ──────────────────────────────────────────────────────────────────────────────
    async def connect(self, config: RealtimeSessionConfig) -> None:
        """Connect, configure, and let requests flow.

        Raises :class:`~voiceagent.errors.ProviderError`; its ``code`` is ``unreachable``,
        ``connect_timeout``, ``http_<status>``, ``handshake``, ``session_timeout``, ``audio_format``, or the
        provider's own.
        """
        if self._opening or self._link is not None:
            raise ProviderError("a model is connected only once", code="already_connected")
        self._opening = True
        url, headers = self.address(), {**self.profile.headers(self._api_key), **self._headers}
        self._listeners.emit(RealtimeModelConnectionStatusEvent("connecting"))
        link: RealtimeLink | None = None
        try:
            opened = await self._open()(
                url,
                headers,
                timeout_s=self._timeout_s,
                max_bytes=self._max_bytes,
                audio_limit=_audio_limit(config),
            )
            link = self._link = self._new_link(config)
            answers = _Answers()
            link.setup = answers.put
            link.attach(opened)
            async with asyncio.timeout(self._timeout_s):
                await self._set_up(link, answers, config)
        except TimeoutError:
            await self._give_up(link, "session_timeout")
            raise ProviderError("the provider did not set up the session", code="session_timeout") from None
        except BaseException as error:
            await self._give_up(link, error.code if isinstance(error, VoiceAgentError) else "cancelled")
            raise
        link.configured()

    def address(self) -> str:
        """Return the URL to connect to."""
        url = self._url
        if url is None:
            url = self.profile.connect_url(self._model)
            if "{" in url:
                raise ConfigError("url", f"{self.profile.name} needs the address of your own resource")
        elif "?" not in url and self._model:
            url = f"{url}?model={quote(self._model, safe='')}"
        return url

    def _open(self) -> OpenTransport:
        opener = client_of(self._transport)
        return opener if self._tap is None else partial(open_tapped, opener, self._tap)

    def _new_link(self, config: RealtimeSessionConfig) -> RealtimeLink:
        turns = config.turn_detection or {}
        settings = replace(
            self._sequencer or sequencer_config(self.profile),
            auto_create=bool(turns) and turns.get("create_response") is not False,
            auto_interrupt=bool(turns) and turns.get("interrupt_response") is not False,
        )
        return RealtimeLink(
            profile=self.profile,
            sequencer=settings,
            listeners=self._listeners,
            playout=config.playout,
            tokens=self._tokens,
            trace=self._trace,
            max_frame_bytes=self._max_bytes,
            wall=self._wall,
            tap=self._tap,
        )

    async def _set_up(self, link: RealtimeLink, answers: _Answers, config: RealtimeSessionConfig) -> None:
        await answers.session()
        session = self.session_to_send(config)
        if session is None:
            return
        for _ in range(DROPPED_FIELDS + 1):
            event_id = link.outbound.expect("update", "")
            link.write(session_update_frame(session, event_id))
            answer = await answers.next(event_id)
            if isinstance(answer, SessionEvent):
                link.conversation.mirror.take(session)
                link.conversation.mirror.take(answer.session)
                self._check_formats(link, config)
                return
            if answer.code != "unknown_parameter" or not without_field(session, answer.param):
                raise ProviderError(answer.message, code=answer.code or "session_refused")
            link.notice("config_field_dropped", details={"field": answer.param or ""})
        raise ProviderError("the provider knows too few fields of the session", code="session_refused")

    def session_to_send(self, config: RealtimeSessionConfig) -> dict[str, Any] | None:
        """Return the session to configure, or None to leave it as it is."""
        return config.to_session_update(layout=self.profile.config_layout)

    def _check_formats(self, link: RealtimeLink, config: RealtimeSessionConfig) -> None:
        mirror = link.conversation.mirror
        got = (mirror.input_format, mirror.output_format)
        wanted = (config.input_audio_format, config.output_audio_format)
        if got != wanted:
            raise ProviderError(f"the provider insists on audio {got}, not {wanted}", code="audio_format")

    async def _greeted(self, link: RealtimeLink, transport: FrameTransport) -> None:
        """Listen on another socket of the same conversation until the provider has told its session."""
        answers = _Answers()
        link.setup = answers.put
        link.attach(transport)
        await answers.session()

    async def _give_up(self, link: RealtimeLink | None, reason: str) -> None:
        if link is None:
            self._listeners.emit(RealtimeModelConnectionStatusEvent("disconnected", reason))
            return
        link.close(reason)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3.0):
                await link.wait_closed()

    # ── the port ────────────────────────────────────────────────────────────────────────────────
    async def close(self, reason: str = "closed") -> None:
        """End the conversation and wait for the socket to go, at most 3 s."""
        link = self._link
        if link is None:
            return
        link.close(reason)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3.0):
                await link.wait_closed()

    def add_listener(self, listener: RealtimeModelListener) -> Callable[[], None]:
        """Call ``listener`` with every event from now on; the result takes it away again."""
        return self._listeners.add(listener)

    @property
    def link(self) -> RealtimeLink:
        """The link, once there is one."""
        if self._link is None:
            raise ProviderError("the model is not connected", code="not_connected")
        return self._link

    def send(self, event: RealtimeModelSendEvent) -> None:
        """Send without waiting."""
        self.link.send(event)

    def send_audio(self, audio: bytes, *, commit: bool = False) -> None:
        """Send caller audio."""
        self.link.outbound.send_audio(audio, commit=commit)

    def playback_started(self, response_id: str, item_id: str) -> None:
        """Our playout sends the first sample of this item."""
        self.link.playback_started(response_id, item_id)

    def playback_ended(self, response_id: str, item_id: str, heard_ms: int, *, cut: bool) -> None:
        """Our playout will play no more of this item."""
        self.link.playback_ended(response_id, item_id, heard_ms, cut=cut)

    @property
    def audio_ms(self) -> float:
        """See :class:`~voiceagent.realtime.model.RealtimeModel`."""
        if self._link is None:
            return 0.0
        return self._link.outbound.audio_bytes / BYTES_PER_MS[self._link.conversation.mirror.input_format]

    def snapshot(self) -> Mapping[str, Any]:
        """Return the state as plain values."""
        return self._link.snapshot() if self._link is not None else {"up": False, "closed": None}


class _Answers:
    """What the provider says while the session is being set up."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[SessionEvent | ErrorEvent | str] = asyncio.Queue()

    def put(self, answer: SessionEvent | ErrorEvent | str) -> None:
        self._queue.put_nowait(answer)

    async def session(self) -> None:
        """Wait for the provider's session; an error before it is raised."""
        while not isinstance(await self.next(), SessionEvent):
            pass

    async def next(self, event_id: str | None = None) -> SessionEvent | ErrorEvent:
        """Return the next answer. Without ``event_id``, an error is raised; else it may be the answer."""
        while True:
            answer = await self._queue.get()
            if isinstance(answer, str):
                raise ProviderError(f"the link was lost during set-up: {answer}", code="link_lost")
            if isinstance(answer, SessionEvent):
                if event_id is None or answer.updated:
                    return answer
            elif event_id is None:
                raise ProviderError(answer.message, code=answer.code or "session_refused")
            elif answer.event_id in (None, event_id):
                return answer


def _profile(given: str | ProviderProfile) -> ProviderProfile:
    return given if isinstance(given, ProviderProfile) else provider(given)


def _audio_limit(config: RealtimeSessionConfig) -> int:
    """Two seconds of caller audio as append frames."""
    return BYTES_PER_MS[config.input_audio_format] * 2000 * 3 // 2
