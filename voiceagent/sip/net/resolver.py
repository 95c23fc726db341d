"""RFC 3263 on asyncio: a URI to addresses by NAPTR, SRV, A and AAAA, with a cache that outlives the DNS.

Nothing here blocks the loop. Answers are kept for their TTL; when the DNS is down, stale ones serve for an
hour more. After three failures in a row nobody is asked for a while, so that calls do not wait for the DNS.
"""

from __future__ import annotations

import asyncio
import random
import socket
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from voiceagent.errors import SipError
from voiceagent.log_context import nowhere
from voiceagent.sip.address import Address, Transport
from voiceagent.sip.net.srv import Dice, Hop, Naptr, Srv, address_of_hop, choose_naptr, order_srv, plan
from voiceagent.sip.syntax.uri import SipUri, is_ip

Family = Literal["A", "AAAA"]
Kind = Literal["NAPTR", "SRV", "A", "AAAA"]
Record = Naptr | Srv | str

STALE_S = 3600.0
"""How long an answer may serve after its TTL while the DNS is down."""
FAILURES = 3
"""Failures in a row after which the DNS is left alone …"""
PAUSE_S = 30.0
"""… for this long."""
NOTHING_S = 30.0
"""How long it is remembered that a name has no such record."""
LONGEST_TTL_S = 86_400.0
QUERY_S = 2.0
"""Longest wait for one answer, repetitions included."""
NAMES = 4096
"""Answers remembered."""
CANDIDATES = 16
"""Addresses returned at most."""


class DnsDown(Exception):
    """No answer came, or a server said that it failed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Records of one name and kind; empty where it has none. ``ttl`` in seconds."""

    records: tuple[Record, ...]
    ttl: float


Ask = Callable[[str, Kind], Awaitable[Answer]]
"""Ask the DNS; raises :class:`DnsDown`."""


class Resolver:
    """Locates SIP servers. One for a process; all methods belong to the loop's thread."""

    def __init__(
        self,
        ask: Ask | None = None,
        *,
        transports: Sequence[Transport] = ("udp", "tcp", "tls"),
        families: Sequence[Family] = ("A", "AAAA"),
        dice: Dice = random.randrange,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """``ask`` defaults to the system's DNS servers and hosts file; ``clock`` to the loop's time."""
        self._ask = ask or system_dns()
        self._transports = tuple(transports)
        self._families = tuple(families)
        self._dice = dice
        self._clock = clock
        self._kept: OrderedDict[tuple[str, Kind], tuple[Answer, float]] = OrderedDict()
        self._asking: dict[tuple[str, Kind], asyncio.Task[Answer]] = {}
        self._failures = 0
        self._pause_until = 0.0
        self.counts: Counter[str] = Counter()
        """Questions asked, answers from the cache, stale ones, failures."""

    async def resolve(self, target: str | SipUri) -> list[Address]:
        """Return the addresses of ``target`` in the order to be tried, at least one.

        Raises SipError: 416 or 503 as :func:`~voiceagent.sip.net.srv.plan` does, 404 where the name has no
        address, 503 where the DNS is down and nothing is remembered.
        """
        uri = target if isinstance(target, SipUri) else SipUri.parse(target)
        wanted = plan(uri, self._transports)
        if is_ip(wanted.hop.host):
            return [address_of_hop(wanted.hop, wanted.hop.host, "")]
        try:
            found = await self._locate(wanted.domain, wanted.hop, wanted.services, by_naptr=wanted.by_naptr)
        except DnsDown as error:
            raise SipError(
                f"no answer from the DNS for {uri.host}: {error}", status=503, code="dns"
            ) from None
        if not found:
            raise SipError(f"no address for {uri.host}", status=404, code="no_address")
        return found[:CANDIDATES]

    async def _locate(
        self, domain: str, hop: Hop, services: tuple[tuple[str, Transport], ...], *, by_naptr: bool
    ) -> list[Address]:
        if by_naptr:
            records = await self._records(domain, "NAPTR")
            naptr = [record for record in records if isinstance(record, Naptr)]
            services = choose_naptr(naptr, [transport for _, transport in services]) or services
        answers = await asyncio.gather(*(self._records(name, "SRV") for name, _ in services))
        if not any(answers):
            return await self._addresses(hop, domain)
        hops = [
            Hop(server.target.rstrip("."), server.port, transport)
            for (_, transport), records in zip(services, answers, strict=True)
            for server in order_srv([one for one in records if isinstance(one, Srv)], self._dice)
        ]
        found = await asyncio.gather(
            *(self._addresses(one, domain) for one in hops[:CANDIDATES]), return_exceptions=True
        )
        addresses = [address for part in found if not isinstance(part, BaseException) for address in part]
        failed = next((part for part in found if isinstance(part, BaseException)), None)
        if failed is not None and not addresses:
            raise failed
        return addresses

    async def _addresses(self, hop: Hop, domain: str) -> list[Address]:
        if is_ip(hop.host):
            return [address_of_hop(hop, hop.host, domain)]
        answers = await asyncio.gather(
            *(self._records(hop.host, family) for family in self._families), return_exceptions=True
        )
        hosts = [str(host) for answer in answers if not isinstance(answer, BaseException) for host in answer]
        failed = next((answer for answer in answers if isinstance(answer, BaseException)), None)
        if failed is not None and not hosts:
            raise failed
        return [address_of_hop(hop, host, domain) for host in hosts]

    def doubt(self) -> None:
        """Ask anew about everything: a server that was named does not answer.

        What is known goes on to serve while the DNS is down.
        """
        now = self._now()
        for key, (answer, until) in self._kept.items():
            self._kept[key] = answer, min(until, now)

    # Cache and breaker.

    def _now(self) -> float:
        return self._clock() if self._clock is not None else asyncio.get_running_loop().time()

    async def _records(self, name: str, kind: Kind) -> tuple[Record, ...]:
        key = name.lower().rstrip("."), kind
        now = self._now()
        kept = self._kept.get(key)
        if kept is not None and now < kept[1]:
            self.counts["cached"] += 1
            self._kept.move_to_end(key)
            return kept[0].records
        try:
            if now < self._pause_until:
                raise DnsDown("it did not answer before")
            answer = await self._once(key)
        except DnsDown:
            if kept is not None and self._now() < kept[1] + STALE_S:
                self.counts["stale"] += 1
                return kept[0].records
            raise
        return answer.records

    async def _once(self, key: tuple[str, Kind]) -> Answer:
        """Ask, once for all who want to know the same; one who gives up does not end it for the others."""
        task = self._asking.get(key)
        if task is None:
            task = asyncio.get_running_loop().create_task(
                self._question(key), name=f"sip-dns/{key[1]} {key[0]}", context=nowhere()
            )
            self._asking[key] = task
            task.add_done_callback(lambda done: self._asked(key, done))
        return await asyncio.shield(task)

    def _asked(self, key: tuple[str, Kind], task: asyncio.Task[Answer]) -> None:
        self._asking.pop(key, None)
        if not task.cancelled():
            task.exception()  # whoever waits is told; nobody else needs to be

    async def _question(self, key: tuple[str, Kind]) -> Answer:
        self.counts["asked"] += 1
        try:
            answer = await self._ask(*key)
        except DnsDown:
            self.counts["failed"] += 1
            self._failures += 1
            if self._failures >= FAILURES:
                self._pause_until = self._now() + PAUSE_S
            raise
        self._failures = 0
        self._pause_until = 0.0
        ttl = min(answer.ttl, LONGEST_TTL_S) if answer.records else NOTHING_S
        self._kept[key] = answer, self._now() + ttl
        self._kept.move_to_end(key)
        if len(self._kept) > NAMES:
            self._kept.popitem(last=False)
        return answer

    async def close(self) -> None:
        """Give up what is being asked."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def system_dns() -> Ask:
    """Ask the servers of the system; names without a DNS entry are looked for in the hosts file, too."""
    made: list[Ask] = []

    async def ask(name: str, kind: Kind) -> Answer:
        if not made:
            made.append(dns_at(()))
        try:
            answer = await made[0](name, kind)
        except DnsDown:
            if kind in ("NAPTR", "SRV") or not (local := await _hosts_file(name, kind)).records:
                raise
            return local
        if answer.records or kind in ("NAPTR", "SRV"):
            return answer
        return await _hosts_file(name, kind)

    return ask


async def _hosts_file(name: str, kind: Kind) -> Answer:
    family = socket.AF_INET if kind == "A" else socket.AF_INET6
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(QUERY_S):
            found = await loop.getaddrinfo(name, None, family=family, type=socket.SOCK_DGRAM)
    except (OSError, TimeoutError):
        return Answer((), 0)
    return Answer(tuple(dict.fromkeys(str(entry[4][0]) for entry in found)), NOTHING_S)


def dns_at(servers: Sequence[tuple[str, int]]) -> Ask:
    """Ask these servers (address and port), or those of the system where there are none."""
    import dns.asyncresolver
    import dns.exception
    import dns.resolver

    try:
        resolver = dns.asyncresolver.Resolver(configure=not servers)
    except dns.resolver.NoResolverConfiguration:
        resolver = dns.asyncresolver.Resolver(configure=False)
    if servers:
        resolver.nameservers = [host for host, _ in servers]
        resolver.nameserver_ports = dict(servers)
    resolver.lifetime = QUERY_S
    resolver.timeout = QUERY_S / 2

    async def ask(name: str, kind: Kind) -> Answer:
        try:
            answer = await resolver.resolve(name + ".", kind, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN:
            return Answer((), NOTHING_S)
        except (dns.exception.DNSException, OSError) as error:
            raise DnsDown(str(error) or type(error).__name__) from None
        rrset = answer.rrset
        if rrset is None:
            return Answer((), NOTHING_S)
        records = tuple(_record(kind, one) for one in cast("Any", rrset))
        return Answer(records, float(rrset.ttl))

    return ask


def _record(kind: Kind, one: Any) -> Record:
    if kind == "NAPTR":
        text = [bytes(part).decode("ascii", "replace") for part in (one.flags, one.service)]
        return Naptr(
            one.order, one.preference, text[0], text[1], one.replacement.to_text(omit_final_dot=True)
        )
    if kind == "SRV":
        return Srv(one.priority, one.weight, one.port, one.target.to_text(omit_final_dot=True))
    return str(one.address)
