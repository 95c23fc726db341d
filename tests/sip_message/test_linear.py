"""The work grows with the size of the datagram, not with its square: counted, not timed.

Python steps are counted while hostile shapes double in size; the scans below them run in C, so the patterns
are looked at too: no repetition within a repetition, which is what makes a regular expression backtrack,
unless all of them are possessive and so give nothing back.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import re._parser as sre_parser  # pyright: ignore[reportMissingModuleSource]
import sys
from contextlib import suppress
from types import FrameType
from typing import Any

import pytest

import voiceagent.sip.auth
import voiceagent.sip.syntax
import voiceagent.sip.trunk
from tests.sip_message.touch import touch
from tests.sip_message.wire import datagram
from voiceagent.media.sdp import SdpError, parse_sdp

MODULES = [
    "voiceagent.sip.check",
    *(
        one.name
        for package in (
            voiceagent.sip.syntax,
            voiceagent.sip.auth,
            voiceagent.sip.trunk,
            voiceagent.media.sdp,
        )
        for one in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    ),
]


def steps(data: bytes, *, sdp: bool = False) -> int:
    """Lines of our code executed for one datagram."""
    count = 0

    def local(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        count += event == "line"
        return local

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        return local if "voiceagent" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        if sdp:
            with suppress(SdpError):
                parse_sdp(data)
        else:
            touch(data)
    finally:
        sys.settrace(before)
    return count


def header(name: str, unit: str, wrap: str = "{}") -> Any:
    return lambda n: datagram("REFER", headers={name: wrap.format(unit * n)})


SHAPES: dict[str, Any] = {
    "quotes": header("From", '"', "{}"),
    "escapes": header("To", "\\a", '"{}" <sip:a@b>'),
    "escaped quotes": header("To", '\\"', '"{}'),
    "angles": header("Contact", "<"),
    "addresses": header("Contact", "<sip:a@b>,"),
    "quoted addresses": header("Contact", '"\\\\" <sip:a@b>,'),
    "semicolons": header("From", ";", "<sip:a@b>{}"),
    "parameters": header("From", ";a=b", "<sip:a@b>{}"),
    "quoted parameters": header("From", ';a="\\;"', "<sip:a@b>{}"),
    "uri parameters": header("Refer-To", ";a=b", "<sip:a@b{}>"),
    "uri headers": header("Refer-To", "&a=b", "<sip:a@b?c=d{}>"),
    "percents": header("Refer-To", "%41", "<sip:{}@b>"),
    "brackets": header("Via", "[", "SIP/2.0/UDP {}"),
    "colons": header("Via", ": ", "SIP/2.0/UDP {}"),
    "commas": header("Via", ","),
    "spaces": header("CSeq", " ", "1{}INVITE"),
    "white space": header("Subject", " \t", "a{}b"),
    "folds": header("Subject", "\r\n "),
    "bare cr": header("Subject", "\r"),
    "crlf before": lambda n: b"\r\n" * n + datagram(),
    "boundaries": lambda n: datagram(
        headers={"Content-Type": "multipart/mixed;boundary=b"}, body=b"\r\n--b" * n
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_twice_the_size_is_at_most_about_twice_the_work(name: str) -> None:
    small, large = steps(SHAPES[name](300)), steps(SHAPES[name](600))
    assert large <= 2.2 * small, (small, large)


@pytest.mark.parametrize(
    "line", ["a=x", "m=audio 1 RTP/AVP 0", "c=IN IP4 1.2.3.4", "b=AS:1", "a=rtpmap:0 PCMU/8000", " ", "r=1"]
)
def test_sdp_too(line: str) -> None:
    head = b"v=0\r\no=a 1 1 IN IP4 1.2.3.4\r\ns=-\r\nt=0 0\r\n"
    small, large = (steps(head + f"{line}\r\n".encode() * n, sdp=True) for n in (100, 200))
    assert large <= 2.2 * small, (small, large)


def patterns() -> list[re.Pattern[str]]:
    found: list[re.Pattern[str]] = []
    for name in MODULES:
        for value in vars(importlib.import_module(name)).values():
            pattern = getattr(value, "__self__", value)
            if isinstance(pattern, re.Pattern):
                found.append(pattern)
    return found


def repetitions(parsed: Any, depth: int = 0) -> int:
    """The deepest nesting of repetitions."""
    deepest = depth
    for op, argument in parsed:
        inner = depth + (str(op) in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"))
        for item in argument if isinstance(argument, tuple | list) else ():
            if isinstance(item, sre_parser.SubPattern):
                deepest = max(deepest, repetitions(item, inner))
            elif isinstance(item, list):
                deepest = max(deepest, *(repetitions(p, inner) for p in item), depth)
        deepest = max(deepest, inner)
    return deepest


def test_the_guard_sees_nesting() -> None:
    assert repetitions(sre_parser.parse(r"(a+)+")) == 2
    assert repetitions(sre_parser.parse(r"(?:x|(?:ab*)*)c")) == 2
    assert repetitions(sre_parser.parse(r"[a-z]+:[0-9]*")) == 1


def test_no_pattern_repeats_a_repetition() -> None:
    found = patterns()
    assert len(found) >= 12
    for pattern in found:
        tree = sre_parser.parse(pattern.pattern)
        assert repetitions(tree) <= 1 or "MAX_REPEAT" not in repr(tree), pattern.pattern
