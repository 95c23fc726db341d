"""The realtime model of a hosted call: the provider terminates SIP, we steer it over a control socket.

The provider hears and plays by itself, so no audio is sent and nothing is truncated by us; playing is known
from ``output_audio_buffer.*``; an interrupt cancels by id and then clears that buffer. What the call was
accepted with stays as it is: attaching never changes the session.

The socket is not the call: when it is lost, another one is opened, and the call goes on meanwhile. 404 and
410 say that the call itself is over (for :data:`ATTACH_PATIENCE_S` after the accept they may say "not yet").
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from voiceagent.errors import ConfigError, ProviderError
from voiceagent.ids import Tokens, random_token
from voiceagent.realtime.config import RealtimeSessionConfig
from voiceagent.realtime.frames import FrameTransport
from voiceagent.realtime.link import RealtimeLink, Trace
from voiceagent.realtime.providers import ProviderProfile, provider
from voiceagent.realtime.sequencer_config import SequencerConfig
from voiceagent.realtime.tap import LinkTap
from voiceagent.realtime.websocket import OpenAIRealtimeWebSocketModel, OpenTransport, TransportName
from voiceagent.realtime.wire import MAX_FRAME_BYTES
from voiceagent.tasks import TaskNest

ATTACH_PATIENCE_S = 2.0
"""How long a first attach that is turned away is tried again: the provider may not know its call yet."""
FIRST_BACK_S = 0.25
MOST_BACK_S = 4.0
GIVE_UP_S = 30.0
"""How long a lost control socket is sought before the call is given up as the provider's fault."""
CALL_OVER = frozenset({"http_404", "http_410"})
REFUSED = frozenset({"http_400", "http_401", "http_403"})
OVER_CLOSES = ("expired",)
"""Words in the reason of a close (1001) that mean the end of the session itself."""


class OpenAIRealtimeSIPModel(OpenAIRealtimeWebSocketModel):
    """The control socket of one accepted call. ``url`` overrides the provider's address (query apart).

    ``over`` is called once, with a reason, when the provider no longer knows the call: the caller has gone.
    ``accepted`` is the session that the call was accepted with. ``digits_end_prompts`` False leaves it to the
    listener what a digit means (:class:`~voiceagent.realtime.model_inputs.RealtimeModelSendDigit`).
    """

    def __init__(
        self,
        *,
        call_id: str,
        url: str | None = None,
        api_key: str | None = None,
        provider: str | ProviderProfile = "openai",
        transport: TransportName | OpenTransport = "auto",
        open_timeout_s: float | None = None,
        headers: Mapping[str, str] | None = None,
        sequencer: SequencerConfig | None = None,
        max_frame_bytes: int = MAX_FRAME_BYTES,
        tokens: Tokens = random_token,
        trace: Trace | None = None,
        accepted: Mapping[str, Any] | None = None,
        over: Callable[[str], None] | None = None,
        digits_end_prompts: bool = True,
        chance: Callable[[], float] = random.random,
        wall: Callable[[], float] = time.time,
        tap: LinkTap | None = None,
    ) -> None:
        if not call_id:
            raise ConfigError("call_id", "is needed to attach to a call")
        super().__init__(
            url=url,
            api_key=api_key,
            provider=_hosted(provider),
            transport=transport,
            open_timeout_s=open_timeout_s,
            headers=headers,
            sequencer=sequencer,
            max_frame_bytes=max_frame_bytes,
            tokens=tokens,
            trace=trace,
            wall=wall,
            tap=tap,
        )
        self.call_id = call_id
        self._accepted = accepted
        self._over = over
        self._digits_end_prompts = digits_end_prompts
        self._chance = chance
        self._nest = TaskNest(f"control {call_id}")
        self._lost_at = 0.0

    def address(self) -> str:
        """Return the URL of this call's control socket; the call id is percent-encoded."""
        profile = self.profile
        if self._url is not None:
            profile = _with_address(profile, self._url)
        url = profile.call_url(self.call_id)
        if "{" in url:
            raise ConfigError("url", f"{profile.name} needs the address of your own resource")
        return url

    def session_to_send(self, config: RealtimeSessionConfig) -> dict[str, Any] | None:
        """Return None where the configuration came with the acceptance of the call.

        Where attaching is the acceptance, it is sent once, right then.
        """
        if self.profile.accept == "rest" or self._link is None or self._link.up or self._lost_at:
            return None
        return config.to_accept(layout=self.profile.config_layout)

    # ── attaching ───────────────────────────────────────────────────────────────────────────────
    async def connect(self, config: RealtimeSessionConfig) -> None:
        """Attach; see the base class. A call that is over is told to ``over`` before the error is raised."""
        try:
            await super().connect(config)
        except ProviderError as error:
            if error.code in CALL_OVER:
                self._call_over(str(error))
            raise

    def _open(self) -> OpenTransport:
        once = super()._open()

        def patient(url: str, headers: Mapping[str, str], **options: Any) -> Awaitable[FrameTransport]:
            return self._patiently(lambda: once(url, headers, **options))

        return patient

    async def _patiently(self, open_once: Callable[[], Awaitable[FrameTransport]]) -> FrameTransport:
        """Open the first socket: right after the accept the provider may still answer 404."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + ATTACH_PATIENCE_S
        wait = 0.05
        while True:
            try:
                return await open_once()
            except ProviderError as error:
                if error.code in REFUSED or loop.time() + wait > deadline:
                    raise
            await asyncio.sleep(wait)
            wait = min(wait * 2, 0.4)

    def _new_link(self, config: RealtimeSessionConfig) -> RealtimeLink:
        link = super()._new_link(config)
        if self._accepted is not None:
            link.conversation.mirror.take(self._accepted)
        link.digits_end_prompts = self._digits_end_prompts
        link.recover = self._socket_lost
        return link

    def _check_formats(self, link: RealtimeLink, config: RealtimeSessionConfig) -> None:
        """The formats of a hosted call are the provider's own affair."""

    # ── attaching again ─────────────────────────────────────────────────────────────────────────
    def _socket_lost(self, code: int | None, reason: str) -> bool:
        if code == 1001 and any(word in reason.lower() for word in OVER_CLOSES):
            return False
        self._lost_at = asyncio.get_running_loop().time()
        self._nest.start("attach again", self._attach_again(reason))
        return True

    async def _attach_again(self, reason: str) -> None:
        """Open another socket to the same call, until it is there or the call is known to be over."""
        loop = asyncio.get_running_loop()
        link = self.link
        deadline = loop.time() + GIVE_UP_S
        wait = FIRST_BACK_S
        while True:
            await asyncio.sleep(wait * (0.8 + 0.4 * self._chance()))
            try:
                await self._one_more(link)
            except ConfigError as error:
                link.lose(str(error))
                return
            except ProviderError as error:
                reason = str(error)
                if error.code in CALL_OVER:
                    self._call_over(reason)
                    link.lose(reason)
                    return
                if error.code in REFUSED or loop.time() > deadline:
                    link.lose(reason)
                    return
            else:
                return
            wait = min(wait * 2, MOST_BACK_S)

    async def _one_more(self, link: RealtimeLink) -> None:
        headers = {**self.profile.headers(self._api_key), **self._headers}
        transport = await super()._open()(
            self.address(),
            headers,
            timeout_s=self._timeout_s,
            max_bytes=self._max_bytes,
            audio_limit=1,
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._greeted(link, transport)
        except TimeoutError:
            await _let_go(transport)
            raise ProviderError("the provider did not greet us", code="session_timeout") from None
        except BaseException:
            await _let_go(transport)
            raise
        link.configured()
        link.notice("control_attached_again", details={"after_s": round(link.now() - self._lost_at, 3)})

    def _call_over(self, reason: str) -> None:
        """Tell that the caller has gone, then conclude what was being heard at that moment."""
        over, self._over = self._over, None
        if over is not None:
            over(reason)
        if self._link is not None and self._lost_at:
            self._link.inbound.playing_stopped(self._lost_at)

    async def close(self, reason: str = "closed") -> None:
        """Let go of the call; the call itself goes on (``hangup`` is a verb of the provider's REST)."""
        self._over = None
        if self._link is not None:
            self._link.recover = None
            if not self._link.up:
                self._link.lose(reason)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3.0):
                await self._nest.close()
        await super().close(reason)


def _hosted(given: str | ProviderProfile) -> ProviderProfile:
    profile = given if isinstance(given, ProviderProfile) else provider(given)
    return profile.hosted()


async def _let_go(transport: FrameTransport) -> None:
    """Close, and wait: word of this socket's end must not be taken for that of the next one."""
    transport.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(3.0):
            await transport.wait_closed()


def _with_address(profile: ProviderProfile, url: str) -> ProviderProfile:
    base = url.partition("?")[0]
    return replace(profile, attach_url=base + "?call_id={call_id}")
