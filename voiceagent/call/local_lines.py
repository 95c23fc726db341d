"""Lines that the call plays by itself, recorded, so that they need no provider.

They go to the leg like agent audio, under a response id of their own: :func:`is_local` tells them apart, and
no report about them ever reaches the session.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Final, Literal

from voiceagent.call.comfort import comfort_sound
from voiceagent.call.leg import G711
from voiceagent.errors import ConfigError, MediaError
from voiceagent.ivr.languages import ENGLISH, LANGUAGES
from voiceagent.media import g711
from voiceagent.media.music import pcm_of
from voiceagent.media.wav import read_wav

LineName = Literal["moment", "patience", "apology"]
NAMES: Final[tuple[LineName, ...]] = ("moment", "patience", "apology")
FORMATS: Final[tuple[G711, ...]] = ("audio/pcmu", "audio/pcma")
PREFIX = "local-"
MOST_S = 20.0
"""Longest line."""


def is_local(response_id: str) -> bool:
    """Return whether a playback report is about a line of our own."""
    return response_id.startswith(PREFIX)


def line(
    name: LineName, audio_format: G711, language: str = ENGLISH.tag, prompts_dir: str | None = None
) -> bytes:
    """Return a line as G.711 at 8 kHz: the file ``<prompts_dir>/<language>/<name>.wav``, if there is one.

    Else ours, in English: ``moment``: "One moment, please." ``patience``: "I am sorry, this takes a little
    longer than usual. Please stay on the line." ``apology``: "We are sorry, … Please call again later."
    Nobody is spoken to in a foreign language: others get the soft sound of waiting instead. Raises MediaError
    for a file that is no such recording.
    """
    recorded = None if prompts_dir is None else Path(prompts_dir) / language / f"{name}.wav"
    if recorded is not None and recorded.is_file():
        return _recorded(recorded, audio_format)
    return _ours(name, audio_format) if language == ENGLISH.tag else comfort_sound(audio_format)


def check_prompts(prompts_dir: str | None) -> None:
    """Read all lines of ``call.prompts_dir``, so that a mistake is told at the start, as a ConfigError."""
    if prompts_dir is None:
        return
    if not Path(prompts_dir).is_dir():
        raise ConfigError("call.prompts_dir", f"no such folder: {prompts_dir}")
    for language in LANGUAGES:
        for name in NAMES:
            for audio_format in FORMATS:
                try:
                    line(name, audio_format, language, prompts_dir)
                except MediaError as error:
                    raise ConfigError("call.prompts_dir", f"{language}/{name}.wav: {error}") from None


@cache
def _ours(name: LineName, audio_format: G711) -> bytes:
    suffix = "pcma" if audio_format == "audio/pcma" else "pcmu"
    return (files("voiceagent.call") / "prompts" / f"{name}.{suffix}").read_bytes()


@cache
def _recorded(path: Path, audio_format: G711) -> bytes:
    try:
        wav = read_wav(path)
    except OSError as error:
        raise MediaError(f"cannot be read: {error.strerror}", code="wav") from None
    if wav.seconds > MOST_S:
        raise MediaError(f"longer than {MOST_S:.0f} s", code="wav")
    return g711.encode(pcm_of(wav), "alaw" if audio_format == "audio/pcma" else "ulaw")
