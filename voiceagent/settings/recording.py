"""Settings of recordings, and of how long things are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator

from voiceagent.call.sounds import problem_of
from voiceagent.errors import ConfigError
from voiceagent.records.objects import HOW_TO_INSTALL, check_store_url, store_available
from voiceagent.records.opus import opus_available
from voiceagent.settings.base import Section

_CREDENTIALS = ("secret", "key", "token", "password", "credential")


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

    announce: Annotated[str, Field(max_length=500)] = Field(
        default="",
        description="What callers hear before a recording, word for word, or NAME.wav in call.prompts_dir. "
        "Flows may have their own.",
    )
    pause_tone: bool = Field(
        default=False, description="Callers hear a tone when a recording is paused, and when it goes on."
    )

    @field_validator("store")
    @classmethod
    def _url(cls, value: str) -> str:
        return check_store_url(value) if value else ""

    @property
    def as_opus(self) -> bool:
        """Whether recordings become Opus here."""
        return self.format == "opus" or (self.format == "auto" and opus_available())


def announcement_of(settings: RecordingSettings, prompts_dir: str | None) -> str:
    """Return the announcement: words, or the path of a WAV file."""
    told = settings.announce.strip()
    return str(Path(prompts_dir or ".") / told) if told.lower().endswith(".wav") else told


def check_recording(settings: RecordingSettings, prompts_dir: str | None) -> None:
    """Raise ConfigError where something is asked for that is not installed, or not there."""
    told = announcement_of(settings, prompts_dir)
    if told.lower().endswith(".wav"):
        if prompts_dir is None:
            raise ConfigError("recording.announce", "is a file: set call.prompts_dir, where it lies")
        reason = problem_of(Path(told))
        if reason is not None:
            raise ConfigError("recording.announce", f"{told}: {reason}")
    if settings.format == "opus" and not opus_available():
        raise ConfigError("recording.format", "opus needs PyAV: pip install 'voiceagent[codecs]'")
    for name in settings.store_options:
        if any(word in name.lower() for word in _CREDENTIALS):
            words = f"may hold no credentials ({name}): those come from the environment"
            raise ConfigError("recording.store_options", words)
    if settings.store and not store_available():
        raise ConfigError("recording.store", HOW_TO_INSTALL)
