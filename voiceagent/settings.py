"""One frozen settings tree: defaults < TOML file < environment < flags.

Environment variables are ``VOICEAGENT_`` plus the dotted name in capitals with two underscores between
section and setting: ``VOICEAGENT_SIP__PORT=5070``. ``OPENAI_API_KEY`` is taken for ``realtime.api_key`` when
nothing else sets it. Every mistake is one line that names the setting.
"""

from __future__ import annotations

import ipaddress
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from voiceagent.errors import ConfigError
from voiceagent.realtime.webhook_signature import webhook_key

Port = Annotated[int, Field(ge=0, le=65535)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _ip_address(value: str | None) -> str | None:
    if value is not None:
        ipaddress.ip_address(value)
    return value


class SipSettings(_Section):
    """Our SIP user agent."""

    host: str = Field(default="127.0.0.1", description="Address to listen on (UDP).")
    port: Port = Field(default=5060, description="Port to listen on; 0 takes a free one.")
    advertised_host: str | None = Field(
        default=None, description="Address told to others, behind a NAT or on 0.0.0.0."
    )
    allowed_sources: tuple[str, ...] = Field(
        default=("127.0.0.0/8", "::1/128"),
        description="Addresses and CIDR blocks that may call us; anyone else is ignored in silence.",
    )

    @field_validator("host", "advertised_host")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        return _ip_address(value)

    @field_validator("allowed_sources")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            ipaddress.ip_network(one, strict=False)
        return value


class MediaSettings(_Section):
    """RTP."""

    host: str | None = Field(default=None, description="Address for RTP sockets; default: sip.host.")
    advertised_host: str | None = Field(
        default=None, description="Address in our SDP; default: sip.advertised_host."
    )
    port_low: Annotated[int, Field(ge=1024, le=65535)] = Field(default=30000, description="First RTP port.")
    port_high: Annotated[int, Field(ge=1024, le=65535)] = Field(default=31999, description="Last RTP port.")
    learn_source: bool = Field(
        default=True, description="May a phone behind a NAT send from an address its SDP hides?"
    )
    silence_limit_s: Annotated[float, Field(ge=0)] = Field(
        default=60.0, description="End a call whose caller sends no RTP for so long; 0 never."
    )

    @field_validator("host", "advertised_host")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        return _ip_address(value)

    @model_validator(mode="after")
    def _range(self) -> MediaSettings:
        if self.port_high <= self.port_low:
            raise ValueError("port_high must be above port_low")
        return self


class RealtimeSettings(_Section):
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
        if value is not None and not value.startswith(("ws://", "wss://")):
            raise ValueError("must begin with ws:// or wss://")
        return value


class EngineSettings(_Section):
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


class CallSettings(_Section):
    """The call handler."""

    max_calls: Annotated[int, Field(ge=1)] = Field(default=100, description="Calls at once; more get 503.")
    retry_after_s: Annotated[int, Field(ge=1)] = Field(default=10, description="Retry-After of a 503.")
    connect_timeout_s: Annotated[float, Field(gt=0, le=30)] = Field(
        default=3.0, description="How long the provider may take before the caller hears an apology."
    )
    max_duration_s: Annotated[float, Field(gt=0)] = Field(default=7200.0, description="Longest call.")
    no_input_s: Annotated[float, Field(gt=0)] = Field(default=6.0, description="Silence after a question.")
    transfer_timeout_s: Annotated[float, Field(gt=0)] = Field(
        default=20.0, description="Wait for a transfer."
    )
    transfer_targets: tuple[str, ...] = Field(
        default=(), description="URIs that flows may transfer to; a trailing * matches any rest. Empty: none."
    )
    filler_s: Annotated[float, Field(ge=0)] = Field(
        default=1.2, description='Silence while it is our turn before "One moment, please."; 0 never.'
    )
    patience_s: Annotated[float, Field(ge=0)] = Field(
        default=4.0, description="Silence before the line that asks for patience; 0 never."
    )
    give_up_s: Annotated[float, Field(ge=0)] = Field(
        default=10.0, description="Silence, or a provider without any event, that ends the session; 0 never."
    )
    drain_limit_s: Annotated[float, Field(ge=0)] = Field(
        default=600.0, description="After SIGTERM, how long running calls may go on."
    )


class SecondSettings(_Section):
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
        if value is not None and not value.startswith(("ws://", "wss://")):
            raise ValueError("must begin with ws:// or wss://")
        return value


class SurvivalSettings(_Section):
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


class ConsoleSettings(_Section):
    """The operators' API and page."""

    enabled: bool = Field(default=True, description="Serve HTTP at all.")
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: Port = Field(default=8080, description="Port; 0 takes a free one.")
    token: SecretStr | None = Field(
        default=None, description="Bearer token; default: made and printed at start."
    )
    allowed_hosts: tuple[str, ...] = Field(
        default=(), description="Further names that the Host header may carry."
    )
    metrics_open: bool = Field(default=False, description="Serve /metrics without a token.")


class HostedSettings(_Section):
    """Calls that the provider terminates and offers by webhook."""

    webhook_secrets: tuple[SecretStr, ...] = Field(
        default=(),
        description="Signing secrets (whsec_…) of POST /webhooks/realtime; two while rotating. Empty: off.",
    )
    api_base: str | None = Field(
        default=None, description="REST base of the provider; default: its own, or beside realtime.url."
    )
    numbers: dict[str, str] = Field(
        default={}, description="Called numbers (user of SIP To) to flow names; others as the flows say."
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


class LogSettings(_Section):
    """Logs."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level shown."
    )
    format: Literal["console", "json"] = Field(default="console", description="For people or for machines.")


class Settings(BaseSettings):
    """All settings. See :func:`load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix="VOICEAGENT_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    flows: tuple[str, ...] = Field(
        default=(), description="Python files with flows; default: the built-in front desk."
    )
    journal_dir: str = Field(default="journals", description="Folder for the call journals.")
    sip: SipSettings = Field(default_factory=SipSettings)
    media: MediaSettings = Field(default_factory=MediaSettings)
    realtime: RealtimeSettings = Field(default_factory=RealtimeSettings)
    engine: EngineSettings = Field(default_factory=EngineSettings)
    call: CallSettings = Field(default_factory=CallSettings)
    survival: SurvivalSettings = Field(default_factory=SurvivalSettings)
    console: ConsoleSettings = Field(default_factory=ConsoleSettings)
    hosted: HostedSettings = Field(default_factory=HostedSettings)
    log: LogSettings = Field(default_factory=LogSettings)

    @property
    def provider(self) -> str:
        """The provider in force, ``auto`` resolved."""
        if self.realtime.provider != "auto":
            return self.realtime.provider
        return "openai" if self.realtime.api_key is not None else "embedded"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, env_settings, _FileSource(settings_cls))


class _FileSource(PydanticBaseSettingsSource):
    """The TOML file chosen by :func:`load_settings`, below the environment."""

    chosen: Mapping[str, Any] = {}

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        return self.chosen.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return dict(self.chosen)


class _BareSettings(Settings):
    """Settings that look at nothing but what they are given."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def bare_settings(flags: Mapping[str, Any]) -> Settings:
    """Return the defaults with ``flags`` on top: no file, no environment (demonstration, benches, tests).

    Raises :class:`~voiceagent.errors.ConfigError` naming the setting.
    """
    nested: dict[str, Any] = {}
    for dotted, value in flags.items():
        _put(nested, dotted.split("."), value)
    try:
        settings = _BareSettings(**nested)
    except ValidationError as error:
        raise _config_error(error) from None
    _check_provider(settings)
    _check_addresses(settings)
    return settings


def load_settings(file: str | Path | None = None, flags: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings. ``file`` defaults to ``voiceagent.toml`` in the working folder, if there.

    ``flags`` maps dotted names to values and wins over everything; None values are left out.
    Raises :class:`~voiceagent.errors.ConfigError` naming the setting (or the file).
    """
    nested: dict[str, Any] = {}
    for dotted, value in (flags or {}).items():
        if value is not None:
            _put(nested, dotted.split("."), value)
    _FileSource.chosen = _read_file(file)
    try:
        settings = Settings(**nested)
        key = os.environ.get("OPENAI_API_KEY")
        if key and settings.realtime.api_key is None and settings.realtime.provider in ("auto", "openai"):
            _put(nested, ["realtime", "api_key"], key)
            settings = Settings(**nested)
    except ValidationError as error:
        raise _config_error(error) from None
    except SettingsError as error:  # a variable that must hold JSON and does not
        name = str(error).partition('field "')[2].partition('"')[0] or "environment"
        raise ConfigError(
            name, f'VOICEAGENT_{name.upper()}… must hold JSON here: \'["a", "b"]\' for a list'
        ) from None
    finally:
        _FileSource.chosen = {}
    _check_provider(settings)
    _check_hosted(settings)
    _check_addresses(settings)
    return settings


def _check_provider(settings: Settings) -> None:
    if settings.provider != "embedded" and settings.realtime.api_key is None:
        raise ConfigError("realtime.api_key", f"the provider {settings.provider} needs a key")
    if settings.provider == "azure" and settings.realtime.url is None:
        raise ConfigError("realtime.url", "the provider azure needs its resource's URL")
    second = settings.survival.second
    if second.provider in ("azure", "embedded") and second.url is None:
        raise ConfigError("survival.second.url", f"the provider {second.provider} needs a URL here")
    key = second.api_key or settings.realtime.api_key
    if second.provider not in ("none", "embedded") and key is None:
        raise ConfigError("survival.second.api_key", f"the provider {second.provider} needs a key")


def _check_hosted(settings: Settings) -> None:
    if settings.hosted.webhook_secrets and not settings.console.enabled:
        raise ConfigError("console.enabled", "must be on: hosted calls are offered to its /webhooks/realtime")


def _check_addresses(settings: Settings) -> None:
    """What we tell others must be an address that they can reach: never a wildcard."""
    sip, media = settings.sip, settings.media
    media_told = media.advertised_host or sip.advertised_host or media.host or sip.host
    for name, told in (
        ("sip.advertised_host", sip.advertised_host or sip.host),
        ("media.advertised_host", media_told),
    ):
        if ipaddress.ip_address(told).is_unspecified:
            raise ConfigError(name, f"{told} cannot be told to others; name an address")


def _read_file(file: str | Path | None) -> Mapping[str, Any]:
    path = Path(file) if file is not None else Path("voiceagent.toml")
    if file is None and not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError("config file", f"cannot read {path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("config file", f"{path} is not TOML: {error}") from None


def _put(tree: dict[str, Any], path: list[str], value: Any) -> None:
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = value


def _config_error(error: ValidationError) -> ConfigError:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"]) or "settings"
    if first["type"] == "extra_forbidden":
        return ConfigError(name, "there is no such setting")
    if first["type"] == "tuple_type":
        shown = "" if "secret" in name else f" (not {first.get('input')!r})"
        return ConfigError(name, f'must be a list: ["…", "…"]{shown}')
    message = first["msg"].removeprefix("Value error, ")
    given = first.get("input")
    kept_back = any(word in name for word in ("key", "token", "secret"))
    shown = "" if isinstance(given, dict | SecretStr) or kept_back else f" (not {given!r})"
    return ConfigError(name, message[:1].lower() + message[1:] + shown)
