"""Seeded damage to text protocols: bytes, lines, tokens. The same seed gives the same messages."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

_digits = re.compile(rb"[0-9]+")
_NUMBERS = (
    b"0",
    b"-1",
    b"00",
    b"255",
    b"256",
    b"65535",
    b"65536",
    b"2147483647",
    b"2147483648",
    b"4294967295",
    b"4294967296",
    b"9999999999",
    b"99999999999",
    b"9" * 400,
    b"1e9",
    b"\xd9\xa3",
    b"",
)
_PIECES = (
    b"\r\n",
    b"\r\n\r\n",
    b"\r",
    b"\n",
    b"\r\n ",
    b"\x00",
    b"\xff",
    b"\xc3\x28",
    b'"',
    b"\\",
    b'\\"',
    b"<",
    b">",
    b"<<>>",
    b";",
    b";;",
    b",",
    b",,",
    b":",
    b"=",
    b"@",
    b"%",
    b"%00",
    b"%0d%0a",
    b"[",
    b"]",
    b"[::1]",
    b"*",
    b"?",
    b"&",
    b" ",
    b"\t",
    b"sip:",
    b"tel:+1",
    b";lr",
    b";tag=x",
    b"SIP/2.0",
)
_WORDS = (
    (b"INVITE", b"BYE"),
    (b"INVITE", b"UPDATE"),
    (b"INVITE", b"CANCEL"),
    (b"INVITE", b"PRACK"),
    (b"INVITE", b"REFER"),
    (b"BYE", b"INVITE"),
    (b"OPTIONS", b"INVITE"),
    (b"UDP", b"TCP"),
    (b"z9hG4bK", b""),
    (b"sip:", b"sips:"),
    (b"sip:", b"tel:"),
    (b"Via:", b"v:"),
    (b"Contact:", b"m:"),
    (b"Call-ID:", b"i :"),
    (b"Content-Length:", b"l:"),
    (b"SIP/2.0", b"SIP/3.0"),
    (b"application/sdp", b"multipart/mixed;boundary=b"),
    (b"IN IP4", b"IN IP6"),
    (b"RTP/AVP", b"RTP/SAVP"),
)
MOST = 65_535


class Mutator:
    """Damages seeds. ``seeds`` may change between calls."""

    def __init__(self, seeds: Sequence[bytes], seed: int) -> None:
        self.seeds = list(seeds)
        self._rng = random.Random(seed)
        self._ways: tuple[Callable[[bytes], bytes], ...] = (
            self._flip,
            self._cut,
            self._double,
            self._insert,
            self._number,
            self._word,
            self._drop_line,
            self._double_line,
            self._swap_lines,
            self._transplant,
            self._fold,
            self._empty_value,
            self._blow_up,
        )

    def next(self) -> bytes:
        """Return the next damaged message: one to four changes to one of the seeds."""
        return self.damage(self._rng.choice(self.seeds))

    def damage(self, data: bytes) -> bytes:
        """Return ``data`` with one to four changes."""
        rng = self._rng
        for _ in range(rng.choice((1, 1, 1, 2, 2, 3, 4))):
            data = rng.choice(self._ways)(data)[:MOST]
        return data

    def _at(self, data: bytes) -> int:
        return self._rng.randrange(len(data) + 1)

    def _flip(self, data: bytes) -> bytes:
        if not data:
            return b"\x00"
        at = self._rng.randrange(len(data))
        return data[:at] + bytes((data[at] ^ (1 << self._rng.randrange(8)),)) + data[at + 1 :]

    def _cut(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + data[at + self._rng.choice((1, 2, 8, 40, 400)) :]

    def _double(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + data[at : at + self._rng.choice((1, 4, 30, 300))] + data[at:]

    def _insert(self, data: bytes) -> bytes:
        at = self._at(data)
        return data[:at] + self._rng.choice(_PIECES) + data[at:]

    def _number(self, data: bytes) -> bytes:
        one = _digits.search(data, self._at(data)) or _digits.search(data)
        if one is None:
            return data
        return data[: one.start()] + self._rng.choice(_NUMBERS) + data[one.end() :]

    def _word(self, data: bytes) -> bytes:
        old, new = self._rng.choice(_WORDS)
        return data.replace(old, new, self._rng.choice((1, 1, -1)))

    def _lines(self, data: bytes, change: Callable[[list[bytes], int], None]) -> bytes:
        lines = data.split(b"\r\n")
        change(lines, self._rng.randrange(len(lines)))
        return b"\r\n".join(lines)

    def _drop_line(self, data: bytes) -> bytes:
        return self._lines(data, lambda lines, at: lines.__delitem__(at))

    def _double_line(self, data: bytes) -> bytes:
        times = self._rng.choice((1, 1, 1, 3, 80, 260))
        return self._lines(data, lambda lines, at: lines.__setitem__(slice(at, at), [lines[at]] * times))

    def _swap_lines(self, data: bytes) -> bytes:
        def swap(lines: list[bytes], at: int) -> None:
            other = self._rng.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]

        return self._lines(data, swap)

    def _transplant(self, data: bytes) -> bytes:
        line = self._rng.choice(self._rng.choice(self.seeds).split(b"\r\n"))
        return self._lines(data, lambda lines, at: lines.insert(at, line))

    def _fold(self, data: bytes) -> bytes:
        return data.replace(b" ", self._rng.choice((b"\r\n ", b"\t", b"  ", b"")), self._rng.randint(1, 4))

    def _empty_value(self, data: bytes) -> bytes:
        def empty(lines: list[bytes], at: int) -> None:
            lines[at] = lines[at].partition(b":")[0] + b":"

        return self._lines(data, empty)

    def _blow_up(self, data: bytes) -> bytes:
        at = self._at(data)
        piece = data[at : at + self._rng.choice((1, 2, 6))] or b";a"
        return data[:at] + piece * self._rng.choice((33, 257, 2_000, 9_000)) + data[at:]
