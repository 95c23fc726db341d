"""Misbehaviour on cue: a script of faults, one per line. PURE.

A line is a verb, then options ``name=value``; ``#`` starts a comment. A ``;`` may stand for a line end, so
that a script fits a command-line flag. Event names may end in ``*``.

``delay on=* ms=200 jitter=0``
    sends an event late; what follows waits behind it.
``drop on=…`` · ``duplicate on=…`` · ``reorder on=…``
    does not send a server event; sends it twice; sends it after the one that follows it.
``swallow on=response.create``
    ignores a client event as if it had been lost.
``refuse on=response.create code=conversation_already_has_active_response message="…" event_id=yes``
    answers a client event with an error; ``event_id=no`` does not name the event.
``fail code=rate_limit_exceeded message="…" after_ms=0``
    ends a response as failed, after that much of its audio.
``stall after_ms=0``
    goes silent in a response, which stays open until it is cancelled.
``quiet db=-70``
    sends the voice at a near-silent level.
``late count=2``
    sends audio deltas of a cancelled response after its end.
``cut after=20`` or ``cut after_ms=500``, with ``close=1011``
    closes the socket after so many server events, or so much audio of a response; 1006 aborts TCP.
``expire after=1``
    ends the session with session_expired and close 1001 after so many server events.
``anonymous``
    never names the client's event in errors.

``nth=1`` is the first matching event (or response) a fault applies to; ``times=1`` (or ``all``, the default
of ``quiet``) is how many in a row. The figures shown are the defaults.
Example: ``delay on=response.created ms=400 times=all; refuse nth=2 event_id=no``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from voiceagent.errors import ConfigError

Dice = Callable[[], float]
"""Returns a number from 0 to 1."""
ALWAYS = 1_000_000_000
_EVENTS = {"on": ""}
_RUN = {"nth": "1", "times": "1"}
_VERBS: Mapping[str, Mapping[str, str]] = {
    "delay": {**_EVENTS, **_RUN, "on": "*", "ms": "200", "jitter": "0"},
    "drop": {**_EVENTS, **_RUN},
    "duplicate": {**_EVENTS, **_RUN},
    "reorder": {**_EVENTS, **_RUN},
    "swallow": {**_RUN, "on": "response.create"},
    "refuse": {
        **_RUN,
        "on": "response.create",
        "code": "conversation_already_has_active_response",
        "message": "",
        "event_id": "yes",
    },
    "fail": {**_RUN, "code": "rate_limit_exceeded", "message": "", "after_ms": "0"},
    "stall": {**_RUN, "after_ms": "0"},
    "quiet": {"nth": "1", "times": "all", "db": "-70"},
    "late": {**_RUN, "count": "2"},
    "cut": {"after": "", "after_ms": "", "nth": "1", "close": "1011"},
    "expire": {"after": "1"},
    "anonymous": {},
}
_WHOLE = {"ms", "jitter", "nth", "after", "after_ms", "count", "close", "db"}


@dataclass(slots=True)
class Rule:
    """One line of the script, with its count of matches so far."""

    verb: str
    options: Mapping[str, str]
    line: int
    seen: int = 0

    def number(self, name: str) -> int:
        """Return a whole-number option."""
        return int(self.options[name])

    def hits(self, subject: str) -> bool:
        """Count ``subject`` if it matches, and tell whether the fault applies to it."""
        if not matches(self.options.get("on", "*"), subject):
            return False
        self.seen += 1
        first = int(self.options.get("nth", "1"))
        times = self.options.get("times", "1")
        return first <= self.seen < first + (ALWAYS if times == "all" else int(times))


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What to do with one server event."""

    copies: int = 1
    delay_ms: float = 0.0
    after_next: bool = False
    close: int | None = None
    """Close code to use after this event."""
    expire: bool = False

    @property
    def delay_s(self) -> float:
        """The delay in seconds."""
        return self.delay_ms / 1000


@dataclass(frozen=True, slots=True)
class Incoming:
    """What to do with one client event."""

    kind: Literal["swallow", "refuse"]
    code: str = ""
    message: str = ""
    with_event_id: bool = True


@dataclass(frozen=True, slots=True)
class Fate:
    """What befalls one response."""

    fail_code: str | None = None
    fail_message: str = ""
    stall: bool = False
    cut_close: int | None = None
    after_ms: int = 0
    """Audio sent before it befalls."""
    gain: float = 1.0
    late_deltas: int = 0


PLAIN = Outgoing()
BLESSED = Fate()


@dataclass(slots=True)
class FaultPlan:
    """The faults of one session; counts start anew with each session."""

    rules: list[Rule] = field(default_factory=list[Rule])
    dice: Dice = lambda: 0.5
    sent: int = 0

    @property
    def anonymous(self) -> bool:
        """No error names the client's event."""
        return any(rule.verb == "anonymous" for rule in self.rules)

    def outgoing(self, kind: str) -> Outgoing:
        """Take one server event about to be sent."""
        if not self.rules:
            return PLAIN
        self.sent += 1
        copies, delay, swap, close, expire = 1, 0.0, False, None, False
        for rule in self.rules:
            match rule.verb:
                case "delay" if rule.hits(kind):
                    delay += max(0.0, rule.number("ms") + rule.number("jitter") * (2 * self.dice() - 1))
                case "drop" if rule.hits(kind):
                    copies = 0
                case "duplicate" if rule.hits(kind):
                    copies = 2
                case "reorder" if rule.hits(kind):
                    swap = True
                case "cut" if rule.options["after"] and self.sent == rule.number("after"):
                    close = rule.number("close")
                case "expire" if self.sent == rule.number("after"):
                    expire = True
                case _:
                    pass
        return Outgoing(copies, delay, swap, close, expire)

    def incoming(self, kind: str) -> Incoming | None:
        """Take one client event that has passed the checks."""
        for rule in self.rules:
            if rule.verb == "swallow" and rule.hits(kind):
                return Incoming("swallow")
            if rule.verb == "refuse" and rule.hits(kind):
                code = rule.options["code"]
                message = rule.options["message"] or f"Refused by the fault script with {code}."
                return Incoming("refuse", code, message, rule.options["event_id"] != "no")
        return None

    def response(self) -> Fate:
        """Take one response about to begin."""
        fate = BLESSED
        for rule in self.rules:
            if rule.verb in ("fail", "stall", "quiet", "late") or (
                rule.verb == "cut" and rule.options["after_ms"]
            ):
                fate = _with(fate, rule) if rule.hits("response") else fate
        return fate


def _with(fate: Fate, rule: Rule) -> Fate:
    base = {name: getattr(fate, name) for name in Fate.__slots__}
    match rule.verb:
        case "fail":
            code = rule.options["code"]
            message = rule.options["message"] or f"The response failed: {code}."
            base |= {"fail_code": code, "fail_message": message, "after_ms": rule.number("after_ms")}
        case "stall":
            base |= {"stall": True, "after_ms": rule.number("after_ms")}
        case "quiet":
            base |= {"gain": 10 ** (rule.number("db") / 20)}
        case "late":
            base |= {"late_deltas": rule.number("count")}
        case _:
            base |= {"cut_close": rule.number("close"), "after_ms": rule.number("after_ms")}
    return Fate(**base)


def matches(pattern: str, subject: str) -> bool:
    """Compare an event name with a pattern that may end in ``*``."""
    return subject.startswith(pattern[:-1]) if pattern.endswith("*") else subject == pattern


def parse_faults(script: str, dice: Dice | None = None) -> FaultPlan:
    """Read a fault script; raise :class:`~voiceagent.errors.ConfigError` naming the line at fault."""
    rules: list[Rule] = []
    for line_number, line in enumerate(script.split("\n"), 1):
        for phrase in line.split("#", 1)[0].split(";"):
            if words := phrase.strip():
                rules.append(_rule(words, line_number))  # noqa: PERF401
    return FaultPlan(rules, dice) if dice is not None else FaultPlan(rules)


def _rule(phrase: str, line: int) -> Rule:
    verb, _, rest = phrase.partition(" ")
    known = _VERBS.get(verb)
    if known is None:
        raise _wrong(line, f"unknown fault '{verb}'; known are {', '.join(_VERBS)}")
    options = dict(known)
    for word in _words(rest, line):
        name, equals, value = word.partition("=")
        if not equals or not value:
            raise _wrong(line, f"'{word}' is not of the form name=value")
        if name not in known:
            raise _wrong(line, f"'{verb}' has no option '{name}'; it has {', '.join(known) or 'none'}")
        options[name] = value
    _check(verb, options, line)
    return Rule(verb, options, line)


def _words(rest: str, line: int) -> list[str]:
    """Split at blanks; a value may stand in double quotes."""
    words: list[str] = []
    for index, piece in enumerate(rest.split('"')):
        if index % 2 == 0:
            words.extend(piece.split())
        elif words and words[-1].endswith("="):
            words[-1] += piece
        else:
            raise _wrong(line, f'the quoted text "{piece}" must follow name=')
    return words


def _check(verb: str, options: Mapping[str, str], line: int) -> None:
    if options.get("on") == "":
        raise _wrong(line, f"'{verb}' needs on=<event type>")
    for name in _WHOLE & options.keys():
        value = options[name]
        if value and not value.removeprefix("-").isdecimal():
            raise _wrong(line, f"{name}={value} is not a whole number")
        if value.startswith("-") and name != "db":
            raise _wrong(line, f"{name}={value} must not be negative")
    times = options.get("times", "1")
    if times != "all" and not times.isdecimal():
        raise _wrong(line, f"times={times} is neither a whole number nor 'all'")
    if options.get("event_id", "yes") not in ("yes", "no"):
        raise _wrong(line, f"event_id={options['event_id']} is neither yes nor no")
    if verb == "cut" and bool(options["after"]) == bool(options["after_ms"]):
        raise _wrong(line, "'cut' needs either after=<events> or after_ms=<audio>")


def _wrong(line: int, message: str) -> ConfigError:
    return ConfigError("engine.faults", f"line {line}: {message}")
