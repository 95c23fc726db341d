"""Calls to whom the caller is handed, placed by us: attended transfers, and REFERs of the other side."""

from __future__ import annotations

from collections.abc import Sequence

from voiceagent.app.routes import Routes, TrunkDown
from voiceagent.call.leg import Leg
from voiceagent.call.outbound_leg import DialPlan
from voiceagent.call.sip_gateway import SipGateway
from voiceagent.call.targets import TargetRefused, parse_target
from voiceagent.errors import RequestRefused, SipError
from voiceagent.sip.syntax.uri import SipUri
from voiceagent.sip.trunk.trunks import Trunk


class SecondLegs:
    """Makes the legs; the call has checked that their targets are allowed."""

    def __init__(self, gateway: SipGateway, routes: Routes) -> None:
        self._gateway = gateway
        self._routes = routes

    def dial(self, target: str, headers: Sequence[tuple[str, str]], for_leg: Leg) -> Leg:
        """Return the leg of a call to ``target``. Fulfils :data:`voiceagent.call.transfers.Dial`.

        A bare number goes by the trunk of ``for_leg`` where that takes it and is up, else by another one.
        SipError: 404 where none takes it, 503 where none that does has a server.
        """
        try:
            route = self._routes.find(parse_target(target), prefer=for_leg.info.trunk)
        except TrunkDown as error:
            raise SipError(str(error), status=503, code=error.code) from None
        except TargetRefused:
            raise
        except RequestRefused as error:
            raise SipError(str(error), status=404, code=error.code) from None
        transport = self._gateway.transport
        assert transport is not None
        identity = transport.endpoint.identity(for_leg.info.id)
        plan = DialPlan(
            target=route.uri,
            destination=route.destination,
            from_uri=identity if route.trunk is None else _ours_at(route.trunk, identity),
            headers=headers,
            line=for_leg.audio_format,
            trunk="" if route.trunk is None else route.trunk.name,
        )
        return self._gateway.dial(plan)


def _ours_at(trunk: Trunk, identity: str) -> str:
    """Return who we are at ``trunk``: our account there, else the user that was called."""
    known = trunk.from_user or trunk.username
    return trunk.from_uri("" if known else SipUri.parse(identity).user)
