"""PURE. What providers of the Realtime wire differ in, as values: there is no ``if provider`` elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import quote

from voiceagent.errors import ConfigError

CALLS_PATH = "/realtime/calls/{call_id}/{verb}"


@dataclass(frozen=True, slots=True)
class ProviderProfile:
    """The capabilities of one provider.

    ``url`` and ``attach_url`` are patterns with ``{model}`` and ``{call_id}``; values are percent-encoded.
    ``overlap`` is what the server does with a create during a response: refuse it, or drop the old one.
    ``truncate`` says who makes the conversation forget what was not heard.
    """

    name: str
    url: str
    attach_url: str | None = None
    calls_url: str | None = None
    """REST of hosted calls: a pattern with ``{call_id}`` and ``{verb}`` (accept, reject, refer, hangup)."""
    accept: Literal["rest", "attach"] = "rest"
    """What takes a hosted call: the accept verb with the whole session, or opening the control socket."""
    auth: Literal["bearer", "api-key", "none"] = "bearer"
    default_model: str = ""
    overlap: Literal["refuse", "supersede"] = "refuse"
    metadata_echo: bool = True
    cancel_by_id: bool = True
    auto_create_switch: bool = True
    """``turn_detection.create_response`` and ``interrupt_response`` are obeyed."""
    truncate: Literal["client", "server", "none"] = "client"
    out_of_band: bool = True
    owns_output_buffer: bool = False
    """The provider plays to the caller and tells by ``output_audio_buffer.*``."""
    accepts_audio: bool = True
    config_layout: Literal["ga", "flat"] = "ga"
    session_minutes: int | None = 60
    handshake_seconds: float = 10.0

    def connect_url(self, model: str) -> str:
        """Return the URL of a new session with ``model``."""
        return self.url.replace("{model}", quote(model, safe=""))

    def call_url(self, call_id: str) -> str:
        """Return the URL of the control socket of a hosted call."""
        if self.attach_url is None:
            raise ConfigError("provider", f"{self.name} has no hosted calls")
        return self.attach_url.replace("{call_id}", quote(call_id, safe=""))

    def rest_url(self, call_id: str, verb: str, base: str | None = None) -> str:
        """Return the URL of one verb of a hosted call; ``base`` replaces what stands before ``/realtime``."""
        pattern = self.calls_url if base is None else base.rstrip("/") + CALLS_PATH
        if pattern is None:
            raise ConfigError("provider", f"{self.name} has no hosted calls")
        return pattern.replace("{verb}", verb).replace("{call_id}", quote(call_id, safe=""))

    def headers(self, api_key: str | None) -> dict[str, str]:
        """Return the authorisation header."""
        if self.auth == "none":
            return {} if not api_key else {"Authorization": f"Bearer {api_key}"}
        if not api_key:
            raise ConfigError("api_key", f"{self.name} needs an API key")
        return {"api-key": api_key} if self.auth == "api-key" else {"Authorization": f"Bearer {api_key}"}

    def hosted(self) -> ProviderProfile:
        """Return the profile of calls that the provider terminates: it owns buffer, audio and truncation."""
        return replace(self, owns_output_buffer=True, accepts_audio=False, truncate="server")


PROVIDERS: Mapping[str, ProviderProfile] = {
    profile.name: profile
    for profile in (
        ProviderProfile(
            name="openai",
            url="wss://api.openai.com/v1/realtime?model={model}",
            attach_url="wss://api.openai.com/v1/realtime?call_id={call_id}",
            calls_url="https://api.openai.com/v1" + CALLS_PATH,
            default_model="gpt-realtime",
        ),
        ProviderProfile(
            name="azure",
            url="wss://{resource}.openai.azure.com/openai/v1/realtime?model={model}",
            attach_url="wss://{resource}.openai.azure.com/openai/v1/realtime?call_id={call_id}",
            calls_url="https://{resource}.openai.azure.com/openai/v1" + CALLS_PATH,
            auth="api-key",
            default_model="gpt-realtime",
        ),
        ProviderProfile(
            name="xai",
            url="wss://api.x.ai/v1/realtime?model={model}",
            attach_url="wss://api.x.ai/v1/realtime?call_id={call_id}",
            calls_url="https://api.x.ai/v1" + CALLS_PATH,
            accept="attach",
            auto_create_switch=False,
            config_layout="flat",
            session_minutes=None,
        ),
        ProviderProfile(
            name="embedded",
            url="ws://127.0.0.1:8765/v1/realtime?model={model}",
            attach_url="ws://127.0.0.1:8765/v1/realtime?call_id={call_id}",
            calls_url="http://127.0.0.1:8765/v1" + CALLS_PATH,
            auth="none",
            default_model="embedded",
            session_minutes=None,
        ),
        ProviderProfile(
            name="localai",
            url="ws://127.0.0.1:8080/v1/realtime?model={model}",
            auth="none",
            overlap="supersede",
            session_minutes=None,
        ),
    )
}


def rest_base(socket_url: str) -> str:
    """Return the REST base that belongs to a socket's address: ``ws://h/v1/realtime?…`` → ``http://h/v1``."""
    scheme, _, rest = socket_url.partition("?")[0].partition("://")
    base = rest.rstrip("/").removesuffix("/realtime")
    return ("https://" if scheme in ("wss", "https") else "http://") + base


def socket_url(base: str) -> str:
    """Return the control socket's address beside a REST base: ``https://h/v1`` → ``wss://h/v1/realtime``."""
    scheme, _, rest = base.rstrip("/").partition("://")
    return ("wss://" if scheme == "https" else "ws://") + rest + "/realtime"


def provider(name: str) -> ProviderProfile:
    """Return the profile called ``name``; raises :class:`~voiceagent.errors.ConfigError` for unknown ones."""
    profile = PROVIDERS.get(name)
    if profile is None:
        raise ConfigError("provider", f"unknown provider {name!r}; known: {', '.join(PROVIDERS)}")
    return profile
