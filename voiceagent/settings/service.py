"""Settings of calls, console and logs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from voiceagent.call.config import DRAIN_SENTENCE, FALLBACK_SENTENCE
from voiceagent.call.targets import TargetRules, why_not
from voiceagent.ivr.toml.endpoints import EndpointRules
from voiceagent.settings.base import Port, Section


class CallSettings(Section):
    """The call handler."""

    max_calls: Annotated[int, Field(ge=1)] = Field(default=100, description="Calls at once; more get 503.")
    retry_after_s: Annotated[int, Field(ge=1)] = Field(
        default=10, description="Retry-After of a 503, on average: half of it to one and a half, at random."
    )
    overload_lag_ms: Annotated[float, Field(ge=0)] = Field(
        default=100.0,
        description="Refuse new calls (503) once the event loop was later than this for a second, until ten "
        "seconds of calm; 0 never.",
    )
    connect_timeout_s: Annotated[float, Field(gt=0, le=30)] = Field(
        default=3.0, description="How long the provider may take before the caller hears an apology."
    )
    max_duration_s: Annotated[float, Field(gt=0)] = Field(default=7200.0, description="Longest call.")
    no_input_s: Annotated[float, Field(gt=0)] = Field(default=6.0, description="Silence after a question.")
    transfer_timeout_s: Annotated[float, Field(gt=0)] = Field(
        default=20.0, description="Wait for a transfer."
    )
    transfer_targets: tuple[str, ...] = Field(
        default=(), description="Whom flows may transfer to, written as in outbound.allowed. Empty: nobody."
    )
    http_hosts: tuple[str, ...] = Field(
        default=(),
        description="Hosts that TOML flows may ask: api.example.com, *.example.com, http://host:port, or * "
        "(any public one). Empty: this machine only.",
    )
    fallback_sentence: Annotated[str, Field(min_length=1, max_length=500)] = Field(
        default=FALLBACK_SENTENCE, description="Said word for word to a caller whose flow has failed."
    )
    fallback_target: str | None = Field(
        default=None, description="Whom such a caller is handed to then: one of call.transfer_targets."
    )
    max_waiting: Annotated[int, Field(ge=1, le=24)] = Field(
        default=16, description="Operators' requests that may wait in one call; one more gets 429."
    )
    hold_music: str | None = Field(
        default=None, description="WAV file that callers on hold hear; default: a soft melody."
    )
    prompts_dir: str | None = Field(
        default=None,
        description="Folder of recorded lines: LANGUAGE/moment.wav, patience.wav, apology.wav; "
        "default: ours, in English.",
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
        default=600.0, description="How long running calls may go on when the node drains (SIGTERM)."
    )
    drain_sentence: Annotated[str, Field(min_length=1, max_length=500)] = Field(
        default=DRAIN_SENTENCE, description="Said word for word to whoever is still on the line then."
    )

    @field_validator("transfer_targets")
    @classmethod
    def _patterns(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        TargetRules(value)
        return value

    @field_validator("http_hosts")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        EndpointRules(value)
        return value

    @model_validator(mode="after")
    def _fallback(self) -> CallSettings:
        reason = self.fallback_target and why_not(self.fallback_target, self.transfer_targets)
        if reason:
            raise ValueError(f"fallback_target {reason} (call.transfer_targets)")
        return self


class ConsoleSettings(Section):
    """The operators' API and page."""

    enabled: bool = Field(default=True, description="Serve HTTP at all.")
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: Port = Field(default=8080, description="Port; 0 takes a free one.")
    token: SecretStr | None = Field(
        default=None,
        description="An admin's token. Default: the first start makes and prints one, good until there is an "
        "admin.",
    )
    allowed_hosts: tuple[str, ...] = Field(
        default=(), description="Further names that the Host header may carry."
    )
    metrics_open: bool = Field(default=False, description="Serve /metrics without a token.")
    tls_in_front: bool = Field(
        default=False,
        description="TLS ends in a proxy in front of us: cookies are Secure, pages must come by https.",
    )
    plain_http: bool = Field(
        default=False,
        description="Listen beyond this machine though no TLS is in front: whoever is on the way reads "
        "passwords, keys and calls.",
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(), description="Addresses of proxies whose X-Forwarded-For is believed."
    )
    max_connections: Annotated[int, Field(ge=1)] = Field(
        default=256, description="HTTP connections at once, live streams and listeners among them."
    )
    max_streams: Annotated[int, Field(ge=1)] = Field(
        default=64, description="Live streams (/v1/events) at once."
    )
    max_listeners: Annotated[int, Field(ge=1)] = Field(
        default=32, description="Sockets on which calls are heard at once, on all calls together."
    )
    phone_calls_per_user: Annotated[int, Field(ge=0)] = Field(
        default=2, description="Calls from the page's phone that one user may have at once; 0: no phone."
    )


class JournalSettings(Section):
    """Call journals."""

    inputs: bool = Field(default=True, description="Keep what a replay needs: all inputs but audio.")
    reserve_mb: Annotated[float, Field(ge=0, le=10_000)] = Field(
        default=16.0,
        description="Room on the disk that is kept for journals (MiB), given up when it is full; 0: none.",
    )


class DatabaseSettings(Section):
    """Where users, keys, the audit log and ended calls are kept."""

    url: str = Field(
        default="",
        description="As SQLAlchemy writes it: sqlite:///voiceagent.db, postgresql+psycopg://user@host/name. "
        "Default: the SQLite file voiceagent.db in journal_dir.",
    )


class LogSettings(Section):
    """Logs."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level shown."
    )
    format: Literal["console", "json"] = Field(default="console", description="For people or for machines.")
