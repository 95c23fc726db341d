"""From settings to what a simulated call meets of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from voiceagent.app.call_limits import call_config
from voiceagent.app.provider import SessionFactory
from voiceagent.settings import load_settings
from voiceagent.settings.queues import queue_configs
from voiceagent.simulate.surroundings import Surroundings


def surroundings_of(path: Path | None, overrides: Mapping[str, Any] | None = None) -> Surroundings:
    """Return the surroundings that a settings file gives (None: the usual one). Raises ConfigError."""
    # No provider is asked, so none needs a key.
    settings = load_settings(path, {**(overrides or {}), "realtime.provider": "embedded"})
    return Surroundings(
        call_config(settings), SessionFactory(settings, None).defaults, queue_configs(settings.queues)
    )
