"""RTCP: packets as on the wire, timing, round trips, what reports tell, and what rubbish does not do."""

from __future__ import annotations

import random
import struct

import pytest

from voiceagent.media import rtcp
from voiceagent.media.quality import estimate
from voiceagent.media.reception import Reception
from voiceagent.media.rtcp_session import RtcpSession, Sent, quality_details

BLOCK = rtcp.ReportBlock(0xAABBCCDD, 64, -3, 0x0001FFFE, 160, 0x11223344, 65536)


def session(ssrc: int = 1, dice: float = 0.5) -> RtcpSession:
    return RtcpSession(ssrc=ssrc, name="name", dice=lambda: dice, epoch=3_900_000_000.25)


# ── packets ─────────────────────────────────────────────────────────────────────────────────────
def test_a_sender_report_stands_on_the_wire_as_rfc_3550_draws_it() -> None:
    data = rtcp.build_report(rtcp.Report(7, rtcp.SenderInfo(0x0102030405060708, 9, 10, 11), (BLOCK,)))
    assert data[:8] == b"\x81\xc8\x00\x0c\x00\x00\x00\x07"
    assert data[8:28] == bytes.fromhex("0102030405060708 00000009 0000000a 0000000b".replace(" ", ""))
    assert data[28:] == bytes.fromhex("aabbccdd40fffffd0001fffe000000a01122334400010000")


def test_a_compound_is_read_as_it_was_built() -> None:
    report = rtcp.Report(7, None, (BLOCK, BLOCK._replace(ssrc=5, cumulative_lost=0x7FFFFF)))
    data = rtcp.build_report(report) + rtcp.build_name(7, "abc@x") + rtcp.build_bye(7)
    assert rtcp.parse_compound(data) == [report, rtcp.Description(((7, "abc@x"),)), rtcp.Bye((7,))]


@pytest.mark.parametrize("size", range(1, 12))
def test_names_of_any_length_end_on_a_word(size: int) -> None:
    data = rtcp.build_name(7, "n" * size)
    assert len(data) % 4 == 0
    assert rtcp.parse_compound(data) == [rtcp.Description(((7, "n" * size),))]


def test_reduced_size_unknown_types_and_padding_are_read() -> None:
    assert rtcp.parse_compound(rtcp.build_bye(3)) == [rtcp.Bye((3,))]
    feedback = b"\x81\xcd\x00\x03" + bytes(12)
    padded = b"\xa1\xcb\x00\x02" + struct.pack("!I", 9) + b"\0\0\0\x04"
    assert rtcp.parse_compound(feedback + padded) == [rtcp.Bye((9,))]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\xc9\x00\x01",
        b"\x80\xc9\x00\x02\x00\x00\x00\x01",
        b"\x81\xc9\x00\x01\x00\x00\x00\x01",
        b"\x81\xc8\x00\x06" + bytes(24),
        b"\x40\xc9\x00\x01\x00\x00\x00\x01",
        b"\x80\x00\x00\x01\x00\x00\x00\x01",
        b"\xa0\xc9\x00\x01\x00\x00\x00\x09",
        b"\x82\xcb\x00\x01\x00\x00\x00\x01",
        b"\x81\xca\x00\x02\x00\x00\x00\x01\x01\x09ab",
        bytes(1501),
    ],
)
def test_what_does_not_add_up_is_no_rtcp(data: bytes) -> None:
    with pytest.raises(rtcp.RtcpFormatError):
        rtcp.parse_compound(data)


def test_a_hundred_thousand_mutations_raise_nothing() -> None:
    dice = random.Random(5)
    ours = session(0xAABBCCDD)
    ours.start(0.0)
    seeds = [
        rtcp.build_report(rtcp.Report(7, rtcp.SenderInfo(1, 2, 3, 4), (BLOCK,))) + rtcp.build_name(7, "abc"),
        rtcp.build_report(rtcp.Report(7, None, (BLOCK,))) + rtcp.build_bye(7),
        rtcp.build_name(7, "x" * 60),
    ]
    taken = 0
    for _ in range(100_000):
        data = bytearray(dice.choice(seeds))
        for _ in range(dice.randrange(1, 4)):
            if data:
                data[dice.randrange(len(data))] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
            if dice.random() < 0.2:
                del data[dice.randrange(len(data) + 1) :]
        ours.receive(bytes(data), 1.0)
        taken += 1
    assert ours.received + ours.malformed == taken
    assert ours.malformed > 1000
    assert 0 <= ours.remote_loss <= 1
    assert ours.round_trip_s is None or ours.round_trip_s <= 30


# ── timing and figures ──────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(("dice", "factor"), [(0.0, 0.5), (0.5, 1.0), (0.999999, 1.5)])
def test_reports_come_every_five_seconds_give_or_take_a_half(dice: float, factor: float) -> None:
    ours = session(dice=dice)
    ours.start(100.0)
    interval = 5 * factor / 1.21828
    assert ours.wake_at() == pytest.approx(100 + interval / 2, rel=1e-4)
    ours.report(Sent(1, 160, 0), Reception(), 103.0)
    assert ours.wake_at() == pytest.approx(103 + interval, rel=1e-4)


def test_who_has_sent_nothing_new_reports_as_a_receiver() -> None:
    ours = session()
    first = rtcp.parse_compound(ours.report(Sent(5, 800, 99), Reception(), 1.0))
    second = rtcp.parse_compound(ours.report(Sent(5, 800, 99), Reception(), 6.0))
    assert isinstance(first[0], rtcp.Report)
    assert first[0].sender is not None
    assert (first[0].sender.packets, first[0].sender.octets, first[0].sender.rtp_timestamp) == (5, 800, 99)
    assert isinstance(second[0], rtcp.Report)
    assert second[0].sender is None
    assert isinstance(first[1], rtcp.Description)
    assert rtcp.parse_compound(ours.report(Sent(6, 1, 1), Reception(), 7.0, leaving=True))[-1] == rtcp.Bye(
        (1,)
    )


def talk(reception: Reception, *, ssrc: int, count: int, lose: int = 0, jitter: float = 0.0) -> None:
    dice = random.Random(1)
    for n in range(count):
        if lose and n % lose == 1:
            continue
        reception.note((65_500 + n & 0xFFFF, n * 160, ssrc, 10 + n * 0.02 + dice.uniform(0, jitter)))
    reception.settle()


def test_two_ends_learn_round_trip_loss_and_jitter_of_each_other() -> None:
    here, there = session(1), session(2)
    heard = Reception()
    talk(heard, ssrc=1, count=500, lose=10, jitter=0.016)
    sent = Sent(500, 80_000, 7, 65_500 + 500 & 0xFFFF)
    there.receive(here.report(sent, Reception(), 20.0), 20.05)
    here.receive(there.report(Sent(0, 0, 0), heard, 20.45), 20.50)
    assert here.round_trip_s == pytest.approx(0.10, abs=0.001)
    assert here.remote_lost == heard.lost == 50
    remote = here.remote(8000, "PCMU")
    assert remote is not None
    assert remote.loss == pytest.approx(0.1)
    assert 3 < remote.jitter_ms < 8
    assert there.round_trip_s is None
    details = quality_details(heard, there, "PCMU")
    assert details["loss_percent"] == pytest.approx(10.0, abs=0.3)
    assert details["mos"] < 3.6
    assert "round_trip_ms" not in details


def test_reports_about_others_and_lies_about_time_change_nothing() -> None:
    ours = session(1)
    ours.report(Sent(10, 1600, 0), Reception(), 1.0)
    other = rtcp.Report(9, None, (BLOCK,))
    ours.receive(rtcp.build_report(other), 2.0)
    assert ours.remote_lost is None
    lie = rtcp.Report(9, None, (BLOCK._replace(ssrc=1, cumulative_lost=0x7FFFFF, last_sr=12345),))
    ours.receive(rtcp.build_report(lie), 2.0)
    assert ours.round_trip_s is None
    assert ours.remote_loss == pytest.approx(1.0)


# ── reception ───────────────────────────────────────────────────────────────────────────────────
def test_loss_is_counted_over_the_wrap_and_in_a_new_numbering() -> None:
    heard = Reception()
    talk(heard, ssrc=1, count=200, lose=20)
    assert (heard.expected, heard.lost) == (200, 10)
    assert heard.highest_sequence == 65_500 + 199
    assert heard.fraction_lost() == 10 * 256 // 200
    assert heard.fraction_lost() == 0
    talk(heard, ssrc=2, count=100)
    assert (heard.expected, heard.lost, heard.lost_before) == (100, 0, 10)


def test_jitter_is_that_of_the_appendix() -> None:
    """A.8 by hand: every second packet 8 ms late is |D| of 64 units each time."""
    heard = Reception()
    expected = 0.0
    for n in range(100):
        heard.note((n, n * 160, 1, n * 0.02 + (0.008 if n % 2 else 0.0)))
        if n:
            expected += (64 - expected) / 16
    heard.settle()
    assert heard.jitter == pytest.approx(expected)
    assert heard.jitter_ms == pytest.approx(expected / 8)


def test_copies_and_late_packets_are_no_loss_and_events_no_jitter() -> None:
    heard = Reception()
    for n in (0, 1, 3, 2, 2, 4):
        heard.note((n, n * 160, 1, n * 0.02))
    heard.settle()
    before = heard.jitter
    for n in (5, 6, 7):
        heard.note((n, None, 1, 5.0))
    heard.settle()
    assert heard.expected == 8
    assert heard.lost == -1
    assert heard.jitter == before


# ── the E-model ─────────────────────────────────────────────────────────────────────────────────
def test_the_rating_is_that_of_g_107_and_falls_with_loss_and_delay() -> None:
    best = estimate(loss=0, jitter_ms=0, round_trip_ms=0)
    assert best.rating == pytest.approx(93.2 - 0.024 * 25)
    assert best.mos == pytest.approx(4.4, abs=0.02)
    one = estimate(loss=0.01, jitter_ms=0, round_trip_ms=0)
    assert best.rating - one.rating == pytest.approx(95 * 1 / 26.1)
    far = estimate(loss=0, jitter_ms=0, round_trip_ms=600)
    assert best.rating - far.rating == pytest.approx(0.024 * 300 + 0.11 * (325 - 177.3))
    ladder = [estimate(loss=share, jitter_ms=5).mos for share in (0, 0.01, 0.05, 0.1, 0.3, 1.0)]
    assert ladder == sorted(ladder, reverse=True)
    assert all(1.0 <= mos <= 4.5 for mos in ladder)
    assert estimate(loss=9.0, jitter_ms=1e9).mos == 1.0
