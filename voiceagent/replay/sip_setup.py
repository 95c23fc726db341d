"""PURE. The settings of an endpoint that lives the dialogs of a journal again."""

from __future__ import annotations

import ipaddress
from dataclasses import fields
from typing import Any, cast

from voiceagent.replay.sip_recording import SipRecording, address_of
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.timers import TimerValues
from voiceagent.sip.trunk.trunks import Network, Trunk, TrunkTable


def endpoint_config(recording: SipRecording) -> EndpointConfig:
    """Return what the endpoint was set up with; settings that this version does not know are left out."""
    setup = recording.setup
    assert setup is not None
    known = {one.name for one in fields(EndpointConfig)}
    values: dict[str, Any] = {
        name: tuple(cast("list[Any]", value)) if isinstance(value, list) else value
        for name, value in setup.items()
        if name in known
    }
    values["local"] = address_of(setup["local"])
    values["listeners"] = tuple(address_of(one) for one in setup["listeners"])
    values["timers"] = TimerValues(**setup["timers"])
    if any(one.get("gate") for one in recording.dialogs.values()):
        return EndpointConfig(**values, trunks=_trunks(recording))
    return EndpointConfig(**values, accept_source=lambda _: True)


def _trunks(recording: SipRecording) -> TrunkTable:
    """Return the trunks of these dialogs, as if their peers were proven by their addresses."""
    trunks: dict[str, Trunk] = {}
    for number, dialog in recording.dialogs.items():
        told = dialog.get("trunk")
        if not told or told["name"] in trunks:
            continue
        trunks[told["name"]] = Trunk(
            told["name"],
            networks=_networks(recording, number) if dialog["inbound"] else (),
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


def _networks(recording: SipRecording, dialog: int) -> tuple[Network, ...]:
    entries = [one.entry for one in recording.inputs if one.kind == "in.sip"]
    hosts = {str(one["peer"][0]).partition("%")[0] for one in entries if one["dialog"] == dialog}
    return tuple(ipaddress.ip_network(host) for host in sorted(hosts))
