"""Tells the application about a call: one signed webhook, tried again until it is taken or pointless."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .config import HostedConfig
from .webhook_signature import signed_headers, webhook_key, webhook_secret

_log = logging.getLogger("voiceagent.engine")
INCOMING = "realtime.call.incoming"
HIDDEN_HEADERS = frozenset({"authorization", "proxy-authorization"})


def new_webhook_secret() -> str:
    """Return a fresh ``whsec_…`` secret."""
    return webhook_secret(secrets.token_bytes(32))


def incoming_event(
    event_id: str, call_id: str, headers: Sequence[tuple[str, str]], created_at: int
) -> dict[str, Any]:
    """Return the event that offers a call. SIP headers keep order and repeats; credentials are left out."""
    shown = [
        {"name": _text(name), "value": _text(value)}
        for name, value in headers
        if name.lower() not in HIDDEN_HEADERS
    ]
    data = {"call_id": call_id, "sip_headers": shown, "sip_media_security": "rtp"}
    return {"object": "event", "id": event_id, "type": INCOMING, "created_at": created_at, "data": data}


def _text(value: str) -> str:
    """Undecodable bytes were kept as surrogates; JSON text cannot hold them."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class WebhookSender:
    """Delivers events. Any answer but 2xx is a failure, redirects too."""

    def __init__(self, config: HostedConfig, clock: Callable[[], float] = time.time) -> None:
        import httpx

        self.url = config.webhook_url
        """Where events go; None: nowhere yet."""
        self._config = config
        self._clock = clock
        self._key = webhook_key(config.webhook_secret)
        self._client = httpx.AsyncClient(
            timeout=config.webhook_timeout_s, follow_redirects=False, trust_env=False
        )
        self.attempts = 0
        """Attempts in all."""

    async def deliver(self, event: Mapping[str, Any], pointless: Callable[[], bool]) -> None:
        """Send ``event`` until it is taken, or ``pointless`` before a further attempt."""
        body = json.dumps(event, separators=(",", ":")).encode()
        wait = self._config.retry_first_s
        while not pointless() and not await self._attempt(str(event["id"]), body):
            await asyncio.sleep(wait)
            wait = min(2 * wait, self._config.retry_most_s)

    async def _attempt(self, event_id: str, body: bytes) -> bool:
        import httpx

        if self.url is None:
            return False
        self.attempts += 1
        headers = {
            "content-type": "application/json",
            "user-agent": "voiceagent-engine",
            **signed_headers(self._key, event_id, int(self._clock()), body),
        }
        try:
            answer = await self._client.post(self.url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as problem:
            _log.warning("webhook %s was not taken: %s", event_id, type(problem).__name__)
            return False
        if not answer.is_success:
            _log.warning("webhook %s was answered with %s", event_id, answer.status_code)
        return answer.is_success

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()
