"""The table of trunks: who may be where, and how numbers are compared."""

from __future__ import annotations

import pytest

from tests.sip.trunk_phone import trunk
from voiceagent.sip.effects import Address
from voiceagent.sip.trunk.numbers import NumberRule, any_matches, bare_number
from voiceagent.sip.trunk.trunks import Trunk, TrunkTable


def names(table: TrunkTable, host: str, *identities: str) -> tuple[str | None, tuple[str, ...], bool]:
    found = table.candidates(host, frozenset(identities))
    proven = None if found.proven is None else found.proven.name
    return proven, tuple(one.name for one in found.by_digest), found.listed


def test_a_certificate_counts_before_an_address_and_an_address_before_a_password() -> None:
    table = TrunkTable(
        [
            trunk("net", "192.0.2.0/24"),
            trunk("cert", identities=frozenset({"sbc.example.com"})),
            trunk("both", "192.0.2.9/32", identities=frozenset({"edge.example.com"})),
            trunk("desk", "192.0.2.0/24", digest_users={"a": "x"}),
            trunk("anywhere", digest_users={"b": "x"}),
            trunk("out", servers=(Address("198.51.100.1", 5060),)),
        ]
    )
    assert names(table, "192.0.2.5") == ("net", ("desk", "anywhere"), True)
    assert names(table, "203.0.113.1") == (None, ("anywhere",), False)
    assert names(table, "203.0.113.1", "sbc.example.com") == ("cert", ("anywhere",), False)
    assert names(table, "192.0.2.5", "sbc.example.com")[0] == "cert"
    assert names(table, "192.0.2.5", "edge.example.com")[0] == "net"  # not from that address
    assert names(table, "192.0.2.9", "edge.example.com")[0] == "both"
    assert names(table, "198.51.100.1") == (None, ("anywhere",), False)  # an outbound trunk lets nobody in


def test_a_trunk_with_a_certificate_and_users_wants_both() -> None:
    table = TrunkTable([trunk("both", identities=frozenset({"a.example"}), digest_users={"u": "x"})])
    assert names(table, "192.0.2.1") == (None, (), False)
    assert names(table, "192.0.2.1", "a.example") == (None, ("both",), False)


def test_addresses_in_any_dress() -> None:
    table = TrunkTable([trunk("net", "192.0.2.0/24", "2001:db8::/64", "fe80::/10")])
    heard = ["192.0.2.3", "::ffff:192.0.2.3", "2001:db8::5", "fe80::1%eth0"]
    assert [names(table, host)[0] for host in heard] == ["net"] * 4
    assert [names(table, host)[0] for host in ("192.0.3.1", "2001:db8:1::", "nonsense", "")] == [None] * 4
    for number in range(10_000):  # the memory of hosts is bounded, and does not change the answer
        names(table, f"10.{number // 250}.{number % 250}.1")
    assert len(table._at) <= 4096
    assert names(table, "192.0.2.3")[0] == "net"


def test_names_and_users_are_unique() -> None:
    with pytest.raises(ValueError, match="two trunks 'a'"):
        TrunkTable([trunk("a"), trunk("a")])
    with pytest.raises(ValueError, match="the user 'u' belongs to 'a' already"):
        TrunkTable([trunk("a", digest_users={"u": "1"}), trunk("b", digest_users={"u": "2"})])


def test_no_password_in_what_is_printed() -> None:
    text = repr(trunk("a", digest_users={"u": "hush"}, username="me", password="hush"))
    assert "hush" not in text
    assert "hush" not in repr(TrunkTable([trunk("a", digest_users={"u": "hush"})]).users)


def test_uris_at_a_trunk() -> None:
    tls = Address("192.0.2.1", 5061, "tls")
    one = Trunk("a", servers=(tls,), domain="carrier.example", username="acct", from_user="+44123")
    assert one.uri("+441") == "sip:+441@carrier.example;transport=tls"
    assert one.uri() == "sip:carrier.example;transport=tls"
    assert one.from_uri() == "sip:+44123@carrier.example"
    assert one.from_uri("100") == "sip:100@carrier.example"
    bare = Trunk("b", servers=(Address("2001:db8::1", 5070),))
    assert (bare.uri("1"), bare.from_uri()) == ("sip:1@[2001:db8::1]:5070", "sip:[2001:db8::1]:5070")
    assert (one.dials("1"), Trunk("c").dials("1")) == (True, False)
    assert not trunk("d", servers=(tls,), numbers_out=("+44*",)).dials("+331")


def test_how_a_number_is_written_does_not_matter() -> None:
    assert {bare_number(text) for text in ("+44 20-7946 0018", "0044(20)79460018", "44.2079460018")} == {
        "442079460018"
    }
    assert (bare_number("Front.Desk"), bare_number("00"), bare_number("0")) == ("front.desk", "00", "0")


@pytest.mark.parametrize(
    ("rule", "inside", "outside"),
    [
        ("*", ["", "1", "anything"], []),
        ("+4420*", ["+442079460018", "004420", "4420x"], ["+4421", "20"]),
        ("100-199", ["100", "150", "199"], ["99", "200", "1500", "15x", "١٥٠"]),
        ("+4420100-+4420199", ["004420150"], ["+4420200", "20150"]),
        ("100", ["100", "1-00"], ["1000", "10"]),
        ("support", ["support", "Support"], ["supporter"]),
    ],
)
def test_rules(rule: str, inside: list[str], outside: list[str]) -> None:
    read = NumberRule.parse(rule)
    assert [user for user in inside if not read.matches(user)] == []
    assert [user for user in outside if read.matches(user)] == []


@pytest.mark.parametrize("text", ["", "  ", "1*2", "**", "200-100", "1-100"])
def test_rules_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError):
        NumberRule.parse(text)


def test_no_rules_let_everything_pass() -> None:
    assert any_matches((), "anybody")
