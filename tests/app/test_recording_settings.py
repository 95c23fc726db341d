"""Settings of recordings: what cannot work is refused by its name, before a call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from voiceagent.errors import ConfigError
from voiceagent.media.wav import WavWriter
from voiceagent.settings import bare_settings
from voiceagent.settings import recording as module
from voiceagent.settings.recording import announcement_of


@pytest.mark.parametrize(
    ("flags", "setting", "words"),
    [
        ({"recording.store": "ftp://host/x"}, "recording.store", "must begin with"),
        ({"recording.store": "s3://key:secret@bucket"}, "recording.store", "no credentials"),
        (
            {"recording.store_options": {"secret_access_key": "x1"}},
            "recording.store_options",
            "no credentials",
        ),
        ({"recording.format": "mp3"}, "recording.format", ""),
        ({"recording.announce": "told.wav"}, "recording.announce", "prompts_dir"),
        ({"retention.calls_days": -1}, "retention.calls_days", ""),
    ],
)
def test_refusals(flags: dict[str, Any], setting: str, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        bare_settings(flags)
    assert refused.value.setting == setting
    assert words in str(refused.value)
    assert "x1" not in str(refused.value)


def test_what_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "opus_available", lambda: False)
    monkeypatch.setattr(module, "store_available", lambda: False)
    with pytest.raises(ConfigError, match=r"recording\.format.*codecs"):
        bare_settings({"recording.format": "opus"})
    with pytest.raises(ConfigError, match=r"recording\.store.*objects"):
        bare_settings({"recording.store": "s3://bucket"})
    assert not bare_settings({"recording.format": "auto"}).recording.as_opus


def test_an_announcement_is_words_or_a_file(tmp_path: Path) -> None:
    words = bare_settings({"recording.announce": " This call is recorded. "})
    assert announcement_of(words.recording, None) == "This call is recorded."
    folder = {"call.prompts_dir": str(tmp_path)}
    with pytest.raises(ConfigError, match=r"recording\.announce"):
        bare_settings({"recording.announce": "told.wav", **folder})
    with WavWriter(tmp_path / "told.wav") as wav:
        wav.write(bytes(16_000))
    file = bare_settings({"recording.announce": "told.wav", **folder})
    assert announcement_of(file.recording, str(tmp_path)) == str(tmp_path / "told.wav")
