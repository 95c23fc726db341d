"""Which way a call of ours goes: over a trunk, or straight to the host that its URI names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from voiceagent.call.outbound_leg import Lookup
from voiceagent.call.targets import Target
from voiceagent.errors import RequestRefused
from voiceagent.sip.address import Address
from voiceagent.sip.net.resolver import Resolver
from voiceagent.sip.trunk.trunk_keeper import TrunkStatus
from voiceagent.sip.trunk.trunks import Trunk, TrunkTable

DOWN_RETRY_S = 30.0
"""When a call over a trunk whose servers are not known may be tried again."""


class TrunkDown(RequestRefused):
    """The trunk for this target has no server now; try again after ``retry_after_s``."""

    retry_after_s = DOWN_RETRY_S

    def __init__(self, trunk: Trunk) -> None:
        super().__init__("to", f"the trunk {trunk.name!r} is down: {trunk.trouble}", code="trunk_down")


@dataclass(frozen=True, slots=True)
class Route:
    """How one target is reached."""

    uri: str
    """Request-URI."""
    destination: Sequence[Address] | Lookup
    trunk: Trunk | None = None
    """Whose rules, account and media settings hold; None: nobody's."""


class Routes:
    """Finds the way. ``status`` tells how the trunks stand."""

    def __init__(
        self,
        trunks: TrunkTable,
        resolver: Resolver,
        status: Callable[[], Sequence[TrunkStatus]] = lambda: (),
    ) -> None:
        self._trunks = trunks
        self._resolver = resolver
        self._status = status

    def find(self, target: Target, name: str = "", *, prefer: str = "") -> Route:
        """Return the route to ``target``: over the trunk ``name`` if given, else as the target asks.

        A bare number goes over the first trunk that takes it and is up, ``prefer`` before the others; a SIP
        URI goes to its host. Raises RequestRefused: ``unknown_trunk``, ``no_trunk``, ``trunk_down``.
        """
        if not name and target.host:
            return Route(target.uri, partial(self._resolver.resolve, target.uri))
        user = target.number or target.user
        trunk = self._named(name, user, target.key) if name else self._first(user, target.key, prefer)
        return Route(trunk.uri(user), trunk.servers, trunk)

    def _named(self, name: str, user: str, key: str) -> Trunk:
        trunk = self._trunks.get(name)
        if trunk is None:
            raise RequestRefused("trunk", f"there is no trunk {name!r}", code="unknown_trunk")
        if user and trunk.calls_out and trunk.may_dial(user) and not trunk.servers:
            raise TrunkDown(trunk)
        if not user or not trunk.dials(user):
            raise RequestRefused("trunk", f"{name!r} does not take {key}", code="no_trunk")
        return trunk

    def _first(self, user: str, key: str, prefer: str) -> Trunk:
        fit = [one for one in self._trunks.by_name.values() if one.calls_out and one.may_dial(user)]
        if not fit:
            raise RequestRefused("to", f"no trunk takes {key}; use a sip: URI", code="no_trunk")
        up = {one.name for one in self._status() if one.up}
        fit.sort(key=lambda one: (not one.servers, one.name not in up, one.name != prefer))
        if not fit[0].servers:
            raise TrunkDown(fit[0])
        return fit[0]
