"""Trunks of the running service: from settings to the table of the SIP core, and what becomes of them."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from voiceagent.app.events import EventHub
from voiceagent.errors import ConfigError
from voiceagent.media.party import MediaPlace
from voiceagent.media.party_security import SecurityPolicy
from voiceagent.observe.metrics import Metrics
from voiceagent.settings import Settings, SipSettings
from voiceagent.settings.trunks import TrunkSettings, our_secret, user_secrets
from voiceagent.sip.effects import Address, TrunkJudged, TrunkState
from voiceagent.sip.numbers import NumberRule
from voiceagent.sip.transport import SipTransport
from voiceagent.sip.trunk_keeper import TrunkStatus
from voiceagent.sip.trunks import DEFAULT_TRUNK, Network, SrtpMode, Trunk, TrunkTable

_log = structlog.get_logger("voiceagent.trunks")

LOOKUP_LIMIT_S = 10.0
UNREGISTER_LIMIT_S = 2.0
"""How long the end of the service waits for servers to take our registrations back."""
_PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061}


async def trunk_table(settings: Settings) -> TrunkTable:
    """Return all trunks, names looked up, ``sip.allowed_sources`` as the last one. Raises ConfigError."""
    trunks = [await _trunk(one, settings) for one in settings.trunks]
    return TrunkTable([*trunks, default_trunk(settings.sip)])


def default_trunk(sip: SipSettings) -> Trunk:
    """Return the trunk that ``sip.allowed_sources`` makes."""
    networks = tuple(ipaddress.ip_network(one, strict=False) for one in sip.allowed_sources)
    return Trunk(DEFAULT_TRUNK, networks, trust_headers=sip.trust_headers)


async def _trunk(one: TrunkSettings, settings: Settings) -> Trunk:
    label = f"trunks.{one.name}"
    servers: list[Address] = []
    for host, port, transport in one.wishes:
        name = "" if _is_address(host) else host
        found = await _addresses(host, f"{label}.{'servers' if one.servers else 'host'}")
        servers += [Address(address, port or _PORTS[transport], transport, 0, name) for address in found]
    networks: list[Network] = []
    for text in one.addresses:
        if "/" in text or _is_address(text):
            networks.append(ipaddress.ip_network(text, strict=False))
        else:
            found = await _addresses(text, f"{label}.addresses")
            networks += [ipaddress.ip_network(address) for address in found]
    if one.registers and not (networks or one.identities or one.digest_users):
        networks = [ipaddress.ip_network(server.host) for server in servers]
    first = one.wishes[0] if one.wishes else None
    domain = one.from_domain or ""
    if not domain and first is not None:
        domain = f"[{first[0]}]" if ":" in first[0] else first[0]
        domain += f":{first[1]}" if first[1] else ""
    return Trunk(
        one.name,
        tuple(networks),
        identities=frozenset(name.lower() for name in one.identities),
        digest_users=user_secrets(one),
        algorithms=one.algorithms,
        methods=one.methods,
        numbers_in=tuple(NumberRule.parse(rule) for rule in one.numbers_in),
        numbers_out=tuple(NumberRule.parse(rule) for rule in one.numbers_out),
        trust_headers=one.trust_headers,
        max_calls=one.max_calls,
        calls_per_second=one.calls_per_second,
        codecs=one.codecs,
        srtp=one.srtp,
        learn_media=one.learn_media,
        servers=tuple(dict.fromkeys(servers)),
        domain=domain,
        from_user=one.from_user,
        username=one.username,
        password=our_secret(one),
        realm=one.realm,
        register=one.registers,
        expires_s=one.expires_s,
        keepalive_s=one.keepalive_s,
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def _addresses(host: str, setting: str) -> list[str]:
    """Return the addresses of a host, in the resolver's order. Raises ConfigError naming ``setting``."""
    if _is_address(host):
        return [host]
    try:
        async with asyncio.timeout(LOOKUP_LIMIT_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except (OSError, TimeoutError):
        raise ConfigError(setting, f"there is no address for {host}") from None
    return list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))


def media_of(
    table: TrunkTable, place: MediaPlace, policy: Callable[[SrtpMode], SecurityPolicy]
) -> Mapping[str, MediaPlace]:
    """Return where the media of each trunk lives whose rules differ from ``place``.

    ``policy`` makes the SRTP policy of a mode.
    """
    places: dict[str, MediaPlace] = {}
    for trunk in table.by_name.values():
        if not trunk.codecs and trunk.srtp is None and trunk.learn_media is None:
            continue
        places[trunk.name] = replace(
            place,
            codecs=trunk.codecs or place.codecs,
            security=place.security if trunk.srtp is None else policy(trunk.srtp),
            learn_source=place.learn_source if trunk.learn_media is None else trunk.learn_media,
        )
    return places


class TrunkDesk:
    """Watches the trunks of a transport: log, metrics, live events, and their end."""

    def __init__(self, sip: SipTransport, metrics: Metrics, hub: EventHub) -> None:
        """``hub``: whoever watches the node live is told of every change."""
        self._sip = sip
        self._hub = hub
        self._metrics = metrics
        self._unregistered = asyncio.Event()

    def open(self) -> None:
        """Register, and begin to ask whether servers live."""
        self._sip.open_trunks()
        self.measure()

    def status(self) -> Sequence[TrunkStatus]:
        """Return how every trunk stands."""
        return self._sip.trunk_status()

    def measure(self) -> None:
        """Tell the metrics."""
        for one in self.status():
            self._metrics.trunk(one.name, up=one.up, calls=one.calls)

    def on_event(self, event: TrunkState | TrunkJudged) -> None:
        """Take one event of the transport."""
        if isinstance(event, TrunkJudged):
            self._metrics.trunk_judged(event.trunk, event.what)
            return
        loud = event.state in ("refused", "failed", "down")
        tell = _log.error if event.state == "refused" else _log.warning if loud else _log.info
        tell("trunk", trunk=event.trunk, part=event.part, state=event.state, detail=event.detail)
        self._metrics.trunk_state(event.trunk, event.part, event.state)
        self.measure()
        for view in trunk_views(self.status()):
            if view["name"] == event.trunk:
                self._hub.publish("trunk.changed", "", view)
        if not self._registered():
            self._unregistered.set()

    def _registered(self) -> bool:
        return any(one.registration not in ("off", "unregistered") for one in self.status())

    async def close(self) -> None:
        """Take our registrations back, and wait for that a little."""
        self._unregistered.clear()
        self._sip.close_trunks()
        if self._registered():
            try:
                async with asyncio.timeout(UNREGISTER_LIMIT_S):
                    await self._unregistered.wait()
            except TimeoutError:
                _log.warning("registrations were not taken back in time")


def trunk_views(status: Sequence[TrunkStatus]) -> list[dict[str, Any]]:
    """Return trunks as the console and ``doctor`` show them."""
    return [
        {
            "name": one.name,
            "up": one.up,
            "registration": one.registration,
            "keepalive": one.keepalive,
            "detail": one.detail,
            "calls": one.calls,
            "max_calls": one.max_calls,
            "servers": [{"address": address, "state": state} for address, state in one.servers],
        }
        for one in status
    ]
