"""Settings of traces: off by default, each mistake one line, no secret in it."""

from __future__ import annotations

from typing import Any

import pytest

from voiceagent.errors import ConfigError
from voiceagent.settings import bare_settings, traces


def test_nothing_is_traced_unless_it_is_wanted() -> None:
    settings = bare_settings({}).traces
    assert (settings.endpoint, settings.sample_ratio, settings.text) == ("", 1.0, False)


def test_without_the_extra_the_mistake_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traces, "_installed", lambda: False)
    bare_settings({})
    with pytest.raises(ConfigError) as found:
        bare_settings({"traces.endpoint": "http://127.0.0.1:4318"})
    assert str(found.value) == "traces.endpoint: needs OpenTelemetry: pip install 'voiceagent[otel]'"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("endpoint", "collector:4318"),
        ("endpoint", "grpc://collector:4317"),
        ("endpoint", "http://"),
        ("sample_ratio", 1.5),
        ("headers", {"Author ization": "x"}),
        ("headers", {"Authorization": "Bearer s3cret\r\nX: y"}),
    ],
)
def test_a_mistake_names_the_setting_and_no_secret(setting: str, value: Any) -> None:
    with pytest.raises(ConfigError) as found:
        bare_settings({f"traces.{setting}": value})
    assert found.value.setting.startswith(f"traces.{setting}")
    assert "s3cret" not in str(found.value)
