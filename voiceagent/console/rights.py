"""PURE. Who may do what: one table for REST, the live stream and WebSockets.

Each route has a line; :func:`~voiceagent.console.app.create_app` refuses to serve a route without one. What
no line names asks for a credential and is then not found.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from functools import cache

WEBSOCKET = "WS"
"""Stands for the method of a WebSocket's route."""


class Role(StrEnum):
    """What a credential is good for. Each may do all that those before it may."""

    NOBODY = "nobody"
    VIEWER = "viewer"
    OPERATOR = "operator"
    SUPERVISOR = "supervisor"
    ADMIN = "admin"

    def covers(self, other: Role) -> bool:
        """Whether this role may do all that ``other`` may."""
        return _RANKS[self] >= _RANKS[other]


_RANKS = {role: rank for rank, role in enumerate(Role)}


class Right(StrEnum):
    """What a route asks of the one who comes."""

    OPEN = "open"
    METRICS = "metrics"
    VIEW = "view"
    """See calls, their words, the history."""
    ACT = "act"
    """Make the agent speak; end, hold, transfer, tag; call from the page."""
    LISTEN = "listen"
    """Hear a call, live or recorded; take it over."""
    MANAGE = "manage"
    """Presets, flows, dead letters, exports; read the audit log."""
    ADMIN = "admin"
    """Users and keys; end the node."""


LEAST_ROLE = {
    Right.OPEN: Role.NOBODY,
    Right.METRICS: Role.VIEWER,
    Right.VIEW: Role.VIEWER,
    Right.ACT: Role.OPERATOR,
    Right.LISTEN: Role.SUPERVISOR,
    Right.MANAGE: Role.SUPERVISOR,
    Right.ADMIN: Role.ADMIN,
}
"""The first role that has a right."""

_CALL = "/v1/calls/{call_id}"

RULES: tuple[tuple[str, str, Right], ...] = (
    # ── the page and the probes ──
    ("GET", "/", Right.OPEN),
    ("GET", "/favicon.ico", Right.OPEN),
    ("GET", "/static/{name}", Right.OPEN),
    ("GET", "/livez", Right.OPEN),
    ("GET", "/readyz", Right.OPEN),
    ("GET", "/metrics", Right.METRICS),
    ("GET", "/v1/openapi.json", Right.OPEN),
    # A webhook's signature is its credential.
    ("POST", "/webhooks/realtime", Right.OPEN),
    # ── oneself ──
    ("POST", "/v1/session", Right.OPEN),
    ("GET", "/v1/session", Right.VIEW),
    ("DELETE", "/v1/session", Right.VIEW),
    ("PUT", "/v1/session/password", Right.VIEW),
    # ── looking ──
    ("GET", "/v1/events", Right.VIEW),
    ("GET", "/v1/trunks", Right.VIEW),
    ("GET", "/v1/flows", Right.VIEW),
    ("GET", "/v1/deliveries", Right.VIEW),
    ("GET", "/v1/alerts", Right.VIEW),
    ("GET", "/v1/drain", Right.VIEW),
    ("GET", "/v1/cluster", Right.VIEW),
    ("GET", "/v1/calls", Right.VIEW),
    ("GET", _CALL, Right.VIEW),
    ("GET", f"{_CALL}/timeline", Right.VIEW),
    ("GET", f"{_CALL}/responses", Right.VIEW),
    ("GET", f"{_CALL}/responses/{{response_id}}", Right.VIEW),
    ("GET", "/v1/presets", Right.VIEW),
    # The first line that fits counts: the export is no call.
    ("GET", "/v1/history/export", Right.MANAGE),
    ("GET", "/v1/history", Right.VIEW),
    ("GET", "/v1/history/{call_id}", Right.VIEW),
    ("GET", "/v1/history/{call_id}/recording", Right.LISTEN),
    ("GET", "/v1/history/{call_id}/journal", Right.MANAGE),
    # ── listening ──
    (WEBSOCKET, f"{_CALL}/listen", Right.LISTEN),
    # A ticket of the fleet is its credential: the other node has asked for its listeners' rights.
    (WEBSOCKET, "/v1/cluster/calls/{call_id}/listen", Right.OPEN),
    # ── acting ──
    ("POST", "/v1/calls", Right.ACT),
    ("POST", "/v1/phone", Right.ACT),
    ("POST", f"{_CALL}/responses", Right.ACT),
    ("DELETE", f"{_CALL}/responses/{{response_id}}", Right.ACT),
    ("POST", f"{_CALL}/tags", Right.ACT),
    ("DELETE", f"{_CALL}/tags/{{tag}}", Right.ACT),
    ("POST", f"{_CALL}/actions/hangup", Right.ACT),
    ("POST", f"{_CALL}/actions/hold", Right.ACT),
    ("POST", f"{_CALL}/actions/resume", Right.ACT),
    ("POST", f"{_CALL}/actions/transfer", Right.ACT),
    ("POST", f"{_CALL}/actions/send_digits", Right.ACT),
    ("POST", f"{_CALL}/actions/take_over", Right.LISTEN),
    ("POST", f"{_CALL}/actions/hand_back", Right.LISTEN),
    ("POST", f"{_CALL}/actions/note", Right.ACT),
    ("POST", f"{_CALL}/actions/pause_recording", Right.ACT),
    ("POST", f"{_CALL}/actions/resume_recording", Right.ACT),
    # ── managing ──
    ("POST", "/v1/flows/reload", Right.MANAGE),
    ("POST", "/v1/deliveries/{n}/retry", Right.MANAGE),
    ("POST", "/v1/presets", Right.MANAGE),
    ("PUT", "/v1/presets/{preset_id}", Right.MANAGE),
    ("DELETE", "/v1/presets/{preset_id}", Right.MANAGE),
    ("GET", "/v1/audit", Right.MANAGE),
    ("GET", "/v1/audit/export", Right.MANAGE),
    ("GET", "/v1/audit/verify", Right.MANAGE),
    ("POST", "/v1/drain", Right.ADMIN),
    ("DELETE", "/v1/drain", Right.ADMIN),
    ("POST", "/v1/erasures", Right.ADMIN),
    ("GET", "/v1/users", Right.ADMIN),
    ("POST", "/v1/users", Right.ADMIN),
    ("PATCH", "/v1/users/{user_id}", Right.ADMIN),
    ("DELETE", "/v1/users/{user_id}", Right.ADMIN),
    ("GET", "/v1/keys", Right.ADMIN),
    ("POST", "/v1/keys", Right.ADMIN),
    ("DELETE", "/v1/keys/{key_id}", Right.ADMIN),
)
"""(method, path, right) of every route."""


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str], Right], ...]:
    def pattern(path: str) -> re.Pattern[str]:
        parts = re.split(r"\{\w+\}", path)
        return re.compile("[^/]+".join(re.escape(part) for part in parts))

    return tuple((method, pattern(path), right) for method, path, right in RULES)


def right_needed(method: str, path: str) -> Right:
    """Return what a request to ``path`` asks for. HEAD is as GET; what no rule names needs a credential."""
    method = "GET" if method == "HEAD" else method
    for known, pattern, right in _patterns():
        if known == method and pattern.fullmatch(path):
            return right
    return Right.VIEW


@cache
def _by_template() -> dict[tuple[str, str], Right]:
    return {(method, path): right for method, path, right in RULES}


def right_of_route(method: str, template: str) -> Right:
    """Return what the route ``template`` (``/v1/calls/{call_id}``) asks for; one without a line, most."""
    return _by_template().get(("GET" if method == "HEAD" else method, template), Right.ADMIN)


def rights_of(role: Role) -> tuple[Right, ...]:
    """Return every right that a role has, for the page to know what to offer."""
    return tuple(right for right in Right if right is not Right.OPEN and role.covers(LEAST_ROLE[right]))


def without_rule(routes: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return those of ``routes`` (method, path) that no rule names."""
    named = {(method, path) for method, path, _ in RULES}
    return sorted({(method, path) for method, path in routes if method != "HEAD"} - named)
