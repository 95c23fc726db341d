"""Locating SIP servers, without DNS: what is asked, and how answers are ordered."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from voiceagent.errors import SipError
from voiceagent.sip.net.srv import Hop, Naptr, Srv, choose_naptr, order_srv, plan
from voiceagent.sip.syntax.uri import SipUri

UDP, TCP, TLS = (("_sip._udp.e.x", "udp"), ("_sip._tcp.e.x", "tcp"), ("_sips._tcp.e.x", "tls"))


@pytest.mark.parametrize(
    ("uri", "hop", "services", "by_naptr"),
    [
        ("sip:a@192.0.2.1", Hop("192.0.2.1", 5060, "udp"), (), False),
        ("sip:a@192.0.2.1;transport=tcp", Hop("192.0.2.1", 5060, "tcp"), (), False),
        ("sips:a@[2001:db8::1]", Hop("2001:db8::1", 5061, "tls"), (), False),
        ("sip:a@e.x:5080", Hop("e.x", 5080, "udp"), (), False),
        ("sips:a@e.x:5080", Hop("e.x", 5080, "tls"), (), False),
        ("sip:a@e.x;transport=tcp", Hop("e.x", 5060, "tcp"), (TCP,), False),
        ("sip:a@e.x;transport=tls", Hop("e.x", 5061, "tls"), (TLS,), False),
        ("sips:a@e.x;transport=tcp", Hop("e.x", 5061, "tls"), (TLS,), False),
        ("sip:a@e.x", Hop("e.x", 5060, "udp"), (UDP, TCP, TLS), True),
        ("sips:a@e.x", Hop("e.x", 5061, "tls"), (TLS,), True),
    ],
)
def test_what_is_asked(uri: str, hop: Hop, services: tuple[object, ...], by_naptr: bool) -> None:
    made = plan(SipUri.parse(uri))
    assert (made.hop, made.services, made.by_naptr) == (hop, services, by_naptr)


@pytest.mark.parametrize(
    ("uri", "status"), [("tel:+123", 416), ("http:x", 416), ("sip:a@e.x;transport=sctp", 503)]
)
def test_what_cannot_be_located(uri: str, status: int) -> None:
    with pytest.raises(SipError) as caught:
        plan(SipUri.parse(uri))
    assert caught.value.status == status


def test_a_transport_that_we_do_not_speak_is_not_chosen() -> None:
    assert plan(SipUri.parse("sip:a@e.x"), ("udp", "tcp")).services == (UDP, TCP)
    with pytest.raises(SipError):
        plan(SipUri.parse("sips:a@e.x"), ("udp", "tcp"))


def test_naptr_order_then_preference_and_only_what_fits() -> None:
    records = [
        Naptr(100, 50, "s", "SIPS+D2T", "_sips._tcp.e.x"),
        Naptr(90, 60, "S", "SIP+D2T", "_sip._tcp.e.x"),
        Naptr(90, 50, "s", "sip+d2u", "_sip._udp.e.x"),
        Naptr(10, 10, "u", "E2U+sip", ""),
        Naptr(10, 10, "s", "SIP+D2S", "_sip._sctp.e.x"),
    ]
    assert choose_naptr(records, ("udp", "tcp", "tls")) == (UDP, TCP, TLS)
    assert choose_naptr(records, ("tls",)) == (TLS,)


def test_srv_priority_decides_before_weight() -> None:
    records = [Srv(20, 100, 5060, "c"), Srv(10, 0, 5060, "b"), Srv(10, 10, 5060, "a"), Srv(5, 1, 1, ".")]
    assert [one.target for one in order_srv(records, lambda sides: sides - 1)] == ["a", "b", "c"]
    assert [one.target for one in order_srv(records, lambda sides: 0)] == ["b", "a", "c"]


def test_srv_weights_are_kept_over_many_calls() -> None:
    dice = random.Random(3)
    records = [Srv(1, 60, 1, "big"), Srv(1, 30, 1, "middle"), Srv(1, 10, 1, "small")]
    first = Counter(order_srv(records, dice.randrange)[0].target for _ in range(5000))
    assert abs(first["big"] / 5000 - 0.6) < 0.04
    assert abs(first["small"] / 5000 - 0.1) < 0.03


def test_the_same_dice_give_the_same_order() -> None:
    records = [Srv(1, weight, 1, f"h{weight}") for weight in range(20)]
    orders = [[one.target for one in order_srv(records, random.Random(9).randrange)] for _ in range(2)]
    assert orders[0] == orders[1]
    assert sorted(orders[0]) == sorted(one.target for one in records)
