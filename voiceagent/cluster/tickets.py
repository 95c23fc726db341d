"""PURE. By what a node proves to another one that it is of the same fleet.

A ticket is good for one call, one receiver, once, and half a minute: ``1:issued:nonce:sender:signature``, the
signature being HMAC-SHA256 (RFC 2104) under the fleet's secret over all of it, the call and the receiver.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import NamedTuple

HEADER = "x-voiceagent-ticket"
GOOD_S = 30.0
"""How far issue and arrival may be apart, clocks included."""
LONGEST = 256
_VERSION = "1"


class TicketRefused(Exception):
    """Not of our fleet, not for us, too old, or used before."""


class Ticket(NamedTuple):
    """A ticket's parts."""

    issued: float
    """Unix time."""
    nonce: str
    sender: str


def issue(secret: str, call_id: str, receiver: str, ticket: Ticket) -> str:
    """Return the ticket's text."""
    plain = f"{_VERSION}:{ticket.issued:.3f}:{ticket.nonce}:{ticket.sender}"
    return f"{plain}:{_signature(secret, plain, call_id, receiver)}"


def _signature(secret: str, plain: str, call_id: str, receiver: str) -> str:
    # No part holds a line break, so no two tickets share their text.
    text = "\n".join(("voiceagent listen", plain, call_id, receiver))
    return hmac.new(secret.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


class TicketDesk:
    """Takes tickets, each once."""

    def __init__(self, secret: str, receiver: str) -> None:
        self._secret = secret
        self._receiver = receiver
        self._used: dict[str, float] = {}

    def take(self, text: str, call_id: str, now: float) -> Ticket:
        """Return the ticket; ``now`` is Unix time. Raises TicketRefused."""
        version, _, rest = text[:LONGEST].partition(":")
        plain, _, signature = f"{version}:{rest}".rpartition(":")
        expected = _signature(self._secret, plain, call_id, self._receiver)
        if not hmac.compare_digest(expected.encode(), signature.encode("utf-8", "surrogatepass")):
            raise TicketRefused("it is not signed with this fleet's secret, for this call and node")
        if version != _VERSION:
            raise TicketRefused("it is of another version")
        _, issued, nonce, sender = plain.split(":", 3)
        ticket = Ticket(float(issued), nonce, sender)
        if abs(now - ticket.issued) > GOOD_S:
            raise TicketRefused(f"it was issued {now - ticket.issued:.0f} s ago; compare the nodes' clocks")
        self._used = {known: until for known, until in self._used.items() if until > now}
        if nonce in self._used:
            raise TicketRefused("it was used before")
        self._used[nonce] = now + 2 * GOOD_S
        return ticket
