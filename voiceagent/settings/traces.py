"""Settings of traces."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from voiceagent.errors import ConfigError
from voiceagent.settings.base import Section


class TraceSettings(Section):
    """Traces of calls, for a collector of OpenTelemetry's."""

    endpoint: str = Field(
        default="",
        description="Where a collector takes OTLP by HTTP: http://collector:4318. Empty: no traces.",
    )
    headers: dict[str, SecretStr] = Field(
        default={}, description='Headers that it wants, {Authorization = "Bearer …"} for one.'
    )
    sample_ratio: Annotated[float, Field(ge=0, le=1)] = Field(
        default=1.0, description="Share of the calls that are traced."
    )
    text: bool = Field(
        default=False,
        description="Put what is said, and who calls whom, into voiceagent.pii.* attributes?",
    )

    @field_validator("endpoint")
    @classmethod
    def _url(cls, value: str) -> str:
        if value and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname):
            raise ValueError("must be a URL that begins with http:// or https://")
        return value

    @field_validator("headers")
    @classmethod
    def _plain(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, secret in value.items():
            told = secret.get_secret_value()
            if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
                raise ValueError(f"{name!r} is no name of a header")
            if not told.isprintable():
                raise ValueError(f"{name} holds a control character")
        return value


def check_traces(settings: TraceSettings) -> None:
    """Raise ConfigError where traces are wanted and OpenTelemetry is not installed."""
    if settings.endpoint and not _installed():
        raise ConfigError("traces.endpoint", "needs OpenTelemetry: pip install 'voiceagent[otel]'")


def _installed() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False
