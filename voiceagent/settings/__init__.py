"""One frozen settings tree: defaults < TOML file < environment < flags (:mod:`.tree`)."""

from __future__ import annotations

from voiceagent.settings.outbound import OutboundSettings
from voiceagent.settings.provider import (
    EngineSettings,
    HostedSettings,
    RealtimeSettings,
    SecondSettings,
    SurvivalSettings,
)
from voiceagent.settings.routes import RouteSettings
from voiceagent.settings.service import (
    CallSettings,
    ConsoleSettings,
    DatabaseSettings,
    JournalSettings,
    LogSettings,
)
from voiceagent.settings.telephony import MediaSettings, SipSettings
from voiceagent.settings.transport import StreamSettings, TlsSettings
from voiceagent.settings.tree import Settings, bare_settings, load_settings
from voiceagent.settings.trunks import TrunkSettings
from voiceagent.settings.webhooks import WebhookSettings

__all__ = [
    "CallSettings",
    "ConsoleSettings",
    "DatabaseSettings",
    "EngineSettings",
    "HostedSettings",
    "JournalSettings",
    "LogSettings",
    "MediaSettings",
    "OutboundSettings",
    "RealtimeSettings",
    "RouteSettings",
    "SecondSettings",
    "Settings",
    "SipSettings",
    "StreamSettings",
    "SurvivalSettings",
    "TlsSettings",
    "TrunkSettings",
    "WebhookSettings",
    "bare_settings",
    "load_settings",
]
