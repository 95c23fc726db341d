"""Settings of recordings, and of how long things are kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from voiceagent.errors import ConfigError
from voiceagent.records.objects import HOW_TO_INSTALL, check_store_url, store_available
from voiceagent.records.opus import opus_available
from voiceagent.settings.base import Section


class RecordingSettings(Section):
    """What flows record."""

    max_minutes: Annotated[float, Field(gt=0, le=1440)] = Field(
        default=120.0, description="Longest recording; it ends then, and the call goes on."
    )
    format: Literal["auto", "opus", "wav"] = Field(
        default="auto",
        description="What a finished recording becomes: opus (an eighth of the size), or wav, as it was "
        "written. auto: opus where the extra `codecs` is installed.",
    )
    bitrate: Annotated[int, Field(ge=12_000, le=128_000)] = Field(
        default=32_000, description="Bits a second of an Opus recording, both sides together."
    )
    store: str = Field(
        default="",
        description="Where finished recordings go: s3://bucket/prefix, gs://…, az://…, file:///folder; needs "
        "the extra `objects`. Default: they stay in recordings_dir.",
    )
    store_options: dict[str, str] = Field(
        default={},
        description="What the store's client is told besides: endpoint, region … No credentials: see "
        "records.md.",
    )
    keep_local: bool = Field(
        default=False, description="Keep the file in recordings_dir after it has been stored."
    )

    @field_validator("store")
    @classmethod
    def _url(cls, value: str) -> str:
        return check_store_url(value) if value else ""

    @property
    def as_opus(self) -> bool:
        """Whether recordings become Opus here."""
        return self.format == "opus" or (self.format == "auto" and opus_available())


def check_recording(settings: RecordingSettings) -> None:
    """Raise ConfigError where something is asked for that is not installed."""
    if settings.format == "opus" and not opus_available():
        raise ConfigError("recording.format", "opus needs PyAV: pip install 'voiceagent[codecs]'")
    if settings.store and not store_available():
        raise ConfigError("recording.store", HOW_TO_INSTALL)
