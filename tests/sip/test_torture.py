"""The 49 messages of RFC 4475 and the 12 of RFC 5118 through the whole endpoint, over UDP and over TCP.

Each row says which layer must object, what the peer gets, and why. The layer is found by asking them one by
one; the treatment is that of the endpoint. After every message an ordinary call must succeed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit.corpora import rfc4475, rfc5118
from tests.sip.ladder import ANSWER, OFFER, PHONE, Ladder, Phone
from voiceagent.sip.check import check_request, check_response
from voiceagent.sip.config import METHODS
from voiceagent.sip.effects import Address, Confirmed, Dropped, Ended, InviteReceived, SendDatagram
from voiceagent.sip.net.framing import Broken, StreamFramer, Whole
from voiceagent.sip.syntax.message import Request, Response
from voiceagent.sip.syntax.parser import Malformed, parse_datagram

TCP = Address("127.0.0.1", 5090, "tcp", 1)


@dataclass(frozen=True)
class Row:
    """``answer`` is a status, ``call`` (100 and an offered call) or the code of a silent drop.

    ``stream`` is what differs over TCP: ``waits`` for bytes that never come, ``close`` after the answer.
    """

    section: str
    layer: str
    answer: int | str
    why: str
    stream: str = ""


# A user agent without REGISTER, MESSAGE and extensions: where the method is not ours, 405 and 501 come before
# the look at the rest (RFC 3261 §8.2.1); tests/sip_message/test_rfc4475.py judges what stands behind that.
TABLE: dict[str, Row] = {
    # RFC 4475 §3.1.1: valid
    "wsinv": Row("3.1.1.1", "dialog", 481, "its To tag names a dialog that we do not have"),
    "intmeth": Row("3.1.1.2", "endpoint", 501, "a method that nobody knows"),
    "esc01": Row("3.1.1.3", "nobody", "call", "escapes are fine"),
    "escnull": Row("3.1.1.4", "endpoint", 405, "REGISTER is not ours"),
    "esc02": Row("3.1.1.5", "endpoint", 501, "an escape in a method is no escape: an unknown method"),
    "lwsdisp": Row("3.1.1.6", "nobody", 200, "white space before <"),
    "longreq": Row("3.1.1.7", "nobody", "call", "long, and within every limit"),
    "dblreq": Row("3.1.1.8", "endpoint", 405, "REGISTER is not ours; what follows is cut", "405 400 close"),
    "semiuri": Row("3.1.1.9", "nobody", 200, "a semicolon in the user part"),
    "transports": Row("3.1.1.10", "nobody", 200, "transports that nobody knows, in lower Vias"),
    "mpart01": Row("3.1.1.11", "endpoint", 405, "MESSAGE is not ours"),
    "unreason": Row("3.1.1.12", "transaction", "stray_response", "answers nothing of ours"),
    "noreason": Row("3.1.1.13", "transaction", "stray_response", "answers nothing of ours"),
    # §3.1.2: invalid
    "badinv01": Row("3.1.2.1", "endpoint", 400, "a lower Via holds nothing"),
    "clerr": Row("3.1.2.2", "parser", 400, "shorter than its Content-Length", "waits"),
    "ncl": Row("3.1.2.3", "parser", 400, "negative Content-Length", "400 close"),
    "scalar02": Row("3.1.2.4", "parser", 400, "CSeq of more than ten digits"),
    "scalarlg": Row("3.1.2.5", "parser", "bad_cseq", "a response that cannot be read is dropped"),
    "quotbal": Row("3.1.2.6", "parser", 400, "To lacks a quote"),
    "ltgtruri": Row("3.1.2.7", "endpoint", 400, "<> around the Request-URI"),
    "lwsruri": Row("3.1.2.8", "parser", 400, "white space in the Request-URI"),
    "lwsstart": Row("3.1.2.9", "parser", 400, "two spaces in the start line"),
    "trws": Row("3.1.2.10", "parser", 400, "white space after the version"),
    "escruri": Row("3.1.2.11", "endpoint", 400, "headers in the Request-URI"),
    "baddate": Row("3.1.2.12", "nobody", "call", "we do not use Date"),
    "regbadct": Row("3.1.2.13", "endpoint", 405, "REGISTER is not ours"),
    "badaspec": Row("3.1.2.14", "parser", 400, "spaces within the address of To"),
    "baddn": Row("3.1.2.15", "parser", 400, "a comma in an unquoted display name"),
    "badvers": Row("3.1.2.16", "parser", 505, "SIP/7.0"),
    "mismatch01": Row("3.1.2.17", "endpoint", 400, "CSeq names another method"),
    "mismatch02": Row("3.1.2.18", "endpoint", 501, "an unknown method"),
    "bigcode": Row("3.1.2.19", "parser", "bad_status", "a status beyond 699 is dropped"),
    # §3.2 to §3.4: transactions, applications, RFC 2543
    "badbranch": Row("3.2.1", "endpoint", 400, "nothing behind the magic cookie"),
    "insuf": Row("3.3.1", "parser", 400, "no From, To, Call-ID or Max-Forwards"),
    "unkscm": Row("3.3.2", "endpoint", 416, "nobody knows the scheme"),
    "novelsc": Row("3.3.3", "endpoint", 416, "a registered scheme, not ours"),
    "unksm2": Row("3.3.4", "endpoint", 405, "REGISTER is not ours"),
    "bext01": Row("3.3.5", "endpoint", 420, "Require names what nobody supports"),
    "invut": Row("3.3.6", "body", 415, "an INVITE with a body of unknown type"),
    "regaut01": Row("3.3.7", "endpoint", 405, "REGISTER is not ours"),
    "multi01": Row("3.3.8", "endpoint", 400, "several values where one may stand"),
    "mcl01": Row("3.3.9", "parser", 400, "two Content-Lengths", "400 close"),
    "bcast": Row("3.3.10", "endpoint", "many_vias", "a response with the Via of another"),
    "zeromf": Row("3.3.11", "nobody", 200, "Max-Forwards 0 has arrived where it was going"),
    "cparam01": Row("3.3.12", "endpoint", 405, "REGISTER is not ours"),
    "cparam02": Row("3.3.13", "endpoint", 405, "REGISTER is not ours"),
    "regescrt": Row("3.3.14", "endpoint", 405, "REGISTER is not ours"),
    "sdp01": Row("3.3.15", "body", 406, "the caller takes no session description"),
    "inv2543": Row("3.4.1", "nobody", "call", "no branch, no tag; streams need Content-Length", "400 close"),
    # RFC 5118 §4
    "ipv6-good": Row("4.1", "endpoint", 405, "REGISTER is not ours"),
    "ipv6-bad": Row("4.2", "endpoint", 405, "REGISTER is not ours"),
    "port-ambiguous": Row("4.3", "endpoint", 405, "REGISTER is not ours"),
    "port-unambiguous": Row("4.4", "endpoint", 405, "REGISTER is not ours"),
    "via-received-param-with-delim": Row("4.5", "dialog", 481, "BYE of a dialog that we do not have"),
    "via-received-param-no-delim": Row("4.5", "nobody", 200, "received without brackets"),
    "ipv6-in-sdp": Row("4.6", "nobody", "call", "IPv6 in c="),
    "mult-ip-in-header": Row("4.7", "dialog", 481, "BYE of a dialog that we do not have"),
    "mult-ip-in-sdp": Row("4.8", "nobody", "call", "one stream of each kind of address"),
    "ipv4-mapped-ipv6": Row("4.9", "nobody", "call", "IPv4-mapped addresses"),
    "ipv6-bug-abnf-3-colons": Row("4.10", "nobody", 200, "three colons, as old grammars allowed"),
    "ipv6-correct-abnf-2-colons": Row("4.10", "nobody", 200, "two colons"),
}


def message_of(name: str) -> bytes:
    return (rfc4475() if name in rfc4475() else rfc5118())[name]


def objector(data: bytes) -> str:
    """The first layer that does not pass the message on."""
    message = parse_datagram(data)
    if isinstance(message, Malformed):
        return "parser"
    if isinstance(message, Response):
        return "endpoint" if check_response(message) else "transaction"
    assert isinstance(message, Request)
    if message.method not in METHODS:
        return "endpoint"
    refusal = check_request(message, supported=())
    if refusal is not None:
        return "body" if refusal.status in (406, 415) else "endpoint"
    return "dialog" if message.to.tag is not None else "nobody"


def over_udp(ladder: Ladder, data: bytes) -> str:
    return told(ladder, ladder.endpoint.receive(data, PHONE, 0.0))


def over_tcp(ladder: Ladder, data: bytes, slices: int) -> str:
    """The same as a shell does it: cut, hand on, close where the frame is lost."""
    if b"\r\n\r\n" not in data:
        data += b"\r\n"  # some files end before the empty line, which a stream cannot do without
    ladder.endpoint.flow_opened(TCP, 0.0)
    framer = StreamFramer()
    words: list[str] = []
    for at in range(0, len(data), slices):
        for frame in framer.feed(data[at : at + slices]):
            if isinstance(frame, Whole):
                words.append(told(ladder, ladder.endpoint.receive(frame.data, TCP, 0.0)))
            elif isinstance(frame, Broken):
                effects = ladder.endpoint.receive_broken(frame.head, TCP, frame.status, frame.why, 0.0)
                sent = [effect for effect in effects if isinstance(effect, SendDatagram)]
                words += [told(ladder, sent)] if sent else []
                words.append("close")
    if framer.within:
        words.append("waits")
    return " ".join(words)


def told(ladder: Ladder, effects: Sequence[object]) -> str:
    """What came of it in one word; an offered call is taken, ended, and not held against it."""
    sent = [effect for effect in effects if isinstance(effect, SendDatagram)]
    calls = [effect for effect in effects if isinstance(effect, InviteReceived)]
    drops = [effect.why for effect in effects if isinstance(effect, Dropped)]
    assert len(sent) + len(drops) == 1
    if not calls:
        return drops[0] if drops else sent[0].data[8:11].decode()
    assert sent[0].data.startswith(b"SIP/2.0 100 ")
    ladder.take(ladder.endpoint.accept(calls[0].leg, ANSWER, ladder.now))
    assert ladder.response().status == 200
    ladder.take(ladder.endpoint.hang_up(calls[0].leg, ladder.now))
    return "call"


def an_ordinary_call_succeeds(ladder: Ladder, source: Address) -> None:
    phone = Phone(call_id="afterwards")
    ladder.receive(phone.request("INVITE", OFFER), source)
    ladder.do("accept", ladder.event(InviteReceived).leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("ACK", cseq=phone.cseq), source)
    assert ladder.event(Confirmed)
    ladder.receive(phone.request("BYE"), source)
    assert ladder.event(Ended).by == "peer"
    ladder.settle()
    ladder.nothing_left()


def test_the_table_is_whole() -> None:
    assert set(TABLE) == {*rfc4475(), *rfc5118()}
    assert (len(rfc4475()), len(rfc5118())) == (49, 12)


@pytest.mark.parametrize("name", TABLE)
def test_over_udp(name: str) -> None:
    ladder, row = Ladder(), TABLE[name]
    assert over_udp(ladder, message_of(name)) == str(row.answer), row.why
    an_ordinary_call_succeeds(ladder, PHONE)


@pytest.mark.parametrize("slices", [1, 7, 100_000], ids=["byte by byte", "sevens", "at once"])
@pytest.mark.parametrize("name", TABLE)
def test_over_tcp(name: str, slices: int) -> None:
    ladder, row = Ladder(), TABLE[name]
    assert over_tcp(ladder, message_of(name), slices) == (row.stream or str(row.answer)), row.why
    # "close" and "waits" are the end of that connection, not of the peer.
    ladder.take(ladder.endpoint.flow_closed(TCP, 0.0))
    ladder.take(ladder.endpoint.flow_opened(TCP._replace(flow=2), 0.0))
    an_ordinary_call_succeeds(ladder, TCP._replace(flow=2))


@pytest.mark.parametrize("name", TABLE)
def test_the_layer_that_objects(name: str) -> None:
    assert objector(message_of(name)) == TABLE[name].layer


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_noise_is_dropped_or_answered(data: bytes) -> None:
    ladder = Ladder()
    ladder.endpoint.receive(data, PHONE, 0.0)
    assert ladder.endpoint.figures().legs == 0


_BROKEN = st.sampled_from(
    """
    Record-Route: <
    Contact: <<>
    Route: ;
    Event: ;;
    Refer-To: <sip:>
    RAck: x
    Content-Disposition: ;;;
    Session-Expires: x
    Replaces: x
    Accept: ,,
    Require: ,
    Supported: ,
    """.strip().split("\n")
).map(str.strip)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(
        ["INVITE", "OPTIONS", "BYE", "INFO", "UPDATE", "NOTIFY", "CANCEL", "REFER", "ACK", "PRACK"]
    ),
    st.lists(_BROKEN, max_size=3),
    st.booleans(),
)
def test_broken_headers_in_and_out_of_a_dialog_are_answered(
    method: str, headers: list[str], inside: bool
) -> None:
    from tests.sip.ladder import established

    ladder, phone = established(allow_refer=True)[:2] if inside else (Ladder(allow_refer=True), Phone())
    data = phone.request(method, b"", *headers)
    effects = ladder.endpoint.receive(data, PHONE, 1.0)
    answered = any(isinstance(effect, SendDatagram) for effect in effects)
    assert answered is (method != "ACK")


def test_a_multipart_offer_is_found_and_a_broken_one_is_400() -> None:
    ladder, phone = Ladder(), Phone()
    body = b"--xx\r\nContent-Type: application/sdp\r\n\r\n" + OFFER + b"\r\n--xx\r\n\r\nhello\r\n--xx--\r\n"
    ladder.receive(phone.request("INVITE", body, content_type='multipart/mixed;boundary="xx"'))
    assert ladder.event(InviteReceived).offer == OFFER
    other = Phone(call_id="call-2")
    ladder.receive(other.request("INVITE", body, content_type="multipart/mixed"))
    assert ladder.response().status == 400
    assert ladder.endpoint.figures().legs == 1
