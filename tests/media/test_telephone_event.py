"""Each press exactly once, whatever the network does (RFC 4733)."""

import random

import pytest

from voiceagent.media.telephone_event import (
    DIGITS,
    DigitReceiver,
    DigitSender,
    EventPayload,
    build_event,
    parse_event,
)

SSRC = 7


def transmit(
    digits: str, *, tone_ms: int = 100, gap_ms: int = 80, sequence: int = 65500, timestamp: int = 2**32 - 8000
):
    """Every packet of ``digits`` as (send time, sequence, timestamp, marker, payload)."""
    sender = DigitSender(tone_ms=tone_ms, gap_ms=gap_ms)
    sender.queue(digits)
    packets = []
    slot = 0
    while sender.busy:
        packet = sender.next(timestamp)
        if packet is not None:
            packets.append((slot * 0.02, sequence, packet.timestamp, packet.marker, packet.payload))
        sequence = (sequence + 1) & 0xFFFF
        timestamp = (timestamp + 160) & 0xFFFFFFFF
        slot += 1
    return packets


def receive(arrivals) -> str:
    receiver = DigitReceiver()
    out = ""
    for now, sequence, timestamp, marker, payload in arrivals:
        digit = receiver.feed(
            payload, sequence=sequence, timestamp=timestamp, ssrc=SSRC, marker=marker, now=now
        )
        out += digit or ""
    return out


def test_sender_follows_the_rfc():
    packets = transmit("5", tone_ms=100)
    events = [parse_event(payload) for *_, payload in packets]
    assert [event.duration for event in events] == [160, 320, 480, 640, 800, 800, 800]
    assert [event.end for event in events] == [False] * 4 + [True] * 3
    assert {event.event for event in events} == {5}
    assert {event.volume for event in events} == {10}
    assert [marker for _, _, _, marker, _ in packets] == [True] + [False] * 6
    assert len({timestamp for _, _, timestamp, _, _ in packets}) == 1
    assert [round(at * 1000) for at, *_ in packets] == list(range(0, 140, 20))


@pytest.mark.parametrize("gap_ms", [40, 60, 100, 200])
def test_pause_between_digits_is_kept(gap_ms: int):
    packets = transmit("11", tone_ms=60, gap_ms=gap_ms)
    starts = [at for at, _, _, marker, _ in packets if marker]
    tone_end = starts[0] + 0.060
    assert starts[1] - tone_end == pytest.approx(gap_ms / 1000)


@pytest.mark.parametrize("bad", [{"tone_ms": 39}, {"tone_ms": 8001}, {"gap_ms": 39}])
def test_sender_refuses_what_phones_would_not_take(bad: dict[str, int]):
    with pytest.raises(ValueError):
        DigitSender(**bad)
    sender = DigitSender()
    with pytest.raises(ValueError, match="x"):
        sender.queue("12x")
    assert not sender.busy


def test_a_thousand_bad_lines_and_sixteen_digits_each():
    for seed in range(1000):
        rng = random.Random(seed)
        digits = "".join(rng.choice(DIGITS) for _ in range(16))
        packets = transmit(
            digits,
            tone_ms=rng.choice((60, 100, 160, 240)),
            gap_ms=rng.choice((40, 60, 80, 120)),
            sequence=rng.randrange(65536),
            timestamp=rng.randrange(2**32),
        )
        arrivals = []
        lost: dict[int, int] = {}
        for packet in packets:
            # 10 % loss, but never a whole press: what does not arrive at all nobody can know.
            lost.setdefault(packet[2], 0)
            remaining = sum(other[2] == packet[2] for other in packets)
            if rng.random() < 0.1 and lost[packet[2]] + 1 < remaining:
                lost[packet[2]] += 1
                continue
            copies = 2 if rng.random() < 0.1 else 1
            for _ in range(copies):
                delay = rng.uniform(0.02, 0.07) if rng.random() < 0.1 else rng.uniform(0, 0.005)
                arrivals.append((packet[0] + delay, *packet[1:]))
        arrivals.sort()
        assert receive(arrivals) == digits, f"seed {seed}"


def test_lost_end_packets_do_not_glue_presses():
    packets = [packet for packet in transmit("4411") if not parse_event(packet[4]).end]
    assert receive(packets) == "4411"


def test_a_press_is_over_when_nothing_more_comes():
    receiver = DigitReceiver()
    now, sequence, timestamp, marker, payload = transmit("8")[0]
    assert (
        receiver.feed(payload, sequence=sequence, timestamp=timestamp, ssrc=SSRC, marker=marker, now=now)
        == "8"
    )
    assert receiver.pressed(now + 0.15) == "8"
    assert receiver.pressed(now + 0.17) is None


def test_only_the_last_end_packet_arrives():
    assert receive(transmit("7")[-1:]) == "7"


def test_presses_with_the_same_timestamp():
    def press(event: int, sequence: int) -> list:
        rows = []
        for index, (duration, end) in enumerate(
            [(160, False), (320, False), (480, True), (480, True), (480, True)]
        ):
            payload = build_event(EventPayload(event, end, 10, duration))
            rows.append((index * 0.02, sequence + index, 1000, index == 0, payload))
        return rows

    assert receive(press(1, 10) + press(2, 20)) == "12"
    assert receive(press(1, 10) + press(1, 20)) == "11"
    stray = press(1, 10)
    assert receive([*stray, stray[0], stray[1], stray[2]]) == "1"


def test_a_long_tone_rolls_into_new_segments_and_stays_one_press():
    arrivals = []
    sequence, start, now = 100, 2**32 - 70000, 0.0
    for segment in range(3):
        for duration in [*range(160, 65536, 160), 65535]:
            end = segment == 2 and duration == 65535
            payload = build_event(EventPayload(9, end, 10, duration))
            marker = segment == 0 and duration == 160
            arrivals.append((now, sequence & 0xFFFF, (start + segment * 65535) & 0xFFFFFFFF, marker, payload))
            sequence += 1
            now += 0.02
    assert receive(arrivals) == "9"
    rng = random.Random(1)
    assert receive([arrival for arrival in arrivals if rng.random() > 0.1]) == "9"


def test_other_events_and_short_payloads_are_ignored():
    receiver = DigitReceiver()
    for payload in (b"", b"\x01\x00\x00", build_event(EventPayload(16, False, 10, 160)), b"\xff" * 4):
        assert receiver.feed(payload, sequence=1, timestamp=1, ssrc=1, marker=True, now=0) is None
    assert receiver.ignored == 4


def test_a_new_stream_starts_afresh():
    receiver = DigitReceiver()
    payload = build_event(EventPayload(3, False, 10, 160))
    assert receiver.feed(payload, sequence=9000, timestamp=5000, ssrc=1, marker=True, now=0) == "3"
    assert receiver.feed(payload, sequence=5, timestamp=5000, ssrc=2, marker=True, now=1) == "3"
