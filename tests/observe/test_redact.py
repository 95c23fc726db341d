"""What may and what may not be written down."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voiceagent.observe.redact import DEPTH, FIELD_BYTES, HIDDEN, ITEMS, clean_text, mask_number, redact


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        ("+447700900123", "+44********23"),
        ("02079460018", "*********18"),
        ("+1 (415) 555-0132", "+14*******32"),
        ("2000", "2000"),
        ("desk", "desk"),
    ],
)
def test_numbers_keep_their_country_and_two_digits(number: str, masked: str) -> None:
    assert mask_number(number) == masked


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("call from +447700900123 began", "call from +44********23 began"),
        ("sip:+447700900123@192.0.2.1:5060", "sip:+44********23@192.0.2.1:5060"),
        ("from 10.0.0.12:5060 after 1.2345678 s", "from 10.0.0.12:5060 after 1.2345678 s"),
        ("at 2026-11-22 12:30", "at 2026-11-22 12:30"),
        ("port 5060, 160 bytes", "port 5060, 160 bytes"),
        ("id 1234567a89bcdef0", "id 1234567a89bcdef0"),
        ("Authorization: Bearer abcdef123456", f"Authorization: Bearer {HIDDEN}"),
        ("sk-proj-abcdefgh12345678", HIDDEN),
        (
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20 WSH=9",
            f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{HIDDEN} WSH=9",
        ),
        ("whsec_abcdefgh12345678", HIDDEN),
        ("GET /?token=abcdef123&x=1", f"GET /?token={HIDDEN}&x=1"),
        ("a\r\nforged line\x1b[31m", "a\\r\\nforged line\\x1b[31m"),
        ("right\u202eleft\u2028new\ud800", "right\\u202eleft\\u2028new\\ud800"),
    ],
)
def test_text_is_cleaned(text: str, clean: str) -> None:
    assert clean_text(text) == clean


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "Authorization",
        "Proxy-Authorization",
        "cookie",
        "password",
        "api_key",
        "token",
        "console.token",
        "viewer_token",
        "webhook_secret",
        "client_secret",
    ],
)
def test_secrets_are_hidden_by_name(name: str) -> None:
    assert redact(name, "anything") == HIDDEN
    assert redact("headers", {name: "anything"}) == {name: HIDDEN}


@pytest.mark.parametrize("name", ["total_tokens", "tokens_per_s", "cookies_seen", "call_id", "reason"])
def test_ordinary_names_are_kept(name: str) -> None:
    assert redact(name, "anything") == "anything"
    assert redact(name, 12) == 12


def test_long_fields_are_cut_and_counted() -> None:
    cut = clean_text("é" * 4000)
    assert cut.endswith(f"…[{8000 - FIELD_BYTES} bytes more]")
    assert len(cut.encode()) < FIELD_BYTES + 40


def test_nesting_and_length_are_bounded() -> None:
    deep: object = "bottom"
    for _ in range(DEPTH + 5):
        deep = {"in": deep}
    assert "bottom" not in json.dumps(redact("deep", deep))
    assert len(redact("many", list(range(1000)))) == ITEMS + 1
    assert redact("audio", b"\xff" * 160) == "[160 bytes]"


@given(st.text(max_size=300))
def test_no_text_breaks_out_of_its_line(text: str) -> None:
    clean = clean_text(text)
    assert len(clean.splitlines()) <= 1
    clean.encode("utf-8")


@example("0000000000000000000-00000")
@given(st.text(alphabet="0123456789 -()+", max_size=60))
def test_cleaning_twice_changes_nothing_more(text: str) -> None:
    assert clean_text(clean_text(text)) == clean_text(text)
