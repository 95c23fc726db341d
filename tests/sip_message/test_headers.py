"""Headers: order, names, compact forms, lists, and no way to smuggle a line in."""

from __future__ import annotations

import pytest

from voiceagent.sip.syntax.headers import Headers, canonical_name


def test_compact_forms_and_case() -> None:
    compact = {
        "a": "Accept-Contact",
        "b": "Referred-By",
        "c": "Content-Type",
        "d": "Request-Disposition",
        "e": "Content-Encoding",
        "f": "From",
        "i": "Call-ID",
        "j": "Reject-Contact",
        "k": "Supported",
        "l": "Content-Length",
        "m": "Contact",
        "n": "Identity-Info",
        "o": "Event",
        "r": "Refer-To",
        "s": "Subject",
        "t": "To",
        "u": "Allow-Events",
        "v": "Via",
        "x": "Session-Expires",
        "y": "Identity",
    }
    for short, name in compact.items():
        assert canonical_name(short) == canonical_name(short.upper()) == name
        assert canonical_name(name.swapcase()) == name
    assert canonical_name("X-Custom-THING") == "x-custom-thing"


def test_order_is_kept_and_names_do_not_mix() -> None:
    headers = Headers([("v", "one"), ("X-A", "1"), ("Via", "two, three"), ("x-a", "2"), ("To", "you")])
    assert list(headers.items()) == [
        ("Via", "one"),
        ("X-A", "1"),
        ("Via", "two, three"),
        ("x-a", "2"),
        ("To", "you"),
    ]
    assert headers.get("VIA") == "one"
    assert headers.get_all("via") == ["one", "two, three"]
    assert headers.split_all("Via") == ["one", "two", "three"]
    assert headers.get_all("X-a") == ["1", "2"]
    assert headers.get("From") is None
    assert "x-A" in headers
    assert "From" not in headers
    assert headers.count("v") == 2


def test_set_replaces_in_place_and_remove_removes_all() -> None:
    headers = Headers([("X-A", "1"), ("Via", "x"), ("X-B", "2"), ("v", "y"), ("X-C", "3")])
    headers.set("Via", "z")
    assert [value for _, value in headers.items()] == ["1", "z", "2", "3"]
    headers.set("Expires", 60)
    assert headers.get("Expires") == "60"
    headers.remove("v")
    headers.remove("Nothing")
    assert [name for name, _ in headers.items()] == ["X-A", "X-B", "X-C", "Expires"]
    headers.insert(0, "Via", "top")
    assert next(headers.items()) == ("Via", "top")


def test_copy_is_independent() -> None:
    headers = Headers([("To", "a")])
    other = headers.copy()
    other.set("To", "b")
    assert headers.get("To") == "a"
    assert headers != other
    assert headers == Headers([("t", "a")])


def test_derived_values_follow_changes() -> None:
    headers = Headers([("To", "a")])
    calls: list[str] = []

    def make(source: Headers) -> str:
        calls.append("made")
        return (source.get("To") or "").upper()

    assert headers.derived("k", make) == headers.derived("k", make) == "A"
    assert calls == ["made"]
    headers.set("To", "b")
    assert headers.derived("k", make) == "B"


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\rb"])
def test_a_value_cannot_add_a_line(value: str) -> None:
    with pytest.raises(ValueError, match="CR or LF"):
        Headers([("Subject", value)])


@pytest.mark.parametrize("name", ["", "X Y", "X:Y", "X\r\nY", "Xé"])
def test_a_name_is_a_token(name: str) -> None:
    with pytest.raises(ValueError, match="token"):
        Headers([(name, "v")])


@pytest.mark.parametrize(
    ("value", "items"),
    [
        ("a, b ,c", ["a", "b", "c"]),
        ('"x, y" <sip:a@b>, <sip:c,d@e>;q=1', ['"x, y" <sip:a@b>', "<sip:c,d@e>;q=1"]),
        ('"esc \\", still" <sip:a@b>,<sip:c@d>', ['"esc \\", still" <sip:a@b>', "<sip:c@d>"]),
        ('"one" <sip:1@h>, "two" <sip:2@h>', ['"one" <sip:1@h>', '"two" <sip:2@h>']),
        ('"never closed, <sip:a@b>', ['"never closed, <sip:a@b>']),
        ("<sip:a@b, c", ["<sip:a@b, c"]),
        ("a,,b", ["a", "", "b"]),
    ],
)
def test_lists_split_outside_quotes_and_brackets(value: str, items: list[str]) -> None:
    assert Headers([("Contact", value)]).split_all("Contact") == items


def test_an_empty_line_is_no_item() -> None:
    assert Headers([("Supported", ""), ("k", "timer")]).split_all("Supported") == ["timer"]
