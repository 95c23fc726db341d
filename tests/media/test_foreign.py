"""Rows B1 and B9 of the fault table: whose packets are played and answered, on ports used again and again."""

from __future__ import annotations

import random
import socket

import pytest

from tests.media.test_port import Bench, Events, Phone
from voiceagent.errors import MediaError
from voiceagent.media import rtp
from voiceagent.media.path import MediaPath
from voiceagent.media.port import MediaPort
from voiceagent.media.ports import PortRange
from voiceagent.media.source_lock import SourceLock
from voiceagent.media.wheel import MediaWheel

pytestmark = pytest.mark.loopback


def test_a_hundred_thousand_foreign_packets_are_neither_played_nor_answered() -> None:
    """Three addresses against a locked stream whose own packets come in between; the silences are short."""
    dice = random.Random(3)
    ours, types = ("192.0.2.9", 4000), frozenset({0, 101, 13})
    lock = SourceLock(ours, types)
    foreign = [("192.0.2.9", 4002), ("198.51.100.7", 4000), ("203.0.113.1", 9)]
    assert lock.accept(ours, 0, 1, 77, 0.0)
    now, sequence, taken = 0.0, 1, 0
    for number in range(100_000):
        now += 0.0005
        if number % 40 == 0:
            sequence += 1
            assert lock.accept(ours, 0, sequence & 0xFFFF, 77, now)
        source = foreign[number % 3]
        # In sequence, with our payload types, some with our SSRC: as good as an attacker can make it.
        taken += lock.accept(
            source, dice.choice((0, 101)), (number // 3) & 0xFFFF, dice.choice((77, 78)), now
        )
        assert lock.send_to == ours
    assert taken == 0
    assert lock.foreign == 100_000


def test_foreign_packets_at_a_port_reach_nobody_and_get_nothing() -> None:
    bench = Bench()
    strangers = [Phone() for _ in range(3)]
    bench.connect()
    bench.run(100, talk=True)
    for _ in range(40):
        for stranger in strangers:
            for _ in range(8):
                stranger.send(bench.port.address, b"\x66" * 160)
        bench.run(20, talk=True)
    assert b"\x66" not in bench.events.audio
    assert bench.events.audio.count(b"\x21" * 160) == 45
    assert bench.port.remote == bench.phone.address
    for stranger in strangers:
        assert stranger.got() == []
        stranger.socket.close()
    bench.port.close()
    bench.wheel.close()
    bench.phone.socket.close()


def test_a_thousand_calls_over_forty_ports_with_the_old_phones_still_sending() -> None:
    now = 0.0
    wheel = MediaWheel(timer="none", clock=lambda: now)
    ports = PortRange(13100, 13179)
    assert ports.size == 40
    phones = [Phone() for _ in range(50)]
    stale: list[tuple[Phone, tuple[str, int]]] = []
    for call in range(1000):
        events = Events()
        phone = phones[call % 50]
        phone.ssrc = call
        port = MediaPort(wheel, events)
        address = port.open("127.0.0.1", ports)
        port.connect(MediaPath(phone.address))
        mine = bytes([call % 250]) * 160
        for old, target in stale[-30:]:
            old.socket.sendto(rtp.build(rtp.RtpPacket(0, False, 1, 1, old.ssrc, b"\xfe" * 160)), target)
        for _ in range(3):
            phone.send(address, mine)
            now += 0.02
            wheel.tick()
        assert set(events.audio) <= {call % 250, 0xFF}
        assert events.audio.count(mine) >= 2
        port.close()
        stale.append((phone, address))
        now += 31 / 40
    for phone in phones:
        phone.socket.close()
    wheel.close()
    assert ports.in_use == 0


def test_a_port_rests_before_it_is_used_again_and_an_empty_range_says_so() -> None:
    ports = PortRange(13200, 13207)
    taken = [ports.take(0.0) for _ in range(4)]
    with pytest.raises(MediaError) as caught:
        ports.take(0.0)
    assert caught.value.code == "no_port"
    ports.give_back(taken[0], 1.0)
    ports.give_back(taken[1], 1.0)
    with pytest.raises(MediaError):  # half of the range is in use: no reason to hurry
        ports.take(30.9)
    assert ports.take(31.0) == taken[0]


def test_an_address_that_cannot_be_reached_is_nobody() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        closed = probe.getsockname()
    bench = Bench()
    bench.port.connect(MediaPath(closed))
    bench.run(100)
    bench.run(100, talk=True)
    assert bench.port.remote == bench.phone.address  # proved by four packets in sequence
    bench.port.close()
    bench.wheel.close()
    bench.phone.socket.close()


@pytest.mark.parametrize("learn", [True, False])
def test_what_came_before_the_lock_is_not_heard_after_it(learn: bool) -> None:
    """Connecting a socket filters what comes from then on, not what waits in it already."""
    bench = Bench()
    strangers = [Phone() for _ in range(3)]
    if not learn:
        for stranger in strangers:
            stranger.send(bench.port.address, b"\x66" * 160)
    bench.connect(learn=learn)
    bench.phone.send(bench.port.address)
    for stranger in strangers:
        stranger.sequence, stranger.ssrc = bench.phone.sequence, bench.phone.ssrc
        stranger.timestamp = bench.phone.timestamp
        stranger.send(bench.port.address, b"\x66" * 160)
    bench.run(100, talk=True)
    assert b"\x66" not in bench.events.audio
    assert bench.events.audio.count(b"\x21" * 160) == 6
    assert bench.port.figures().foreign == 3
    for stranger in strangers:
        stranger.socket.close()
    bench.port.close()
    bench.wheel.close()
    bench.phone.socket.close()
