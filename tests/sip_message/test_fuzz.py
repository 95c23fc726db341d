"""Mutated and random datagrams: nothing but the typed error, and always an outcome."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from tests.kit.corpora import corpora_folder, rfc4475, rfc5118
from tests.sip_message.touch import touch
from tests.sip_message.wire import SDP, datagram, invite
from voiceagent.errors import SipError
from voiceagent.sip.syntax.build import response_to
from voiceagent.sip.syntax.grammar import (
    CSeq,
    NameAddr,
    Params,
    ReferTo,
    SipUri,
    Via,
    quote,
    scan_quoted,
    split_commas,
)
from voiceagent.sip.syntax.message import Request
from voiceagent.sip.syntax.parser import parse_datagram

PIECES = [
    *(b"\r\n", b"\r\n ", b"\r\n\r\n", b"\n", b"\r", b"\x00", b"\xff\xfe", b"\xe2\x80\xa8", b" ", b"\t"),
    *(b":", b";", b";;", b",", b",,", b"<", b">", b'"', b"\\", b'\\"', b"@", b"?", b"&", b"=", b"(", b"*"),
    *(b"%", b"%00", b"%zz", b"[", b"]", b"[::", b"-1", b"4294967296", b"9" * 20, b"\xd9\xa3", b"A" * 300),
    *(b"SIP/2.0", b"sip:", b"Via: ", b"v:", b"l: 5\r\n", b"Content-Length: 0\r\n", b"Contact: *\r\n"),
    *(b"multipart/mixed;boundary=x", b"z9hG4bK", b"tag="),
]


def seeds() -> list[bytes]:
    request = parse_datagram(invite())
    assert isinstance(request, Request)
    own = [
        invite(),
        datagram("BYE"),
        datagram("REFER", extra=("Refer-To: <sip:b@h?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2>",)),
        datagram("REGISTER", headers={"Contact": '"q" <sip:a@[::1]:5060;transport=tcp>;expires=60;q=0.5'}),
        datagram(
            headers={"Content-Type": "multipart/mixed;boundary=b"}, body=b"--b\r\n\r\n" + SDP + b"\r\n--b--"
        ),
        response_to(request, 200, to_tag="t").to_bytes(),
    ]
    if corpora_folder() is not None:
        own += [*rfc4475().values(), *rfc5118().values()]
    return own


def mutate(rng: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """One to six small damages."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(out) + 1)
        span = min(len(out), at + rng.choice((1, 1, 2, 8, 40)))
        match rng.randrange(8):
            case 0:
                out[at:at] = rng.choice(PIECES)
            case 1:
                out[at:span] = rng.choice(PIECES)
            case 2:
                del out[at:span]
            case 3:
                out[at:at] = bytes(out[at:span]) * rng.choice((1, 2, 30))
            case 4 if out:
                out[min(at, len(out) - 1)] = rng.randrange(256)
            case 5:
                other = rng.choice(others)
                cut = rng.randrange(len(other) + 1)
                out[at:span] = other[cut : cut + 60]
            case 6:
                lines = bytes(out).split(b"\r\n")
                rng.shuffle(lines)
                out = bytearray(b"\r\n".join(lines))
            case _:
                out = out[:at]
    return bytes(out)


@pytest.mark.parametrize("part", range(8))
def test_mutated_messages(part: int) -> None:
    rng = random.Random(4475 + part)
    sources = seeds()
    outcomes: Counter[str] = Counter()
    for number in range(500):
        data = mutate(rng, rng.choice(sources), sources)
        try:
            outcomes[touch(data)] += 1
        except Exception as error:
            raise AssertionError(f"part {part}, mutation {number}: {data!r}") from error
    # The damage is neither too mild nor too harsh to say anything.
    assert outcomes["request"] > 5
    assert outcomes["refuse"] > 50
    assert outcomes["drop"] > 20


@seed(1)
@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes(data: bytes) -> None:
    touch(data)


header_text = st.text(st.sampled_from('ab1;,=<>"\\@:?&%[]() \t*/.-\x00é\udcff'), max_size=40)


@seed(2)
@settings(max_examples=800, deadline=None)
@given(st.sampled_from(["Via", "From", "To", "Call-ID", "CSeq", "Contact", "Route", "Refer-To"]), header_text)
def test_random_header_values(name: str, value: str) -> None:
    touch(datagram("REFER", headers={name: value}))


@seed(3)
@settings(max_examples=800, deadline=None)
@given(header_text)
def test_grammar_raises_only_sip_errors_and_prints_what_it_read(text: str) -> None:
    for kind in (NameAddr, Via, CSeq, ReferTo, SipUri):
        try:
            value = kind.parse(text)
        except SipError:
            continue
        assert kind.parse(str(value)) == value


@seed(4)
@settings(max_examples=400, deadline=None)
@given(st.text(max_size=60))
def test_quoting_goes_both_ways(text: str) -> None:
    quoted = quote(text)
    assert scan_quoted(quoted, 0, "x") == (text, len(quoted))
    assert split_commas(f"{quoted}, {quoted}") == [quoted, quoted]


@seed(5)
@settings(max_examples=400, deadline=None)
@given(
    st.text(max_size=20),
    st.lists(
        st.tuples(st.text(min_size=1, max_size=8), st.none() | st.text(min_size=1, max_size=8)), max_size=4
    ),
)
def test_a_built_uri_reads_as_what_went_in(user: str, params: list[tuple[str, str | None]]) -> None:
    try:
        uri = SipUri(user=user, host="h.example", params=Params(params))
        text = str(uri)
    except UnicodeEncodeError:
        return
    again = SipUri.parse(text)
    assert (again.user, again.host, again.params.pairs) == (user, "h.example", tuple(params))
