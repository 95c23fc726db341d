"""PURE. What an operator should be told: conditions that hold for too long become alerts, and are cleared.

One condition for each kind and subject (a call, a trunk, the node). It is raised once and stays raised until
it has been good for ``calm_s`` without a break, so that a source that flaps makes one alert and not fifty;
figures have to fall well below their limit before they count as good.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from voiceagent.ids import Tokens

KEPT = 200
"""Alerts that are remembered, raised ones included."""
ACTIVE_MOST = 50
"""Alerts of one kind at a time: when everything is silent, fifty calls say so well enough."""
MINUTE_S = 60.0
TURN_LIFE_S = 900.0
"""Turns older than this say nothing about now."""
RELIEF = 0.9
"""A latency is good again below so much of its limit, errors below half of theirs."""
CAPACITY_RELIEF = 10
"""Percent points below the limit at which there is room again."""


class AlertKind(StrEnum):
    """What can be wrong."""

    DEAD_AIR = "dead_air"
    """A caller hears nothing while it is our turn."""
    LATENCY = "latency"
    """Callers wait too long for answers."""
    PROVIDER_ERRORS = "provider_errors"
    CAPACITY = "capacity"
    """No room for more calls, or overload."""
    TRUNK_DOWN = "trunk_down"
    DISK = "disk"
    """Journals or recordings cannot be written."""


@dataclass(frozen=True, slots=True)
class AlertConfig:
    """Limits; 0 turns a kind off."""

    dead_air_s: float = 5.0
    latency_p95_ms: float = 3000.0
    latency_turns: int = 20
    provider_errors_per_min: int = 5
    capacity_percent: float = 100.0
    trunk_down_s: float = 30.0
    calm_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert."""

    id: str
    kind: AlertKind
    since: float
    """When it was raised, Unix seconds."""
    call_id: str
    """Empty for what is of no call."""
    text: str
    cleared_at: float | None = None

    def plain(self) -> dict[str, str | float | None]:
        """Return it as JSON values."""
        return {
            "id": self.id,
            "kind": self.kind.value,
            "since": round(self.since, 3),
            "call_id": self.call_id,
            "text": self.text,
            "cleared_at": None if self.cleared_at is None else round(self.cleared_at, 3),
        }


@dataclass(slots=True)
class _Condition:
    bad_since: float
    after_s: float
    text: str
    call_id: str
    good_since: float | None = None
    """None while it is bad."""
    alert: str = ""
    """Id of the alert; empty while there is none."""


_Key = tuple[AlertKind, str]
Changes = list[Alert]
"""Alerts that were raised (``cleared_at`` None) or cleared just now."""


class Alerts:
    """All alerts of one node. ``now`` is Unix time everywhere; :meth:`tick` is to be called each second."""

    def __init__(self, config: AlertConfig, tokens: Tokens) -> None:
        self._config = config
        self._tokens = tokens
        self._conditions: dict[_Key, _Condition] = {}
        self._alerts: dict[str, Alert] = {}
        self._turns: deque[tuple[float, float]] = deque(maxlen=max(1, config.latency_turns))
        self._errors: deque[float] = deque(maxlen=max(1, 20 * config.provider_errors_per_min))
        self._last_error = ""

    def __iter__(self) -> Iterator[Alert]:
        """Every alert that is remembered, the newest first."""
        return reversed(self._alerts.values())

    def active(self, kind: AlertKind) -> int:
        """Return how many alerts of a kind are raised."""
        return sum(key[0] is kind and bool(one.alert) for key, one in self._conditions.items())

    # ── what is reported ────────────────────────────────────────────────────────────────────────
    def silence(self, call_id: str, seconds: float, now: float) -> Changes:
        """A call's caller has heard nothing for so long while it is our turn; 0 while all is well."""
        limit = self._config.dead_air_s
        if not limit:
            return []
        text = f"The caller has heard nothing for {limit:g} s."
        return self._judge((AlertKind.DEAD_AIR, call_id), seconds >= limit, now, text, call_id=call_id)

    def call_gone(self, call_id: str, now: float) -> Changes:
        """A call has ended: nothing is wrong with it any more."""
        return self._clear((AlertKind.DEAD_AIR, call_id), now)

    def turn(self, latency_s: float, now: float) -> Changes:
        """A caller was answered so long after the last word."""
        self._turns.append((now, latency_s))
        return self._judge_latency(now)

    def provider_error(self, code: str, now: float) -> Changes:
        """The provider refused, failed or went away."""
        self._errors.append(now)
        self._last_error = code
        return self._judge_errors(now)

    def room(self, live: int, most: int, overloaded: bool, now: float) -> Changes:
        """So many calls of at most so many are live; ``overloaded``: new ones are refused anyway."""
        limit = self._config.capacity_percent
        if not limit:
            return []
        key, used = (AlertKind.CAPACITY, ""), 100 * live / max(1, most)
        if used >= limit or overloaded:
            text = "New calls are refused: the event loop lags." if overloaded else f"{live} of {most} calls."
            return self._judge(key, True, now, text)
        return self._judge(key, False, now) if used <= max(0.0, limit - CAPACITY_RELIEF) else self._stay(key)

    def trunk(self, name: str, up: bool, detail: str, now: float) -> Changes:
        """How a trunk stands."""
        after_s = self._config.trunk_down_s
        if not after_s:
            return []
        text = f"Trunk {name} is down" + (f": {detail}." if detail else ".")
        return self._judge((AlertKind.TRUNK_DOWN, name), not up, now, text, after_s=after_s)

    def disk(self, what: str, error: str, now: float) -> Changes:
        """How the disk takes ``what`` (journals, recordings); no ``error``: it does."""
        text = f"The disk does not take the {what}: {error}. Calls go on."
        return self._judge((AlertKind.DISK, what), bool(error), now, text)

    def tick(self, now: float) -> Changes:
        """Time has passed."""
        changes = [*self._judge_latency(now), *self._judge_errors(now)]
        for key, condition in list(self._conditions.items()):
            if condition.good_since is not None:
                changes += self._judge(key, False, now)
        return changes

    # ── inner workings ──────────────────────────────────────────────────────────────────────────
    def _judge_latency(self, now: float) -> Changes:
        limit = self._config.latency_p95_ms / 1000
        while self._turns and now - self._turns[0][0] > TURN_LIFE_S:
            self._turns.popleft()
        if not limit:
            return []
        key = (AlertKind.LATENCY, "")
        if len(self._turns) < self._config.latency_turns:
            return self._judge(key, False, now)  # nothing is known
        p95 = percentile([latency for _, latency in self._turns], 0.95)
        if p95 > limit:
            text = f"Callers wait {1000 * p95:.0f} ms (p95 of {len(self._turns)} turns) for an answer."
            return self._judge(key, True, now, text)
        return self._judge(key, False, now) if p95 <= RELIEF * limit else self._stay(key)

    def _judge_errors(self, now: float) -> Changes:
        limit = self._config.provider_errors_per_min
        while self._errors and now - self._errors[0] >= MINUTE_S:
            self._errors.popleft()
        if not limit:
            return []
        key, count = (AlertKind.PROVIDER_ERRORS, ""), len(self._errors)
        if count >= limit:
            return self._judge(
                key, True, now, f"{count} provider errors in a minute, the last: {self._last_error}."
            )
        return self._judge(key, False, now) if count <= limit // 2 else self._stay(key)

    def _stay(self, key: _Key) -> Changes:
        """Neither good nor bad: calm begins anew, nothing is raised."""
        condition = self._conditions.get(key)
        if condition is not None:
            condition.good_since = None
        return []

    def _judge(
        self, key: _Key, bad: bool, now: float, text: str = "", *, call_id: str = "", after_s: float = 0.0
    ) -> Changes:
        condition = self._conditions.get(key)
        if not bad:
            if condition is None:
                return []
            if condition.good_since is None:
                condition.good_since = now
            return self._clear(key, now) if now - condition.good_since >= self._config.calm_s else []
        if condition is None:
            condition = self._conditions[key] = _Condition(now, after_s, text, call_id)
        condition.good_since, condition.text = None, text
        if condition.alert or now - condition.bad_since < condition.after_s:
            return []
        if self.active(key[0]) >= ACTIVE_MOST:
            return []
        alert = Alert(f"alert_{self._tokens()}", key[0], now, condition.call_id, text)
        condition.alert = alert.id
        self._alerts[alert.id] = alert
        self._trim()
        return [alert]

    def _clear(self, key: _Key, now: float) -> Changes:
        condition = self._conditions.pop(key, None)
        alert = None if condition is None else self._alerts.get(condition.alert)
        if alert is None:
            return []
        cleared = self._alerts[alert.id] = replace(alert, cleared_at=now)
        return [cleared]

    def _trim(self) -> None:
        while len(self._alerts) > KEPT:
            over = (one.id for one in self._alerts.values() if one.cleared_at is not None)
            self._alerts.pop(next(over, next(iter(self._alerts))))


def percentile(values: Sequence[float], part: float) -> float:
    """Return the smallest of ``values`` that ``part`` of them do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(part * len(values)) - 1)]
