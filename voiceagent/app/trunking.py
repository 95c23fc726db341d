"""Trunks of the running service: from settings to the table of the SIP core, and what becomes of them."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from voiceagent.app.events import EventHub
from voiceagent.app.trunk_names import has_names, located
from voiceagent.media.party import MediaPlace
from voiceagent.media.party_security import SecurityPolicy
from voiceagent.observe.metrics import Metrics
from voiceagent.settings import Settings, SipSettings
from voiceagent.settings.trunks import TrunkSettings, our_secret, user_secrets
from voiceagent.sip.effects import TrunkJudged, TrunkState
from voiceagent.sip.net.resolver import Resolver
from voiceagent.sip.net.transport import SipTransport
from voiceagent.sip.syntax.uri import host_text
from voiceagent.sip.trunk import DEFAULT_TRUNK
from voiceagent.sip.trunk.numbers import NumberRule
from voiceagent.sip.trunk.trunk_keeper import TrunkStatus
from voiceagent.sip.trunk.trunks import SrtpMode, Trunk, TrunkTable

_log = structlog.get_logger("voiceagent.trunks")

LOOK_S = 5.0
"""How often the names of trunks are looked at; the DNS is asked only where an answer has grown old."""
UNREGISTER_LIMIT_S = 2.0
"""How long the end of the service waits for servers to take our registrations back."""


async def trunk_table(settings: Settings, resolver: Resolver) -> TrunkTable:
    """Return all trunks, names looked up, ``sip.allowed_sources`` as the last one. Raises ConfigError.

    A trunk whose names lead nowhere is there all the same; its ``trouble`` says why it is down.
    """
    made = [_trunk(one) for one in settings.trunks]
    trunks = await asyncio.gather(
        *(located(trunk, one, resolver) for trunk, one in zip(made, settings.trunks, strict=True))
    )
    return TrunkTable([*trunks, default_trunk(settings.sip)])


def default_trunk(sip: SipSettings) -> Trunk:
    """Return the trunk that ``sip.allowed_sources`` makes."""
    networks = tuple(ipaddress.ip_network(one, strict=False) for one in sip.allowed_sources)
    return Trunk(DEFAULT_TRUNK, networks, trust_headers=sip.trust_headers)


def _trunk(one: TrunkSettings) -> Trunk:
    """Return a trunk that lives nowhere yet."""
    first = one.wishes[0] if one.wishes else None
    domain = one.from_domain or ""
    if not domain and first is not None:
        domain = host_text(first[0], first[1] or None)
    return Trunk(
        one.name,
        has_networks=bool(one.addresses),
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
        has_servers=bool(one.wishes),
        domain=domain,
        from_user=one.from_user,
        username=one.username,
        password=our_secret(one),
        realm=one.realm,
        register=one.registers,
        expires_s=one.expires_s,
        keepalive_s=one.keepalive_s,
    )


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
    """Watches the trunks of a transport: names, log, metrics, live events, and their end."""

    def __init__(
        self,
        sip: SipTransport,
        metrics: Metrics,
        hub: EventHub,
        table: TrunkTable,
        settings: Sequence[TrunkSettings] = (),
    ) -> None:
        """``hub``: watchers are told of every change; ``settings`` are what ``table`` is made of."""
        self._sip = sip
        self._hub = hub
        self._metrics = metrics
        self._table = table
        self._named = [one for one in settings if has_names(one)]
        self._doubted = False
        """A server is down: perhaps it lives elsewhere now."""
        self._unregistered = asyncio.Event()

    def open(self) -> None:
        """Register, and begin to ask whether servers live."""
        self._sip.open_trunks()
        self.measure()

    async def keep_found(self, resolver: Resolver, look_s: float | None = None) -> None:
        """Follow the names of trunks for ever: when an answer's TTL ends, and when a server is down."""
        while self._named:
            await asyncio.sleep(LOOK_S if look_s is None else look_s)
            if self._doubted:
                self._doubted = False
                resolver.doubt()
            for one in self._named:
                before = self._table.by_name[one.name]
                found = await located(before, one, resolver)
                if found != before:
                    _log.info("trunk moved", trunk=one.name, servers=len(found.servers), detail=found.trouble)
                    self._sip.renew_trunk(found)
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
        self._doubted = self._doubted or loud
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

    async def retreat(self) -> None:
        """Take our registrations back, for no new calls are wanted, and wait for that a little."""
        await self._unregister(retreat=True)

    async def close(self) -> None:
        """Take our registrations back, wait for that a little, and ask no server any more."""
        await self._unregister(retreat=False)

    async def _unregister(self, *, retreat: bool) -> None:
        self._unregistered.clear()
        self._sip.close_trunks(retreat=retreat)
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
