"""What one stream connection may take its time for, and what not (virtual time)."""

from __future__ import annotations

from tests.sip.ladder import Phone
from voiceagent.sip.limits import Limits, StreamLimits
from voiceagent.sip.net.framing import Broken, Whole
from voiceagent.sip.net.stream import PING, PONG, Close, Stream, Write

BYE = Phone().request("BYE")
LIMITS = StreamLimits(
    first_message_s=5, message_s=5, idle_s=600, ping_s=90, pong_s=10
)  # as by default, said here because the times below follow from them


def accepted() -> Stream:
    return Stream(LIMITS, 0.0, accepted=True)


def opened(**more: float) -> Stream:
    return Stream(LIMITS, 0.0, accepted=False, **more)


def test_a_peer_that_connects_and_says_nothing_is_closed() -> None:
    stream = accepted()
    assert stream.wake_at() == 5.0
    assert stream.wake(4.99) == []
    assert stream.wake(5.0) == [Close("no_message")]


def test_keep_alives_are_no_message() -> None:
    stream = accepted()
    assert stream.receive(b"\r\n\r\n", 4.0) == [Write(PONG)]
    assert stream.wake(5.0) == [Close("no_message")]


def test_a_message_byte_by_byte_is_not_given_more_time_by_each_byte() -> None:
    stream = accepted()
    assert stream.receive(BYE, 1.0) == [Whole(BYE)]
    for second in range(10, 15):
        assert stream.receive(BYE[second - 10 : second - 9], float(second)) == []
    assert stream.wake_at() == 15.0
    assert stream.wake(15.0) == [Close("slow_message")]


def test_each_message_has_its_own_time() -> None:
    stream = accepted()
    stream.receive(BYE + BYE[:10], 4.0)
    assert stream.wake_at() == 9.0
    assert stream.receive(BYE[10:] + BYE[:1], 8.9) == [Whole(BYE)]
    assert stream.wake_at() == 13.9
    assert stream.receive(BYE[1:], 13.8) == [Whole(BYE)]
    assert stream.wake_at() == 613.8


def test_a_peer_does_not_pay_for_the_time_in_which_we_did_not_read() -> None:
    stream = accepted()
    stream.receive(BYE + BYE[:10], 4.0)
    stream.unread(8.0)
    assert stream.wake_at() == 13.0
    assert stream.wake(13.0) == [Close("slow_message")]


def test_a_deadline_seen_far_too_late_is_given_again() -> None:
    stream = accepted()
    assert stream.wake(9.0) == []
    assert stream.wake_at() == 14.0
    assert stream.wake(14.5) == [Close("no_message")]
    stream = accepted()
    stream.receive(BYE + BYE[:10], 4.0)
    assert stream.wake(20.0) == []
    assert stream.receive(BYE[10:], 20.0) == [Whole(BYE)]


def test_an_idle_connection_is_closed_unless_it_is_needed() -> None:
    stream = accepted()
    stream.receive(BYE, 1.0)
    stream.receive(b"\r\n\r\n", 300.0)  # keeping it open is not using it
    assert stream.wake_at() == 601.0
    stream.stay(601.0)
    assert stream.wake(601.0) == []
    stream.sent(700.0)
    assert stream.wake_at() == 1300.0
    assert stream.wake(1300.0) == [Close("idle")]
    assert Stream(StreamLimits(idle_s=0, ping_s=0), 0.0, accepted=False).wake_at() is None


def test_a_connection_of_ours_pings_after_silence() -> None:
    stream = opened(spread=0.9)
    assert stream.wake_at() == 81.0
    stream.receive(BYE, 50.0)
    assert stream.wake_at() == 131.0
    assert stream.wake(81.0) == []
    assert stream.wake(131.0) == [Write(PING)]
    assert accepted().wake(90.0) != [Write(PING)]


def test_a_peer_that_has_ponged_before_must_pong_again() -> None:
    stream = opened()
    assert stream.wake(90.0) == [Write(PING)]
    assert stream.receive(b"\r\n", 91.0) == []
    assert stream.wake(181.0) == [Write(PING)]
    assert stream.wake_at() == 191.0
    assert stream.wake(191.0) == [Close("no_pong")]


def test_anything_said_counts_as_alive() -> None:
    stream = opened()
    stream.wake(90.0)
    stream.receive(b"\r\n", 91.0)
    stream.wake(181.0)
    stream.receive(BYE, 185.0)
    assert stream.wake(191.0) == []


def test_a_peer_that_knows_no_pong_is_left_in_peace() -> None:
    """It keeps the NAT binding open all the same; TCP itself finds out that the peer is gone."""
    stream = opened()
    assert stream.wake(90.0) == [Write(PING)]
    assert stream.wake(180.0) == [Write(PING)]
    assert stream.wake(270.0) == [Write(PING)]


def test_a_broken_frame_is_the_last_thing_told() -> None:
    stream = Stream(LIMITS, 0.0, accepted=True, sizes=Limits(stream_message=100))
    effects = stream.receive(b"OPTIONS sip:x SIP/2.0\r\nl: 0\r\n\r\n" + BYE, 1.0)
    assert [type(effect) for effect in effects] == [Whole, Broken]
    assert stream.receive(BYE, 2.0) == []
