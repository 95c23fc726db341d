"""The door: every request passes here before any route sees it.

Order: the policy (:mod:`voiceagent.console.auth`), then the body within its size and time, then the route.
The security headers go out with every answer, refusals included.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voiceagent.console.audit import AuditDesk
from voiceagent.console.auth import SAFE_METHODS, Policy, Visitor, asking
from voiceagent.console.config import ConsoleConfig
from voiceagent.console.limits import RateLimit
from voiceagent.console.problems import Problem
from voiceagent.console.rights import WEBSOCKET

_log = logging.getLogger("voiceagent.console")

CSP = (
    "default-src 'self'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


REFUSALS_PER_S = 1.0
"""Lines of the audit log that one visitor's refused tries may fill; twenty times as many at once."""


class Guard:
    """ASGI middleware around the whole console."""

    def __init__(self, app: ASGIApp, *, policy: Policy, config: ConsoleConfig, audit: AuditDesk) -> None:
        self._app = app
        self._policy = policy
        self._config = config
        self._audit = audit
        self._refusals = RateLimit(REFUSALS_PER_S, 20 * REFUSALS_PER_S)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._pass_websocket(scope, receive, send)
            return
        begun = False

        async def send_safely(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                _secure(message, scope["path"], https=self._config.secure_cookie)
            await send(message)

        try:
            await self._pass(scope, receive, send_safely)
        except Problem as problem:
            await problem.response()(scope, receive, send_safely)
        except Exception:
            _log.exception(
                "console: %s %s failed", scope["method"], scope["path"].encode("unicode_escape").decode()
            )
            if not begun:
                await Problem(500, "internal", "Something broke on our side.").response()(
                    scope, receive, send_safely
                )

    async def _pass_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The same policy; a refusal is an HTTP answer to the handshake (RFC 6455 §4.2.2)."""
        try:
            scope.setdefault("state", {})["visitor"] = self._admit(scope, WEBSOCKET)
            scope["state"]["peer"] = scope["client"][0] if scope.get("client") else ""
        except Problem as problem:
            await receive()  # websocket.connect
            await problem.deny(send)
            return
        await self._app(scope, receive, send)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        visitor = self._admit(scope, scope["method"])
        scope.setdefault("state", {})["visitor"] = visitor
        if scope["method"] not in SAFE_METHODS:
            receive = await self._whole_body(scope["path"], headers_of(scope), receive)
        await self._app(scope, receive, send)

    def _admit(self, scope: Scope, method: str) -> Visitor:
        size = sum(len(name) + len(value) for name, value in scope["headers"]) + len(
            scope.get("raw_path") or b""
        )
        if size > self._config.header_limit:
            raise Problem(
                431,
                "head_too_large",
                f"At most {self._config.header_limit} bytes of headers are taken.",
                headers={"Connection": "close"},
            )
        # PostgreSQL keeps no NUL; and a pattern's "$" also matches before a line's end, so that a router may
        # find a route for "/v1/users%0A" whose right was not asked for.
        if any(char < " " or char == "\x7f" for char in scope["path"]):
            raise Problem(404, "not_found", "No address holds a control character.")
        headers = headers_of(scope)
        peer = scope["client"][0] if scope.get("client") else ""
        if peer in self._config.trusted_proxies:
            peer = asking(peer, headers.get("x-forwarded-for", ""), self._config.trusted_proxies)
            scope["client"] = (peer, 0)
        now = asyncio.get_running_loop().time()
        try:
            return self._policy.admit(method, scope["path"], headers, peer, now)
        except Problem as problem:
            who = problem.by
            if isinstance(who, Visitor) and self._refusals.take(who.key, now) == 0:
                target = f"{method} {scope['path'][:200]}"
                self._audit.note(who, peer, "door.refused", target, result=problem.code)
            raise

    async def _whole_body(self, path: str, headers: dict[str, str], receive: Receive) -> Receive:
        """Read the body at once, bounded; return a ``receive`` that gives it out again."""
        limit = self._config.body_limit_of(path)
        declared = headers.get("content-length", "0")
        if not declared.isascii() or not declared.isdigit():
            raise Problem(400, "invalid_request", "Content-Length is not a number.", field="Content-Length")
        too_large = Problem(
            413, "body_too_large", f"At most {limit} bytes are taken.", headers={"Connection": "close"}
        )
        if int(declared[:20]) > limit:
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(self._config.body_deadline_s):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Problem(400, "invalid_json", "The body broke off.", field="body")
                    body += message.get("body", b"")
                    if len(body) > limit:
                        raise too_large
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            seconds = self._config.body_deadline_s
            raise Problem(
                408,
                "body_too_slow",
                f"The body took longer than {seconds:g} s.",
                headers={"Connection": "close"},
            ) from None
        if body and headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Problem(
                415, "invalid_json", "Only application/json is taken.", field="Content-Type", remedy=None
            )
        given = False

        async def replay() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        return replay


def headers_of(scope: Scope) -> dict[str, str]:
    """Return a request's headers, names in lower case. Raises the 400 for one that must not come twice."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        value = raw_value.decode("latin-1")
        if name in headers and name in ("host", "origin", "authorization", "content-length"):
            raise Problem(400, "invalid_request", f"{name} came twice.", field=name)
        headers[name] = f"{headers[name]}; {value}" if name == "cookie" and name in headers else value
    return headers


def _secure(message: MutableMapping[str, Any], path: str, *, https: bool) -> None:
    """Add the security headers; answers of the API are never cached."""
    headers: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
    headers.extend(SECURITY_HEADERS)
    if https:
        headers.append((b"strict-transport-security", b"max-age=31536000"))
    names = {name.lower() for name, _ in headers}
    if b"cache-control" not in names and not path.startswith("/static/"):
        headers.append((b"cache-control", b"no-store"))
    message["headers"] = headers
