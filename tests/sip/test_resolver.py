"""The resolver against a DNS server of our own, and against one that is down."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.kit.dns_server import dns_server
from voiceagent.errors import SipError
from voiceagent.sip.effects import Address
from voiceagent.sip.net.resolver import Answer, DnsDown, Kind, Record, Resolver, dns_at
from voiceagent.sip.net.srv import Naptr, Srv

ZONE = {
    ("example.com", "NAPTR"): [
        '10 50 "s" "SIPS+D2T" "" _sips._tcp.example.com.',
        '20 50 "s" "SIP+D2U" "" _sip._udp.example.com.',
    ],
    ("_sips._tcp.example.com", "SRV"): ["10 0 5071 a.example.com.", "20 0 5072 b.example.com."],
    ("_sip._udp.example.com", "SRV"): ["0 0 5060 a.example.com."],
    ("a.example.com", "A"): ["192.0.2.1"],
    ("a.example.com", "AAAA"): ["2001:db8::1"],
    ("b.example.com", "A"): ["192.0.2.2"],
    ("plain.example.com", "A"): ["192.0.2.3", "192.0.2.4"],
    ("closed.example.com", "A"): ["192.0.2.9"],
    ("_sip._udp.closed.example.com", "SRV"): ["0 0 0 ."],
    ("_sip._tcp.closed.example.com", "SRV"): ["0 0 0 ."],
    ("_sips._tcp.closed.example.com", "SRV"): ["0 0 0 ."],
}


def tls(host: str, port: int) -> Address:
    return Address(host, port, "tls", 0, "example.com")


async def test_naptr_srv_and_addresses_over_the_wire() -> None:
    async with dns_server(ZONE) as server:
        resolver = Resolver(dns_at([server.address]), dice=lambda sides: 0)
        assert await resolver.resolve("sip:bob@example.com") == [
            tls("192.0.2.1", 5071),
            tls("2001:db8::1", 5071),
            tls("192.0.2.2", 5072),
            Address("192.0.2.1", 5060),
            Address("2001:db8::1", 5060),
        ]
        secure = await resolver.resolve("sips:bob@example.com")
        assert {address.transport for address in secure} == {"tls"}
        asked = sum(server.asked.values())
        assert await resolver.resolve("sip:carol@EXAMPLE.com") != []
        assert sum(server.asked.values()) == asked  # all of it is remembered
        v4 = Resolver(dns_at([server.address]), families=("A",), transports=("udp",))
        assert await v4.resolve("sip:bob@example.com") == [Address("192.0.2.1", 5060)]


async def test_without_naptr_and_srv_the_addresses_are_taken() -> None:
    async with dns_server(ZONE) as server:
        resolver = Resolver(dns_at([server.address]))
        hosts = ("192.0.2.3", "192.0.2.4")
        found = await resolver.resolve("sip:x@plain.example.com")
        assert sorted(found) == [Address(host, 5060) for host in hosts]
        found = await resolver.resolve("sip:x@plain.example.com:5099;transport=tcp")
        assert sorted(found) == [Address(host, 5099, "tcp") for host in hosts]
        for uri in ("sip:x@nobody.example.com", "sip:x@closed.example.com"):
            with pytest.raises(SipError) as caught:
                await resolver.resolve(uri)
            assert caught.value.status == 404


async def test_an_ip_address_asks_nobody() -> None:
    resolver = Resolver(Script([]))
    assert await resolver.resolve("sips:a@192.0.2.1") == [Address("192.0.2.1", 5061, "tls")]
    assert await resolver.resolve("sip:a@[2001:db8::1]:9") == [Address("2001:db8::1", 9)]


async def test_a_server_that_fails_is_told_as_503() -> None:
    async with dns_server(ZONE) as server:
        server.mode = "fail"
        resolver = Resolver(dns_at([server.address]))
        with pytest.raises(SipError) as caught:
            await resolver.resolve("sip:x@plain.example.com:5060")
        assert (caught.value.status, caught.value.code) == (503, "dns")


async def test_names_of_this_machine_are_known() -> None:
    found = await Resolver().resolve("sip:x@localhost:5060")
    assert Address("127.0.0.1", 5060) in found


# The cache and the breaker, on a clock of their own.


class Script:
    """Answers in turn; None is a failure."""

    def __init__(self, answers: Sequence[Answer | None]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Kind]] = []

    async def __call__(self, name: str, kind: Kind) -> Answer:
        self.asked.append((name, kind))
        answer = self.answers.pop(0)
        await asyncio.sleep(0)
        if answer is None:
            raise DnsDown("silence")
        return answer


def a(*hosts: Record, ttl: float = 60.0) -> Answer:
    return Answer(hosts, ttl)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


URI = "sip:x@h.example:5060"


async def test_the_ttl_is_kept_and_a_stale_answer_serves_for_an_hour() -> None:
    clock, script = Clock(), Script([a("192.0.2.1"), None, None, None])
    resolver = Resolver(script, families=("A",), clock=clock)
    for at, asked in ((0.0, 1), (59.0, 1), (61.0, 2), (62.0, 3)):
        clock.now = 1000.0 + at
        assert await resolver.resolve(URI) == [Address("192.0.2.1", 5060)]
        assert len(script.asked) == asked
    clock.now = 1000.0 + 60.0 + 3601.0
    with pytest.raises(SipError) as caught:
        await resolver.resolve(URI)
    assert caught.value.code == "dns"
    assert resolver.counts["stale"] == 2


async def test_after_three_failures_the_dns_is_left_alone_for_a_while() -> None:
    clock, script = Clock(), Script([None, None, None, a("192.0.2.1"), a("192.0.2.2")])
    resolver = Resolver(script, families=("A",), clock=clock)
    for _ in range(5):
        with pytest.raises(SipError):
            await resolver.resolve(URI)
    assert len(script.asked) == 3
    clock.now += 31.0
    assert await resolver.resolve(URI) == [Address("192.0.2.1", 5060)]
    assert await resolver.resolve("sip:x@other.example:5060") == [Address("192.0.2.2", 5060)]


async def test_many_who_ask_the_same_ask_once() -> None:
    script = Script([a("192.0.2.1")])
    resolver = Resolver(script, families=("A",))
    found = await asyncio.gather(*(resolver.resolve(URI) for _ in range(20)))
    assert found == [[Address("192.0.2.1", 5060)]] * 20
    assert len(script.asked) == 1


async def test_one_who_gives_up_does_not_end_it_for_others() -> None:
    script = Script([a("192.0.2.1")])
    resolver = Resolver(script, families=("A",))
    first = asyncio.ensure_future(resolver.resolve(URI))
    second = asyncio.ensure_future(resolver.resolve(URI))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    assert await second == [Address("192.0.2.1", 5060)]
    await resolver.close()


async def test_one_address_family_is_enough() -> None:
    resolver = Resolver(Script([a("192.0.2.1"), None]))
    assert await resolver.resolve(URI) == [Address("192.0.2.1", 5060)]


async def test_a_name_with_many_servers_gives_no_endless_list() -> None:
    servers = tuple(Srv(0, 0, 5060, f"192.0.2.{n}") for n in range(200))
    naptr = Naptr(0, 0, "s", "SIP+D2U", "_sip._udp.h.example")
    resolver = Resolver(Script([a(naptr), a(*servers)]), families=("A",))
    assert len(await resolver.resolve("sip:x@h.example")) == 16
