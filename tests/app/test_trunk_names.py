"""Names of trunks: found, lost, moved; and which trunk a call goes over."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.kit.service import operator, service, until
from voiceagent.app.routes import Routes, TrunkDown
from voiceagent.app.trunk_check import check_trunks
from voiceagent.app.trunk_names import has_names, located
from voiceagent.app.trunking import trunk_table
from voiceagent.call.targets import parse_target
from voiceagent.errors import RequestRefused
from voiceagent.settings import bare_settings
from voiceagent.sip.effects import Address
from voiceagent.sip.net.resolver import Answer, DnsDown, Kind, Resolver
from voiceagent.sip.net.srv import Srv
from voiceagent.sip.trunk.numbers import NumberRule
from voiceagent.sip.trunk.trunk_keeper import TrunkStatus
from voiceagent.sip.trunk.trunks import Trunk, TrunkTable

Zone = dict[tuple[str, Kind], tuple[Any, ...]]


class Dns:
    """A resolver over a zone that tests change; None fails."""

    def __init__(self, zone: Zone | None) -> None:
        self.zone = zone
        self.asked = 0
        self.now = 0.0
        self.resolver = Resolver(self._ask, dice=lambda sides: 0, clock=lambda: self.now)

    async def _ask(self, name: str, kind: Kind) -> Answer:
        self.asked += 1
        if self.zone is None:
            raise DnsDown("the cable is cut")
        return Answer(self.zone.get((name, kind), ()), 60)


def carrier(**fields: Any) -> Any:
    return bare_settings({"trunks": [{"name": "carrier", **fields}]})


async def found(settings: Any, dns: Dns) -> Trunk:
    table = await trunk_table(settings, dns.resolver)
    return table.by_name["carrier"]


async def test_servers_are_located_as_rfc_3263_says() -> None:
    dns = Dns(
        {
            ("_sips._tcp.carrier.example", "SRV"): (
                Srv(20, 0, 5071, "b.carrier.example"),
                Srv(10, 0, 5061, "a.carrier.example"),
            ),
            ("a.carrier.example", "A"): ("192.0.2.1",),
            ("a.carrier.example", "AAAA"): ("2001:db8::1",),
            ("b.carrier.example", "A"): ("192.0.2.2",),
            ("plain.example", "A"): ("192.0.2.3",),
        }
    )
    settings = carrier(
        servers=["carrier.example;transport=tls", "plain.example:5080"],
        username="me",
        secret="x",
        register=True,
    )
    trunk = await found(settings, dns)
    assert trunk.servers == (
        # Over TLS each has to prove the domain that was asked for, not the name of its machine.
        Address("192.0.2.1", 5061, "tls", 0, "carrier.example"),
        Address("2001:db8::1", 5061, "tls", 0, "carrier.example"),
        Address("192.0.2.2", 5071, "tls", 0, "carrier.example"),
        Address("192.0.2.3", 5080),
    )
    assert {str(network) for network in trunk.networks} == {
        "192.0.2.1/32",
        "2001:db8::1/128",
        "192.0.2.2/32",
        "192.0.2.3/32",
    }
    assert (trunk.domain, trunk.trouble) == ("carrier.example", "")
    assert has_names(settings.trunks[0])
    assert not has_names(carrier(host="192.0.2.1", addresses=["10.0.0.0/8"]).trunks[0])


@pytest.mark.parametrize(
    ("zone", "why"), [({}, "no address for carrier.example"), (None, "the cable is cut")]
)
async def test_a_name_that_leads_nowhere_takes_its_trunk_down_and_no_more(
    zone: Zone | None, why: str
) -> None:
    trunk = await found(carrier(host="carrier.example"), Dns(zone))
    assert (trunk.servers, trunk.calls_out, trunk.dials("1")) == ((), True, False)
    assert why in trunk.trouble
    inbound = await found(carrier(addresses=["pbx.example"]), Dns(zone))
    assert not inbound.takes_calls
    assert inbound.trouble
    # Its password must not become enough because the DNS is down.
    both = await found(carrier(addresses=["pbx.example"], digest_users={"u": "pw"}), Dns(zone))
    assert not both.takes_calls
    assert TrunkTable([both]).candidates("192.0.2.7") == (None, (), False)
    half = await found(carrier(addresses=["pbx.example", "192.0.2.0/24"]), Dns(zone))
    assert (half.takes_calls, half.trouble) == (True, "")


async def test_what_was_known_is_kept_while_a_name_is_lost() -> None:
    dns = Dns({("carrier.example", "A"): ("192.0.2.1",), ("pbx.example", "A"): ("192.0.2.7",)})
    settings = carrier(host="carrier.example", addresses=["pbx.example"])
    trunk = await found(settings, dns)
    dns.now, dns.zone = 10_000.0, None
    assert await located(trunk, settings.trunks[0], dns.resolver) == trunk
    dns.now, dns.zone = 20_000.0, {("carrier.example", "A"): ("192.0.2.9",)}
    moved = await located(trunk, settings.trunks[0], dns.resolver)
    assert [server.host for server in moved.servers] == ["192.0.2.9", "192.0.2.1"]  # one name failed
    assert [str(network) for network in moved.networks] == ["192.0.2.7/32"]


async def test_a_doubted_answer_is_asked_for_again_before_its_time() -> None:
    dns = Dns({("carrier.example", "A"): ("192.0.2.1",)})
    settings = carrier(host="carrier.example")
    trunk = await found(settings, dns)
    asked = dns.asked
    assert await located(trunk, settings.trunks[0], dns.resolver) == trunk
    assert dns.asked == asked
    dns.zone = {("carrier.example", "A"): ("192.0.2.2",)}
    dns.resolver.doubt()
    moved = await located(trunk, settings.trunks[0], dns.resolver)
    assert [server.host for server in moved.servers] == ["192.0.2.2"]
    dns.zone = None
    dns.resolver.doubt()
    assert await located(moved, settings.trunks[0], dns.resolver) == moved  # in doubt, but all there is


async def test_a_service_starts_without_its_carrier_and_finds_it_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone: Zone = {}
    dns = Dns(zone)
    monkeypatch.setattr("voiceagent.app.service.Resolver", lambda families: dns.resolver)
    monkeypatch.setattr("voiceagent.app.trunking.LOOK_S", 0.02)
    trunk = {"name": "carrier", "host": "carrier.example", "keepalive_s": 1}
    async with (
        service(tmp_path / "far") as far,
        service(tmp_path, trunks=[trunk], outbound__allowed=["*"]) as running,
        operator(running) as client,
    ):
        assert far.addresses is not None
        parts = (await client.get("/readyz")).json()["parts"]
        assert "no address for carrier.example" in parts["trunks"]["carrier"]
        refused = await client.post("/v1/calls", json={"to": "+442079460018", "flow": "front-desk"})
        assert (refused.status_code, refused.json()["code"]) == (503, "trunk_down")
        assert refused.headers["Retry-After"] == "30"
        host, port = far.addresses.sip.split(":")
        zone["_sip._udp.carrier.example", "SRV"] = (Srv(1, 1, int(port), "a.example"),)
        zone["a.example", "A"] = (host,)
        dns.now = 31.0
        assert running.trunks is not None
        await until(lambda: running.trunks is not None and running.trunks.status()[0].up)
        await until(lambda: running.trunks is not None and running.trunks.status()[0].keepalive == "up")
        (report,) = await check_trunks(
            bare_settings({"trunks": [{"name": "x", "host": "192.0.2.1.invalid"}]})
        )
        assert not report.ok
        assert "192.0.2.1.invalid" in report.detail


# ── which way ───────────────────────────────────────────────────────────────────────────────────
def trunk(name: str, *numbers: str, servers: bool = True, trouble: str = "") -> Trunk:
    return Trunk(
        name,
        servers=(Address("192.0.2.1", 5060),) if servers else (),
        has_servers=True,
        domain=f"{name}.example",
        numbers_out=tuple(NumberRule.parse(one) for one in numbers),
        trouble=trouble,
    )


def routes(*trunks: Trunk, up: Mapping[str, bool] | None = None) -> Routes:
    states = {one.name: True for one in trunks} | dict(up or {})
    status = [TrunkStatus(name, is_up, "off", "off", "", 0, ()) for name, is_up in states.items()]
    return Routes(TrunkTable(trunks), Dns({}).resolver, lambda: status)


def over(table: Routes, target: str, name: str = "", prefer: str = "") -> str:
    route = table.find(parse_target(target), name, prefer=prefer)
    return "" if route.trunk is None else route.trunk.name


def test_a_number_goes_over_the_first_trunk_that_takes_it_and_is_up() -> None:
    table = routes(trunk("uk", "+44*"), trunk("world"), trunk("spare"), up={"world": False})
    assert over(table, "+442079460018") == "uk"
    assert over(table, "+33170189900") == "spare"
    assert over(table, "+33170189900", prefer="spare") == "spare"
    assert over(table, "+442079460018", prefer="spare") == "spare"
    assert over(table, "+442079460018", prefer="world") == "uk"  # the call's own trunk, but it is down
    assert over(table, "+33170189900", "world") == "world"  # whoever names one gets it
    assert over(routes(trunk("only"), up={"only": False}), "100") == "only"  # down, but there is no other
    assert over(table, "sip:+442079460018@pbx.example") == ""
    assert table.find(parse_target("+442079460018")).uri == "sip:+442079460018@uk.example"


def test_no_way_is_said_with_its_reason() -> None:
    lost = trunk("lost", "+44*", servers=False, trouble="no address for lost.example")
    table = routes(lost, trunk("fr", "+33*"))
    for target, name, code in (
        ("+49301234567", "", "no_trunk"),
        ("+49301234567", "fr", "no_trunk"),
        ("+33170189900", "nobody", "unknown_trunk"),
    ):
        with pytest.raises(RequestRefused) as refused:
            over(table, target, name)
        assert refused.value.code == code
    for name in ("", "lost"):
        with pytest.raises(TrunkDown, match=r"'lost' is down: no address for lost\.example"):
            over(table, "+442079460018", name)
    assert over(routes(lost, trunk("world")), "+442079460018") == "world"
