"""Feeds the alerts with what happens on this node, and tells the console and the metrics of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from voiceagent.app.events import EventHub
from voiceagent.call.admission import Admission
from voiceagent.call.call import Call
from voiceagent.ids import Tokens
from voiceagent.observe.alerts import Alert, AlertConfig, AlertKind, Alerts
from voiceagent.observe.metrics import Metrics
from voiceagent.realtime.fault_table import Remedy, remedy_of

_log = structlog.get_logger("voiceagent.alerts")

PERIOD_S = 1.0
_LOST = {"provider.lost": "reason", "recovery.attempt_failed": "code", "handover.attempt_failed": "code"}
"""Entries of journals that tell a failure of the provider, and their field that says which."""

_FOUND = frozenset({"call.answered", "recovery.restored"})
"""… and that a session with it stands."""


class Alarms:
    """The alerts of one node. Calls, trunks and admission are looked at each second; the rest is told."""

    kinds = frozenset({"provider.error", *_LOST, *_FOUND})
    """Types of entries of journals that :meth:`journal_entry` does something about."""

    def __init__(
        self,
        config: AlertConfig,
        hub: EventHub,
        metrics: Metrics,
        tokens: Tokens,
        *,
        provider: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._alerts = Alerts(config, tokens)
        self._hub = hub
        self._metrics = metrics
        self._provider = provider
        self._clock = clock
        self.disks: Callable[[], Mapping[str, str]] = dict
        """Returns what is written to the disk, each with the disk's error; empty: none."""
        for kind in AlertKind:
            metrics.alerts(kind.value, 0)

    def views(self) -> Sequence[Mapping[str, Any]]:
        """Every alert that is remembered, the newest first."""
        return [alert.plain() for alert in self._alerts]

    # ── what is told ────────────────────────────────────────────────────────────────────────────
    def turn_answered(self, seconds: float) -> None:
        """A caller was answered so long after the end of speech."""
        self._tell(self._alerts.turn(seconds, self._clock()))

    def journal_entry(self, entry: Mapping[str, Any]) -> None:
        """Take an entry of any call's journal."""
        kind = entry.get("type")
        if kind == "provider.error":
            code = str(entry.get("code") or "error")
            if remedy_of(code) is not Remedy.IGNORE:
                self._failed(code)
        elif kind in _LOST:
            self._metrics.provider_up(self._provider, False)
            self._failed(str(entry.get(_LOST[kind]) or kind))
        elif kind in _FOUND:
            self._metrics.provider_up(self._provider, True)

    def provider_failed(self, code: str) -> None:
        """A call ended by the provider's fault."""
        self._metrics.provider_up(self._provider, False)
        self._failed(code)

    def _failed(self, code: str) -> None:
        self._metrics.provider_failed(code)
        self._tell(self._alerts.provider_error(code, self._clock()))

    def call_ended(self, call_id: str) -> None:
        """A call is over."""
        self._tell(self._alerts.call_gone(call_id, self._clock()))

    # ── what is looked at ───────────────────────────────────────────────────────────────────────
    def look(self, calls: Sequence[Call], admission: Admission, trunks: Sequence[Mapping[str, Any]]) -> None:
        """Look at everything once."""
        alerts, now = self._alerts, self._clock()
        changes = alerts.tick(now)
        for call in calls:
            changes += alerts.silence(call.id, call.watch.silence_s, now)
        changes += alerts.room(admission.live, admission.config.max_calls, admission.overload.shedding, now)
        for trunk in trunks:
            changes += alerts.trunk(trunk["name"], trunk["up"], trunk["detail"], now)
        for what, error in self.disks().items():
            changes += alerts.disk(what, error, now)
        self._tell(changes)

    async def run(
        self,
        calls: Callable[[], Sequence[Call]],
        admission: Admission,
        trunks: Callable[[], Sequence[Mapping[str, Any]]],
    ) -> None:
        """Look each second, until cancelled."""
        while True:
            self.look(calls(), admission, trunks())
            await asyncio.sleep(PERIOD_S)

    def _tell(self, changes: Sequence[Alert]) -> None:
        for alert in changes:
            what = "raised" if alert.cleared_at is None else "cleared"
            say = _log.warning if alert.cleared_at is None else _log.info
            say("alert", what=what, kind=alert.kind.value, text=alert.text, call_id=alert.call_id)
            self._metrics.alerts(alert.kind.value, self._alerts.active(alert.kind))
            self._hub.publish(f"alert.{what}", alert.call_id, alert.plain())
