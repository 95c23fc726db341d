"""PURE. The SIP side of a journal: what came, what our legs ordered, and what left then.

Without such entries (``journal.inputs`` was off, an older version, a call whose SIP is the provider's) there
is nothing to replay here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, cast

from voiceagent.sip.address import Address
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.timers import TimerValues
from voiceagent.sip.trunk.trunks import Network, Trunk, TrunkTable

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SipInput:
    """What entered the endpoint. ``before``: how many messages had left by then."""

    at: float
    kind: str
    """in.sip, in.sip_order or in.sip_lost."""
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

    def config(self) -> EndpointConfig:
        """Return the settings of an endpoint that lives these dialogs again."""
        assert self.setup is not None
        known = {one.name for one in fields(EndpointConfig)}
        values: dict[str, Any] = {
            name: tuple(cast("list[Any]", value)) if isinstance(value, list) else value
            for name, value in self.setup.items()
            if name in known
        }
        values["local"] = address_of(self.setup["local"])
        values["listeners"] = tuple(address_of(one) for one in self.setup["listeners"])
        values["timers"] = TimerValues(**self.setup["timers"])
        if any(one.get("gate") for one in self.dialogs.values()):
            return EndpointConfig(**values, trunks=self._trunks())
        return EndpointConfig(**values, accept_source=lambda _: True)

    def _trunks(self) -> TrunkTable:
        """Return the trunks of these dialogs, as if their peers were proven by their addresses."""
        trunks: dict[str, Trunk] = {}
        for number, dialog in self.dialogs.items():
            told = dialog.get("trunk")
            if not told or told["name"] in trunks:
                continue
            trunks[told["name"]] = Trunk(
                told["name"],
                networks=self._networks(number) if dialog["inbound"] else (),
                methods=tuple(told["methods"]),
                trust_headers=bool(told["trust_headers"]),
                servers=tuple(address_of(one) for one in told["servers"]),
                domain=told["domain"],
                from_user=told["from_user"],
                username=told["username"],
                password="unknown",
                realm=told["realm"],
            )
        return TrunkTable(trunks.values())

    def _networks(self, dialog: int) -> tuple[Network, ...]:
        entries = [one.entry for one in self.inputs if one.kind == "in.sip" and one.entry["dialog"] == dialog]
        hosts = {str(one["peer"][0]).partition("%")[0] for one in entries}
        return tuple(ipaddress.ip_network(host) for host in sorted(hosts))


def address_of(value: Any) -> Address:
    """Return the address that a journal holds as a list."""
    host, port, transport, flow, name = value
    return Address(str(host), int(port), transport, int(flow), str(name))
