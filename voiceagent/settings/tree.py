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
from typing import Any

from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from voiceagent.errors import ConfigError
from voiceagent.media.codecs import demand
from voiceagent.media.srtp import HOW_TO_INSTALL, srtp_available
from voiceagent.settings.alerts import AlertSettings
from voiceagent.settings.cluster import ClusterSettings
from voiceagent.settings.outbound import OutboundSettings
from voiceagent.settings.provider import EngineSettings, HostedSettings, RealtimeSettings, SurvivalSettings
from voiceagent.settings.queues import QueueSettings, check_queues, read_queues
from voiceagent.settings.recording import RecordingSettings, check_recording
from voiceagent.settings.retention import RetentionSettings
from voiceagent.settings.routes import RouteSettings, check_routes, read_routes
from voiceagent.settings.service import (
    CallSettings,
    ConsoleSettings,
    DatabaseSettings,
    JournalSettings,
    LogSettings,
)
from voiceagent.settings.telephony import MediaSettings, SipSettings
from voiceagent.settings.traces import TraceSettings, check_traces
from voiceagent.settings.trunks import TrunkSettings, read_trunks
from voiceagent.settings.webhooks import WebhookSettings, read_webhooks
from voiceagent.sip.net.listen import parse_listen
from voiceagent.sip.trunk import DEFAULT_TRUNK
from voiceagent.text_files import UnreadableFile, read_text


class Settings(BaseSettings):
    """All settings. See :func:`load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix="VOICEAGENT_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    flows: tuple[str, ...] = Field(
        default=(), description="Files with flows, Python or TOML; default: the built-in front desk."
    )
    routes: tuple[RouteSettings, ...] = Field(
        default=(), description="Which flow answers which calls, in order: see Routing in flows.md."
    )
    default_flow: str = Field(
        default="", description="Name of the flow for numbers that no route and no flow names; else 404."
    )
    queues: tuple[QueueSettings, ...] = Field(
        default=(), description="Lines of callers who wait for a person: see Queues in flows.md."
    )
    journal_dir: str = Field(default="journals", description="Folder for the call journals.")
    journal: JournalSettings = Field(default_factory=JournalSettings)
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    cluster: ClusterSettings = Field(default_factory=ClusterSettings)
    recordings_dir: str = Field(
        default="recordings", description="Folder for what flows record; made with the first recording."
    )
    sip: SipSettings = Field(default_factory=SipSettings)
    media: MediaSettings = Field(default_factory=MediaSettings)
    trunks: tuple[TrunkSettings, ...] = Field(
        default=(), description="Peers with rules of their own, and our accounts: see Trunks below."
    )
    realtime: RealtimeSettings = Field(default_factory=RealtimeSettings)
    engine: EngineSettings = Field(default_factory=EngineSettings)
    call: CallSettings = Field(default_factory=CallSettings)
    outbound: OutboundSettings = Field(default_factory=OutboundSettings)
    recording: RecordingSettings = Field(default_factory=RecordingSettings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)
    survival: SurvivalSettings = Field(default_factory=SurvivalSettings)
    console: ConsoleSettings = Field(default_factory=ConsoleSettings)
    hosted: HostedSettings = Field(default_factory=HostedSettings)
    alerts: AlertSettings = Field(default_factory=AlertSettings)
    webhooks: tuple[WebhookSettings, ...] = Field(
        default=(), description="Who is told what happens, by signed webhooks: see Webhooks below."
    )
    log: LogSettings = Field(default_factory=LogSettings)
    traces: TraceSettings = Field(default_factory=TraceSettings)

    @field_validator("routes", mode="before")
    @classmethod
    def _routes(cls, value: Any) -> tuple[RouteSettings, ...]:
        return read_routes(value)

    @field_validator("queues", mode="before")
    @classmethod
    def _queues(cls, value: Any) -> tuple[QueueSettings, ...]:
        return read_queues(value)

    @field_validator("trunks", mode="before")
    @classmethod
    def _trunks(cls, value: Any) -> tuple[TrunkSettings, ...]:
        return read_trunks(value)

    @field_validator("webhooks", mode="before")
    @classmethod
    def _webhooks(cls, value: Any) -> tuple[WebhookSettings, ...]:
        return read_webhooks(value)

    @property
    def media_told(self) -> str:
        """The address that our SDP names; that of the first SIP listener where both are bound alike."""
        media, sip = self.media, self.sip
        bound = media.host or sip.first_host
        return (
            media.advertised_host
            or sip.advertised_host
            or (sip.first_told if bound == sip.first_host else bound)
        )

    @property
    def database_url(self) -> str:
        """The database in force."""
        return self.database.url or f"sqlite:///{self.journal_dir}/voiceagent.db"

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
    demand(settings.media.codecs)
    _check_srtp(settings)
    check_traces(settings.traces)
    _check_console(settings)
    check_recording(settings.recording, settings.call.prompts_dir)
    trunks = [*(one.name for one in settings.trunks), DEFAULT_TRUNK]
    check_routes(settings.routes, settings.default_flow, trunks)
    check_queues(settings.queues, settings.call.transfer_targets)
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
    demand(settings.media.codecs)
    _check_srtp(settings)
    check_traces(settings.traces)
    _check_console(settings)
    check_recording(settings.recording, settings.call.prompts_dir)
    trunks = [*(one.name for one in settings.trunks), DEFAULT_TRUNK]
    check_routes(settings.routes, settings.default_flow, trunks)
    check_queues(settings.queues, settings.call.transfer_targets)
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


def _check_console(settings: Settings) -> None:
    console = settings.console
    for proxy in console.trusted_proxies:
        try:
            ipaddress.ip_address(proxy)
        except ValueError:
            raise ConfigError("console.trusted_proxies", f"{proxy!r} is no address") from None
    if console.enabled and not (console.tls_in_front or console.plain_http or _is_ours(console.host)):
        raise ConfigError(
            "console.host",
            f"{console.host} is reached from elsewhere, and passwords, keys and calls would be sent as plain "
            "text: put TLS in front and set console.tls_in_front, or set console.plain_http if you must",
        )


def _is_ours(host: str) -> bool:
    """Whether only this machine reaches ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_srtp(settings: Settings) -> None:
    if settings.media.srtp == "required" and not srtp_available():
        raise ConfigError("media.srtp", f"cannot be required: {HOW_TO_INSTALL}")
    if settings.media.srtp != "off" and not settings.media.srtp_keying:
        raise ConfigError("media.srtp_keying", "names no way to agree on keys: sdes, dtls, or both")


def _check_addresses(settings: Settings) -> None:
    """What we tell others must be an address that they can reach: never a wildcard."""
    sip = settings.sip
    listeners = [parse_listen(one) for one in sip.listen]
    for name, told in (
        *([] if listeners else [("sip.advertised_host", sip.advertised_host or sip.host)]),
        *(("sip.listen", one.told(0, sip.advertised_host).host) for one in listeners),
        ("media.advertised_host", settings.media_told),
    ):
        if ipaddress.ip_address(told).is_unspecified:
            raise ConfigError(name, f"{told} cannot be told to others; name an address")
    for trunk in settings.trunks if sip.tls.client_certificates == "none" else ():
        if trunk.identities and not any(transport == "tls" for _, _, transport in trunk.wishes):
            raise ConfigError(
                "sip.tls.client_certificates",
                f"must ask for the certificates of trunks.{trunk.name}.identities",
            )
    if sip.tls.certificate is None and any(one.transport == "tls" for one in listeners):
        raise ConfigError("sip.tls.certificate", "a tls listener needs a certificate")


def _read_file(file: str | Path | None) -> Mapping[str, Any]:
    path = Path(file) if file is not None else Path("voiceagent.toml")
    if file is None and not path.is_file():
        return {}
    try:
        return tomllib.loads(read_text(path))
    except UnreadableFile as error:
        raise ConfigError("config file", f"{path}: {error}") from None
    except RecursionError:
        raise ConfigError("config file", f"{path} is nested too deeply") from None
    except tomllib.TOMLDecodeError as error:
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
    field, space, rest = message.partition(" ")
    if space and isinstance(first.get("input"), dict) and first["type"] == "value_error":
        # What fields owe each other is told by their section, which begins with the name of one of them.
        name, message = f"{name}.{field}", rest
    given = first.get("input")
    kept_back = any(word in name for word in ("key", "token", "secret"))
    shown = "" if isinstance(given, dict | SecretStr) or kept_back else f" (not {given!r})"
    return ConfigError(name, message[:1].lower() + message[1:] + shown)
