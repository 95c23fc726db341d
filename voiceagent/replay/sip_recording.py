"""PURE. The SIP side of a journal: what came, what our legs ordered, and what left then.

Without such entries (``journal.inputs`` was off, an older version, a call whose SIP is the provider's) there
is nothing to replay here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from voiceagent.sip.address import Address

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SipInput:
    """What entered the endpoint. ``before``: how many messages had left by then."""

    at: float
    kind: str
    """in.sip, in.sip_order, in.sip_woke or in.sip_lost."""
    entry: Entry
    before: int


@dataclass(frozen=True, slots=True)
class SipMessage:
    """One message that left. ``at``: seconds since the call began."""

    at: float
    text: str
    peer: Address
    line: int = 0
    """Line of the journal."""


@dataclass(slots=True)
class SipRecording:
    """The dialogs of one call."""

    setup: Entry | None = None
    """Settings of the endpoint; None where the journal has no SIP."""
    dialogs: dict[int, Entry] = field(default_factory=dict[int, Entry])
    inputs: list[SipInput] = field(default_factory=list[SipInput])
    sent: list[SipMessage] = field(default_factory=list[SipMessage])
    unclear: bool = False
    """A Call-ID belongs to two calls of the node: what is whose is not known."""
    last: float = 0.0
    """When the journal's last entry of all was written."""

    @property
    def replayable(self) -> bool:
        """Whether there is anything, and enough, to live again."""
        return self.setup is not None and not self.unclear and bool(self.inputs)

    def take(self, line: int, entry: Entry) -> bool:
        """Take one entry of the journal; False for one that has nothing to do with SIP."""
        kind = str(entry.get("type", ""))
        self.last = max(self.last, float(entry.get("t", 0.0)))
        if kind == "sip.sent":
            if not entry.get("early"):
                peer = address_of(entry["peer"])
                self.sent.append(SipMessage(float(entry["since"]), str(entry["message"]), peer, line))
            return True
        if not kind.startswith("in.sip"):
            return False
        if kind == "in.sip_dialog":
            self.dialogs[int(entry["dialog"])] = entry
            self.setup = entry.get("setup", self.setup)
        elif kind == "in.sip_unclear":
            self.unclear = True
        elif not entry.get("early"):  # else it belongs to a challenge, which cannot be answered again
            self.inputs.append(SipInput(float(entry["since"]), kind, entry, len(self.sent)))
        return True


def address_of(value: Any) -> Address:
    """Return the address that a journal holds as a list."""
    host, port, transport, flow, name = value
    return Address(str(host), int(port), transport, int(flow), str(name))
