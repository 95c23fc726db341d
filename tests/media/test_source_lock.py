"""Only the caller is heard, wherever else packets come from."""

import random

from voiceagent.media.source_lock import SourceLock

SDP = ("192.0.2.1", 4000)
NAT = ("198.51.100.7", 31000)
EVIL = ("203.0.113.66", 6666)
TYPES = frozenset({0, 101})


def burst(
    lock: SourceLock,
    source,
    start: int,
    count: int,
    now: float,
    *,
    step: float = 0.02,
    pt: int = 0,
    ssrc: int = 1,
):
    return [lock.accept(source, pt, (start + n) & 0xFFFF, ssrc, now + n * step) for n in range(count)]


def test_the_sdp_address_locks_with_its_first_packet():
    lock = SourceLock(SDP, TYPES)
    assert lock.send_to == SDP
    assert burst(lock, SDP, 65534, 5, 0) == [True] * 5
    assert lock.locked == SDP


def test_after_the_lock_a_hundred_thousand_foreign_packets_change_nothing():
    rng = random.Random(0)
    lock = SourceLock(SDP, TYPES)
    assert lock.accept(SDP, 0, 1, 1, 0.0)
    now = 0.0
    for number in range(100_000):
        now += 0.0002
        if number % 50 == 0:
            assert lock.accept(SDP, 0, number & 0xFFFF, 1, now)
        source = (rng.choice((EVIL[0], SDP[0])), rng.randrange(1024, 1030))
        assert not lock.accept(source, 0, number & 0xFFFF, 1, now)
        assert lock.send_to == SDP
    assert lock.foreign == 100_000


def test_a_phone_behind_nat_proves_itself_with_four_packets():
    lock = SourceLock(SDP, TYPES)
    assert burst(lock, NAT, 65534, 6, 0) == [False, False, False, False, True, True]
    assert lock.locked == lock.send_to == NAT


def test_a_proof_needs_sequence_one_ssrc_and_the_payload_type():
    for spoil in ("gap", "ssrc", "type"):
        lock = SourceLock(SDP, TYPES)
        for number in range(40):
            sequence = number * 2 if spoil == "gap" else number
            lock.accept(
                NAT, 8 if spoil == "type" else 0, sequence, number if spoil == "ssrc" else 1, number * 0.01
            )
        assert lock.locked is None, spoil


def test_the_sdp_address_wins_while_another_is_proving():
    lock = SourceLock(SDP, TYPES)
    burst(lock, EVIL, 10, 3, 0)
    assert lock.accept(SDP, 0, 500, 9, 0.1)
    assert burst(lock, EVIL, 13, 50, 0.1) == [False] * 50
    assert lock.locked == SDP


def test_the_window_closes_after_two_seconds():
    lock = SourceLock(SDP, TYPES)
    burst(lock, EVIL, 10, 3, 0)
    assert burst(lock, EVIL, 13, 100, 2.01) == [False] * 100
    assert lock.locked is None
    # The host of the SDP may still come from another port.
    assert burst(lock, (SDP[0], 9), 1, 5, 3)[-1]


def test_learning_can_be_off():
    lock = SourceLock(SDP, TYPES, learn=False)
    assert burst(lock, NAT, 1, 50, 0) == [False] * 50
    assert lock.accept(SDP, 0, 1, 1, 1.0)
    assert burst(lock, (SDP[0], 5), 1, 500, 1.0) == [False] * 500


def test_a_moved_source_is_learned_only_after_silence_and_from_the_same_host():
    lock = SourceLock(SDP, TYPES)
    lock.accept(SDP, 0, 1, 1, 0.0)
    moved = (SDP[0], 4444)
    assert burst(lock, moved, 1, 80, 0.1) == [False] * 80  # until 1.7 s
    assert lock.locked == SDP
    assert burst(lock, EVIL, 1, 80, 5.0) == [False] * 80
    assert burst(lock, moved, 1, 5, 10.0) == [False] * 4 + [True]
    assert lock.locked == moved


def test_a_new_sdp_address_opens_the_lock_and_the_same_one_does_not():
    lock = SourceLock(SDP, TYPES)
    lock.accept(SDP, 0, 1, 1, 0.0)
    assert not lock.expect(SDP, TYPES)
    assert lock.locked == SDP
    assert lock.expect(NAT, TYPES)
    assert lock.locked is None
    assert lock.send_to == NAT
    assert not lock.accept(SDP, 0, 2, 1, 0.1)
    assert lock.accept(NAT, 0, 2, 1, 0.1)
