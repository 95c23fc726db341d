"""Takes calls over SIP, offers each by webhook, and carries out what the application decides.

Source: the vendor's guide "Realtime API with SIP" and the reference of ``/v1/realtime/calls/{call_id}``:
accept, reject, refer, hangup; empty 200 each, 404 once the caller is gone.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from voiceagent.errors import VoiceAgentError
from voiceagent.media.party import MediaPlace
from voiceagent.media.wheel import MediaWheel
from voiceagent.sip import effects as sip
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.net.transport import SipTransport
from voiceagent.tasks import TaskNest

from .config import EngineConfig, HostedConfig
from .faults import FaultPlan
from .hosted_call import HostedCall, Studio
from .hosted_door import HttpAnswer, HttpRequest, error_body
from .hosted_webhook import WebhookSender, incoming_event
from .parts_pool import PartsPool
from .protocol_checks import Check, integer, string, table
from .protocol_errors import Refusal, missing_parameter, wrong_type, wrong_value
from .protocol_schema import session_check

_log = logging.getLogger("voiceagent.engine")
CALLS = "/v1/realtime/calls/"
REMEMBERED = 10_000
"""Calls that ended and are still known by name."""
DECLINE = 603
_TARGET = re.compile(r"(sips?|tel):[!-;=?-~]{1,500}")
"""A URI without blanks, controls and angle brackets."""


class HostedDesk:
    """The hosted side of one engine."""

    def __init__(
        self,
        config: EngineConfig,
        hosted: HostedConfig,
        pool: PartsPool,
        tokens: Callable[[], str],
        plan: Callable[[], FaultPlan],
    ) -> None:
        self._config = config
        self._hosted = hosted
        self._pool = pool
        self._tokens = tokens
        self._plan = plan
        self._nest = TaskNest("engine-hosted")
        self._calls: dict[str, HostedCall] = {}
        self._legs: dict[str, HostedCall] = {}
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._closing: set[HostedCall] = set()
        self._studio: Studio | None = None
        self._wheel: MediaWheel | None = None
        sip_config = EndpointConfig(user_agent="voiceagent-engine", accept_source=hosted.allowed_sources)
        advertised = sip.Address(hosted.advertised_host, hosted.sip_port) if hosted.advertised_host else None
        self._transport = SipTransport(sip_config, self._on_sip, tokens=tokens, advertised=advertised)
        self.webhooks = WebhookSender(hosted)
        self.address = sip.Address("", 0)
        """Where SIP is taken."""
        self._verbs: Mapping[str, Callable[[HostedCall, dict[str, Any]], HttpAnswer]] = {
            "accept": self._accept,
            "reject": self._reject,
            "refer": self._refer,
            "hangup": self._hang_up,
        }
        strict = config.strict
        self._checks: Mapping[str, Check] = {
            "accept": session_check(strict),
            "reject": table({"status_code": integer(400, 699)}, strict=strict),
            "refer": table({"target_uri": string(longest=512)}, ("target_uri",), strict=strict),
            "hangup": table({}, strict=strict),
        }

    def __len__(self) -> int:
        return len(self._calls)

    async def start(self) -> None:
        """Open the SIP port. Raises ConfigError when it is taken."""
        hosted = self._hosted
        self._wheel = MediaWheel(asyncio.get_running_loop())
        media = MediaPlace(
            self._wheel,
            None,
            hosted.sip_host,
            hosted.advertised_host or hosted.sip_host,
            silence_limit_s=hosted.media_timeout_s,
            first_packet_limit_s=hosted.media_timeout_s,
        )
        self._studio = Studio(self._config, self._pool, self._tokens, self._plan, media)
        self.address = await self._transport.start(hosted.sip_host, hosted.sip_port)

    async def close(self) -> None:
        """Hang up all calls and close the SIP port."""
        for call in tuple(self._calls.values()):
            call.hang_up("shut down")
        await self._nest.close()
        for call in tuple(self._closing):
            await self._close_call(call)
        await self._transport.close()
        if self._wheel is not None:
            self._wheel.close()
        await self.webhooks.close()

    # -- control sockets -------------------------------------------------------------------------------

    def find(self, call_id: str) -> HostedCall | None:
        """Return a live call that was accepted."""
        call = self._calls.get(call_id)
        return call if call is not None and call.accepted else None

    def has_ended(self, call_id: str) -> bool:
        """Tell whether there was such a call."""
        return call_id in self._ended

    # -- SIP -------------------------------------------------------------------------------------------

    def _on_sip(self, event: sip.SipEvent) -> None:
        if isinstance(event, sip.InviteReceived):
            self._invited(event)
            return
        leg = getattr(event, "leg", None)
        call = self._legs.get(leg) if leg is not None else None
        if call is not None:
            call.on_sip(event)

    def _invited(self, invite: sip.InviteReceived) -> None:
        if self.webhooks.url is None or self._studio is None:
            self._transport.reject(invite.leg, 480, "Nobody to offer the call to")
            return
        if len(self._calls) >= self._hosted.max_calls:
            self._transport.reject(invite.leg, 503, "Service Unavailable", [("Retry-After", "5")])
            return
        call = HostedCall(f"rtc_{self._tokens()}", invite, self._transport, self._studio, self._over)
        try:
            call.prepare()
        except VoiceAgentError as error:
            self._transport.reject(invite.leg, getattr(error, "status", 503), str(error))
            call.drop()
            return
        self._calls[call.id] = self._legs[call.leg] = call
        call.ring(self._hosted.ring_s)
        event = incoming_event(f"evt_{self._tokens()}", call.id, invite.all_headers, int(time.time()))
        # Not the call's own task: an attempt under way is not torn when the call ends meanwhile.
        self._nest.start(f"webhook-{call.id}", self.webhooks.deliver(event, lambda: call.over))

    def _over(self, call: HostedCall) -> None:
        self._calls.pop(call.id, None)
        self._legs.pop(call.leg, None)
        self._ended[call.id] = None
        if len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)
        self._closing.add(call)
        self._nest.start(f"end-{call.id}", self._close_call(call))

    async def _close_call(self, call: HostedCall) -> None:
        await call.close()
        self._closing.discard(call)

    # -- REST ------------------------------------------------------------------------------------------

    def handle(self, request: HttpRequest) -> HttpAnswer:
        """Answer one REST request."""
        path = urlsplit(request.target).path
        call_id, slash, verb = path.removeprefix(CALLS).rpartition("/")
        if not path.startswith(CALLS) or not slash or verb not in self._verbs:
            return HttpAnswer(404, error_body(f"Invalid URL ({request.method} {path[:200]})", None))
        if request.method != "POST":
            message = f"Not allowed to {request.method} on {path[:200]}"
            return HttpAnswer(405, error_body(message, "method_not_supported"), {"Allow": "POST"})
        if not self._authorised(request):
            return HttpAnswer(401, error_body("Incorrect API key provided.", "invalid_api_key"))
        call_id = unquote(call_id)
        call = self._calls.get(call_id)
        if call is None:
            message = f"No active call with id '{call_id[:100]}'."
            return HttpAnswer(404, error_body(message, "call_id_not_found", "call_id"))
        try:
            return self._verbs[verb](call, self._checks[verb](_parse(request.body, verb), ""))
        except Refusal as refusal:
            return HttpAnswer(400, error_body(refusal.message, refusal.code, refusal.param))

    def _authorised(self, request: HttpRequest) -> bool:
        wanted = self._config.api_key
        if wanted is None:
            return True
        given = request.headers.get("authorization", "")
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), f"Bearer {wanted}".encode())

    def _accept(self, call: HostedCall, body: dict[str, Any]) -> HttpAnswer:
        if call.accepted:
            return _conflict("The call has been accepted already.")
        call.accept(body)
        return HttpAnswer(200)

    def _reject(self, call: HostedCall, body: dict[str, Any]) -> HttpAnswer:
        if call.accepted:
            return _conflict("The call has been accepted already.")
        call.reject(body.get("status_code", DECLINE))
        return HttpAnswer(200)

    def _refer(self, call: HostedCall, body: dict[str, Any]) -> HttpAnswer:
        target = body["target_uri"]
        if not _TARGET.fullmatch(target):
            raise wrong_value("target_uri", "Invalid 'target_uri': expected a tel: or sip: URI.")
        if not call.accepted:
            return _conflict("The call has not been accepted.")
        if not call.refer(target):
            return _conflict("A transfer is under way.")
        return HttpAnswer(200)

    def _hang_up(self, call: HostedCall, body: dict[str, Any]) -> HttpAnswer:
        if not call.accepted:
            return _conflict("The call has not been accepted.")
        call.hang_up("hung up by the application")
        return HttpAnswer(200)


def _conflict(message: str) -> HttpAnswer:
    return HttpAnswer(409, error_body(message, "call_state_conflict"))


def _parse(body: bytes, verb: str) -> dict[str, Any]:
    if not body.strip():
        if verb == "accept":
            raise missing_parameter("type")
        return {}
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal("invalid_json", "We could not parse the JSON body of your request.") from None
    if not isinstance(value, dict):
        raise wrong_type("", "an object", value)
    return cast("dict[str, Any]", value)
