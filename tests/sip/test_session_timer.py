"""Session timers (RFC 4028), both roles: terms, refreshes by UPDATE and re-INVITE, 422, expiry, glare."""

from __future__ import annotations

import pytest

from tests.sip.ladder import ANSWER, OFFER, Ladder, Phone
from voiceagent.sip.effects import AnswerReceived, Ended, InviteReceived, RefreshRefused
from voiceagent.sip.syntax.message import Request, Response

AWARE = "Supported: timer"
UPDATES = "Allow: INVITE, ACK, BYE, UPDATE"
HALF, END = 900.0, 1800.0 - 32.0


def called(*headers: str, **config: object) -> tuple[Ladder, Phone, str]:
    """The peer calls with ``headers``; answered and acknowledged at time 0."""
    ladder, phone = Ladder(**{"session_expires": 1800, **config}), Phone()
    ladder.receive(phone.request("INVITE", OFFER, *headers))
    leg = ladder.event(InviteReceived).leg
    ladder.do("accept", leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("ACK", cseq=phone.cseq))
    ladder.skip()
    return ladder, phone, leg


def calling(*headers: str, **config: object) -> tuple[Ladder, Phone, str]:
    """We call; the peer answers at time 0 with ``headers``."""
    ladder, phone = Ladder(**{"session_expires": 1800, **config}), Phone()
    leg = ladder.invite()
    ladder.receive(phone.reply(ladder.request(), 200, ANSWER, *headers))
    ladder.skip()
    return ladder, phone, leg


def said(message: Request | Response) -> tuple[str | None, str | None, str | None]:
    """Session-Expires, Min-SE and Require."""
    get = message.headers.get
    return get("Session-Expires"), get("Min-SE"), get("Require")


def accepted(ladder: Ladder) -> Response:
    """Our latest 200 to an INVITE."""
    found = [m for m in messages(ladder) if isinstance(m, Response) and m.status == 200]
    return [m for m in found if m.cseq.method == "INVITE"][-1]


def messages(ladder: Ladder) -> list[Request | Response]:
    sent = [line for _, line in ladder.lines if line.startswith("<<")]
    return [ladder.sent(n) for n in range(len(sent))]


# What is agreed on.

UAS_TABLE = [
    # our setting, the caller's headers, what our 200 says (RFC 4028 §9, table 2)
    ("auto", (), ("1800;refresher=uas", None)),
    ("peer", (), (None, None)),
    ("auto", (AWARE,), ("1800;refresher=uac", "timer")),
    ("us", (AWARE,), ("1800;refresher=uas", "timer")),
    ("us", (AWARE, "Session-Expires: 600;refresher=uac"), ("600;refresher=uac", "timer")),
    ("peer", (AWARE, "Session-Expires: 600;refresher=uas"), ("600;refresher=uas", "timer")),
    ("auto", (AWARE, "Session-Expires: 600"), ("600;refresher=uac", "timer")),
    ("auto", ("k: timer", "x: 600"), ("600;refresher=uac", "timer")),
    ("auto", ("Require: timer", "Session-Expires: 600"), ("600;refresher=uac", "timer")),
    ("auto", (AWARE, "Session-Expires: 7200"), ("1800;refresher=uac", "timer")),
    ("auto", (AWARE, "Session-Expires: 7200", "Min-SE: 3600"), ("3600;refresher=uac", "timer")),
    ("auto", (AWARE, "Session-Expires: 9999999999"), ("1800;refresher=uac", "timer")),
    ("auto", (AWARE, "Min-SE: 9999999999"), ("86400;refresher=uac", "timer")),
    ("auto", (AWARE, "Session-Expires: 90"), ("90;refresher=uac", "timer")),
    ("auto", ("Session-Expires: 600",), ("600;refresher=uas", None)),
    ("auto", ("Session-Expires: 20",), (None, None)),
]


@pytest.mark.parametrize(("refresher", "headers", "expected"), UAS_TABLE)
def test_what_our_200_says(
    refresher: str, headers: tuple[str, ...], expected: tuple[str | None, str | None]
) -> None:
    ladder, _, leg = called(*headers, session_refresher=refresher)
    value, _, require = said(accepted(ladder))
    assert (value, require) == expected
    interval = None if value is None else int(value.partition(";")[0])
    assert ladder.endpoint.session_interval(leg) == interval


@pytest.mark.parametrize("asked", ["0", "1", "89"])
def test_too_short_a_session_is_422_with_what_we_take(asked: str) -> None:
    ladder, phone = Ladder(session_expires=1800), Phone()
    ladder.receive(phone.request("INVITE", OFFER, AWARE, f"Session-Expires: {asked}"))
    ladder.shows("""
        >> INVITE
        << 422 INVITE
    """)
    assert ladder.response().headers.get("Min-SE") == "90"
    ladder.receive(phone.request("ACK", cseq=phone.cseq, branch="z9hG4bK-call-1-1"))
    ladder.receive(phone.request("INVITE", OFFER, AWARE, "Session-Expires: 90", "Min-SE: 90"))
    assert ladder.events(InviteReceived)


def test_a_malformed_interval_is_400() -> None:
    ladder = Ladder(session_expires=1800)
    ladder.receive(Phone().request("INVITE", OFFER, AWARE, "Session-Expires: soon"))
    assert ladder.response().status == 400


def test_without_session_timers_nothing_is_said_and_nothing_runs() -> None:
    ladder, _, leg = called(AWARE, "Session-Expires: 600", session_expires=0)
    assert said(accepted(ladder)) == (None, None, None)
    ladder.advance(10_000)
    ladder.shows("")
    assert ladder.endpoint.session_interval(leg) is None


def test_what_our_invite_says() -> None:
    for refresher, value in (("auto", "1800"), ("us", "1800;refresher=uac"), ("peer", "1800;refresher=uas")):
        ladder = Ladder(session_expires=1800, session_refresher=refresher)
        ladder.invite()
        assert said(ladder.request()) == (value, "90", None)
        assert ladder.request().supported == ["timer"]


def test_a_tag_that_is_configured_as_well_is_told_once() -> None:
    ladder = Ladder(session_expires=1800, reliable_provisionals="supported", supported=("replaces", "timer"))
    ladder.invite()
    assert ladder.request().supported == ["replaces", "timer", "100rel"]


UAC_TABLE = [
    # our setting, the callee's headers: interval, do we refresh, does it end by itself
    ("auto", ("Session-Expires: 600;refresher=uac", "Require: timer"), (600, True, True)),
    ("auto", ("Session-Expires: 600;refresher=uas",), (600, False, True)),
    ("auto", ("Session-Expires: 600",), (600, True, True)),
    ("auto", ("Session-Expires: 1;refresher=uac",), (90, True, True)),
    ("auto", ("Session-Expires: nonsense",), (1800, True, False)),
    ("auto", (), (1800, True, False)),
    ("peer", (), (None, False, False)),
]


@pytest.mark.parametrize(("refresher", "headers", "expected"), UAC_TABLE)
def test_what_the_callee_settles(
    refresher: str, headers: tuple[str, ...], expected: tuple[int | None, bool, bool]
) -> None:
    interval, we_refresh, ends = expected
    ladder, _, leg = calling(*headers, session_refresher=refresher)
    assert ladder.endpoint.session_interval(leg) == interval
    ladder.advance((interval or 600) / 2)
    asked = [line for _, line in ladder.lines if line == "<< INVITE"]
    assert len(asked) == 1 + we_refresh
    if ends and interval is not None and not we_refresh:
        ladder.advance(interval / 2)
        assert ladder.event(Ended).by == "expired"


def test_422_is_followed_with_a_longer_session() -> None:
    ladder, phone = Ladder(session_expires=1800), Phone()
    leg = ladder.invite()
    first = ladder.request()
    ladder.receive(phone.reply(first, 422, b"", "Min-SE: 2000"))
    second = ladder.request()
    assert said(second) == ("2000", "2000", None)
    assert (second.call_id, str(second.from_), str(second.to)) == (
        first.call_id,
        str(first.from_),
        "<sip:bob@127.0.0.1:5090>",
    )
    assert second.cseq.number == first.cseq.number + 1
    assert second.via.branch != first.via.branch
    assert second.body == first.body
    ladder.receive(phone.reply(second, 422, b"", "Min-SE: 3000", tag="other"))
    ladder.receive(phone.reply(ladder.request(), 200, ANSWER, "Session-Expires: 3000;refresher=uas"))
    ladder.shows("""
        << INVITE
        >> 422 INVITE
        << ACK
        << INVITE
        >> 422 INVITE
        << ACK
        << INVITE
        >> 200 INVITE
        << ACK
        ** Answered
    """)
    assert ladder.endpoint.session_interval(leg) == 3000


@pytest.mark.parametrize("min_se", [None, "1800", "20", "x", "86401", "9999999999"])
def test_a_422_that_leads_nowhere_is_a_refusal(min_se: str | None) -> None:
    ladder, phone = Ladder(session_expires=1800), Phone()
    ladder.invite()
    headers = [] if min_se is None else [f"Min-SE: {min_se}"]
    ladder.receive(phone.reply(ladder.request(), 422, b"", *headers))
    assert (ladder.event(Ended).by, ladder.event(Ended).status) == ("rejected", 422)
    ladder.settle()
    ladder.nothing_left()


def test_422_for_ever_is_a_refusal() -> None:
    ladder, phone = Ladder(session_expires=1800), Phone()
    ladder.invite()
    for more in range(1, 5):
        ladder.receive(phone.reply(ladder.request(), 422, b"", f"Min-SE: {1800 + more}", tag=f"t{more}"))
        ladder.receive(phone.reply(ladder.request(), 100, tag=""))
    assert ladder.event(Ended).status == 422
    assert len([line for _, line in ladder.lines if line == "<< INVITE"]) == 4


def test_a_call_given_up_is_not_made_again_by_422() -> None:
    ladder, phone = Ladder(session_expires=1800), Phone()
    leg = ladder.invite()
    invite = ladder.request()
    ladder.do("cancel", leg)
    ladder.receive(phone.reply(invite, 422, b"", "Min-SE: 3000"))
    assert [line for _, line in ladder.lines[-2:]] == [">> 422 INVITE", "<< ACK"]
    ladder.settle()
    ladder.nothing_left()


# We refresh.


def test_we_refresh_by_update_at_half_of_the_interval() -> None:
    ladder, phone, leg = called(AWARE, UPDATES, "Session-Expires: 1800;refresher=uas")
    for _ in range(3):
        ladder.skip()
        start = ladder.now
        ladder.advance(HALF - 0.01)
        ladder.shows("")
        ladder.advance(0.01)
        update = ladder.request()
        assert (update.method, update.body) == ("UPDATE", b"")
        assert said(update) == ("1800;refresher=uac", "90", None)
        ladder.receive(phone.reply(update, 200, b"", "Session-Expires: 1800;refresher=uac", "Require: timer"))
        ladder.shows("""
            << UPDATE
            >> 200 UPDATE
            ** SessionRefreshed UPDATE
        """)
        assert ladder.now == pytest.approx(start + HALF)
    ladder.do("hang_up", leg)
    ladder.receive(phone.reply(ladder.request(), 200))
    ladder.settle()
    ladder.nothing_left()


def test_we_refresh_by_reinvite_where_update_is_not_allowed() -> None:
    ladder, phone, _ = called(AWARE, "Allow: INVITE, ACK, BYE", "Session-Expires: 1800;refresher=uas")
    ladder.advance(HALF)
    invite = ladder.request()
    assert (invite.method, invite.body) == ("INVITE", ANSWER), "the same SDP, version and all"
    ladder.receive(phone.reply(invite, 200, OFFER, "Session-Expires: 1800;refresher=uac"))
    ladder.shows("""
        << INVITE
        >> 200 INVITE
        << ACK
        ** SessionRefreshed INVITE
    """)
    assert ladder.events(AnswerReceived) == []


def test_a_reinvite_repeats_what_was_agreed_last() -> None:
    ladder, phone, leg = called(AWARE, "Session-Expires: 1800;refresher=uas")
    hold = OFFER + b"a=sendonly\r\n"
    ladder.do("offer", leg, hold)
    ladder.receive(phone.reply(ladder.request(), 200, ANSWER, "Session-Expires: 1800;refresher=uac"))
    ladder.do("offer", leg, OFFER)
    ladder.receive(phone.reply(ladder.request(), 488))
    ladder.advance(HALF)
    assert ladder.request().body == hold
    ladder.receive(phone.reply(ladder.request(), 200, ANSWER, "Session-Expires: 1800;refresher=uac"))
    ladder.receive(phone.request("INVITE", OFFER, AWARE))
    ladder.do("answer_offer", leg, b"v=0\r\nlater")
    ladder.receive(phone.request("ACK", cseq=phone.cseq))
    ladder.advance(HALF)
    assert ladder.request().body == b"v=0\r\nlater"


def test_a_shorter_interval_in_the_answer_holds_from_then_on() -> None:
    ladder, phone, _ = called(AWARE, UPDATES, "Session-Expires: 1800;refresher=uas")
    ladder.advance(HALF)
    ladder.receive(phone.reply(ladder.request(), 200, b"", "Session-Expires: 200;refresher=uac"))
    ladder.skip()
    ladder.advance(100)
    ladder.shows("<< UPDATE")
    assert said(ladder.request())[0] == "200;refresher=uac"


def test_the_answer_may_hand_the_refreshing_over() -> None:
    ladder, phone, _ = called(AWARE, UPDATES, "Session-Expires: 1800;refresher=uas")
    ladder.advance(HALF)
    ladder.receive(phone.reply(ladder.request(), 200, b"", "Session-Expires: 1800;refresher=uas"))
    ladder.skip()
    ladder.advance(END - 0.01)
    ladder.shows("")
    ladder.advance(0.01)
    ladder.shows("""
        << BYE
        ** Ended expired 408
    """)


@pytest.mark.parametrize("status", [405, 501])
def test_an_update_that_the_peer_cannot_do_after_all_becomes_a_reinvite(status: int) -> None:
    ladder, phone, _ = called(AWARE, UPDATES, "Session-Expires: 1800;refresher=uas")
    ladder.advance(HALF)
    ladder.receive(phone.reply(ladder.request(), status))
    ladder.advance(0)
    invite = ladder.request()
    assert (invite.method, invite.body) == ("INVITE", ANSWER)
    ladder.receive(phone.reply(invite, 200, OFFER, "Session-Expires: 1800;refresher=uac"))
    ladder.skip()
    ladder.advance(HALF)
    ladder.shows("<< INVITE")


@pytest.mark.parametrize("update", [True, False])
def test_glare_is_settled_by_the_back_off(update: bool) -> None:
    ladder, phone, _ = called(AWARE, *([UPDATES] if update else []), "Session-Expires: 1800;refresher=uas")
    method = "UPDATE" if update else "INVITE"
    ladder.advance(HALF)
    ladder.receive(phone.reply(ladder.request(), 491))
    ladder.advance(2.01)
    assert ladder.request().method == method
    ladder.receive(phone.reply(ladder.request(), 200, b"" if update else OFFER))
    assert [line for _, line in ladder.lines[-1:]] == [f"** SessionRefreshed {method}"]


def test_a_422_to_a_refresh_is_followed() -> None:
    ladder, phone, leg = called(AWARE, UPDATES, "Session-Expires: 600;refresher=uas")
    ladder.advance(300)
    ladder.receive(phone.reply(ladder.request(), 422, b"", "Min-SE: 700"))
    ladder.advance(0)
    assert said(ladder.request()) == ("700;refresher=uac", "700", None)
    ladder.receive(phone.reply(ladder.request(), 200, b"", "Session-Expires: 700;refresher=uac"))
    assert ladder.endpoint.session_interval(leg) == 700


def test_a_refused_refresh_is_tried_again_until_the_session_is_over() -> None:
    ladder, phone, _ = called(AWARE, UPDATES, "Session-Expires: 90;refresher=uas")
    ladder.advance(45)
    ladder.skip()
    while not ladder.events(Ended):
        ladder.receive(phone.reply(ladder.request(), 503))
        ladder.advance(5)
    ladder.shows(
        """
        45.00 >> 503 UPDATE
        45.00 ** RefreshRefused UPDATE 503
        50.00 << UPDATE
        50.00 >> 503 UPDATE
        50.00 ** RefreshRefused UPDATE 503
        55.00 << UPDATE
        55.00 >> 503 UPDATE
        55.00 ** RefreshRefused UPDATE 503
        60.00 << BYE
        60.00 ** Ended expired 408
        """,
        times=True,
    )
    assert "session expired" in (ladder.request().headers.get("Reason") or "")


@pytest.mark.parametrize("headers", [(UPDATES,), ()])
@pytest.mark.parametrize("status", [408, 481])
def test_a_refresh_that_finds_no_dialog_ends_the_call(headers: tuple[str, ...], status: int) -> None:
    ladder, phone, _ = called(AWARE, *headers, "Session-Expires: 1800;refresher=uas")
    ladder.advance(HALF)
    ladder.receive(phone.reply(ladder.request(), status))
    assert ladder.event(RefreshRefused).status == status
    assert (ladder.event(Ended).by, ladder.event(Ended).status) == ("failed", status)
    assert [line for _, line in ladder.lines].count("<< BYE") == (status == 408)
    ladder.settle()
    ladder.nothing_left()


def test_a_refresh_without_any_answer_ends_the_call_with_bye() -> None:
    ladder, _, _ = called(AWARE, UPDATES, "Session-Expires: 1800;refresher=uas")
    ladder.advance(HALF + 31.9)
    ladder.skip()
    ladder.advance(0.1)
    ladder.shows("""
        ** RefreshRefused UPDATE 408
        << BYE
        ** Ended failed 408
    """)
    ladder.settle()
    ladder.nothing_left()


# A peer that knows no timers.


def test_a_peer_without_timers_is_refreshed_by_us_and_forgiven_its_refusals() -> None:
    ladder, phone, _ = called()
    for _ in range(2):
        ladder.advance(HALF)
        assert ladder.request().method == "INVITE"
        ladder.receive(phone.reply(ladder.request(), 488))
    ladder.advance(HALF)
    ladder.receive(phone.reply(ladder.request(), 481))
    assert (ladder.event(Ended).by, ladder.event(Ended).status) == ("failed", 481)


def test_a_callee_without_timers_is_refreshed_by_us() -> None:
    ladder, phone, leg = calling()
    ladder.advance(HALF)
    assert ladder.request().body == OFFER
    ladder.receive(phone.reply(ladder.request(), 200, ANSWER))
    ladder.do("hang_up", leg)
    ladder.receive(phone.reply(ladder.request(), 200))
    ladder.settle()
    ladder.nothing_left()


# The peer refreshes.


def test_without_a_refresh_of_the_peer_the_session_ends_in_time() -> None:
    ladder, phone, _ = called(AWARE, "Session-Expires: 1800")
    ladder.advance(END - 0.01)
    ladder.shows("")
    ladder.advance(0.01)
    ladder.shows("""
        << BYE
        ** Ended expired 408
    """)
    assert ladder.event(Ended).reason == "session expired"
    ladder.receive(phone.reply(ladder.request(), 200))
    ladder.settle()
    ladder.nothing_left()


@pytest.mark.parametrize("interval", [90, 96, 120, 1800])
def test_the_end_comes_a_third_or_32_seconds_before_the_interval_is_over(interval: int) -> None:
    ladder, _, _ = called(AWARE, f"Session-Expires: {interval}")
    ladder.advance(interval)
    at = next(at for at, line in ladder.lines if line == "<< BYE")
    assert at == pytest.approx(interval - min(32, interval / 3))


def test_the_peers_update_restarts_the_interval() -> None:
    ladder, phone, _ = called(AWARE, "Session-Expires: 1800")
    for _ in range(3):
        ladder.advance(1700)
        ladder.receive(phone.request("UPDATE", b"", AWARE, "Session-Expires: 1800;refresher=uac"))
        assert said(ladder.response()) == ("1800;refresher=uac", None, "timer")
    ladder.advance(END - 0.01)
    assert ladder.events(Ended) == []
    ladder.advance(0.01)
    assert ladder.event(Ended).by == "expired"


def test_the_peers_reinvite_restarts_the_interval_with_its_200() -> None:
    ladder, phone, leg = called(AWARE, "Session-Expires: 1800")
    ladder.advance(1700)
    ladder.receive(phone.request("INVITE", OFFER, AWARE, "Session-Expires: 600;refresher=uac"))
    ladder.do("answer_offer", leg, ANSWER)
    assert said(ladder.response()) == ("600;refresher=uac", None, "timer")
    ladder.receive(phone.request("ACK", cseq=phone.cseq))
    ladder.skip()
    ladder.advance(568)
    ladder.shows("""
        << BYE
        ** Ended expired 408
    """)


def test_a_refused_offer_restarts_nothing() -> None:
    ladder, phone, leg = called(AWARE, "Session-Expires: 1800")
    ladder.advance(1700)
    ladder.receive(phone.request("INVITE", OFFER, AWARE, "Session-Expires: 1800"))
    ladder.do("refuse_offer", leg, 488)
    ladder.receive(phone.request("ACK", cseq=phone.cseq, branch=f"z9hG4bK-call-1-{phone.branches}"))
    ladder.advance(68)
    assert ladder.event(Ended).by == "expired"


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_refresh_may_not_shorten_the_session_below_our_least(method: str) -> None:
    ladder, phone, _ = called(AWARE, "Session-Expires: 1800")
    ladder.receive(phone.request(method, OFFER, AWARE, "Session-Expires: 60"))
    assert (ladder.response().status, said(ladder.response())[1]) == (422, "90")
    assert ladder.events(AnswerReceived) == []
    assert ladder.endpoint.figures().legs == 1


def test_an_exchange_of_the_application_refreshes_as_well() -> None:
    ladder, phone, leg = called(AWARE, "Session-Expires: 1800;refresher=uas")
    ladder.advance(800)
    ladder.do("offer", leg, OFFER)
    assert said(ladder.request())[0] == "1800;refresher=uac"
    ladder.receive(phone.reply(ladder.request(), 200, ANSWER, "Session-Expires: 1800;refresher=uac"))
    ladder.skip()
    ladder.advance(899)
    ladder.shows("")
    ladder.advance(1)
    ladder.shows("<< INVITE")


def test_a_refresh_waits_while_another_exchange_is_under_way() -> None:
    ladder, phone, leg = called(AWARE, "Session-Expires: 1800;refresher=uas")
    ladder.advance(HALF - 1)
    ladder.receive(phone.request("INVITE", OFFER, AWARE))
    ladder.skip()
    ladder.advance(2)
    ladder.shows("")
    ladder.do("answer_offer", leg, ANSWER)
    ladder.receive(phone.request("ACK", cseq=phone.cseq))
    ladder.skip()
    ladder.advance(HALF - 1)
    ladder.shows("")


def test_an_offer_of_the_application_waits_for_a_refresh_under_way() -> None:
    ladder, phone, leg = called(AWARE, UPDATES, "Session-Expires: 1800;refresher=uas")
    ladder.advance(HALF)
    ladder.do("offer", leg, OFFER)
    ladder.receive(phone.reply(ladder.request(), 200, b"", "Session-Expires: 1800;refresher=uac"))
    ladder.receive(phone.reply(ladder.request(), 200, ANSWER, "Session-Expires: 1800;refresher=uac"))
    ladder.shows("""
        << UPDATE
        >> 200 UPDATE
        ** SessionRefreshed UPDATE
        << INVITE
        >> 200 INVITE
        << ACK
        ** AnswerReceived 200
    """)
