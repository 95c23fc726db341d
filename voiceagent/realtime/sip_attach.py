"""The realtime model of a hosted call: the provider terminates SIP, we steer it over a control socket.

The provider hears and plays by itself, so no audio is sent and nothing is truncated by us; playing is known
from ``output_audio_buffer.*``; an interrupt cancels by id and then clears that buffer. What the call was
accepted with stays as it is: attaching never changes the session.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from voiceagent.errors import ConfigError
from voiceagent.ids import Tokens, random_token
from voiceagent.realtime.config import RealtimeSessionConfig
from voiceagent.realtime.link import Trace
from voiceagent.realtime.providers import ProviderProfile, provider
from voiceagent.realtime.sequencer_config import SequencerConfig
from voiceagent.realtime.websocket import OpenAIRealtimeWebSocketModel, OpenTransport, TransportName
from voiceagent.realtime.wire import MAX_FRAME_BYTES


class OpenAIRealtimeSIPModel(OpenAIRealtimeWebSocketModel):
    """The control socket of one accepted call. ``url`` overrides the provider's address (query apart)."""

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
        )
        self.call_id = call_id

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
        """Return None: the configuration came with the acceptance of the call."""
        return None


def _hosted(given: str | ProviderProfile) -> ProviderProfile:
    profile = given if isinstance(given, ProviderProfile) else provider(given)
    return profile.hosted()


def _with_address(profile: ProviderProfile, url: str) -> ProviderProfile:
    base = url.partition("?")[0]
    return replace(profile, attach_url=base + "?call_id={call_id}")
