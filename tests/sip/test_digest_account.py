"""Our credentials at a trunk: whom they answer, and whom never (fault table A11)."""

from __future__ import annotations

import pytest

from tests.sip.ladder import ANSWER, OFFER, Ladder, Phone, established
from tests.sip.trunk_phone import CARRIER, gated, phone_at, trunk
from voiceagent.errors import SipError
from voiceagent.sip.auth.digest import Challenge, Credentials, response_hash, secret_hash
from voiceagent.sip.effects import Address, Answered, Ended, InviteReceived, ReferProgress, SendDatagram
from voiceagent.sip.syntax.message import Request
from voiceagent.sip.syntax.parser import parse_datagram

SIDE = Address("192.0.2.99", 5060)
OURS = trunk(
    "carrier", "192.0.2.10/32", servers=(CARRIER,), domain="carrier.example", username="me", password="pw"
)
HEADER = {401: "WWW-Authenticate", 407: "Proxy-Authenticate"}
ANSWER_HEADER = {401: "Authorization", 407: "Proxy-Authorization"}


def asks(nonce: str = "n1", realm: str = "carrier", **more: object) -> Challenge:
    return Challenge(realm, nonce, **{"algorithm": "SHA-256", "qops": ("auth",), **more})  # type: ignore[arg-type]


def refuse(
    ladder: Ladder, phone: Phone, *challenges: Challenge, status: int = 401, source: Address = CARRIER
) -> None:
    lines = [f"{HEADER[status]}: {challenge}" for challenge in challenges]
    contact = f"<sip:bob@{source.host}:{source.port}>"
    ladder.receive(phone.reply(ladder.request(), status, b"", *lines, contact=contact), source)


def accept(ladder: Ladder, phone: Phone, host: str = CARRIER.host) -> None:
    ladder.receive(phone.reply(ladder.request(), 200, ANSWER, contact=f"<sip:bob@{host}:5060>"), CARRIER)


def dialling(table: object = OURS, **more: object) -> tuple[Ladder, Phone, str]:
    ladder, phone = gated(table), phone_at(CARRIER)  # type: ignore[arg-type]
    leg = dial(ladder, **more)
    return ladder, phone, leg


def dial(ladder: Ladder, target: str = "sip:+441@carrier.example", **more: object) -> str:
    leg, effects = ladder.endpoint.invite(
        target, from_uri="sip:me@carrier.example", sdp=OFFER, now=ladder.now, trunk="carrier", **more
    )  # type: ignore[arg-type]
    ladder.take(effects)
    return leg


def given(ladder: Ladder, status: int = 401) -> Credentials:
    told = Credentials.parse(ladder.request().headers.get(ANSWER_HEADER[status]) or "")
    assert told is not None
    return told


def is_right(told: Credentials, request: Request, password: str = "pw", algorithm: str = "SHA-256") -> bool:
    return told.response == response_hash(
        algorithm,
        secret_hash(algorithm, told.username, told.realm, password),
        nonce=told.nonce,
        method=request.method,
        uri=request.uri,
        qop=told.qop,
        nc=told.nc,
        cnonce=told.cnonce,
        body=request.body,
    )


@pytest.mark.parametrize("status", [401, 407])
def test_a_challenged_call_goes_through(status: int) -> None:
    ladder, phone, _ = dialling()
    first = ladder.request()
    refuse(ladder, phone, asks(opaque="o"), status=status)
    again = ladder.request()
    told = given(ladder, status)
    assert (told.username, told.realm, told.nonce, told.nc, told.opaque) == (
        "me",
        "carrier",
        "n1",
        "00000001",
        "o",
    )
    assert is_right(told, again)
    assert (again.cseq.number, again.call_id, again.from_.tag) == (2, first.call_id, first.from_.tag)
    assert again.via.branch != first.via.branch
    accept(ladder, phone)
    ladder.shows(f"""
        << INVITE
        >> {status} INVITE
        << ACK
        << INVITE
        >> 200 INVITE
        << ACK
        ** Answered
    """)
    ack = ladder.request()
    assert ack.cseq.number == 2
    assert ack.headers.get(ANSWER_HEADER[status]) == str(told)  # §13.2.2.4
    assert ladder.endpoint.figures().legs == 1


def test_the_refusal_that_was_answered_is_acknowledged_when_it_comes_again() -> None:
    ladder, phone, _ = dialling()
    invite = ladder.request()
    refusal = phone.reply(invite, 401, b"", f"WWW-Authenticate: {asks()}")
    ladder.receive(refusal, CARRIER)
    ladder.skip()
    ladder.receive(refusal, CARRIER)
    ladder.shows("""
        >> 401 INVITE
        << ACK
    """)


def test_the_nonce_is_used_on_for_all_that_follows() -> None:
    ladder, phone, leg = dialling()
    refuse(ladder, phone, asks())
    accept(ladder, phone)
    ladder.do("hang_up", leg)
    assert (given(ladder).nc, is_right(given(ladder), ladder.request())) == ("00000002", True)
    ladder.receive(phone.reply(ladder.request(), 200), CARRIER)
    dial(ladder)
    assert (given(ladder).nc, is_right(given(ladder), ladder.request())) == ("00000003", True)


def test_a_wrong_password_is_tried_once() -> None:
    ladder, phone, _ = dialling()
    refuse(ladder, phone, asks("n1"))
    refuse(ladder, phone, asks("n2"))
    ladder.shows("""
        << INVITE
        >> 401 INVITE
        << ACK
        << INVITE
        >> 401 INVITE
        << ACK
        ** Ended rejected 401
    """)
    dial(ladder)
    assert "Authorization" not in ladder.request().headers  # it was wrong: not again unasked


def test_a_stale_nonce_is_replaced_and_the_same_nonce_never_answered_twice() -> None:
    ladder, phone, _ = dialling()
    refuse(ladder, phone, asks("n1"))
    refuse(ladder, phone, asks("n2", stale=True))
    assert (given(ladder).nonce, given(ladder).nc) == ("n2", "00000001")
    refuse(ladder, phone, asks("n2", stale=True))
    assert ladder.event(Ended).status == 401


def test_endless_staleness_comes_to_an_end() -> None:
    ladder, phone, _ = dialling()
    for count in range(10):
        if ladder.events(Ended):
            break
        refuse(ladder, phone, asks(f"n{count}", stale=True))
    assert ladder.event(Ended).status == 401
    assert count <= 5


def test_an_old_nonce_sent_ahead_is_replaced_without_the_word_stale() -> None:
    ladder, phone, _ = dialling()
    refuse(ladder, phone, asks("n1"))
    accept(ladder, phone)
    dial(ladder)
    assert given(ladder).nonce == "n1"
    refuse(ladder, phone, asks("n2"))
    assert given(ladder).nonce == "n2"
    accept(ladder, phone)
    assert len(ladder.events(Answered)) == 2


def test_a_proxy_and_the_server_behind_it_both_ask() -> None:
    ladder, phone, _ = dialling()
    refuse(ladder, phone, asks("p1", "proxy"), status=407)
    refuse(ladder, phone, asks("s1", "server"))
    request = ladder.request()
    proxy, server = given(ladder, 407), given(ladder, 401)
    assert (proxy.realm, proxy.nc, server.realm, server.nc) == ("proxy", "00000002", "server", "00000001")
    assert is_right(proxy, request)
    assert is_right(server, request)
    assert request.cseq.number == 3


@pytest.mark.parametrize(
    ("challenges", "expected"),
    [
        ([asks(algorithm="SHA-256"), asks(algorithm="MD5")], "SHA-256"),
        ([asks(algorithm="AKAv1-MD5"), asks(algorithm="MD5")], "MD5"),
        ([asks(algorithm="sha-512-256")], "SHA-512-256"),
        ([asks(algorithm="MD5-sess")], "MD5-sess"),
        ([asks(qops=("auth-int",))], "SHA-256"),
        ([asks(qops=("auth-conf", "auth"))], "SHA-256"),
        ([asks(algorithm="MD5", qops=())], "MD5"),
    ],
    ids=str,
)
def test_the_first_challenge_that_we_can_compute(challenges: list[Challenge], expected: str) -> None:
    ladder, phone, _ = dialling()
    refuse(ladder, phone, *challenges)
    assert is_right(given(ladder), ladder.request(), algorithm=expected)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Basic realm=x",
        "Digest realm=x",
        str(asks(algorithm="AKAv1-MD5")),
        str(asks(qops=("auth-conf",))),
        str(asks(algorithm="SHA-256-sess", qops=())),
    ],
)
def test_what_we_cannot_answer_ends_the_call(line: str) -> None:
    ladder, phone, _ = dialling()
    ladder.receive(phone.reply(ladder.request(), 401, b"", f"WWW-Authenticate: {line}"), CARRIER)
    assert ladder.event(Ended).status == 401


def test_a_call_given_up_meanwhile_is_not_repeated() -> None:
    ladder, phone, leg = dialling()
    invite = ladder.request()
    ladder.do("hang_up", leg)
    ladder.receive(phone.reply(invite, 401, b"", f"WWW-Authenticate: {asks()}"), CARRIER)
    ladder.shows("""
        << INVITE
        ** Ended us 487
        >> 401 INVITE
        << ACK
    """)
    ladder.settle()
    assert ladder.endpoint.figures().client_transactions == 0


def test_the_next_server_gets_a_higher_number_and_answers_of_its_own() -> None:
    second = Address("192.0.2.11", 5060)
    both = trunk("carrier", servers=(CARRIER, second), username="me", password="pw")
    ladder, phone, _ = dialling(both)
    refuse(ladder, phone, asks("n1"))
    ladder.receive(phone.reply(ladder.request(), 503), CARRIER)
    request = ladder.request()
    assert ladder.last_send().destination == second
    assert request.cseq.number == 3
    refuse(ladder, phone, asks("m1"), source=second)
    assert given(ladder).nonce == "m1"


def test_everything_in_a_dialog_of_ours_is_answered() -> None:
    ladder, phone, leg = dialling()
    accept(ladder, phone)
    ladder.skip()
    ladder.do("offer", leg, OFFER)
    refuse(ladder, phone, asks("n1"), status=407)
    assert (given(ladder, 407).nc, ladder.request().cseq.number) == ("00000001", 3)
    accept(ladder, phone)
    assert ladder.request().method == "ACK"
    assert ladder.request().cseq.number == 3
    ladder.do("refer", leg, "sip:x@example.com")
    refuse(ladder, phone, asks("n2"), status=407)
    refer = ladder.request()
    ladder.receive(phone.reply(refer, 202), CARRIER)
    notify = phone.from_callee(
        refer,
        "NOTIFY",
        b"SIP/2.0 200 OK",
        f"Event: refer;id={refer.cseq.number}",
        "Subscription-State: terminated",
        content_type="message/sipfrag",
        cseq=1,
    )
    ladder.receive(notify, CARRIER)
    assert ladder.event(ReferProgress).status == 200
    ladder.do("send_info", leg, "application/dtmf", b"5")
    assert given(ladder, 407).nc == "00000002"
    refuse(ladder, phone, asks("n3"), status=407)
    assert given(ladder, 407).nonce == "n3"
    ladder.receive(phone.reply(ladder.request(), 200), CARRIER)
    ladder.do("hang_up", leg)
    refuse(ladder, phone, asks("n4", stale=True), status=407)
    assert (ladder.request().method, given(ladder, 407).nonce) == ("BYE", "n4")
    ladder.receive(phone.reply(ladder.request(), 200), CARRIER)
    ladder.settle()
    assert ladder.endpoint.figures().dialogs == 0


# To whom never.


def authorized(ladder: Ladder) -> list[str]:
    """Every message sent that bears credentials."""
    return [
        one.data.decode("utf-8", "replace")
        for one in ladder.events(SendDatagram)
        if b"authorization:" in one.data.lower()
    ]


def test_a_thousand_challenges_of_inbound_peers_get_no_hash() -> None:
    """CVE-2021-41158: a caller who refuses our BYE with the trunk's realm."""
    cases = 0
    for realm in ("carrier", "carrier.example", "evil"):
        for status in (401, 407):
            for command in ("hang_up", "offer", "probe", "send_info", "refer"):
                ladder, phone = gated(OURS), phone_at(CARRIER)
                # The account is warm: it has answered the trunk's own challenge before.
                dial(ladder)
                refuse(ladder, phone, asks(realm="carrier"))
                accept(ladder, phone)
                for attempt in range(34):
                    ladder.effects.clear()
                    caller = phone_at(CARRIER, f"inbound-{cases}")
                    ladder.receive(caller.request("INVITE", OFFER), CARRIER)
                    leg = ladder.event(InviteReceived).leg
                    ladder.do("accept", leg, ANSWER)
                    caller.to_tag = ladder.response().to.tag or ""
                    ladder.receive(caller.request("ACK", cseq=1), CARRIER)
                    arguments = {
                        "offer": (OFFER,),
                        "send_info": ("application/dtmf", b"1"),
                        "refer": ("sip:x@y",),
                    }
                    ladder.do(command, leg, *arguments.get(command, ()))
                    refuse(ladder, caller, asks(f"n{attempt}", realm, stale=bool(attempt % 2)), status=status)
                    assert authorized(ladder) == []
                    cases += 1
    assert cases >= 1000


def test_a_call_without_a_trunk_answers_nobody() -> None:
    ladder, phone = gated(OURS), phone_at(CARRIER)
    ladder.endpoint.invite(
        "sip:x@192.0.2.10", from_uri="sip:me@carrier.example", sdp=OFFER, destination=CARRIER, now=0.0
    )
    leg, effects = ladder.endpoint.invite(
        "sip:x@192.0.2.10", from_uri="sip:me@carrier.example", sdp=OFFER, destination=CARRIER, now=0.0
    )
    ladder.take(effects)
    refuse(ladder, phone, asks())
    assert ladder.event(Ended).leg == leg
    assert authorized(ladder) == []


def test_other_hosts_get_nothing_even_over_the_trunk() -> None:
    ladder, phone, _ = dialling(destination=SIDE)
    refuse(ladder, phone, asks(), source=SIDE)
    assert ladder.event(Ended).status == 401
    # The trunk's answer sends the dialog elsewhere: what is challenged there stays unanswered.
    leg = dial(ladder)
    refuse(ladder, phone, asks())
    accept(ladder, phone, SIDE.host)
    known = len(authorized(ladder))
    ladder.do("hang_up", leg)
    assert ladder.last_send().destination == SIDE
    refuse(ladder, phone, asks("n9", stale=True), source=SIDE)
    assert authorized(ladder)[known:] == []


def test_the_realm_is_pinned_by_setting_or_by_its_first_word() -> None:
    pinned = trunk("carrier", servers=(CARRIER,), username="me", password="pw", realm="right")
    ladder, phone, _ = dialling(pinned)
    refuse(ladder, phone, asks(realm="wrong"))
    assert ladder.event(Ended).status == 401
    dial(ladder)
    refuse(ladder, phone, asks(realm="right"))
    assert given(ladder).realm == "right"
    ladder, phone, _ = dialling()
    refuse(ladder, phone, asks(realm="first"))
    accept(ladder, phone)
    dial(ladder)
    refuse(ladder, phone, asks("n2", realm="second"))
    assert ladder.event(Ended).status == 401


def test_no_challenge_makes_an_endpoint_without_trunks_answer() -> None:
    ladder, phone, leg = established()
    ladder.do("hang_up", leg)
    ladder.receive(phone.reply(ladder.request(), 401, b"", f"WWW-Authenticate: {asks()}"))
    assert authorized(ladder) == []


# The rules of a trunk, outbound.


def test_what_may_not_be_called_is_refused_at_once() -> None:
    closed = trunk("carrier", servers=(CARRIER,), numbers_out=("+44*",), max_calls=1)
    ladder = gated(closed, trunk("nowhere"))
    for target, name, code in (
        ("sip:+331@x", "carrier", "number_not_allowed"),
        ("sip:+441@x", "missing", "no_such_trunk"),
        ("sip:+441@x", "nowhere", "no_destination"),
    ):
        with pytest.raises(SipError) as error:
            ladder.endpoint.invite(target, from_uri="sip:a@b", sdp=OFFER, now=0.0, trunk=name)
        assert error.value.code == code
    leg = dial(ladder)
    with pytest.raises(SipError) as error:
        dial(ladder)
    assert error.value.code == "trunk_full"
    ladder.do("hang_up", leg)
    dial(ladder)


def test_credentials_do_not_come_back_in_what_we_tell() -> None:
    ladder, phone, _ = dialling()
    refuse(ladder, phone, asks())
    shown = repr([effect for effect in ladder.effects if not isinstance(effect, SendDatagram)])
    assert "pw" not in shown
    message = parse_datagram(ladder.last_send().data)
    assert isinstance(message, Request)
