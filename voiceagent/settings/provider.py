"""Settings of the realtime providers: the first, the embedded one, the one that stands in, hosted calls."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator

from voiceagent.errors import ConfigError
from voiceagent.realtime.webhook_signature import webhook_key
from voiceagent.settings.base import Port, Section, websocket_url


class RealtimeSettings(Section):
    """The realtime provider that answers the calls."""

    provider: Literal["auto", "embedded", "openai", "azure", "xai"] = Field(
        default="auto", description="auto: openai when there is an API key, else the embedded provider."
    )
    url: str | None = Field(default=None, description="WebSocket URL; default: the provider's own.")
    model: str = Field(default="gpt-realtime", description="Model name.")
    api_key: SecretStr | None = Field(default=None, description="Key of the provider (or OPENAI_API_KEY).")
    voice: str | None = Field(default=None, description="Voice name; default: the provider's.")
    transport: Literal["auto", "picows", "websockets"] = Field(
        default="auto", description="WebSocket client."
    )
    transcription_model: str | None = Field(
        default="gpt-4o-mini-transcribe", description="Transcriber of the caller's words; empty turns it off."
    )
    silence_ms: Annotated[int, Field(ge=100, le=5000)] = Field(
        default=400, description="Silence that ends the caller's turn."
    )

    @field_validator("url")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        return websocket_url(value)


class EngineSettings(Section):
    """The embedded realtime provider."""

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: Port = Field(default=0, description="Port; 0 takes a free one.")
    sip_port: Port = Field(
        default=0, description="UDP port where it takes hosted calls by itself; 0 takes a free one."
    )
    voice: str = Field(default="auto", description="auto, flite, espeak, or a plug-in's name.")
    recogniser: str = Field(default="auto", description="auto, pocketsphinx, or a plug-in's name.")
    vad: str = Field(default="auto", description="auto, silero, webrtc, energy, or a plug-in's name.")
    chat_url: str | None = Field(default=None, description="An OpenAI-compatible chat endpoint as the brain.")
    chat_model: str = Field(default="default", description="Model name for chat_url.")


class SecondSettings(Section):
    """The provider that stands in when the first cannot be reached in the middle of a call."""

    provider: Literal["none", "embedded", "openai", "azure", "xai"] = Field(
        default="none", description="none: there is no second provider."
    )
    url: str | None = Field(default=None, description="WebSocket URL; default: the provider's own.")
    model: str | None = Field(default=None, description="Model name; default: the provider's own.")
    api_key: SecretStr | None = Field(default=None, description="Its key; default: realtime.api_key.")
    voice: str | None = Field(default=None, description="Voice name; default: the provider's.")

    @field_validator("url")
    @classmethod
    def _url(cls, value: str | None) -> str | None:
        return websocket_url(value)


class SurvivalSettings(Section):
    """What happens when the provider is lost in the middle of a call."""

    enabled: bool = Field(default=True, description="Go on over a new session; false: apologise and hang up.")
    cap_s: Annotated[float, Field(gt=0, le=60)] = Field(
        default=10.0, description="How long the first provider is tried again."
    )
    comfort: bool = Field(default=True, description="Play a soft sound while the caller waits.")
    second: SecondSettings = Field(default_factory=SecondSettings)
    transfer_to: str | None = Field(
        default=None, description="URI to hand callers to, after the apology, when no provider is left."
    )

    @field_validator("transfer_to")
    @classmethod
    def _uri(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("sip:", "sips:", "tel:")):
            raise ValueError("must begin with sip:, sips: or tel:")
        return value


class HostedSettings(Section):
    """Calls that the provider terminates and offers by webhook."""

    webhook_secrets: tuple[SecretStr, ...] = Field(
        default=(),
        description="Signing secrets (whsec_…) of POST /webhooks/realtime; two while rotating. Empty: off.",
    )
    api_base: str | None = Field(
        default=None, description="REST base of the provider; default: its own, or beside realtime.url."
    )
    numbers: dict[str, str] = Field(
        default={},
        description="Called numbers (user of SIP To) to flow names; others as routes and flows say.",
    )

    @field_validator("webhook_secrets")
    @classmethod
    def _secrets(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for one in value:
            try:
                webhook_key(one.get_secret_value())
            except ConfigError as error:
                raise ValueError(str(error).partition(": ")[2]) from None
        return value

    @field_validator("api_base")
    @classmethod
    def _base(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value
