"""Who is heard: loopback, allow-lists, and what they make of odd addresses."""

from __future__ import annotations

import pytest

from voiceagent.sip.config import EndpointConfig, from_networks, is_loopback
from voiceagent.sip.dialogs.dialog import address_of, is_ip
from voiceagent.sip.effects import Address
from voiceagent.sip.timers import TimerValues


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.0.2.1", False),
        ("::ffff:192.0.2.1", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback((host, 5060)) is expected


def test_an_allow_list_reads_mapped_and_scoped_addresses() -> None:
    accept = from_networks(["192.0.2.0/30", "2001:db8::/64", "fe80::/10"])
    heard = {
        "192.0.2.3": True,
        "192.0.2.4": False,
        "::ffff:192.0.2.1": True,
        "2001:db8::5": True,
        "2001:db8:1::5": False,
        "fe80::1%eth0": True,
        "no address": False,
        "": False,
    }
    assert {host: accept((host, 5060)) for host in heard} == heard


def test_an_allow_list_that_cannot_be_read_is_an_error_at_once() -> None:
    with pytest.raises(ValueError):
        EndpointConfig(accept_source=("192.0.2.0/33",)).accepts()


def test_an_empty_allow_list_hears_nobody() -> None:
    assert EndpointConfig(accept_source=()).accepts()(Address("127.0.0.1", 5060)) is False


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("sip:a@192.0.2.1", Address("192.0.2.1", 5060)),
        ("sip:192.0.2.1:5070;lr", Address("192.0.2.1", 5070)),
        ("sips:a@192.0.2.1", Address("192.0.2.1", 5061, "tls")),
        ("sip:a@192.0.2.1;transport=tls", Address("192.0.2.1", 5061, "tls")),
        ("sip:a@192.0.2.1;transport=TCP", Address("192.0.2.1", 5060, "tcp")),
        ("sip:a@192.0.2.1;transport=sctp", None),
        ("sip:a@[2001:db8::1]:5080", Address("2001:db8::1", 5080)),
        ("sip:a@pbx1", None),
        ("sip:a@1.2.3", None),
        ("tel:+123", None),
        ("nonsense", None),
    ],
)
def test_the_address_that_a_uri_names(uri: str, address: tuple[str, int] | None) -> None:
    assert address_of(uri) == address


def test_is_ip() -> None:
    assert [is_ip(host) for host in ("10.0.0.1", "::1", "abc", "", "h2", "dead:beef::")] == [
        True,
        True,
        False,
        False,
        False,
        True,
    ]


def test_timer_values_of_rfc_3261() -> None:
    values = TimerValues()
    assert (values.t1, values.t2, values.t4, values.give_up, values.timer_d) == (0.5, 4.0, 5.0, 32.0, 32.0)
    assert TimerValues(t1=1.0).timer_d == 64.0
    assert TimerValues(t1=0.1).timer_d == 32.0
