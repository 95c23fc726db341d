"""No spelling of a header hides it from who looks for it by name, and none shows one that is not there."""

from __future__ import annotations

import itertools

import pytest

from tests.sip_message.wire import datagram
from voiceagent.sip.syntax.message import Request
from voiceagent.sip.syntax.parser import Malformed, parse_datagram

NAME = "P-Asserted-Identity"
VALUE = "<sip:boss@example.com>"

# Spellings that are this header: each must be found under its name.
CASES = (NAME, NAME.lower(), NAME.upper(), NAME.swapcase(), "p-Asserted-identity")
BEFORE_COLON = ("", " ", "\t", "   ", " \t ")
AFTER_COLON = ("", " ", "\t", "    ", "\r\n ", "\r\n\t", " \r\n  ")
FOUND = ["".join(parts) for parts in itertools.product(CASES, BEFORE_COLON, (":",), AFTER_COLON, (VALUE,))]

# Lines that are not this header, however a careless reader may see them.
INVISIBLE = ("\x00", "\x0b", "\x0c", "\x1c", "\x85", "\xa0", "\u200b", "\ufeff", "\u2028", "\udcff")
LOOKALIKES = (
    "Р-Asserted-Identity",
    "P‐Asserted‐Identity",
    "P-Asserted-Ident\u0131ty",
    "Ｐ-Asserted-Identity",
)
ABSENT = [
    *(f"{char}{NAME}: {VALUE}" for char in INVISIBLE),
    *(f"{NAME}{char}: {VALUE}" for char in INVISIBLE),
    *(f"P-Asserted{char}-Identity: {VALUE}" for char in INVISIBLE),
    *(f"{name}: {VALUE}" for name in LOOKALIKES),
    *(f"Subject: a{char}{NAME}: {VALUE}" for char in (*INVISIBLE, "\n", "\r", "\n\r", "\r\r")),
    *(f"Subject: a{fold}{NAME}: {VALUE}" for fold in ("\r\n ", "\r\n\t", "\r\n \r\n ")),
    f"P-Asserted Identity: {VALUE}",
    f"P-Asserted-Identity; {VALUE}",
    f'"{NAME}": {VALUE}',
    f"({NAME}): {VALUE}",
    f"P%2DAsserted-Identity: {VALUE}",
]


def headers_of(line: str) -> Request | None:
    """The request, or what is left of it when it was refused."""
    message = parse_datagram(datagram("OPTIONS", extra=(line,)))
    if isinstance(message, Malformed):
        return message.partial
    assert isinstance(message, Request)
    return message


def test_there_are_200_spellings_and_more() -> None:
    assert len(FOUND) + len(ABSENT) >= 200


@pytest.mark.parametrize("start", range(0, len(FOUND), 25))
def test_every_spelling_is_found(start: int) -> None:
    for line in FOUND[start : start + 25]:
        message = headers_of(line)
        assert message is not None
        assert message.headers.get_all(NAME) == [VALUE], repr(line)
        message.headers.remove(NAME)
        assert VALUE.encode() not in message.to_bytes()


@pytest.mark.parametrize("line", ABSENT, ids=ascii)
def test_nothing_else_is(line: str) -> None:
    message = headers_of(line)
    assert message is None or NAME not in message.headers
    if message is not None:
        again = parse_datagram(message.to_bytes())
        found = again.partial if isinstance(again, Malformed) else again
        assert isinstance(found, Request)
        assert NAME not in found.headers


def test_a_body_is_no_header() -> None:
    message = parse_datagram(datagram(body=f"{NAME}: {VALUE}\r\n".encode()))
    assert isinstance(message, Request)
    assert NAME not in message.headers
