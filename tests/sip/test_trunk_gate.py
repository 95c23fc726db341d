"""Who may call: judged by certificate, address, password; then by the rules of the trunk."""

from __future__ import annotations

import pytest

from tests.sip.ladder import ANSWER, OFFER, Ladder
from tests.sip.trunk_phone import CARRIER, STRANGER, answering, gated, phone_at, trunk
from voiceagent.sip.effects import Address, InviteReceived, SendDatagram, TrunkJudged
from voiceagent.sip.syntax.message import Request
from voiceagent.sip.syntax.parser import parse_datagram
from voiceagent.sip.trunk.gatekeeper import shown_to_nobody

CARRIERS = trunk("carrier", "192.0.2.0/24")
PHONES = trunk("phones", digest_users={"alice": "wonderland"})


def test_a_listed_address_calls_over_its_trunk() -> None:
    ladder = gated(CARRIERS)
    ladder.receive(phone_at(CARRIER).request("INVITE", OFFER), CARRIER)
    ladder.shows("""
        >> INVITE
        ** TrunkJudged passed
        << 100 INVITE
        ** InviteReceived
    """)
    assert ladder.event(InviteReceived).trunk == "carrier"


def test_a_stranger_hears_nothing_or_403_by_setting() -> None:
    for refuse, expected in ((False, "** Dropped unknown_source"), (True, "<< 403 INVITE")):
        ladder = gated(CARRIERS, refuse_unknown_sources=refuse)
        ladder.receive(phone_at(STRANGER).request("INVITE", OFFER), STRANGER)
        ladder.shows(f">> INVITE\n{expected}")
        ladder.nothing_left()


@pytest.mark.parametrize(
    "method", ["INVITE", "OPTIONS", "REGISTER", "MESSAGE", "SUBSCRIBE", "REFER", "NOTIFY"]
)
def test_whoever_may_have_a_password_is_asked_for_it_without_a_transaction(method: str) -> None:
    ladder = gated(CARRIERS, PHONES)
    ladder.receive(phone_at(STRANGER).request(method), STRANGER)
    ladder.shows(f"""
        >> {method}
        ** TrunkJudged challenged
        << 401 {method}
    """)
    ladder.nothing_left()
    assert len(ladder.sent().headers.get_all("WWW-Authenticate")) == 1


def test_a_right_password_lets_the_call_in() -> None:
    ladder = gated(PHONES)
    phone = phone_at(STRANGER)
    ladder.receive(phone.request("INVITE", OFFER), STRANGER)
    refusal = ladder.response()
    ladder.receive(phone.request("ACK", cseq=1, to_tag=refusal.to.tag), STRANGER)
    ladder.receive(answering(refusal, phone.request("INVITE", OFFER), "alice", "wonderland"), STRANGER)
    invite = ladder.event(InviteReceived)
    assert invite.trunk == "phones"
    assert not [name for name, _ in invite.all_headers if "Authorization" in name]
    ladder.do("accept", invite.leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("ACK", cseq=2), STRANGER)
    ladder.receive(phone.request("BYE"), STRANGER)
    ladder.shows("""
        >> INVITE
        ** TrunkJudged challenged
        << 401 INVITE
        >> ACK
        ** Dropped stray_ack
        >> INVITE
        ** TrunkJudged passed
        << 100 INVITE
        ** InviteReceived
        << 200 INVITE
        >> ACK
        ** Confirmed
        >> BYE
        << 200 BYE
        ** Ended peer
    """)
    ladder.settle()
    ladder.nothing_left()


def test_a_wrong_password_and_an_unknown_user_look_the_same() -> None:
    replies: list[str] = []
    for user in ("alice", "nobody"):
        ladder = gated(PHONES)
        phone = phone_at(STRANGER)
        ladder.receive(phone.request("INVITE", OFFER), STRANGER)
        ladder.receive(answering(ladder.response(), phone.request("INVITE", OFFER), user, "guess"), STRANGER)
        nonce = ladder.response().headers.get("WWW-Authenticate") or ""
        reply = ladder.last_send().data.decode()
        replies.append(reply.replace(nonce, "challenge"))
        assert ladder.event(TrunkJudged).what == "auth_failed"
    assert replies[0] == replies[1]
    assert "SIP/2.0 401 " in replies[0]


def test_five_failures_are_answered_with_403_whatever_the_password() -> None:
    ladder = gated(PHONES)
    for attempt in range(5):
        phone = phone_at(STRANGER, f"call-{attempt}")
        ladder.receive(phone.request("INVITE", OFFER), STRANGER)
        ladder.receive(answering(ladder.response(), phone.request("INVITE", OFFER), "alice", "no"), STRANGER)
        ladder.advance(1)
    ladder.receive(phone.request("INVITE", OFFER), STRANGER)
    refusal = ladder.response()
    ladder.skip()
    ladder.receive(answering(refusal, phone.request("INVITE", OFFER), "alice", "wonderland"), STRANGER)
    ladder.shows("""
        >> INVITE
        ** TrunkJudged held
        << 403 INVITE
    """)
    ladder.advance(31)
    ladder.receive(phone.request("INVITE", OFFER), STRANGER)
    ladder.receive(
        answering(ladder.response(), phone.request("INVITE", OFFER), "alice", "wonderland"), STRANGER
    )
    assert ladder.event(InviteReceived).trunk == "phones"


def test_an_old_nonce_with_the_right_answer_is_stale() -> None:
    ladder = gated(PHONES, nonce_life=10.0)
    phone = phone_at(STRANGER)
    ladder.receive(phone.request("INVITE", OFFER), STRANGER)
    refusal = ladder.response()
    ladder.advance(11)
    ladder.receive(answering(refusal, phone.request("INVITE", OFFER), "alice", "wonderland"), STRANGER)
    assert "stale=true" in (ladder.response().headers.get("WWW-Authenticate") or "")
    ladder.receive(
        answering(ladder.response(), phone.request("INVITE", OFFER), "alice", "wonderland"), STRANGER
    )
    assert ladder.event(InviteReceived).trunk == "phones"


def test_md5_is_offered_second_where_a_trunk_at_that_address_allows_it() -> None:
    weak = trunk("old", "198.51.100.0/24", digest_users={"old": "pw"}, algorithms=("SHA-256", "MD5"))
    old_phone = Address("198.51.100.4", 5060)
    ladder = gated(PHONES, weak)
    ladder.receive(phone_at(STRANGER).request("INVITE", OFFER), STRANGER)
    assert len(ladder.response().headers.get_all("WWW-Authenticate")) == 1
    phone = phone_at(old_phone, "call-2")
    ladder.receive(phone.request("INVITE", OFFER), old_phone)
    refusal = ladder.response()
    assert ["MD5" in line for line in refusal.headers.get_all("WWW-Authenticate")] == [False, True]
    again = answering(refusal, phone.request("INVITE", OFFER), "old", "pw", best_first=False)
    ladder.receive(again, old_phone)
    assert ladder.event(InviteReceived).trunk == "old"


def test_a_password_counts_only_from_where_its_trunk_is() -> None:
    inside = trunk("inside", "198.51.100.0/24", digest_users={"desk": "pw"})
    ladder = gated(inside, PHONES)
    phone = phone_at(STRANGER)
    ladder.receive(phone.request("INVITE", OFFER), STRANGER)
    ladder.receive(answering(ladder.response(), phone.request("INVITE", OFFER), "desk", "pw"), STRANGER)
    assert (ladder.response().status, ladder.event(TrunkJudged).what) == (401, "auth_failed")


def test_challenges_to_an_unlisted_source_are_ten_a_second() -> None:
    ladder = gated(PHONES, trunk("desk", "198.51.100.0/24", digest_users={"desk": "pw"}))
    listed = Address("198.51.100.4", 5060)
    for source, least, most in ((STRANGER, 19, 21), (listed, 200, 200)):
        before = len(ladder.events(SendDatagram))
        for attempt in range(200):
            ladder.receive(phone_at(source, f"{source.host}-{attempt}").request("OPTIONS"), source)
            ladder.advance(0.005)
        assert least <= len(ladder.events(SendDatagram)) - before <= most
    ladder.nothing_left()


def test_what_belongs_to_no_dialog_or_call_gets_a_stranger_no_answer() -> None:
    ladder = gated(PHONES)
    phone = phone_at(STRANGER)
    phone.to_tag = "t000007"
    for method in ("BYE", "INVITE", "OPTIONS", "CANCEL", "ACK"):
        ladder.receive(phone.request(method), STRANGER)
    ladder.receive(b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP x:1;branch=z9hG4bK1\r\n\r\n", STRANGER)
    assert ladder.events(SendDatagram) == []


# The rules of a trunk.


def judged(
    ladder: Ladder, method: str = "INVITE", call: str = "1", uri: str = "sip:100@127.0.0.1:5060"
) -> int:
    """The final status that a request of the carrier gets; 100 for a call let in."""
    body = OFFER if method == "INVITE" else b""
    ladder.receive(phone_at(CARRIER, f"call-{call}").request(method, body, uri=uri), CARRIER)
    return ladder.response().status


def test_methods() -> None:
    ladder = gated(trunk("carrier", "192.0.2.0/24", methods=("INVITE", "ACK", "BYE", "CANCEL")))
    assert judged(ladder) == 100
    assert judged(ladder, "OPTIONS") == 405
    assert ladder.response().headers.get("Allow") == "INVITE, ACK, CANCEL, BYE"
    phone = phone_at(CARRIER)
    ladder.do("accept", ladder.event(InviteReceived).leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    assert ladder.response().headers.get("Allow") == "INVITE, ACK, CANCEL, BYE"
    ladder.receive(phone.request("INFO", b"5", cseq=2, content_type="application/dtmf"), CARRIER)
    assert ladder.response().status == 405
    assert ladder.response().headers.get("Allow") == "INVITE, ACK, CANCEL, BYE"
    ladder.receive(phone.request("BYE", cseq=3), CARRIER)
    assert ladder.response().status == 200


def test_called_numbers() -> None:
    ladder = gated(trunk("carrier", "192.0.2.0/24", numbers_in=("+44207946*", "100-199", "desk")))
    for call, (user, status) in enumerate(
        {
            "+442079460018": 100,
            "00442079460018": 100,
            "442079460018": 100,
            "150": 100,
            "DESK": 100,
            "200": 404,
            "1500": 404,
            "+4420": 404,
            "": 404,
        }.items()
    ):
        assert (
            judged(ladder, call=str(call), uri=f"sip:{user}@127.0.0.1" if user else "sip:127.0.0.1") == status
        )
    assert judged(ladder, "OPTIONS", uri="sip:127.0.0.1") == 200


def test_calls_at_once_are_counted_both_ways_until_they_end() -> None:
    ladder = gated(trunk("carrier", "192.0.2.0/24", max_calls=2))
    assert [judged(ladder, call=str(call)) for call in range(3)] == [100, 100, 503]
    assert 5 <= int(ladder.response().headers.get("Retry-After") or "") <= 15
    first, second = ladder.events(InviteReceived)
    ladder.do("reject", first.leg, 486, "Busy")
    assert judged(ladder, call="4") == 100
    assert judged(ladder, call="5") == 503
    ladder.do("accept", second.leg, ANSWER)
    assert ladder.response().status == 200  # what stands is not touched
    ladder.advance(400)
    assert [judged(ladder, call=f"later{call}") for call in range(2)] == [100, 100]


def test_calls_per_second() -> None:
    ladder = gated(trunk("carrier", "192.0.2.0/24", calls_per_second=4.0))
    statuses = []
    for call in range(40):
        statuses.append(judged(ladder, call=str(call)))
        ladder.advance(0.1)
    # A burst of one second's worth, then four in each second.
    assert statuses[:4] == [100] * 4
    assert statuses.count(100) == 4 + 4 * 4 - 1
    assert set(statuses) == {100, 503}
    assert int(ladder.response().headers.get("Retry-After") or "") >= 1
    assert ladder.event(TrunkJudged).what == "rate"


def test_less_than_one_call_per_second() -> None:
    ladder = gated(trunk("carrier", "192.0.2.0/24", calls_per_second=0.1))
    assert [judged(ladder, call="1"), judged(ladder, call="2")] == [100, 503]
    ladder.advance(10)
    assert judged(ladder, call="3") == 100


def test_a_retransmission_of_a_refused_call_gets_the_same_refusal() -> None:
    ladder = gated(trunk("carrier", "192.0.2.0/24", max_calls=1))
    judged(ladder)
    invite = phone_at(CARRIER, "call-2").request("INVITE", OFFER)
    ladder.receive(invite, CARRIER)
    refusal = ladder.last_send().data
    ladder.do("reject", ladder.event(InviteReceived).leg, 486, "Busy")
    ladder.receive(invite, CARRIER)
    assert ladder.last_send().data == refusal


def test_a_spoofed_flood_bans_no_trunk() -> None:
    """Thousands of forged requests with a trunk's own source address, and the trunk's next call is let in."""
    both = trunk("carrier", "192.0.2.0/24", digest_users={"carrier": "pw"})
    for table in ((CARRIERS, PHONES), (both,)):
        ladder = gated(*table)
        for attempt in range(1_000):
            forged = phone_at(CARRIER, f"forged-{attempt}").request(
                "OPTIONS",
                b"",
                f'Authorization: Digest username="carrier", realm="voiceagent", nonce="{"A" * 56}", '
                f'uri="sip:a", response="{attempt:064x}", algorithm=SHA-256, '
                'qop=auth, nc=00000001, cnonce="c"',
            )
            ladder.endpoint.receive(forged, CARRIER, ladder.now)
        ladder.settle()
        phone = phone_at(CARRIER, "honest")
        ladder.receive(phone.request("INVITE", OFFER), CARRIER)
        if ladder.response().status == 401:
            again = answering(ladder.response(), phone.request("INVITE", OFFER), "carrier", "pw")
            ladder.receive(again, CARRIER)
        assert ladder.event(InviteReceived).trunk == "carrier"


# What the application sees.

VALUE = '"Mallory" <sip:+15551234567@example.com>'
NAMES = (
    "P-Asserted-Identity",
    "P-Preferred-Identity",
    "Remote-Party-ID",
    "Diversion",
    "History-Info",
    "Identity",
    "Identity-Info",
    "X-Account",
    "X-Twilio-AccountSid",
    "P-Charging-Vector",
)


def spellings(name: str) -> list[bytes]:
    """One header line in many dresses: case, white space, folding, NUL, UTF-8, compact, repetition."""
    compact = {"Identity": "y", "Identity-Info": "n"}.get(name)
    value = VALUE.encode()
    raw = name.encode()
    lines = [
        raw + b": " + value,
        raw.lower() + b": " + value,
        raw.upper() + b":" + value,
        raw.swapcase() + b" : " + value,
        raw + b"\t:\t" + value,
        raw + b"    :" + value,
        raw + b":\r\n " + value,
        raw + b":\r\n\t " + value,
        raw + b" \r\n : " + value,
        raw + b": \xc3\xbc" + value,
        raw + b": " + value + b"\x00",
        b"\xef\xbb\xbf" + raw + b": " + value,
        raw + b"\x00: " + value,
        raw.replace(b"-", b"\xe2\x80\x91") + b": " + value,
        raw + b"\xc2\xa0: " + value,
        raw + b": " + value + b"\r\n" + raw + b": " + value,
        b"Subject: x\r\n " + raw + b": " + value,
        raw + b": " + value + b", " + value,
        raw.replace(raw[:1], b"%" + raw[:1].hex().encode(), 1) + b": " + value,
        b" " + raw + b": " + value,
    ]
    if compact is not None:
        lines += [compact.encode() + b": " + value, compact.upper().encode() + b" : " + value]
    return lines


def seen_as_claim(event: InviteReceived, name: str) -> bool:
    """Would a reader of parsed names find the claim?"""
    return any(
        key.strip().lower() == name.lower() or shown_to_nobody(key)
        for key, _ in (*event.headers, *event.all_headers)
    )


def test_no_spelling_of_a_trusted_header_passes_an_untrusted_trunk() -> None:
    """Fault table A13."""
    cases = [(name, line) for name in NAMES for line in spellings(name)]
    assert len(cases) >= 200
    for name, line in cases:
        ladder = gated(CARRIERS)
        ladder.receive(phone_at(CARRIER).request("INVITE", OFFER, "MARK").replace(b"MARK", line), CARRIER)
        for event in ladder.events(InviteReceived):
            assert not seen_as_claim(event, name), line


def test_a_trusted_trunk_shows_what_it_says() -> None:
    ladder = gated(trunk("carrier", "192.0.2.0/24", trust_headers=True))
    lines = [f"{name}: {VALUE}" for name in NAMES]
    ladder.receive(phone_at(CARRIER).request("INVITE", OFFER, *lines, "Authorization: Basic eDp5"), CARRIER)
    shown = {name.lower() for name, _ in ladder.event(InviteReceived).headers}
    assert {name.lower() for name in NAMES} <= shown
    assert "authorization" not in shown


def test_claims_within_a_dialog_are_removed_too() -> None:
    ladder = gated(CARRIERS)
    gate = ladder.endpoint._core.gate
    message = parse_datagram(phone_at(CARRIER).request("INFO", b"", f"P-Asserted-Identity: {VALUE}"))
    assert gate is not None
    assert isinstance(message, Request)
    gate.clean(message.headers, "carrier")
    assert "P-Asserted-Identity" not in message.headers
    assert "Contact" in message.headers


# Certificates.

EDGE = Address("203.0.113.5", 40000, "tls", 1)


def test_a_certificate_lets_its_connection_in_and_no_other() -> None:
    ladder = gated(trunk("edge", identities=frozenset({"edge.example.com"})))
    other = EDGE._replace(flow=2)
    assert ladder.endpoint.config.takes_certificates
    ladder.do("flow_opened", EDGE, identities=("Edge.Example.COM",))
    ladder.do("flow_opened", other, identities=("mallory.example.com",))
    for flow, expected in ((EDGE, "edge"), (other, None)):
        invite = phone_at(flow, f"call-{flow.flow}").request("INVITE", OFFER).replace(b"/UDP", b"/TLS")
        before = len(ladder.events(InviteReceived))
        ladder.receive(invite, flow)
        new = ladder.events(InviteReceived)[before:]
        assert [event.trunk for event in new] == ([expected] if expected else [])
    ladder.do("flow_closed", EDGE)
    before = len(ladder.events(InviteReceived))
    ladder.receive(phone_at(EDGE, "late").request("INVITE", OFFER), EDGE)
    assert len(ladder.events(InviteReceived)) == before


def test_nobody_draws_calls_to_himself_before_his_password() -> None:
    home = Address("203.0.113.5", 5060, "tcp")
    flow = home._replace(port=40000, flow=1)
    ladder = gated(trunk("desk", digest_users={"alice": "pw"}))
    ladder.do("flow_opened", flow)
    via = "SIP/2.0/TCP 203.0.113.5;branch={};alias"
    phone = phone_at(flow)
    ladder.receive(phone.request("OPTIONS", via=via.format("z9hG4bK1")), flow)
    refusal = ladder.response()
    ladder.invite(destination=home)
    assert ladder.last_send().destination == home
    again = phone.request("OPTIONS", via=via.format("z9hG4bK2"))
    ladder.receive(answering(refusal, again, "alice", "pw"), flow)
    assert ladder.response().status == 200
    ladder.invite(destination=home)
    assert ladder.last_send().destination == flow


def test_places_are_kept_for_listed_addresses_and_not_for_whoever_may_know_a_password() -> None:
    ladder = gated(CARRIERS, trunk("desk", digest_users={"alice": "pw"}))
    flow = STRANGER._replace(transport="tcp", flow=1)
    endpoint = ladder.endpoint
    assert (endpoint.accepts_flow(CARRIER), endpoint.expects_flow(CARRIER)) == (True, True)
    assert (endpoint.accepts_flow(flow), endpoint.expects_flow(flow)) == (True, False)
    ladder.invite(destination=flow._replace(flow=0))
    assert endpoint.expects_flow(flow)  # we are calling it


def test_a_broken_frame_of_somebody_unproven_gets_no_answer() -> None:
    ladder = gated(CARRIERS, trunk("desk", digest_users={"alice": "pw"}))
    head = phone_at(CARRIER).request("INVITE").partition(b"\r\n\r\n")[0]
    for source in (STRANGER, CARRIER):
        flow = source._replace(transport="tcp", flow=1)
        ladder.do("receive_broken", head, flow, 400, "no_content_length")
    ladder.shows("""
        ** Dropped no_content_length
        << 400 INVITE
    """)
