"""One live look at every trunk: register for a moment, ask each server once. For ``voiceagent doctor``."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from voiceagent.app.sip_listeners import families_of, listeners_of, stream_limits_of, tls_of
from voiceagent.app.trunking import UNREGISTER_LIMIT_S, trunk_table
from voiceagent.settings import Settings
from voiceagent.sip.address import Address
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.effects import SipEvent, TrunkState
from voiceagent.sip.net.resolver import Resolver
from voiceagent.sip.net.transport import SipTransport
from voiceagent.sip.trunk import DEFAULT_TRUNK
from voiceagent.sip.trunk.trunk_keeper import TrunkStatus
from voiceagent.sip.trunk.trunks import Trunk, TrunkTable

LIMIT_S = 8.0
_ASK_EVERY_S = 2.0


@dataclass(frozen=True, slots=True)
class TrunkReport:
    """What a trunk said."""

    name: str
    ok: bool
    detail: str


async def check_trunks(settings: Settings) -> list[TrunkReport]:
    """Return a report per trunk of the settings. Raises ConfigError where one cannot be set up at all.

    It speaks from free ports of its own, so a running service is not disturbed; a registration that it makes
    is taken back.
    """
    resolver = Resolver(families=families_of(settings.sip))
    try:
        table = await trunk_table(settings, resolver)
    finally:
        await resolver.close()
    trunks = [one for one in table.by_name.values() if one.name != DEFAULT_TRUNK]
    asked = [replace(one, keepalive_s=_ASK_EVERY_S) for one in trunks if one.servers]
    found = await _ask(settings, asked) if asked else {}
    return [_report(one, found.get(one.name)) for one in trunks]


async def _ask(settings: Settings, trunks: list[Trunk]) -> dict[str, TrunkStatus]:
    changed = asyncio.Event()

    def told(event: SipEvent) -> None:
        if isinstance(event, TrunkState):
            changed.set()

    sip = settings.sip
    advertised = Address(sip.advertised_host, 0) if sip.advertised_host else None
    transport = SipTransport(
        EndpointConfig(trunks=TrunkTable(trunks)),
        told,
        advertised=advertised,
        tls=tls_of(sip),
        stream_limits=stream_limits_of(sip),
    )
    # What the service can speak, the check can: its listeners, on free ports.
    await transport.listen([replace(one, port=0, told_port=None) for one in listeners_of(sip)])
    try:
        transport.open_trunks()
        try:
            async with asyncio.timeout(LIMIT_S):
                while not all(_decided(one) for one in transport.trunk_status()):
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            pass
        found = {one.name: one for one in transport.trunk_status()}
        transport.close_trunks()
        try:
            async with asyncio.timeout(UNREGISTER_LIMIT_S):
                while any(map(_registered, transport.trunk_status())):
                    changed.clear()
                    await changed.wait()
        except TimeoutError:
            pass
        return found
    finally:
        await transport.close()


def _registered(one: TrunkStatus) -> bool:
    return one.registration not in ("off", "unregistered")


def _decided(one: TrunkStatus) -> bool:
    return one.registration not in ("registering", "unregistered") and one.keepalive in ("up", "down", "off")


def _report(trunk: Trunk, status: TrunkStatus | None) -> TrunkReport:
    takes = [
        f"{len(trunk.networks)} network(s)" if trunk.networks else "",
        f"{len(trunk.identities)} certificate name(s)" if trunk.identities else "",
        f"{len(trunk.digest_users)} user(s)" if trunk.digest_users else "",
    ]
    words = [f"calls from {', '.join(word for word in takes if word)}" if any(takes) else "takes no calls"]
    if status is None:
        words += [trunk.trouble] if trunk.trouble else []
        return TrunkReport(trunk.name, not trunk.trouble, "; ".join(words))
    alive = status.keepalive == "up"
    registered = status.registration in ("off", "registered")
    words.append("server answers" if alive else f"no answer of its servers in {LIMIT_S:.0f} s")
    if status.registration != "off":
        words.append(status.registration + (f" ({status.detail})" if status.detail else ""))
    elif not alive and status.detail:
        words.append(status.detail)
    return TrunkReport(trunk.name, alive and registered, "; ".join(words))
