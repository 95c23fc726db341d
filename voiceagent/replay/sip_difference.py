"""PURE. Two messages compared: start line, headers, body, destination; and random names one to one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Any, Literal

from voiceagent.call.inputs import HIDDEN
from voiceagent.call.sip_secrets import bytes_of, shown
from voiceagent.replay.sip_recording import SipMessage

Kind = Literal["missing", "extra", "changed", "time"]

SHOWN = 100
"""Characters of one side of a difference."""
_PIECE = re.compile(r"([0-9A-Za-z]+)")
_COOKIE = "z9hG4bK"
_PROOFS = frozenset({"authorization", "proxy-authorization"})
"""Not compared: they cannot be made again without the password."""


class Names:
    """Random names of the recording and those of the replay, paired as they first appear, one to one."""

    def __init__(self) -> None:
        self._now: dict[str, str] = {}
        self._then: dict[str, str] = {}

    def pair(self, then: str, now: str) -> bool:
        """Take two names for each other; False where one of them stands for another already."""
        return self._now.setdefault(then, now) == now and self._then.setdefault(now, then) == then

    def same(self, then: str, now: str, drawn: AbstractSet[str]) -> bool:
        """Tell whether two texts differ in nothing but names; ``drawn`` are the replay's own."""
        if then == now and not drawn:
            return True
        old, new = (_PIECE.split(text.replace(_COOKIE, f"{_COOKIE}.")) for text in (then, now))
        if len(old) != len(new):
            return False
        return all(self.pair(a, b) if b in drawn else a == b for a, b in zip(old, new, strict=True))

    def told_now(self, text: str) -> str:
        """Return a message of the recording as it would be in the replay."""
        others = {then: now for then, now in self._now.items() if then != now}
        if not others:
            return text
        names = re.compile("|".join(re.escape(one) for one in others))
        return names.sub(lambda found: others[found[0]], text)


@dataclass(frozen=True, slots=True)
class SipDifference:
    """One place where the two lives of a dialog differ. ``t``: seconds since the call began."""

    kind: Kind
    t: float
    then: SipMessage | None
    now: SipMessage | None
    fields: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "kind": self.kind,
            "t": round(self.t, 6),
            "line": 0 if self.then is None else self.then.line,
            "fields": self.fields,
            "then": None if self.then is None else self.then.text,
            "now": None if self.now is None else self.now.text,
        }

    def in_words(self) -> str:
        """Say what was sent, and what the recording has."""
        if self.then is None and self.now is not None:
            return f"we sent {named(self.now)} where the recording has nothing"
        if self.now is None and self.then is not None:
            return f"we sent nothing where the recording has {named(self.then)}"
        assert self.then is not None
        assert self.now is not None
        if self.kind == "time":
            later = self.now.at - self.then.at
            return f"{named(self.now)} left {abs(later):.3f} s {'later' if later > 0 else 'earlier'}"
        if "start" in self.fields:
            return f"we sent {named(self.now)} where the recording has {named(self.then)}"
        old, new = _Parts(self.then), _Parts(self.now)
        name = self.fields[0]
        return f"{named(self.now)}: {name} is {new.told(name)} where the recording has {old.told(name)}"


@dataclass(slots=True)
class SipVerdict:
    """What the comparison found; ``compared`` messages at most of one side."""

    compared: int = 0
    differences: list[SipDifference] = field(default_factory=list[SipDifference])
    faults: list[str] = field(default_factory=list[str])
    """What the endpoint raised in the replay."""

    @property
    def same(self) -> bool:
        """True where nothing differs."""
        return not self.differences and not self.faults

    def lines(self) -> list[str]:
        """Return the first difference in words, and how many there are."""
        lines = [f"  sip: the endpoint failed: {one}" for one in self.faults[:1]]
        if self.differences:
            first = self.differences[0]
            where = f" in line {first.then.line}" if first.then is not None else ""
            lines.append(f"  sip: {first.in_words()}, at {first.t:.3f} s{where}")
            lines.append(f"  in all: {len(self.differences)} in SIP")
        return lines


class _Parts:
    """A message taken apart, leniently: it is ours."""

    def __init__(self, message: SipMessage) -> None:
        text, hidden = shown(bytes_of(message.text))
        head, _, body = text.partition("\r\n\r\n")
        self.start, *lines = head.split("\r\n")
        self.body = body.replace(HIDDEN, "0")
        self.hidden = hidden or HIDDEN in body
        self.to = "{}:{}/{}".format(*message.peer[:3])
        self.headers: dict[str, list[str]] = {}
        for line in lines:
            name, _, value = line.partition(":")
            self.headers.setdefault(name.strip(), []).append(value.strip())

    def told(self, name: str) -> str:
        """Return what is at a place that differs."""
        if name == "body":
            return repr(self.body)[:SHOWN]
        if name == "to":
            return self.to
        values = self.headers.get(name)
        return "missing" if values is None else repr(", ".join(values))[:SHOWN]


def named(message: SipMessage) -> str:
    """Return what a message is in a few words: ``200 OK (INVITE)`` or ``BYE``."""
    parts = _Parts(message)
    if not parts.start.startswith("SIP/"):
        return parts.start.partition(" ")[0]
    return f"{parts.start.partition(' ')[2]} ({_cseq(parts).partition(' ')[2]})"


def key_of(message: SipMessage) -> tuple[str, str]:
    """Return by what a message is known again: status or method, and CSeq."""
    parts = _Parts(message)
    words = parts.start.split(" ")
    return (words[1] if words[0].startswith("SIP/") else words[0]), _cseq(parts)


def differing(
    then: SipMessage, now: SipMessage, names: Names, drawn: AbstractSet[str], *, learn: bool = False
) -> tuple[str, ...]:
    """Return the names of what differs between two messages: start, to, body, or headers.

    ``learn``: only take the names that appear in both.
    """
    old, new = _Parts(then), _Parts(now)
    found: list[str] = []
    if not names.same(old.start, new.start, drawn):
        found.append("start")
    elsewhere = _by_known_connection(then, now)
    if old.to != new.to and not elsewhere:
        found.append("to")
    for name in dict.fromkeys((*old.headers, *new.headers)):
        low = name.lower()
        if low in _PROOFS or (low == "content-length" and (old.hidden or new.hidden)):
            continue
        if elsewhere and low in ("via", "contact"):
            continue
        pairs = list(zip_longest(old.headers.get(name, ()), new.headers.get(name, ())))
        same = [a is not None and b is not None and names.same(a, b, drawn) for a, b in pairs]
        if not all(same):
            found.append(name)
    if not learn and not names.same(old.body, new.body, drawn):
        found.append("body")
    return tuple(found)


def _by_known_connection(then: SipMessage, now: SipMessage) -> bool:
    """Tell whether a message left then by a connection that others than this call had brought about."""
    one, other = then.peer, now.peer
    return one.flow > 0 == other.flow and (one.host, one.transport) == (other.host, other.transport)


def compare_sip(
    then: Sequence[SipMessage],
    now: Sequence[SipMessage],
    names: Names,
    drawn: AbstractSet[str],
    tolerance_s: float,
) -> SipVerdict:
    """Compare what left then with what leaves now, in order."""
    verdict = SipVerdict(max(len(then), len(now)))
    old, new = [key_of(one) for one in then], [key_of(one) for one in now]
    pairs: list[tuple[SipMessage | None, SipMessage | None]] = []
    for _, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        pairs += zip_longest(then[a:b], now[c:d])
    for one, other in pairs:
        if one is None or other is None:
            at = (one or other or then[0]).at
            verdict.differences.append(SipDifference("extra" if one is None else "missing", at, one, other))
            continue
        fields = differing(one, other, names, drawn)
        if fields:
            verdict.differences.append(SipDifference("changed", one.at, one, other, fields))
        elif abs(one.at - other.at) > tolerance_s:
            verdict.differences.append(SipDifference("time", one.at, one, other, ("t",)))
    return verdict


def _cseq(parts: _Parts) -> str:
    return parts.headers.get("CSeq", [""])[0]
