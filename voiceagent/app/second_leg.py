"""Calls to whom the caller is handed, placed by us: attended transfers, and REFERs of the other side."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from voiceagent.call.leg import Leg
from voiceagent.call.outbound_leg import DialPlan
from voiceagent.call.sip_gateway import SipGateway
from voiceagent.call.targets import parse_target
from voiceagent.errors import SipError
from voiceagent.sip.resolver import Resolver


class SecondLegs:
    """Makes the legs; the call has checked that their targets are allowed."""

    def __init__(self, gateway: SipGateway, resolver: Resolver) -> None:
        self._gateway = gateway
        self._resolver = resolver

    def dial(self, target: str, headers: Sequence[tuple[str, str]], for_leg: Leg) -> Leg:
        """Return the leg of a call to ``target``. Fulfils :data:`voiceagent.call.transfers.Dial`."""
        parsed = parse_target(target)
        if not parsed.host:
            raise SipError(f"no way to {target} is known", status=404, code="no_route")
        transport = self._gateway.transport
        assert transport is not None
        plan = DialPlan(
            target=parsed.uri,
            destination=partial(self._resolver.resolve, parsed.uri),
            from_uri=transport.endpoint.identity(for_leg.info.id),
            headers=headers,
            line=for_leg.audio_format,
        )
        return self._gateway.dial(plan)
