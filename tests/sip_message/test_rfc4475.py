"""All 49 torture messages of RFC 4475: each gets the treatment its section names."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.kit.corpora import rfc4475
from voiceagent.sip.check import check_request, check_response
from voiceagent.sip.syntax.build import response_to
from voiceagent.sip.syntax.message import Request, Response
from voiceagent.sip.syntax.parser import Malformed, parse_datagram


@dataclass(frozen=True)
class Row:
    """What must happen: ``ok``, ``drop``, or the status; ``why`` is the parser's or checker's reason."""

    section: str
    outcome: str | int
    why: str = ""


# Where the RFC leaves a choice, the comment says what was chosen.
TABLE: dict[str, Row] = {
    # 3.1.1 Valid Messages
    "wsinv": Row("3.1.1.1", "ok"),
    "intmeth": Row("3.1.1.2", "ok"),
    "esc01": Row("3.1.1.3", "ok"),
    "escnull": Row("3.1.1.4", "ok"),
    "esc02": Row("3.1.1.5", "ok"),
    "lwsdisp": Row("3.1.1.6", "ok"),
    "longreq": Row("3.1.1.7", "ok"),
    "dblreq": Row("3.1.1.8", "ok"),
    "semiuri": Row("3.1.1.9", "ok"),
    "transports": Row("3.1.1.10", "ok"),
    "mpart01": Row("3.1.1.11", "ok"),
    "unreason": Row("3.1.1.12", "ok"),
    "noreason": Row("3.1.1.13", "ok"),
    # 3.1.2 Invalid Messages
    "badinv01": Row("3.1.2.1", 400, "Malformed Via"),
    "clerr": Row("3.1.2.2", 400, "short_body"),
    "ncl": Row("3.1.2.3", 400, "bad_content_length"),
    "scalar02": Row("3.1.2.4", 400, "bad_cseq"),
    "scalarlg": Row("3.1.2.5", "drop", "bad_cseq"),
    "quotbal": Row("3.1.2.6", 400, "bad_to"),
    "ltgtruri": Row("3.1.2.7", 400, "Malformed Request-URI"),
    "lwsruri": Row("3.1.2.8", 400, "start_line"),
    "lwsstart": Row("3.1.2.9", 400, "start_line"),
    "trws": Row("3.1.2.10", 400, "start_line"),
    "escruri": Row("3.1.2.11", 400, "Headers in Request-URI"),
    "baddate": Row("3.1.2.12", "ok"),  # "shouldn't" be rejected by who does not use Date: we do not
    "regbadct": Row("3.1.2.13", 400, "Malformed Contact"),
    "badaspec": Row("3.1.2.14", 400, "bad_to"),  # may be trimmed; refused
    "baddn": Row("3.1.2.15", 400, "bad_from"),  # may be guessed; refused
    "badvers": Row("3.1.2.16", 505, "version"),
    "mismatch01": Row("3.1.2.17", 400, "CSeq Method"),
    "mismatch02": Row("3.1.2.18", 400, "CSeq Method"),  # 501 allowed as well
    "bigcode": Row("3.1.2.19", "drop", "bad_status"),
    # 3.2 Transaction Layer Semantics
    "badbranch": Row("3.2.1", 400, "Empty Branch"),  # may fall back to RFC 2543 matching; refused
    # 3.3 Application-Layer Semantics
    "insuf": Row("3.3.1", 400, "missing_from"),
    "unkscm": Row("3.3.2", 416),
    "novelsc": Row("3.3.3", 416),
    "unksm2": Row("3.3.4", 400, "Address of Record"),
    "bext01": Row("3.3.5", 420),
    "invut": Row("3.3.6", 415),
    "regaut01": Row("3.3.7", "ok"),  # unknown credentials: the digest layer's matter
    "multi01": Row("3.3.8", 400, "Several"),
    "mcl01": Row("3.3.9", 400, "many_content_length"),
    "bcast": Row("3.3.10", "drop", "many_vias"),
    "zeromf": Row("3.3.11", "ok"),  # 483 is a proxy's answer, see below
    "cparam01": Row("3.3.12", "ok"),
    "cparam02": Row("3.3.13", "ok"),
    "regescrt": Row("3.3.14", "ok"),
    "sdp01": Row("3.3.15", 406),
    # 3.4 Backward Compatibility
    "inv2543": Row("3.4.1", "ok"),
}


def treat(data: bytes) -> tuple[str | int, str]:
    """What a user agent does with a datagram: ``ok``, ``drop`` or a status, and why."""
    message = parse_datagram(data)
    if isinstance(message, Malformed):
        if message.reply_status is None:
            return "drop", message.why
        assert message.partial is not None
        reply = response_to(message.partial, message.reply_status, to_tag="ours").to_bytes()
        assert reply.startswith(b"SIP/2.0 %d " % message.reply_status)
        return message.reply_status, message.why
    if isinstance(message, Response):
        why = check_response(message)
        return ("ok", "") if why is None else ("drop", why)
    assert isinstance(message, Request)
    refusal = check_request(message, supported=())
    return ("ok", "") if refusal is None else (refusal.status, refusal.reason)


def read(name: str) -> Request | Response:
    message = parse_datagram(rfc4475()[name])
    assert isinstance(message, Request | Response)
    return message


def test_the_table_names_every_message_of_the_rfc() -> None:
    assert set(TABLE) == set(rfc4475())
    assert len(TABLE) == 49
    assert sum(row.section.startswith("3.1.1.") for row in TABLE.values()) == 13


@pytest.mark.parametrize("name", TABLE)
def test_treatment(name: str) -> None:
    row = TABLE[name]
    outcome, why = treat(rfc4475()[name])
    assert outcome == row.outcome, why
    assert row.why in why


@pytest.mark.parametrize("name", TABLE)
def test_what_was_read_serialises_and_reads_the_same(name: str) -> None:
    message = parse_datagram(rfc4475()[name])
    if isinstance(message, Request | Response):
        again = parse_datagram(message.to_bytes())
        assert isinstance(again, type(message))
        again.headers.remove("Content-Length")
        message.headers.remove("Content-Length")
        assert again == message


CORE = {
    # name: via host, from tag, to uri, call-id, cseq
    "wsinv": (
        "192.0.2.2",
        "98asjd8",
        "sip:vivekg@chair-dnrc.example.com",
        "wsinv.ndaksdj@192.0.2.1",
        (9, "INVITE"),
    ),
    "intmeth": (
        "host1.example.com",
        "_token~1'+`*%!-.",
        "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com",
        "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{",
        (139122385, "!interesting-Method0123456789_*+`.%indeed'~"),
    ),
    "esc01": (
        "host5.example.net",
        "938",
        "sip:%75se%72@example.com",
        "esc01.239409asdfakjkn23onasd0-3234",
        (234234, "INVITE"),
    ),
    "escnull": (
        "host5.example.com",
        "839923423",
        "sip:null-%00-null@example.com",
        "escnull.39203ndfvkjdasfkq3w4otrq0adsfdfnavd",
        (14398234, "REGISTER"),
    ),
    "esc02": (
        "host.example.com",
        "f232jadfj23",
        "sip:resource@example.com",
        "esc02.asdfnqwo34rq23i34jrjasdcnl23nrlknsdf",
        (29344, "RE%47IST%45R"),
    ),
    "lwsdisp": (
        "funky.example.com",
        "323",
        "sip:user@example.com",
        "lwsdisp.1234abcd@funky.example.com",
        (60, "OPTIONS"),
    ),
    "dblreq": (
        "192.0.2.125",
        "43251j3j324",
        "sip:j.user@example.com",
        "dblreq.0ha0isndaksdj99sdfafnl3lk233412",
        (8, "REGISTER"),
    ),
    "semiuri": ("192.0.2.1", "33242", "sip:j_user@example.com", "semiuri.0ha0isndaksdj", (8, "OPTIONS")),
    "transports": (
        "t1.example.com",
        "323",
        "sip:user@example.com",
        "transports.kijh4akdnaqjkwendsasfdj",
        (60, "OPTIONS"),
    ),
    "mpart01": (
        "127.0.0.1",
        "2fb0dcc9",
        "sip:kumiko@example.org",
        "3d9485ad0c49859b@Zmx1ZmZ5LW1hYy0xNi5sb2NhbA..",
        (1, "MESSAGE"),
    ),
    "unreason": (
        "192.0.2.198",
        "11141343",
        "sip:user@example.edu",
        "unreason.1234ksdfak3j2erwedfsASdf",
        (35, "INVITE"),
    ),
    "noreason": (
        "192.0.2.105",
        "39ansfi3",
        "sip:user@example.edu",
        "noreason.asndj203insdf99223ndf",
        (35, "INVITE"),
    ),
}


@pytest.mark.parametrize("name", CORE)
def test_core_headers_of_the_valid_messages(name: str) -> None:
    via_host, from_tag, to_uri, call_id, cseq = CORE[name]
    message = read(name)
    assert message.via.host == via_host
    assert message.from_.tag == from_tag
    assert message.to.uri_text == to_uri
    assert message.call_id == call_id
    assert message.cseq == cseq


def test_longreq() -> None:
    message = read("longreq")
    assert len(message.vias) == 34
    assert [via.host for via in message.vias[32:]] == ["sip1.example.com", "host.example.com"]
    assert message.from_.uri.user.startswith("amazinglylongcallername")
    assert len(message.from_.tag or "") > 60
    assert message.to.uri.port == 6000
    assert message.to.display.startswith("I have a user name of extremeextreme")
    assert message.call_id.startswith("longreq.onereallyreallyreally")
    assert message.cseq == (3882340, "INVITE")
    assert len(message.body) == 150


def test_wsinv_in_full() -> None:
    message = read("wsinv")
    assert isinstance(message, Request)
    assert message.from_.display == 'J Rosenberg \\"'
    assert message.to.tag == "1918181833n"
    assert message.max_forwards == 68
    assert [via.transport for via in message.vias] == ["UDP", "TCP", "UDP"]
    assert message.vias[1].branch == "z9hG4bK9ikj8"
    assert message.vias[2].branch == "z9hG4bK30239"
    assert message.headers.get("s") == ""
    assert message.headers.get("NewFangledHeader") == "newfangled value continued newfangled value"
    assert message.headers.get("unknownheaderwithunusualvalue") == ";;,,;;,;"
    contact = message.contact
    assert contact is not None
    assert contact.display == 'Quoted string ""'
    assert contact.params.get("newparam") == "newvalue"
    assert contact.params.get("q") == "0.33"
    assert "secondparam" in contact.params
    assert "lr" in message.route[0].uri.params


def test_intmeth_keeps_escaped_control_characters() -> None:
    message = read("intmeth")
    assert message.to.display == "BEL:\x07 NUL:\x00 DEL:\x7f"
    assert message.max_forwards == 255
    assert message.from_.params.get("fromParam''~+*_!.-%") == "работающий"
    assert message.to_bytes().count(b"\x00") == 1


def test_esc01_parameters_are_unescaped() -> None:
    message = read("esc01")
    assert isinstance(message, Request)
    assert message.request_uri.user == "sips:user@example.com"
    assert message.to.uri.user == "user"
    contact = message.contact
    assert contact is not None
    assert contact.uri.params.get("lr") is None
    assert "lr" in contact.uri.params
    assert contact.uri.params.get("name") == "value%41"


def test_escnull_user_is_one_nul() -> None:
    assert [contact.uri.user for contact in read("escnull").contacts] == ["\x00", "\x00\x00"]


def test_esc02_escapes_mean_nothing_outside_uris() -> None:
    message = read("esc02")
    assert isinstance(message, Request)
    assert message.method == "RE%47IST%45R"
    assert message.to.display == "%Z%45"
    assert len(message.contacts) == 2
    assert message.headers.get("C%6Fntact") == "<sip:alias2@host2.example.com>"


def test_dblreq_is_cut_after_the_first_message() -> None:
    message = read("dblreq")
    assert isinstance(message, Request)
    assert (message.method, message.body) == ("REGISTER", b"")


def test_mpart01_body_is_untouched() -> None:
    assert len(read("mpart01").body) == 553
    assert read("mpart01").content_type == "multipart/mixed"


def test_reason_phrases() -> None:
    unreason, noreason = read("unreason"), read("noreason")
    assert isinstance(unreason, Response)
    assert unreason.reason.startswith("= 2**3 * 5**2 но сто девяносто девять")
    assert isinstance(noreason, Response)
    assert (noreason.status, noreason.reason) == (100, "")


def test_semiuri_keeps_the_semicolon_in_the_user() -> None:
    message = read("semiuri")
    assert isinstance(message, Request)
    assert message.request_uri.user == "user;par=u@example.net"
    assert message.request_uri.host == "example.com"


def test_bext01_names_what_is_unsupported() -> None:
    message = read("bext01")
    assert isinstance(message, Request)
    refusal = check_request(message)
    assert refusal is not None
    assert refusal.headers == (("Unsupported", "nothingSupportsThis, nothingSupportsThisEither"),)
    assert check_request(message, supported=("nothingsupportsthis", "NothingSupportsThisEither")) is None


def test_invut_says_what_is_accepted() -> None:
    message = read("invut")
    assert isinstance(message, Request)
    refusal = check_request(message)
    assert refusal is not None
    assert refusal.headers == (("Accept", "application/sdp"),)


def test_zeromf_is_too_far_for_a_proxy_only() -> None:
    message = read("zeromf")
    assert isinstance(message, Request)
    assert check_request(message) is None
    refusal = check_request(message, as_proxy=True)
    assert refusal is not None
    assert refusal.status == 483


def test_cparam_belongs_to_header_or_uri() -> None:
    header, uri = read("cparam01").contact, read("cparam02").contact
    assert header is not None
    assert "unknownparam" in header.params
    assert "unknownparam" not in header.uri.params
    assert uri is not None
    assert "unknownparam" in uri.uri.params
    assert "unknownparam" not in uri.params


def test_inv2543_has_no_transaction_identifier() -> None:
    message = read("inv2543")
    assert message.via.branch is None
    assert not message.via.is_rfc3261
    assert message.from_.tag is None
    assert message.max_forwards is None
    assert len(message.body) == 105
