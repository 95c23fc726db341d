"""Inbound calls: set-up, endings, and every way in which they cross."""

from __future__ import annotations

import pytest

from tests.sip.ladder import ANSWER, OFFER, PHONE, Ladder, Phone, established
from voiceagent.errors import SipError
from voiceagent.sip.effects import Confirmed, Ended, InviteReceived, SendDatagram


def offered(**config: object) -> tuple[Ladder, Phone, str]:
    ladder, phone = Ladder(**config), Phone()
    ladder.receive(phone.request("INVITE", OFFER))
    ladder.skip()
    return ladder, phone, ladder.event(InviteReceived).leg


def test_a_whole_call() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER))
    leg = ladder.event(InviteReceived).leg
    ladder.do("ring", leg)
    ladder.do("ring", leg, status=183, sdp=ANSWER)
    ladder.do("accept", leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("ACK", cseq=1))
    ladder.receive(phone.request("BYE", b"", 'Reason: SIP;cause=200;text="bye"'))
    ladder.shows("""
        >> INVITE
        << 100 INVITE
        ** InviteReceived
        << 180 INVITE
        << 183 INVITE
        << 200 INVITE
        >> ACK
        ** Confirmed
        >> BYE
        << 200 BYE
        ** Ended peer
    """)
    assert ladder.event(Ended).reason == 'SIP;cause=200;text="bye"'
    ladder.settle()
    ladder.nothing_left()


def test_what_the_invite_claims_is_told() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER, "X-Account: 7", "Diversion: <sip:1@a>"))
    event = ladder.event(InviteReceived)
    assert (event.called_user, event.caller_user, event.caller_name) == ("100", "alice", "Alice")
    assert (event.call_id, event.source, event.offer) == ("call-1", PHONE, OFFER)
    assert ("x-account", "7") in [(name.lower(), value) for name, value in event.headers]


def test_responses_share_one_to_tag_and_the_100_has_none() -> None:
    ladder, _, leg = offered()
    assert ladder.response().to.tag is None
    ladder.do("ring", leg)
    ringing = ladder.response()
    ladder.do("accept", leg, ANSWER)
    answer = ladder.response()
    assert ringing.to.tag == answer.to.tag is not None
    assert answer.contact is not None
    assert answer.contact.uri_text == "sip:100@127.0.0.1:5060"


def test_hang_up_before_the_answer_is_a_decline() -> None:
    ladder, _, leg = offered()
    ladder.do("hang_up", leg)
    ladder.shows("""
        << 603 INVITE
        ** Ended us 603
    """)


def test_hang_up_before_the_ack_waits_with_the_bye() -> None:
    ladder, phone, leg = offered()
    ladder.do("accept", leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.do("hang_up", leg, reason="done")
    ladder.advance(0.6)
    ladder.receive(phone.request("ACK", cseq=1))
    ladder.shows("""
        << 200 INVITE
        ** Ended us
        << 200 INVITE
        >> ACK
        << BYE
    """)
    assert ladder.request().headers.get("Reason") == 'SIP;cause=200;text="done"'
    ladder.receive(phone.reply(ladder.request(), 200))
    ladder.settle()
    ladder.nothing_left()


def test_hang_up_in_a_call_sends_bye_and_forgets_the_dialog_with_its_answer() -> None:
    ladder, phone, leg = established()
    ladder.do("hang_up", leg)
    bye = ladder.request()
    assert bye.uri == "sip:alice@127.0.0.1:5090"
    assert (bye.from_.tag, bye.to.tag) == (phone.to_tag, phone.tag)
    ladder.receive(phone.reply(bye, 200))
    assert ladder.endpoint.figures().dialogs == 0
    ladder.receive(phone.request("INFO"))
    ladder.shows("""
        << BYE
        ** Ended us
        >> 200 BYE
        >> INFO
        << 481 INFO
    """)
    ladder.settle()
    ladder.nothing_left()


def test_byes_that_cross_are_both_answered() -> None:
    ladder, phone, leg = established()
    ladder.do("hang_up", leg)
    ours = ladder.request()
    ladder.receive(phone.request("BYE"))
    ladder.receive(phone.reply(ours, 481))
    ladder.shows("""
        << BYE
        ** Ended us
        >> BYE
        << 200 BYE
        >> 481 BYE
    """)
    ladder.settle()
    ladder.nothing_left()


def test_cancel_gets_its_200_and_the_invite_its_487() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER, branch="z9hG4bKx"))
    ladder.do("ring", ladder.event(InviteReceived).leg)
    ladder.receive(phone.request("CANCEL", b"", "Reason: SIP;cause=600", cseq=1, branch="z9hG4bKx"))
    ladder.receive(phone.request("ACK", cseq=1, branch="z9hG4bKx"))
    ladder.shows("""
        >> INVITE
        << 100 INVITE
        ** InviteReceived
        << 180 INVITE
        >> CANCEL
        << 200 CANCEL
        << 487 INVITE
        ** Ended cancelled 487
        >> ACK
    """)
    assert ladder.event(Ended).reason == "SIP;cause=600"
    assert len({ladder.sent(n).to.tag for n in (1, 2, 3)}) == 1
    ladder.settle()
    ladder.nothing_left()


def test_cancel_that_crosses_the_200_changes_nothing() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER, branch="z9hG4bKx"))
    leg = ladder.event(InviteReceived).leg
    ladder.do("accept", leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("CANCEL", cseq=1, branch="z9hG4bKx", to_tag=""))
    ladder.receive(phone.request("ACK", cseq=1))
    ladder.shows("""
        >> INVITE
        << 100 INVITE
        ** InviteReceived
        << 200 INVITE
        >> CANCEL
        << 200 CANCEL
        >> ACK
        ** Confirmed
    """)


def test_cancel_for_nothing_is_481() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("CANCEL"))
    assert ladder.response().status == 481


def test_commands_after_a_cancel_mean_nothing_or_say_so() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER, branch="z9hG4bKx"))
    leg = ladder.event(InviteReceived).leg
    ladder.receive(phone.request("CANCEL", cseq=1, branch="z9hG4bKx"))
    for command, args in (("ring", ()), ("reject", (486, "")), ("hang_up", ()), ("cancel", ())):
        assert ladder.do(command, leg, *args) == []
    assert ladder.do("answer_offer", leg, ANSWER) == ladder.do("refuse_offer", leg, 488) == []
    for command, args in (("accept", (ANSWER,)), ("offer", (OFFER,)), ("refer", ("sip:x@y",)), ("probe", ())):
        with pytest.raises(SipError) as caught:
            ladder.do(command, leg, *args)
        assert caught.value.code == "no_such_leg"


def test_accept_twice_is_refused_and_sends_nothing() -> None:
    ladder, _, leg = offered()
    ladder.do("accept", leg, ANSWER)
    with pytest.raises(SipError) as caught:
        ladder.do("accept", leg, ANSWER)
    assert caught.value.code == "bad_state"
    assert ladder.do("ring", leg) == ladder.do("reject", leg, 486, "") == []


def test_a_rejection_carries_its_headers() -> None:
    ladder, _, leg = offered()
    ladder.do("reject", leg, 503, "Full\r\nX-Evil: 1", headers=[("Retry-After", "7\r\nX-Evil: 2")])
    response = ladder.response()
    assert response.headers.get("Retry-After") == "7 X-Evil: 2"
    assert "X-Evil" not in response.headers
    assert response.reason == "Full X-Evil: 1"


def test_a_late_offer_call_brings_its_answer_in_the_ack() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE"))
    assert ladder.event(InviteReceived).offer is None
    ladder.do("accept", ladder.event(InviteReceived).leg, OFFER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("ACK", ANSWER, cseq=1))
    assert ladder.event(Confirmed).answer == ANSWER


def test_an_ack_on_the_invites_own_branch_is_taken_too() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER, branch="z9hG4bKx"))
    ladder.do("accept", ladder.event(InviteReceived).leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("ACK", cseq=1, branch="z9hG4bKx"))
    assert ladder.events(Confirmed)
    ladder.skip()
    ladder.settle()
    ladder.shows("")


def test_a_second_ack_is_absorbed() -> None:
    ladder, phone, _ = established()
    ladder.receive(phone.request("ACK", cseq=1))
    ladder.shows(">> ACK")


def test_bye_before_the_ack_ends_the_call_and_the_repetitions() -> None:
    ladder, phone, leg = offered()
    ladder.do("accept", leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("BYE"))
    ladder.settle()
    ladder.shows("""
        << 200 INVITE
        >> BYE
        << 200 BYE
        ** Ended peer
    """)
    ladder.nothing_left()


def test_bye_in_an_early_dialog_ends_the_invite_with_487() -> None:
    ladder, phone, leg = offered()
    ladder.do("ring", leg)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("BYE"))
    ladder.shows("""
        << 180 INVITE
        >> BYE
        << 200 BYE
        << 487 INVITE
        ** Ended peer
    """)


@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE", "NOTIFY", "OPTIONS", "INVITE"])
def test_requests_of_an_unknown_dialog_are_481(method: str) -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request(method, to_tag="nobody"))
    assert ladder.response().status == 481


@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE", "NOTIFY"])
def test_in_dialog_methods_without_a_dialog_are_481(method: str) -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request(method))
    assert ladder.response().status == 481


@pytest.mark.parametrize("method", ["MESSAGE", "SUBSCRIBE", "PUBLISH", "REGISTER", "REFER", "PRACK"])
def test_methods_we_do_not_take_are_405_with_allow(method: str) -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request(method))
    response = ladder.response()
    assert response.status == 405
    assert response.headers.get("Allow") == "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, NOTIFY"


def test_a_method_nobody_knows_is_501() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("DANCE"))
    assert ladder.response().status == 501


def test_refer_outside_of_a_dialog_is_refused_even_where_allowed() -> None:
    ladder, phone = Ladder(allow_refer=True), Phone()
    ladder.receive(phone.request("REFER", b"", "Refer-To: <sip:2@x>"))
    assert ladder.response().status == 403


@pytest.mark.parametrize("inside", [False, True])
def test_options_tells_what_we_can(inside: bool) -> None:
    ladder, phone = established()[:2] if inside else (Ladder(supported=("timer",)), Phone())
    ladder.receive(phone.request("OPTIONS"))
    response = ladder.response()
    assert response.status == 200
    assert response.headers.get("Accept") == "application/sdp"
    assert "INVITE" in (response.headers.get("Allow") or "")
    assert response.headers.get("Supported") == ("" if inside else "timer")


def test_an_old_cseq_in_the_dialog_is_500() -> None:
    ladder, phone, _ = established()
    ladder.receive(phone.request("INFO", cseq=9))
    ladder.receive(phone.request("INFO", cseq=4))
    assert ladder.response().status == 500
    ladder.receive(phone.request("INFO", cseq=10))
    assert ladder.response().status == 200


@pytest.mark.parametrize(
    ("content_type", "status"),
    [("application/dtmf-relay", 200), ("application/dtmf", 200), ("text/plain", 415)],
)
def test_info_takes_digits_only(content_type: str, status: int) -> None:
    ladder, phone, _ = established()
    ladder.receive(phone.request("INFO", b"5", content_type=content_type))
    assert ladder.response().status == status
    if status == 415:
        assert ladder.response().headers.get("Accept") == "application/dtmf-relay, application/dtmf"


def test_send_info_goes_out_in_order() -> None:
    ladder, phone, leg = established()
    ladder.do("send_info", leg, "application/dtmf", b"5")
    first = ladder.request()
    ladder.do("send_info", leg, "application/dtmf", b"6")
    second = ladder.request()
    assert (first.cseq.number + 1, first.body, second.body) == (second.cseq.number, b"5", b"6")
    ladder.receive(phone.reply(first, 415))
    assert ladder.endpoint.figures().counts["info_refused"] == 1


def test_a_probe_ends_a_call_that_the_peer_has_forgotten() -> None:
    ladder, phone, leg = established()
    ladder.do("probe", leg)
    ladder.receive(phone.reply(ladder.request(), 200))
    ladder.do("probe", leg)
    ladder.receive(phone.reply(ladder.request(), 481))
    ladder.shows("""
        << OPTIONS
        >> 200 OPTIONS
        << OPTIONS
        >> 481 OPTIONS
        ** Ended failed 481
    """)
    ladder.settle()
    ladder.nothing_left()


# Who may speak.


def test_only_loopback_is_heard_by_default() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER), ("192.0.2.1", 5060))
    ladder.shows("""
        >> INVITE
        ** Dropped unknown_source
    """)
    assert ladder.endpoint.figures().counts == {"drop_unknown_source": 1}


def test_strangers_get_a_stateless_403_where_wanted() -> None:
    ladder, phone = Ladder(refuse_unknown_sources=True), Phone()
    invite = phone.request("INVITE", OFFER)
    ladder.receive(invite, ("192.0.2.1", 5060))
    first = ladder.response()
    ladder.receive(invite, ("192.0.2.1", 5060))
    assert (first.status, first.to.tag) == (403, ladder.response().to.tag)
    ladder.receive(phone.request("ACK", cseq=1), ("192.0.2.1", 5060))
    ladder.nothing_left()


def test_an_allow_list_takes_addresses_and_blocks() -> None:
    ladder, phone = Ladder(accept_source=("192.0.2.0/24", "2001:db8::1")), Phone()
    for host, heard in (
        ("192.0.2.7", True),
        ("192.0.3.7", False),
        ("2001:db8::1", True),
        ("127.0.0.1", False),
    ):
        effects = ladder.endpoint.receive(phone.request("OPTIONS"), (host, 5060), 0.0)
        assert any(isinstance(effect, SendDatagram) for effect in effects) is heard


def test_another_host_cannot_speak_in_the_dialog() -> None:
    ladder, phone, _ = established(accept_source=lambda source: True)
    ladder.receive(phone.request("BYE"), ("127.0.0.9", 5090))
    ladder.shows("""
        >> BYE
        << 481 BYE
    """)
    ladder.receive(phone.request("BYE"))
    assert ladder.event(Ended).by == "peer"
    assert ladder.endpoint.figures().counts["foreign_dialog_source"] == 1


def test_trunks_of_several_addresses_can_be_told() -> None:
    ladder, phone, _ = established(accept_source=lambda source: True, dialog_peer=lambda peer, source: True)
    ladder.receive(phone.request("BYE"), ("127.0.0.9", 5090))
    assert ladder.event(Ended).by == "peer"


def test_another_host_cannot_cancel() -> None:
    ladder, phone = Ladder(accept_source=lambda source: True), Phone()
    ladder.receive(phone.request("INVITE", OFFER, branch="z9hG4bKx"))
    ladder.receive(phone.request("CANCEL", cseq=1, branch="z9hG4bKx"), ("127.0.0.9", 5090))
    assert ladder.response().status == 481
    assert ladder.endpoint.figures().legs == 1


# Limits.


def test_calls_beyond_the_limit_get_503_and_leave_the_others_alone() -> None:
    ladder = Ladder(max_legs=2)
    phones = [Phone(call_id=f"c{n}") for n in range(3)]
    for phone in phones:
        ladder.receive(phone.request("INVITE", OFFER))
    response = ladder.response()
    assert response.status == 503
    assert 5 <= int(response.headers.get("Retry-After") or 0) <= 15
    assert ladder.endpoint.figures().legs == 2


def test_requests_beyond_the_transaction_limit_get_a_stateless_503() -> None:
    ladder, phone = Ladder(max_transactions=1), Phone()
    for _ in range(3):
        ladder.receive(phone.request("OPTIONS"))
    assert ladder.response().status == 503
    assert ladder.endpoint.figures().server_transactions == 1


# Where replies and requests go.


@pytest.mark.parametrize(
    ("via", "destination", "stamped"),
    [
        ("SIP/2.0/UDP 127.0.0.1:5090;branch=z9hG4bKa", ("127.0.0.1", 5090), ()),
        ("SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKa", ("127.0.0.1", 5060), ()),
        (
            "SIP/2.0/UDP 127.0.0.1:5090;branch=z9hG4bKa;rport",
            ("127.0.0.7", 61000),
            ("rport=61000", "received=127.0.0.7"),
        ),
        ("SIP/2.0/UDP pbx.invalid:5090;branch=z9hG4bKa", ("127.0.0.7", 5090), ("received=127.0.0.7",)),
        (
            "SIP/2.0/UDP a.invalid:5090;maddr=192.0.2.9;branch=z9hG4bKa",
            ("127.0.0.7", 5090),
            ("maddr=192.0.2.9",),
        ),
    ],
)
def test_replies_go_where_rfc_3581_says(
    via: str, destination: tuple[str, int], stamped: tuple[str, ...]
) -> None:
    ladder, phone = Ladder(), Phone()
    source = destination if "rport" in via else (destination[0], 61001)
    ladder.receive(phone.request("OPTIONS", via=via), source)
    assert ladder.last_send().destination == destination
    top = ladder.response().headers.get("Via") or ""
    for piece in stamped:
        assert piece in top


def test_all_vias_are_copied_in_order() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(
        phone.request(
            "OPTIONS", b"", "Via: SIP/2.0/TCP two.invalid;branch=z9hG4bKb, SIP/2.0/UDP three.invalid;branch=c"
        )
    )
    assert [via.host for via in ladder.response().vias] == ["127.0.0.1", "two.invalid", "three.invalid"]


def test_record_route_is_copied_and_becomes_the_route_in_its_order() -> None:
    ladder, phone = Ladder(), Phone()
    routes = ("Record-Route: <sip:127.0.0.2:5062;lr>, <sip:127.0.0.3;lr>", "Record-Route: <sip:127.0.0.4;lr>")
    ladder.receive(phone.request("INVITE", OFFER, *routes))
    leg = ladder.event(InviteReceived).leg
    ladder.do("ring", leg)
    assert len(ladder.response().record_route) == 3
    ladder.do("accept", leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    assert [route.uri.host for route in ladder.response().record_route] == [
        "127.0.0.2",
        "127.0.0.3",
        "127.0.0.4",
    ]
    ladder.receive(phone.request("ACK", cseq=1))
    ladder.do("hang_up", leg)
    bye = ladder.request()
    assert bye.uri == "sip:alice@127.0.0.1:5090"
    assert [route.uri.host for route in bye.route] == ["127.0.0.2", "127.0.0.3", "127.0.0.4"]
    assert ladder.last_send().destination == ("127.0.0.2", 5062)


def test_a_strict_router_becomes_the_request_uri() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER, "Record-Route: <sip:127.0.0.2>, <sip:127.0.0.3;lr>"))
    leg = ladder.event(InviteReceived).leg
    ladder.do("accept", leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("ACK", cseq=1))
    ladder.do("hang_up", leg)
    bye = ladder.request()
    assert bye.uri == "sip:127.0.0.2"
    assert [route.uri_text for route in bye.route] == ["sip:127.0.0.3;lr", "sip:alice@127.0.0.1:5090"]
    assert ladder.last_send().destination == ("127.0.0.2", 5060)


def test_a_contact_with_a_host_name_is_reached_where_the_invite_came_from() -> None:
    ladder, phone = Ladder(), Phone()
    invite = phone.request("INVITE", OFFER, "Contact: <sip:alice@pbx.invalid>", contact=False)
    ladder.receive(invite)
    leg = ladder.event(InviteReceived).leg
    ladder.do("accept", leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("ACK", cseq=1))
    ladder.do("hang_up", leg)
    assert ladder.last_send().destination == PHONE
    assert ladder.request().uri == "sip:alice@pbx.invalid"


def test_an_invite_without_contact_is_400() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("INVITE", OFFER, contact=False))
    assert ladder.response().status == 400


# Phones of before RFC 3261: no magic cookie.


def test_rfc_2543_matching_of_repetition_ack_and_cancel() -> None:
    ladder, phone = Ladder(), Phone()
    via = "SIP/2.0/UDP 127.0.0.1:5090"
    invite = phone.request("INVITE", OFFER, via=via)
    ladder.receive(invite)
    ladder.receive(invite)
    ladder.receive(phone.request("CANCEL", via=via, cseq=1))
    tag = ladder.response().to.tag
    ladder.receive(phone.request("ACK", via=via, cseq=1, to_tag=tag))
    ladder.advance(31)
    ladder.shows("""
        >> INVITE
        << 100 INVITE
        ** InviteReceived
        >> INVITE
        << 100 INVITE
        >> CANCEL
        << 200 CANCEL
        << 487 INVITE
        ** Ended cancelled 487
        >> ACK
    """)
    ladder.settle()
    ladder.nothing_left()


def test_a_copy_of_another_client_with_the_same_branch_is_another_transaction() -> None:
    ladder = Ladder()
    for n, sent_by in enumerate(("127.0.0.1:5090", "127.0.0.1:5091")):
        phone = Phone(call_id=f"c{n}")
        ladder.receive(phone.request("INVITE", OFFER, via=f"SIP/2.0/UDP {sent_by};branch=z9hG4bKsame"))
    assert len(ladder.events(InviteReceived)) == 2


def test_garbage_is_counted_by_reason() -> None:
    ladder = Ladder()
    for data in (b"", b"\r\n\r\n", b"hello", b"\x80\x81"):
        ladder.receive(data)
    counts = ladder.endpoint.figures().counts
    assert counts["keep_alive"] == 2
    assert sum(count for why, count in counts.items() if why.startswith("drop_")) == 2


def test_an_unreadable_request_that_can_be_answered_is_answered_without_state() -> None:
    ladder, phone = Ladder(), Phone()
    ladder.receive(phone.request("OPTIONS", cseq_method="bad method"))
    assert ladder.last_send().data.startswith(b"SIP/2.0 400 Bad Request\r\nVia: ")
    ladder.nothing_left()
