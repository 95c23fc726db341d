"""PURE. How we stand with our trunks: registrations, keep-alives, and which servers calls go to first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voiceagent.sip.address import Address
from voiceagent.sip.effects import TrunkState
from voiceagent.sip.endpoint_core import Core
from voiceagent.sip.trunk.keepalive import Pinger
from voiceagent.sip.trunk.register import Registration
from voiceagent.sip.trunk.trunks import Trunk


@dataclass(frozen=True, slots=True)
class TrunkStatus:
    """How one trunk stands."""

    name: str
    up: bool
    """Nothing that we asked says otherwise: registered where we register, alive where we ask."""
    registration: str
    """As in :class:`~voiceagent.sip.effects.TrunkState`; ``off`` where we do not register."""
    keepalive: str
    """up, down, unknown; ``off`` where we do not ask."""
    detail: str
    calls: int
    servers: tuple[tuple[str, str], ...]
    """Each server as host:port/transport, and up, down or unknown."""
    max_calls: int = 0
    """0: no cap."""


class TrunkKeeper:
    """Owns what runs for the trunks of an endpoint."""

    def __init__(self, core: Core) -> None:
        self._core = core
        table = core.config.trunks
        self._trunks: dict[str, Trunk] = {} if table is None else dict(table.by_name)
        self._opened = False
        self._retreated = False
        """No registrations, for no new calls are wanted."""
        self._registrations: dict[str, Registration] = {}
        self._pingers: dict[str, list[Pinger]] = {}
        self._told: dict[str, bool | None] = {}

    def open(self) -> None:
        """Begin to register and to ask, also after a retreat. Harmless when called again."""
        self._opened = True
        if self._retreated:
            self._retreated = False
            self._registrations.clear()
        for trunk in self._trunks.values():
            known = (trunk.name in self._registrations) if trunk.register else trunk.name in self._pingers
            if not known:
                self._watch(trunk)

    def retreat(self) -> None:
        """Take the registrations back. Servers are asked as before: calls that run need the way to them."""
        self._retreated = True
        self._unregister()

    def renew(self, trunk: Trunk) -> None:
        """A trunk has other servers now (or none): ask those, and be registered with one of them."""
        self._trunks[trunk.name] = trunk
        if self._opened:
            self._watch(trunk)

    def _watch(self, trunk: Trunk) -> None:
        name = trunk.name
        if trunk.keepalive_s > 0:
            former = {one.server: one for one in self._pingers.get(name, ())}
            self._told.setdefault(name, None)
            self._pingers[name] = [
                former.pop(server, None) or Pinger(self._core, trunk, server, self._changed)
                for server in trunk.servers
            ]
            for gone in former.values():
                gone.close()
            for pinger in self._pingers[name]:
                pinger.open_once()
        if not trunk.register or self._retreated:
            return
        registration = self._registrations.get(name)
        if registration is not None:
            registration.moved(trunk)
        elif trunk.servers:
            self._registrations[name] = Registration(self._core, trunk)
            self._registrations[name].open()

    def close(self) -> None:
        """Take back the registrations, ask no more."""
        self._opened = False
        for pingers in self._pingers.values():
            for pinger in pingers:
                pinger.close()
        self._pingers.clear()
        self._unregister()

    def _unregister(self) -> None:
        for registration in self._registrations.values():
            if registration.state != "unregistered":
                registration.close()

    def flow_lost(self, flow: int) -> None:
        """A connection is gone; registrations that held to it are made anew."""
        for registration in self._registrations.values():
            registration.flow_lost(flow)

    def holds(self, flow: int) -> bool:
        """Tell whether a registration holds to this connection."""
        return any(one.server is not None and one.server.flow == flow for one in self._registrations.values())

    def destinations(self, trunk: Trunk, given: Sequence[Address] = ()) -> list[Address]:
        """Return the servers of ``trunk`` (or those ``given``) in order, those that are down last."""
        down = {one.server for one in self._pingers.get(trunk.name, ()) if one.up is False}
        return sorted(given or trunk.servers, key=lambda server: server in down)

    def status(self) -> tuple[TrunkStatus, ...]:
        """Return how every trunk stands, in the order of the settings."""
        return tuple(self._status(trunk) for trunk in self._trunks.values())

    def _status(self, trunk: Trunk) -> TrunkStatus:
        registration = self._registrations.get(trunk.name)
        alive = self._alive(trunk.name)
        state = (
            "off" if not trunk.register else "unregistered" if registration is None else registration.state
        )
        words = [trunk.trouble, "" if registration is None else registration.detail]
        words += [one.detail for one in self._pingers.get(trunk.name, ()) if one.up is False]
        gate = self._core.gate
        known = {one.server: _WORD[one.up] for one in self._pingers.get(trunk.name, ())}
        return TrunkStatus(
            name=trunk.name,
            up=not trunk.trouble and state in ("off", "registered") and alive is not False,
            registration=state,
            keepalive=_WORD[alive] if trunk.keepalive_s > 0 and trunk.servers else "off",
            detail="; ".join(word for word in words if word),
            calls=0 if gate is None else gate.calls[trunk.name],
            max_calls=trunk.max_calls,
            servers=tuple(
                (f"{one.host}:{one.port}/{one.transport}", known.get(one, "unknown")) for one in trunk.servers
            ),
        )

    def _alive(self, name: str) -> bool | None:
        verdicts = {one.up for one in self._pingers.get(name, ())}
        return True if True in verdicts else None if None in verdicts or not verdicts else False

    def _changed(self, pinger: Pinger) -> None:
        """Tell when the trunk as a whole came up or went down."""
        name = pinger.trunk
        alive = self._alive(name)
        if alive is not None and alive is not self._told.get(name):
            self._told[name] = alive
            self._core.emit(TrunkState(name, "keepalive", _WORD[alive], pinger.detail))


_WORD = {True: "up", False: "down", None: "unknown"}
