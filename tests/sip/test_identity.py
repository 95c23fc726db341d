"""Caller data: what is read, and that nothing malformed is ever more than left out."""

from __future__ import annotations

import base64
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceagent.claims import Diverted, FirstValues, Person
from voiceagent.sip.syntax.identity import claims_of


def passport(payload: object, *, raw: bytes | None = None) -> str:
    """An Identity value whose signature is nonsense."""
    body = json.dumps(payload).encode() if raw is None else raw
    parts = [b'{"typ":"passport","ppt":"shaken"}', body, b"sig"]
    token = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    return f"{token};info=<https://cert.example.com/c.pem>;alg=ES256;ppt=shaken"


def test_who_is_asserted_by_whom() -> None:
    claims = claims_of(
        [
            (
                "P-Asserted-Identity",
                '"Ann, of Sales" <sip:+441632960001@carrier.example>, <tel:+441632960001>',
            ),
            ("remote-party-id", '"Ann" <sip:200@pbx.example>;party=calling;privacy=full;screen=yes'),
            ("Privacy", "id; user,none"),
            ("User-to-User", "56a390f3;encoding=hex"),
        ],
        trusted=True,
    )
    assert claims.trusted
    assert claims.asserted == (
        Person("sip:+441632960001@carrier.example", "+441632960001", "Ann, of Sales"),
        Person("tel:+441632960001", "+441632960001"),
    )
    assert claims.remote_party == Person("sip:200@pbx.example", "200", "Ann")
    assert claims.privacy == ("id", "user")
    assert claims.user_to_user == "56a390f3;encoding=hex"


def test_diversions_newest_first() -> None:
    claims = claims_of(
        [
            ("Diversion", "<sip:2@x>;reason=no-answer;counter=2, <sip:1@x>;reason=user-busy"),
            ("Diversion", '"Lobby" <tel:+4420>;reason="follow me";counter=x'),
        ]
    )
    assert claims.diversions == (
        Diverted(Person("sip:2@x", "2"), "no-answer", 2),
        Diverted(Person("sip:1@x", "1"), "user-busy"),
        Diverted(Person("tel:+4420", "+4420", "Lobby"), "follow me"),
    )


def test_history_where_there_is_no_diversion() -> None:
    history = (
        "<sip:1@x?Reason=SIP%3Bcause%3D486>;index=1, <sip:2@x?Reason=SIP%3Bcause%3D408%3Btext%3D%22x%22>"
        ";index=1.1;mp=1, <sip:3@x>;index=1.1.1;mp=1.1"
    )
    assert claims_of([("History-Info", history)]).diversions == (
        Diverted(Person("sip:2@x", "2"), "no-answer"),
        Diverted(Person("sip:1@x", "1"), "user-busy"),
    )


@pytest.mark.parametrize("level", ["A", "B", "C"])
def test_an_attestation_is_shown_as_claimed(level: str) -> None:
    claims = claims_of([("Identity", passport({"attest": level, "orig": {"tn": "441"}}))])
    assert claims.attestation == level
    assert not claims.trusted


def test_of_two_attestations_the_weaker_counts() -> None:
    both = [("Identity", passport({"attest": "A"})), ("Identity", passport({"attest": "C"}))]
    assert claims_of(both).attestation == "C"
    assert claims_of([*both, ("Identity", "junk")]).attestation == "none"


GOOD = passport({"attest": "A"})
MALFORMED = [
    "",
    ";",
    ".",
    "..",
    "...",
    "a.b",
    "a.b.c",
    "a.b.c.d",
    ".." + "x" * 8000,
    "\x00.\x00.\x00",
    "ä.ö.ü",
    "\udcff.\udcff.\udcff",
    "a." + "A" * 1 + ".c",
    "a.====.c",
    passport(None),
    passport([]),
    passport("A"),
    passport(7),
    passport({"attest": "D"}),
    passport({"attest": ["A"]}),
    passport({"attest": {"A": 1}}),
    passport({"attest": None}),
    passport({}, raw=b"\xff\xfe"),
    passport({}, raw=b"[" * 5000),
    passport({}, raw=b'{"attest":"A"'),
    passport({}, raw=b"9" * 5000),
    passport({}, raw=b""),
    GOOD.partition(".")[2],
    GOOD.replace(".", ",", 1),
    "x" * 9000 + "." + GOOD,
    '"' * 4000,
    "<" * 4000,
]


@pytest.mark.parametrize(
    "header", ["Identity", "Diversion", "History-Info", "P-Asserted-Identity", "Privacy"]
)
@pytest.mark.parametrize("value", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_values_vouch_for_nothing(header: str, value: str) -> None:
    claims = claims_of([(header, value)], trusted=True)
    assert claims.attestation == "none"
    assert all(person.uri.isprintable() for person in claims.asserted)


@given(
    st.lists(
        st.tuples(st.sampled_from(["Identity", "Diversion", "History-Info", "X-A"]), st.text(max_size=80))
    )
)
def test_any_text_is_taken(headers: list[tuple[str, str]]) -> None:
    claims = claims_of(headers)
    assert len(claims.diversions) <= 16


def test_names_are_made_fit_to_be_shown() -> None:
    claims = claims_of([("P-Asserted-Identity", '"Ann\udcff\x1b[31m" <sip:1@x>')])
    assert claims.asserted[0].name == "Ann\N{REPLACEMENT CHARACTER} [31m"


@pytest.mark.parametrize("value", ["<sip:1@x>,", '"', "<sip:1@x>;reason=a", "%", ";", "<"])
def test_a_long_header_costs_no_more_than_its_length(value: str) -> None:
    def cost(size: int) -> float:
        text = value * (size // len(value))
        return min(_timed(text) for _ in range(5))

    def _timed(text: str) -> float:
        began = time.process_time()
        for name in ("Diversion", "History-Info", "Identity", "P-Asserted-Identity", "Privacy"):
            claims_of([(name, text)])
        return time.process_time() - began

    assert cost(8192) < 40 * cost(1024) + 0.002  # quadratic would be 64 times


def test_headers_as_a_mapping() -> None:
    headers = FirstValues([("X-Account", "7"), ("x-account", "8"), ("Subject", "hello")])
    assert headers["X-ACCOUNT"] == "7"
    assert "subject" in headers
    assert headers.get("x-none", "-") == "-"
    assert dict(headers) == {"X-Account": "7", "Subject": "hello"}
    assert len(headers) == 2
