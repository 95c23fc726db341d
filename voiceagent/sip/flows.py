"""PURE. Where messages leave from, and by which connection: our listeners, live connections, aliases.

A *flow* is one live stream connection (RFC 5626), known by a number that the shell gave it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from voiceagent.sip.address import Address, Transport
from voiceagent.sip.syntax.uri import host_text

DEFAULT_PORTS: dict[Transport, int] = {"udp": 5060, "tcp": 5060, "tls": 5061}
_PARAM: dict[Transport, str] = {"udp": "", "tcp": ";transport=tcp", "tls": ";transport=tls"}


class Local:
    """What we tell peers of one listener: Via and Contact are made of it."""

    __slots__ = ("address", "host_port", "param", "via_head", "via_tail")

    def __init__(self, address: Address) -> None:
        self.address = address
        self.host_port = host_text(address.host, address.port)
        self.param = _PARAM[address.transport]
        self.via_head = f"SIP/2.0/{address.transport.upper()} {self.host_port};branch="
        # RFC 5923: requests for us may come back over the connection that this one goes out on.
        self.via_tail = ";rport" if address.transport == "udp" else ";rport;alias"


@dataclass(slots=True)
class Flow:
    """One live connection."""

    address: Address
    identities: tuple[str, ...] = ()
    """What the peer's verified certificate says it is, in lower case; empty without one."""
    listener: int = -1
    """Number of the listener that accepted it; -1 for one that we opened."""
    aliases: set[Address] = field(default_factory=set[Address])


class Flows:
    """The table of them. ``listeners`` are our addresses as told to others, the first being the default."""

    __slots__ = ("_aliases", "_cache", "_listeners", "live")

    def __init__(self, listeners: Sequence[Address]) -> None:
        self._listeners = [Local(address) for address in listeners]
        self._cache: dict[tuple[Transport, bool], Local] = {}
        self._aliases: dict[Address, int] = {}
        self.live: dict[int, Flow] = {}
        """Live connections by number."""

    def has(self, transport: Transport, *, ipv6: bool) -> bool:
        """Tell whether we listen by ``transport`` in this family."""
        return any(
            one.address.transport == transport and (":" in one.address.host) == ipv6
            for one in self._listeners
        )

    def local_for(self, peer: Address) -> Local:
        """Return what to tell ``peer``: the listener it came in by, else the first of its kind.

        Without a listener of its transport the default's address is told: replies come over the connection.
        """
        flow = peer.flow
        if flow < 0 and -flow < len(self._listeners):
            return self._listeners[-flow]
        if flow > 0:
            live = self.live.get(flow)
            if live is not None and live.listener >= 0:
                return self._listeners[live.listener]
        key = peer.transport, ":" in peer.host
        found = self._cache.get(key)
        if found is None:
            found = self._cache[key] = self._choose(*key)
        return found

    def _choose(self, transport: Transport, ipv6: bool) -> Local:
        same = [one for one in self._listeners if one.address.transport == transport]
        family = [one for one in same if (":" in one.address.host) == ipv6]
        if family or same:
            return (family or same)[0]
        others = [one for one in self._listeners if (":" in one.address.host) == ipv6] or self._listeners
        return Local(others[0].address._replace(transport=transport))

    # Connections.

    def opened(self, address: Address, identities: tuple[str, ...], listener: int) -> None:
        """A connection stands."""
        self.live[address.flow] = Flow(address, tuple(one.lower() for one in identities), listener)

    def closed(self, flow: int) -> None:
        """A connection is gone."""
        gone = self.live.pop(flow, None)
        if gone is not None:
            for alias in gone.aliases:
                if self._aliases.get(alias) == flow:
                    del self._aliases[alias]

    def identities(self, peer: Address) -> tuple[str, ...]:
        """Return what the certificate at the other end of ``peer.flow`` proves."""
        live = self.live.get(peer.flow)
        return () if live is None else live.identities

    def alias(self, source: Address, port: int | None) -> None:
        """Send requests for ``port`` of this peer over its connection, too (RFC 5923 §5).

        Only for the IP address that the connection comes from, and over TLS only where its certificate was
        verified: nobody may draw another's calls to himself.
        """
        live = self.live.get(source.flow)
        if live is None or (source.transport == "tls" and not live.identities) or len(live.aliases) > 4:
            return
        home = Address(source.host, port or DEFAULT_PORTS[source.transport], source.transport)
        if self._aliases.setdefault(home, source.flow) == source.flow:
            live.aliases.add(home)

    def through(self, destination: Address) -> Address:
        """Return ``destination``, by way of a connection that the peer offered for it.

        A TLS name is kept in mind: a connection whose certificate does not prove it is not taken.
        """
        if destination.flow or destination.transport == "udp" or not self._aliases:
            return destination
        flow = self._aliases.get(destination._replace(name=""))
        if flow is None:
            return destination
        live = self.live[flow]
        if destination.name and destination.name.lower() not in live.identities:
            return destination
        return live.address
