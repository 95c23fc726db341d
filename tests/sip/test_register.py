"""Registrations and keep-alives of trunks, on virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sip.ladder import Ladder, Phone
from tests.sip.trunk_phone import CARRIER, gated, phone_at, trunk
from voiceagent.sip.effects import Address, SendDatagram, TrunkState
from voiceagent.sip.syntax.message import Request
from voiceagent.sip.syntax.parser import parse_datagram
from voiceagent.sip.trunk.trunk_keeper import TrunkStatus

SECOND = Address("192.0.2.11", 5060)
CONTACT = "<sip:me@127.0.0.1:5060>"


def registering(*servers: Address, **rules: Any) -> tuple[Ladder, Phone]:
    one = trunk(
        "carrier",
        servers=servers or (CARRIER,),
        domain="carrier.example",
        username="me",
        password="pw",
        register=True,
        **rules,
    )
    ladder = gated(one)
    ladder.do("open_trunks")
    return ladder, phone_at(CARRIER)


def reply(ladder: Ladder, phone: Phone, status: int, *headers: str, source: Address = CARRIER) -> None:
    ladder.receive(phone.reply(ladder.request(), status, b"", *headers, contact=""), source)


def granted(ladder: Ladder, phone: Phone, seconds: int = 600) -> None:
    reply(ladder, phone, 200, f"Contact: {CONTACT};expires={seconds}")


def challenge(ladder: Ladder, phone: Phone, nonce: str = "n1", stale: str = "false") -> None:
    line = f'Digest realm="carrier", nonce="{nonce}", algorithm=SHA-256, qop="auth", stale={stale}'
    reply(ladder, phone, 401, f"WWW-Authenticate: {line}")


def states(ladder: Ladder) -> list[str]:
    return [event.state for event in ladder.events(TrunkState)]


def status(ladder: Ladder) -> TrunkStatus:
    (one,) = ladder.endpoint.trunk_status()
    return one


def sent_at(ladder: Ladder) -> list[Address]:
    return [one.destination for one in ladder.events(SendDatagram)]


def next_request(ladder: Ladder) -> float:
    """Let time pass until something is sent; return how long it took."""
    began, count = ladder.now, len(sent_at(ladder))
    while len(sent_at(ladder)) == count:
        due = ladder.endpoint.wake_at()
        assert due is not None
        ladder.advance(due - ladder.now)
    return ladder.now - began


def test_a_registration_with_digest() -> None:
    ladder, phone = registering()
    first = ladder.request()
    assert (first.method, first.uri) == ("REGISTER", "sip:carrier.example")
    assert first.headers.get("To") == "<sip:me@carrier.example>"
    assert (first.headers.get("Contact"), first.headers.get("Expires")) == (CONTACT, "600")
    challenge(ladder, phone)
    again = ladder.request()
    assert (again.call_id, again.cseq.number) == (first.call_id, 2)
    granted(ladder, phone)
    ladder.shows("""
        << REGISTER
        >> 401 REGISTER
        << REGISTER
        >> 200 REGISTER
        ** TrunkState registered
    """)
    assert (status(ladder).up, status(ladder).registration) == (True, "registered")


def test_it_is_refreshed_before_its_end_with_the_nonce_it_has() -> None:
    ladder, phone = registering()
    challenge(ladder, phone)
    for refresh in range(20):
        granted(ladder, phone, 300)
        assert 300 * 0.8 - 0.01 <= next_request(ladder) <= 300 * 0.9
        request = ladder.request()
        assert request.cseq.number == refresh + 3
        assert f"nc={refresh + 2:08x}" in (request.headers.get("Authorization") or "")
    assert states(ladder) == ["registered"]


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        ((f"Contact: {CONTACT};expires=120", "Expires: 3600"), 120),
        ((f"Contact: {CONTACT}", "Expires: 200"), 200),
        (("Contact: <sip:other@192.0.2.200>;expires=30", f"Contact: {CONTACT};expires=90"), 90),
        (("Contact: <sip:127.0.0.1:5060;ob>;expires=80",), 80),
        (("Expires: 60",), 60),
        ((), 600),
        ((f"Contact: {CONTACT};expires=2",), 2),
        ((f"Contact: {CONTACT};expires=x",), 600),
    ],
)
def test_the_time_granted(lines: tuple[str, ...], seconds: int) -> None:
    ladder, phone = registering()
    reply(ladder, phone, 200, *lines)
    assert f"for {seconds} s" in ladder.event(TrunkState).detail
    count = len(sent_at(ladder))
    ladder.advance(seconds * 0.4)
    assert len(sent_at(ladder)) == count
    ladder.advance(seconds * 0.5)
    assert ladder.request().cseq.number == 2


def test_a_200_without_our_contact_is_no_registration() -> None:
    ladder, phone = registering()
    reply(ladder, phone, 200, "Contact: <sip:other@192.0.2.200>;expires=30")
    assert status(ladder).registration == "failed"
    assert not status(ladder).up


def test_423_raises_the_time_asked_for_once() -> None:
    ladder, phone = registering(expires_s=60)
    reply(ladder, phone, 423, "Min-Expires: 1800")
    assert ladder.request().headers.get("Expires") == "1800"
    granted(ladder, phone, 1800)
    assert states(ladder) == ["registered"]
    for bad in ("", "Min-Expires: 30", "Min-Expires: 99999999", "Min-Expires: x"):
        ladder, phone = registering(expires_s=60)
        reply(ladder, phone, 423, *([bad] if bad else []))
        assert states(ladder) == ["failed"]


def test_the_next_server_and_then_a_growing_pause() -> None:
    ladder, phone = registering(CARRIER, SECOND)
    reply(ladder, phone, 500)
    assert ladder.last_send().destination == SECOND
    reply(ladder, phone, 503, source=SECOND)
    assert states(ladder) == ["registering", "failed"]
    pauses: list[float] = []
    for _ in range(9):
        pauses.append(next_request(ladder))
        assert ladder.last_send().destination == CARRIER
        reply(ladder, phone, 500)
        assert ladder.last_send().destination == SECOND
        reply(ladder, phone, 302, "Contact: <sip:evil@203.0.113.1>", source=SECOND)  # not followed
    for pause, expected in zip(pauses, (30, 60, 120, 240, 480, 960, 1800, 1800, 1800), strict=True):
        assert expected * 0.8 <= pause <= min(expected * 1.2, 1800)
    assert {host.host for host in sent_at(ladder)} == {CARRIER.host, SECOND.host}


def test_silence_moves_on_after_ten_seconds() -> None:
    ladder, _ = registering(CARRIER, SECOND)
    ladder.advance(9.9)
    assert {one.host for one in sent_at(ladder)} == {CARRIER.host}
    ladder.advance(0.2)
    assert ladder.last_send().destination == SECOND
    late = ladder.events(SendDatagram)[0].data
    request = parse_datagram(late)
    assert isinstance(request, Request)
    ladder.receive(phone_at(CARRIER).reply(request, 200, b"", "Expires: 60", contact=""), CARRIER)
    assert status(ladder).registration == "registering"  # an answer that nobody waits for any more


def test_an_unreachable_server_is_left_at_once_and_a_lost_refresh_goes_elsewhere() -> None:
    ladder, phone = registering(CARRIER, SECOND)
    granted(ladder, phone, 100)
    next_request(ladder)
    ladder.do("transport_failed", CARRIER)
    assert ladder.last_send().destination == SECOND
    reply(ladder, phone, 200, "Expires: 100", source=SECOND)
    assert states(ladder) == ["registered", "registering", "registered"]
    next_request(ladder)
    assert ladder.last_send().destination == SECOND  # it stays where it works


def test_retry_after_is_kept() -> None:
    ladder, phone = registering()
    reply(ladder, phone, 503, "Retry-After: 300 (maintenance);duration=3600")
    count = len(sent_at(ladder))
    ladder.advance(299)
    assert len(sent_at(ladder)) == count
    ladder.advance(2)
    assert len(sent_at(ladder)) > count


def test_a_refused_password_is_loud_and_slow() -> None:
    for refusal in (403, 401, 404):
        ladder, phone = registering(CARRIER, SECOND)
        challenge(ladder, phone)
        if refusal == 401:
            challenge(ladder, phone, "n2")
        else:
            reply(ladder, phone, refusal)
        assert states(ladder) == ["refused"]
        assert str(refusal) in ladder.event(TrunkState).detail
        count = len(sent_at(ladder))
        ladder.advance(1800 * 0.8 - 1)
        assert len(sent_at(ladder)) == count
        ladder.advance(1800 * 0.2 + 2)
        assert len(sent_at(ladder)) > count
        # and without the answer that was wrong, unasked
        assert refusal != 401 or "Authorization" not in ladder.request().headers


def test_a_stale_nonce_costs_one_more_round_trip() -> None:
    ladder, phone = registering()
    challenge(ladder, phone)
    granted(ladder, phone, 100)
    next_request(ladder)
    challenge(ladder, phone, "n2", stale="true")
    granted(ladder, phone, 100)
    assert states(ladder) == ["registered"]
    assert 'nonce="n2"' in (ladder.request().headers.get("Authorization") or "")


def test_it_is_taken_back() -> None:
    ladder, phone = registering()
    challenge(ladder, phone)
    granted(ladder, phone)
    ladder.skip()
    ladder.do("close_trunks")
    assert ladder.request().headers.get("Expires") == "0"
    assert "nc=00000002" in (ladder.request().headers.get("Authorization") or "")
    reply(ladder, phone, 200)
    ladder.do("close_trunks")
    ladder.shows("""
        << REGISTER
        >> 200 REGISTER
        ** TrunkState unregistered
    """)
    ladder.settle()
    ladder.nothing_left()


@pytest.mark.parametrize("moment", ["unanswered", "failed", "silent"])
def test_taking_it_back_always_comes_to_an_end(moment: str) -> None:
    ladder, phone = registering()
    if moment == "failed":
        reply(ladder, phone, 500)
    if moment == "silent":
        granted(ladder, phone)
    ladder.do("close_trunks")
    ladder.advance(11)
    assert states(ladder)[-1] == "unregistered"
    ladder.settle()
    ladder.nothing_left()


def test_a_retreat_takes_it_back_and_the_way_back_is_a_registration_of_its_own() -> None:
    ladder, phone = registering()
    granted(ladder, phone)
    first = ladder.request().call_id
    ladder.do("close_trunks", retreat=True)
    assert ladder.request().headers.get("Expires") == "0"
    reply(ladder, phone, 200)
    assert status(ladder).registration == "unregistered"
    ladder.advance(3600)
    assert status(ladder).registration == "unregistered", "nobody registers while no calls are wanted"
    ladder.do("open_trunks")
    assert ladder.request().call_id != first
    assert ladder.request().headers.get("Expires") != "0"
    granted(ladder, phone)
    assert status(ladder).registration == "registered"
    ladder.do("close_trunks")
    reply(ladder, phone, 200)
    ladder.settle()
    ladder.nothing_left()


def test_a_lost_connection_is_made_good_at_once() -> None:
    by_tcp = Address("192.0.2.10", 5060, "tcp")
    flow = by_tcp._replace(flow=7)
    ladder, phone = registering(by_tcp)
    ladder.do("flow_opened", flow)
    ladder.receive(phone.reply(ladder.request(), 200, b"", "Expires: 600", contact=""), flow)
    assert ladder.endpoint.flow_in_use(7)
    ladder.do("flow_closed", flow)
    count = len(sent_at(ladder))
    ladder.advance(2.1)
    assert len(sent_at(ladder)) == count + 1
    assert ladder.last_send().destination == by_tcp
    assert states(ladder) == ["registered", "registering"]
    assert not ladder.endpoint.flow_in_use(7)


# Keep-alives.


def pinging(*servers: Address, keepalive_s: float = 30.0) -> tuple[Ladder, Phone]:
    ladder = gated(
        trunk("carrier", servers=servers or (CARRIER,), domain="carrier.example", keepalive_s=keepalive_s)
    )
    ladder.do("open_trunks")
    return ladder, phone_at(CARRIER)


@pytest.mark.parametrize("answer", [200, 401, 404, 405, 486, 500])
def test_any_answer_is_a_sign_of_life(answer: int) -> None:
    ladder, phone = pinging()
    assert (ladder.request().method, ladder.request().uri) == ("OPTIONS", "sip:carrier.example")
    assert (status(ladder).keepalive, status(ladder).up) == ("unknown", True)
    reply(ladder, phone, answer)
    assert (states(ladder), status(ladder).keepalive) == (["up"], "up")
    assert 27.0 <= next_request(ladder) <= 30.0
    reply(ladder, phone, answer)
    assert states(ladder) == ["up"]


def test_three_silences_say_down_and_one_answer_up() -> None:
    ladder, phone = pinging()
    reply(ladder, phone, 200)
    for silences in range(3):
        assert (states(ladder), status(ladder).up) == (["up"], True), silences
        next_request(ladder)
        ladder.advance(5.1)
    assert (states(ladder), status(ladder).up) == (["up", "down"], False)
    assert "no answer" in status(ladder).detail
    next_request(ladder)
    reply(ladder, phone, 200)
    assert (states(ladder), status(ladder).up) == (["up", "down", "up"], True)


def test_503_and_408_are_no_signs_of_life_and_failures_must_be_in_a_row() -> None:
    ladder, phone = pinging()
    for answers in ((503, 408, 200), (503, 503, 503)):
        for answer in answers:
            reply(ladder, phone, answer)
            next_request(ladder)
    assert states(ladder) == ["up", "down"]


def test_calls_go_to_servers_that_live_first() -> None:
    ladder, phone = pinging(CARRIER, SECOND)
    for _ in range(3):
        for effect in [one for one in ladder.effects if isinstance(one, SendDatagram)]:
            request = parse_datagram(effect.data)
            assert isinstance(request, Request)
            if effect.destination == SECOND:
                ladder.receive(phone.reply(request, 200, contact=""), SECOND)
        ladder.do("transport_failed", CARRIER)
        ladder.effects.clear()
        ladder.advance(30)
    assert status(ladder).servers == (("192.0.2.10:5060/udp", "down"), ("192.0.2.11:5060/udp", "up"))
    assert (status(ladder).up, status(ladder).keepalive) == (True, "up")
    _, effects = ladder.endpoint.invite(
        "sip:1@x", from_uri="sip:a@b", sdp=b"v=0\r\n", now=ladder.now, trunk="carrier"
    )
    assert [one.destination for one in effects if isinstance(one, SendDatagram)] == [SECOND]


def test_keep_alives_end_with_the_trunks() -> None:
    ladder, _ = pinging()
    ladder.do("close_trunks")
    ladder.settle()
    ladder.nothing_left()


def test_keep_alives_outlive_a_retreat_for_the_calls_that_run() -> None:
    ladder, phone = pinging()
    ladder.do("close_trunks", retreat=True)
    for _ in range(3):
        reply(ladder, phone, 200)
        next_request(ladder)
    assert status(ladder).up
    ladder.do("open_trunks")
    assert len(sent_at(ladder)) == 4, "they are not begun twice"


def test_an_options_of_the_trunk_is_answered() -> None:
    ladder = gated(trunk("carrier", "192.0.2.10/32"))
    ladder.receive(phone_at(CARRIER).request("OPTIONS"), CARRIER)
    assert ladder.response().status == 200


def test_a_trunk_server_may_answer_but_not_call() -> None:
    ladder, phone = registering()
    granted(ladder, phone)
    ladder.skip()
    ladder.receive(phone.request("INVITE", b"v=0\r\n"), CARRIER)
    ladder.shows("""
        >> INVITE
        ** Dropped unknown_source
    """)
