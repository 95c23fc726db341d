"""When messages are repeated and when one gives up: RFC 3261 Table 4 and RFC 6026, to the millisecond."""

from __future__ import annotations

from tests.sip.ladder import ANSWER, OFFER, Ladder, Phone, calling, established
from voiceagent.sip.effects import Ended, InviteReceived, Retransmitted, SendDatagram
from voiceagent.sip.timers import TimerHeap, TimerValues


def sends(ladder: Ladder, start: float = 0.0) -> list[float]:
    return [round(at - start, 3) for at, line in ladder.lines if line.startswith("<<") and at > start]


def test_timer_a_doubles_without_ceiling_and_timer_b_gives_up_at_64_t1() -> None:
    ladder = Ladder()
    ladder.invite()
    ladder.settle()
    assert sends(ladder, -1) == [1, 1.5, 2.5, 4.5, 8.5, 16.5, 32.5]
    assert ladder.event(Ended).by == "timeout"
    assert ladder.lines[-1] == (32.0, "** Ended timeout 408")
    ladder.nothing_left()


def test_timer_e_doubles_up_to_t2_and_timer_f_gives_up() -> None:
    ladder, _, leg = established()
    ladder.do("hang_up", leg)
    ladder.settle()
    assert sends(ladder) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    ladder.nothing_left()


def test_timer_e_goes_on_at_t2_after_a_provisional_response() -> None:
    ladder, phone, leg = established()
    ladder.do("hang_up", leg)
    ladder.advance(0.6)
    ladder.receive(phone.reply(ladder.request(), 100))
    ladder.advance(20)
    # The gap under way runs to its end, the next ones are T2 (§17.1.2.2).
    assert sends(ladder) == [0.5, 1.5, 5.5, 9.5, 13.5, 17.5]


def test_timer_g_repeats_a_refusal_and_timer_h_stops() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER))
    ladder.do("reject", ladder.event(InviteReceived).leg, 486, "Busy Here")
    ladder.settle()
    assert sends(ladder) == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert len(ladder.events(Ended)) == 1
    assert ladder.endpoint.figures().counts["refusal_not_acknowledged"] == 1
    ladder.nothing_left()


def test_the_ack_of_a_refusal_is_absorbed_and_timer_i_frees_the_transaction() -> None:
    ladder, phone = Ladder(), Phone()
    branch = phone.branch()
    ladder.receive(phone.request("INVITE", OFFER, branch=branch))
    ladder.do("reject", ladder.event(InviteReceived).leg, 486, "")
    ack = phone.request("ACK", cseq=1, branch=branch, to_tag=ladder.response().to.tag)
    ladder.skip()
    ladder.receive(ack)
    ladder.receive(ack)
    ladder.shows("""
        >> ACK
        >> ACK
    """)
    ladder.advance(4.999)
    assert ladder.endpoint.figures().server_transactions == 1
    ladder.advance(0.002)
    ladder.nothing_left()


def test_timer_j_answers_repetitions_for_64_t1() -> None:
    ladder, phone = Ladder(), Phone()
    options = phone.request("OPTIONS")
    ladder.receive(options)
    ladder.advance(31.9)
    ladder.receive(options)
    assert ladder.endpoint.figures().counts["repeated_requests"] == 1
    ladder.advance(0.2)
    ladder.nothing_left()


def test_timer_k_absorbs_late_copies_of_a_response() -> None:
    ladder, phone, leg = established()
    ladder.do("hang_up", leg)
    reply = phone.reply(ladder.request(), 200)
    ladder.skip()
    ladder.receive(reply)
    ladder.receive(reply)
    ladder.advance(5.1)
    ladder.receive(reply)
    ladder.shows("""
        >> 200 BYE
        >> 200 BYE
        >> 200 BYE
        ** Dropped stray_response
    """)


def test_timer_d_acknowledges_every_copy_of_a_refusal_for_32_s() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.invite()
    invite = ladder.request()
    busy = phone.reply(invite, 486)
    ladder.receive(busy)
    ack = ladder.request()
    assert (ack.via.branch, ack.uri, ack.to.tag) == (invite.via.branch, invite.uri, "callee")
    ladder.advance(31.9)
    ladder.receive(busy)
    ladder.shows("""
        << INVITE
        >> 486 INVITE
        << ACK
        ** Ended rejected 486
        >> 486 INVITE
        << ACK
    """)
    ladder.advance(0.2)
    ladder.nothing_left()


def test_without_ack_the_2xx_is_repeated_to_64_t1_then_bye() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER))
    ladder.do("accept", ladder.event(InviteReceived).leg, ANSWER)
    ladder.skip()
    ladder.advance(32)
    assert sends(ladder)[:-1] == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    assert [line for at, line in ladder.lines if at == 32.0] == ["<< BYE", "** Ended no_ack 408"]
    ladder.receive(phone.reply(ladder.request(), 200))
    ladder.settle()
    ladder.nothing_left()


def test_the_2xx_of_a_callee_is_acknowledged_each_time_until_timer_m() -> None:
    ladder, phone, _, invite = calling()
    answer = phone.reply(invite, 200, ANSWER)
    first = ladder.last_send().data
    ladder.receive(answer)
    assert ladder.last_send().data == first
    ladder.advance(31.9)
    ladder.receive(answer)
    ladder.advance(0.2)
    ladder.receive(answer)
    ladder.shows("""
        >> 200 INVITE
        << ACK
        >> 200 INVITE
        << ACK
        >> 200 INVITE
        ** Dropped stray_response
    """)


def test_every_repetition_is_told() -> None:
    ladder = Ladder()
    ladder.invite()
    ladder.advance(4)
    assert [event.what for event in ladder.events(Retransmitted)] == ["INVITE"] * 3
    assert ladder.endpoint.figures().retransmissions == 3


def test_other_timer_values_scale_the_schedule() -> None:
    ladder = Ladder(timers=TimerValues(t1=0.1, t2=0.4, t4=0.5))
    ladder.invite()
    ladder.settle()
    assert ladder.lines[-1] == (6.4, "** Ended timeout 408")


def test_a_late_wake_does_not_burst() -> None:
    ladder = Ladder()
    ladder.invite()
    effects = ladder.endpoint.wake(20.0)
    assert len([effect for effect in effects if isinstance(effect, SendDatagram)]) == 1


def test_an_early_wake_does_nothing() -> None:
    ladder = Ladder()
    ladder.invite()
    assert ladder.endpoint.wake(0.1) == []


def test_a_ringing_call_repeats_its_180_each_minute_and_is_reaped_when_nobody_answers() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER))
    ladder.do("ring", ladder.event(InviteReceived).leg)
    ladder.skip()
    ladder.advance(300)
    rings = [at for at, line in ladder.lines if line == "<< 180 INVITE"]
    assert rings == [0, 60, 120, 180, 240]
    assert [line for at, line in ladder.lines if at == 300][:2] == ["<< 480 INVITE", "** Ended timeout 480"]
    ladder.settle()
    ladder.nothing_left()


class TestTimerHeap:
    def test_runs_in_order_and_ties_in_the_order_they_were_set(self) -> None:
        heap, ran = TimerHeap(), list[str]()
        heap.at(2, lambda: ran.append("late"))
        heap.at(1, lambda: ran.append("first"))
        heap.at(1, lambda: ran.append("second"))
        heap.run_due(1)
        assert ran == ["first", "second"]
        assert heap.next_at() == 2

    def test_a_cancelled_timer_never_runs_and_does_not_count(self) -> None:
        heap, ran = TimerHeap(), list[str]()
        timer = heap.at(1, lambda: ran.append("x"))
        heap.cancel(timer)
        heap.cancel(timer)
        heap.cancel(None)
        assert (len(heap), heap.next_at()) == (0, None)
        heap.run_due(5)
        assert ran == []

    def test_ten_thousand_cancelled_timers_do_not_stay(self) -> None:
        heap = TimerHeap()
        for timer in [heap.at(1000 + n, lambda: None) for n in range(10_000)]:
            heap.cancel(timer)
        assert len(heap._heap) <= 1024  # pyright: ignore[reportPrivateUsage]
        assert len(heap) == 0
