"""The provider's REST for the calls it terminates: accept, reject, refer, hangup. The one home of httpx here.

A POST is sent again only where that is safe: 404 and 409 mean that the call is settled already (the caller
has gone, or an earlier attempt of ours arrived), which is an answer and not an error.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import httpx

from voiceagent.errors import ConfigError, ProviderError
from voiceagent.realtime.call_reply import CallReply
from voiceagent.realtime.config import without_field
from voiceagent.realtime.providers import ProviderProfile

_log = logging.getLogger("voiceagent.realtime.calls")

ATTEMPTS = 4
ATTEMPT_S = 2.5
"""How long one attempt may take; some answers of 404 were seen after 5 s, which nobody waits for."""
FIRST_WAIT_S = 0.1
MOST_WAIT_S = 1.0
DROPPED_FIELDS = 6
"""How many fields that the provider does not know are taken out of an accept before giving up."""
_BODY_LIMIT = 64 << 10
_SETTLED = (404, 409, 410)
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)


class CallsRest:
    """The four verbs over one warm connection pool. ``base`` overrides the profile's address.

    ``sent`` is called with call id and verb when the last byte of a request has left, at each attempt.

    Every verb raises :class:`~voiceagent.errors.ProviderError` when the provider refuses
    (``http_<status>`` or its own code) or cannot be reached (``unreachable``, ``calls_timeout``).
    """

    def __init__(
        self,
        profile: ProviderProfile,
        *,
        api_key: str | None = None,
        base: str | None = None,
        headers: Mapping[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        sent: Callable[[str, str], None] | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._profile = profile
        self._base = base
        self._chance = chance
        self._sent = sent
        url = profile.rest_url("call", "accept", base)
        if "{" in url:
            raise ConfigError("hosted.api_base", f"{profile.name} needs the address of your own resource")
        self._client = httpx.AsyncClient(
            headers={**profile.headers(api_key), **(headers or {})},
            timeout=None,
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=120.0),
            follow_redirects=False,
            trust_env=urlsplit(url).hostname not in ("127.0.0.1", "::1", "localhost"),
            transport=transport,
        )

    async def accept(self, call_id: str, session: Mapping[str, Any]) -> CallReply:
        """Take the call with its whole session. A field that the provider does not know is left out."""
        body = cast("dict[str, Any]", json.loads(json.dumps(session)))
        for _ in range(DROPPED_FIELDS):
            try:
                return await self._post(call_id, "accept", body)
            except _Refused as error:
                if error.code != "unknown_parameter" or not without_field(body, error.param):
                    raise
                _log.warning("accept: the provider does not know %s; left out", error.param)
        raise ProviderError("the provider knows too few fields of the session", code="session_refused")

    async def reject(self, call_id: str, status: int) -> CallReply:
        """Refuse the call with a SIP status (603 is the provider's default, 486 says busy)."""
        return await self._post(call_id, "reject", {"status_code": status})

    async def refer(self, call_id: str, target: str) -> CallReply:
        """Have the provider transfer the call (SIP REFER) to a ``sip:`` or ``tel:`` URI."""
        return await self._post(call_id, "refer", {"target_uri": target})

    async def hangup(self, call_id: str) -> CallReply:
        """End the call."""
        return await self._post(call_id, "hangup", None)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _post(self, call_id: str, verb: str, body: Mapping[str, Any] | None) -> CallReply:
        url = self._profile.rest_url(call_id, verb, self._base)
        doubtful = False
        """An earlier attempt may have arrived without our learning of it."""
        error = ProviderError(f"{verb}: not tried", code="unreachable")
        for attempt in range(1, ATTEMPTS + 1):
            wait = min(MOST_WAIT_S, FIRST_WAIT_S * 2 ** (attempt - 1)) * (0.5 + self._chance())
            try:
                async with asyncio.timeout(ATTEMPT_S):
                    status, answer, retry_after = await self._send(url, body, call_id, verb)
            except TimeoutError:
                doubtful = True
                error = ProviderError(f"{verb}: no answer within {ATTEMPT_S:g} s", code="calls_timeout")
            except httpx.ConnectError as failure:
                error = ProviderError(
                    f"{verb}: the provider cannot be reached: {failure}", code="unreachable"
                )
            except httpx.HTTPError as failure:
                doubtful = True
                error = ProviderError(f"{verb}: {type(failure).__name__}: {failure}", code="unreachable")
            else:
                if 200 <= status < 300:
                    return CallReply(status, False, attempt)
                if status in _SETTLED:
                    # 409 after a lost answer: most likely that was us. The control socket will tell.
                    return CallReply(status, not (doubtful and status == 409), attempt)
                error = _refusal(verb, status, answer)
                if status not in _TRANSIENT:
                    raise error
                doubtful = doubtful or status >= 500
                wait = max(wait, min(retry_after, 2 * MOST_WAIT_S))
            if attempt < ATTEMPTS:
                _log.info("%s: attempt %d failed (%s); again in %.2f s", verb, attempt, error.code, wait)
                await asyncio.sleep(wait)
        raise error

    async def _send(
        self, url: str, body: Mapping[str, Any] | None, call_id: str, verb: str
    ) -> tuple[int, bytes, float]:
        async def trace(event: str, _info: Mapping[str, Any]) -> None:
            if self._sent is not None and event.endswith("send_request_body.complete"):
                self._sent(call_id, verb)

        content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json"} if body is not None else {}
        async with self._client.stream(
            "POST", url, content=content, headers=headers, extensions={"trace": trace}
        ) as answer:
            told = bytearray()
            async for piece in answer.aiter_bytes():
                told += piece
                if len(told) > _BODY_LIMIT:
                    break
            return answer.status_code, bytes(told[:_BODY_LIMIT]), _seconds(answer.headers.get("retry-after"))


class _Refused(ProviderError):
    """A refusal with the provider's own words."""

    def __init__(self, message: str, *, code: str, param: str | None) -> None:
        super().__init__(message, code=code)
        self.param = param


def _refusal(verb: str, status: int, answer: bytes) -> _Refused:
    code, message, param = None, "", None
    try:
        told = json.loads(answer)["error"]
        code, message, param = told.get("code"), str(told.get("message", "")), told.get("param")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    return _Refused(
        f"{verb}: the provider answered HTTP {status} {message[:300]}".rstrip(),
        code=code if isinstance(code, str) and code else f"http_{status}",
        param=param if isinstance(param, str) else None,
    )


def _seconds(header: str | None) -> float:
    text = header or ""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0
