"""From a wish that we call somebody to a running call, or to a refusal that says why."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import structlog

from voiceagent.app.incoming import Reception
from voiceagent.app.routes import Routes, TrunkDown
from voiceagent.call.admission import Refusal
from voiceagent.call.call import Call
from voiceagent.call.dial_caps import DialCaps, DialLimits
from voiceagent.call.dial_headers import check_headers
from voiceagent.call.outbound_leg import DialPlan
from voiceagent.call.sip_gateway import SipGateway
from voiceagent.call.targets import Target, TargetRefused, TargetRules
from voiceagent.console.ports import DialWish
from voiceagent.errors import RequestRefused
from voiceagent.ivr.flow import Flow, FlowBook
from voiceagent.observe.metrics import Metrics
from voiceagent.settings import OutboundSettings
from voiceagent.sip.syntax.uri import host_text

_log = structlog.get_logger("voiceagent.outbound")

_is_user = re.compile(r"[A-Za-z0-9+*#._\-]+").fullmatch
_has_control = re.compile(r"[\x00-\x1f\x7f]").search


class DialRefused(RequestRefused):
    """The call is not placed now; it may be tried again after ``retry_after_s``."""

    def __init__(self, field: str, message: str, code: str, retry_after_s: float) -> None:
        super().__init__(field, message, code=code)
        self.retry_after_s = retry_after_s


class Dialler:
    """Places calls. Order of judging: target, flow, fields, trunk, consent, caps, a place on this node."""

    def __init__(
        self,
        settings: OutboundSettings,
        *,
        flows: Callable[[], FlowBook],
        gateway: SipGateway,
        reception: Reception,
        metrics: Metrics,
        routes: Routes,
    ) -> None:
        self._settings = settings
        self._rules = TargetRules(settings.allowed, settings.denied, built_in=settings.deny_built_in)
        self._caps = DialCaps(
            DialLimits(
                settings.max_calls, settings.calls_per_destination, settings.calls_per_destination_hour
            )
        )
        self._flows = flows
        self._gateway = gateway
        self._reception = reception
        self._metrics = metrics
        self._routes = routes

    def place(self, wish: DialWish) -> Call:
        """Place the call. Raises RequestRefused naming the field; nothing was sent then."""
        try:
            return self._place(wish)
        except RequestRefused as error:
            _log.info("call not placed", code=error.code, field=error.field)
            if isinstance(error, TargetRefused | DialRefused | TrunkDown):
                self._metrics.call_refused(error.code)
            raise

    def _place(self, wish: DialWish) -> Call:
        target = self._rules.check(wish.to)
        flow = self._flow(wish.flow)
        plan = self._plan(target, wish)
        if self._settings.require_reference and not wish.consent_reference.strip():
            raise RequestRefused("consent_reference", "is needed for a call of ours", code="no_consent")
        full = self._caps.enter(target.key, asyncio.get_running_loop().time())
        if full is not None:
            code, seconds = full
            raise DialRefused("to", "no further call can be placed to it now", code, seconds)
        try:
            call = self._reception.place(
                lambda: self._gateway.dial(plan),
                flow,
                metadata=wish.metadata,
                over=lambda: self._caps.leave(target.key),
            )
        except BaseException:
            self._caps.leave(target.key)
            raise
        if isinstance(call, Refusal):
            self._caps.leave(target.key)
            raise DialRefused(
                "call", f"none is placed now ({call.code})", call.code, float(call.retry_after_s or 10)
            )
        return call

    def _flow(self, name: str) -> Flow:
        book = self._flows()
        flow = book.get(name)
        if flow is None:
            known = ", ".join(one.name for one in book)
            raise RequestRefused("flow", f"there is no flow {name!r}; there are {known}", code="unknown_flow")
        return flow

    def _plan(self, target: Target, wish: DialWish) -> DialPlan:
        if wish.from_user and _is_user(wish.from_user) is None:
            raise RequestRefused("from", "must be a number or a name, without a host")
        if _has_control(wish.from_name):
            raise RequestRefused("from_name", "holds a control character")
        headers = check_headers(wish.headers)
        route = self._routes.find(target, wish.trunk)
        trunk = route.trunk
        user = wish.from_user
        if trunk is not None and not (user or trunk.from_user or trunk.username):
            user = self._settings.from_user  # a From without a user is nobody
        return DialPlan(
            target=route.uri,
            destination=route.destination,
            from_uri=self._from_uri(user) if trunk is None else trunk.from_uri(user),
            from_name=wish.from_name,
            headers=headers,
            trunk="" if trunk is None else trunk.name,
            ring_timeout_s=wish.ring_timeout_s or self._settings.ring_timeout_s,
        )

    def _from_uri(self, user: str) -> str:
        transport = self._gateway.transport
        assert transport is not None
        local = transport.endpoint.config.local
        port = None if local.port == 5060 else local.port
        return f"sip:{user or self._settings.from_user}@{host_text(local.host, port)}"
