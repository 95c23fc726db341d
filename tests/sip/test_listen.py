"""What ``sip.listen`` may say."""

from __future__ import annotations

import pytest

from voiceagent.app.sip_listeners import listeners_of
from voiceagent.settings import bare_settings
from voiceagent.sip.effects import Address
from voiceagent.sip.net.listen import Listen, parse_listen


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("udp:127.0.0.1:5070", Listen("udp", "127.0.0.1", 5070)),
        ("TCP:127.0.0.1", Listen("tcp", "127.0.0.1", 5060)),
        ("tls:[::1]", Listen("tls", "::1", 5061)),
        ("tls:[::1]:0", Listen("tls", "::1", 0)),
        ("udp:0.0.0.0:5060=203.0.113.9", Listen("udp", "0.0.0.0", 5060, "203.0.113.9")),
        ("udp:0.0.0.0:5060=203.0.113.9:5999", Listen("udp", "0.0.0.0", 5060, "203.0.113.9", 5999)),
    ],
)
def test_a_listener_is_read(text: str, listen: Listen) -> None:
    assert parse_listen(text) == listen


@pytest.mark.parametrize(
    "text", ["", "udp", "127.0.0.1:5060", "ws:127.0.0.1:80", "udp:", "udp:::1:5060", "udp:1.2.3.4:x"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_listen(text)


def test_what_others_are_told() -> None:
    bound = Listen("udp", "0.0.0.0", 5060, "203.0.113.9", 5999)
    assert bound.told(5060, "198.51.100.1") == Address("203.0.113.9", 5999)
    assert Listen("tls", "0.0.0.0", 0).told(5081, "198.51.100.1") == Address("198.51.100.1", 5081, "tls")
    assert Listen("udp", "::1", 0).told(5081, "198.51.100.1") == Address("::1", 5081)


def test_without_a_list_it_is_udp_and_tcp_at_one_port() -> None:
    both = listeners_of(bare_settings({"sip.port": 5070}).sip)
    assert [str(one) for one in both] == ["udp:127.0.0.1:5070", "tcp:127.0.0.1:5070"]
    listed = listeners_of(bare_settings({"sip.listen": ["udp:127.0.0.1:5099"]}).sip)
    assert [str(one) for one in listed] == ["udp:127.0.0.1:5099"]
