"""Where SIP messages go to and come from."""

from __future__ import annotations

from typing import Literal, NamedTuple

Transport = Literal["udp", "tcp", "tls"]


class Address(NamedTuple):
    """A transport address (RFC 3261 §18), ours or a peer's; ``host`` is an IP address without brackets.

    ``flow`` above 0 names one connection of a stream transport (RFC 5626): a message for it goes out there
    and nowhere else while it lives. 0 is any connection, opened where there is none, or the first listener
    of its kind. -n names our listener number n, counted from 0: where a datagram came in and replies leave.
    ``name`` is the domain that a TLS server must prove when we connect to it (RFC 5922); empty: its address.
    """

    host: str
    port: int
    transport: Transport = "udp"
    flow: int = 0
    name: str = ""

    @property
    def reliable(self) -> bool:
        """TCP and TLS: nothing needs to be sent twice on this hop."""
        return self.transport != "udp"
