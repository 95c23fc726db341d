"""The messages of RFC 4475 and RFC 5118, mutations of them, and plain noise, through the whole endpoint."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit.corpora import rfc4475, rfc5118
from tests.sip.ladder import ANSWER, OFFER, PHONE, Ladder, Phone
from voiceagent.sip.effects import Dropped, InviteReceived, SendDatagram

# What a user agent without REGISTER, MESSAGE and extensions makes of each: a status, a call, or a drop. Where
# the method is not ours, 405 and 501 come before the look at the rest (RFC 3261 §8.2.1).
EXPECTED: dict[str, int | str] = {
    "badaspec": 400,
    "badbranch": 400,
    "baddate": "call",
    "baddn": 400,
    "badinv01": 400,
    "badvers": 505,
    "bcast": "many_vias",
    "bext01": 420,
    "bigcode": "bad_status",
    "clerr": 400,
    "cparam01": 405,
    "cparam02": 405,
    "dblreq": 405,
    "esc01": "call",
    "esc02": 501,
    "escnull": 405,
    "escruri": 400,
    "insuf": 400,
    "intmeth": 501,
    "inv2543": "call",
    "invut": 415,
    "longreq": "call",
    "ltgtruri": 400,
    "lwsdisp": 200,
    "lwsruri": 400,
    "lwsstart": 400,
    "mcl01": 400,
    "mismatch01": 400,
    "mismatch02": 501,
    "mpart01": 405,
    "multi01": 400,
    "ncl": 400,
    "noreason": "stray_response",
    "novelsc": 416,
    "quotbal": 400,
    "regaut01": 405,
    "regbadct": 405,
    "regescrt": 405,
    "scalar02": 400,
    "scalarlg": "bad_cseq",
    "sdp01": 406,
    "semiuri": 200,
    "transports": 200,
    "trws": 400,
    "unkscm": 416,
    "unksm2": 405,
    "unreason": "stray_response",
    "wsinv": 481,  # well-formed; its To tag names a dialog that we do not have
    "zeromf": 200,
}


@pytest.mark.parametrize("name", EXPECTED)
def test_rfc_4475(name: str) -> None:
    ladder = Ladder()
    effects = ladder.endpoint.receive(rfc4475()[name], PHONE, 0.0)
    expected = EXPECTED[name]
    sent = [effect.data for effect in effects if isinstance(effect, SendDatagram)]
    calls = [effect for effect in effects if isinstance(effect, InviteReceived)]
    drops = [effect.why for effect in effects if isinstance(effect, Dropped)]
    if expected == "call":
        assert sent[0].startswith(b"SIP/2.0 100 ")
        assert len(calls) == 1
        ladder.take(ladder.endpoint.accept(calls[0].leg, ANSWER, 0.0))
        ladder.settle()
    elif isinstance(expected, int):
        assert [data[:12] for data in sent] == [b"SIP/2.0 %d " % expected]
        assert calls == drops == []
    else:
        assert (drops, sent, calls) == ([expected], [], [])
    ladder.settle()
    ladder.nothing_left()


def test_the_table_is_whole() -> None:
    assert set(EXPECTED) == set(rfc4475())


def test_rfc_5118_messages_are_answered_or_dropped_and_the_next_call_goes_through() -> None:
    ladder, phone = Ladder(), Phone()
    for data in rfc5118().values():
        effects = ladder.endpoint.receive(data, PHONE, 0.0)
        assert effects
    ladder.receive(phone.request("INVITE", OFFER))
    assert ladder.event(InviteReceived).call_id == phone.call_id


def test_two_thousand_mutations_of_the_corpus_never_raise() -> None:
    dice = random.Random(4475)
    seeds = [*rfc4475().values(), *rfc5118().values()]
    ladder, phone = Ladder(), Phone()
    for n in range(2_000):
        data = bytearray(dice.choice(seeds))
        for _ in range(dice.randint(1, 6)):
            at = dice.randrange(len(data))
            kind = dice.randrange(3)
            if kind == 0:
                data[at] = dice.randrange(256)
            elif kind == 1:
                del data[at : at + dice.randint(1, 20)]
            else:
                data[at:at] = bytes(dice.choice(b'\r\n"<>;,:=\x00\xff \t') for _ in range(dice.randint(1, 5)))
        ladder.endpoint.receive(bytes(data), PHONE, n / 100)
    ladder.now = 20.0
    ladder.receive(phone.request("INVITE", OFFER))
    assert ladder.event(InviteReceived).call_id == phone.call_id
    ladder.do("accept", ladder.event(InviteReceived).leg, ANSWER)
    ladder.advance(600)
    ladder.nothing_left()


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
