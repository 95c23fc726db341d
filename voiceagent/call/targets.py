"""PURE. Who may be called or transferred to: one canonical spelling, an allow-list, a deny-list that wins.

A number has many spellings (``+44 20…``, ``0044…``, ``tel:``, ``;phone-context=``, ``%2B44``, ``*31#00…``),
and a list that compares text can be talked past. So a target is first brought to its one spelling; what has
none (Unicode digits, double escapes, further parameters) is refused, not guessed at. The canonical URI is
what is dialled, so nothing further on reads the target differently.

    rules = TargetRules(allowed=("+4420*", "sip:*@pbx.example.com"), denied=("+442079460*",))
    rules.check("tel:+44-20-1234-5678").number        # "+442012345678"
    rules.check("sip:0088213@pbx.example.com")        # raises TargetRefused, code denied_target

Patterns: a number (``+4420*``, ``100``), a SIP URI (``sip:user@host``, ``sip:*@host``, ``sip:desk-*``), or
``*``. A ``*`` stands at the end of a number, user or host, for any rest. A number pattern is for numbers that
a trunk routes; a SIP URI needs a pattern that names (or leaves open) its host.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from voiceagent.call.target_ranges import BUILT_IN_DENIED
from voiceagent.errors import RequestRefused, SipError
from voiceagent.sip.syntax.uri import SipUri, host_text, is_ip

MOST_CHARS = 256
MOST_DIGITS = 15
"""Of a global number (ITU-T E.164)."""
WHOLE_NUMBER = 7
"""So many digits without ``+`` may be a whole global number to the trunk that dials them."""
_is_plain = re.compile(r"[\x21-\x7e]+").fullmatch
_is_place_start = re.compile(r"[\[A-Za-z0-9.:\-\]]*").fullmatch
_is_number = re.compile(r"\+?[0-9*#]*[0-9][0-9*#]*").fullmatch
_is_global = re.compile(r"\+[1-9][0-9]*").fullmatch
_VISUAL = str.maketrans("", "", " -.()")
_digits = re.compile(r"\+?[0-9]+").findall
_service = re.compile(r"[*#]+[0-9]{2,3}(?=[0-9+])").match
"""A code such as ``*67`` in front of the number proper."""
_abroad = re.compile(r"\+11|[0-9]{0,2}(?:0011|00|011|010|810)").match
"""An international prefix of some country, perhaps behind one or two digits for an outside line. What begins
with ``+11`` was Australia's ``0011`` before ``00`` was read as ``+``: no country has that code."""
_DEFAULT_PORT = {"sip": 5060, "sips": 5061}
_TRANSPORTS = ("udp", "tcp", "tls")


class TargetRefused(RequestRefused):
    """The target may not be called. ``code``: ``bad_target``, ``denied_target`` or ``target_not_allowed``."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__("to", message, code=code)


@dataclass(frozen=True, slots=True)
class Target:
    """A target in its one spelling."""

    uri: str
    """``tel:`` or ``sip:`` URI, fit for a Request-URI or a Refer-To."""
    number: str = ""
    """``+`` and digits, or digits with ``*`` and ``#``; empty where the user part is a name."""
    user: str = ""
    host: str = ""
    """Empty for a bare number: a trunk has to route it."""
    port: int | None = None
    """None for the default one."""
    scheme: str = "tel"

    @property
    def place(self) -> str:
        """Host and port, the default port left out."""
        return host_text(self.host, self.port) if self.host else ""

    @property
    def key(self) -> str:
        """What counts as one destination: its number, or its URI where it has none."""
        return self.number or self.uri.partition(";")[0]

    @property
    def shown(self) -> str:
        """What people are told: the number alone only where nothing else was asked for."""
        return self.uri if self.host else self.number


def parse_target(text: str) -> Target:
    """Return ``text`` in its one spelling. Raises TargetRefused (``bad_target``) where it has none."""
    text = text.strip(" ")
    if not 0 < len(text) <= MOST_CHARS:
        raise _bad(f"must be 1 to {MOST_CHARS} characters")
    scheme, colon, _ = text.partition(":")
    low = scheme.lower()
    if not colon and "@" not in text:
        return _number_target(text)
    if _is_plain(text) is None:
        raise _bad("holds a space, a control character, or one outside of ASCII")
    if not colon or low not in ("tel", "sip", "sips"):
        if "@" not in text or low.isalpha():
            raise _bad("must be a number, or a sip:, sips: or tel: URI")
        text = f"sip:{text}"
    try:
        uri = SipUri.parse(text)
    except SipError as error:
        raise _bad(str(error)) from None
    if uri.headers or uri.password is not None:
        raise _bad("headers and passwords are not taken")
    return _tel_target(uri) if uri.scheme == "tel" else _sip_target(uri)


def _tel_target(uri: SipUri) -> Target:
    return _number_target(_in_context(uri.user, [(name, value or "") for name, value in uri.params]))


def _sip_target(uri: SipUri) -> Target:
    # The user part may be a telephone-subscriber with parameters of its own (RFC 3261 §19.1.6).
    name, *subscriber = uri.user.split(";")
    context = [(part.partition("=")[0], part.partition("=")[2]) for part in subscriber]
    own = [(key.lower(), value or "") for key, value in uri.params]
    context += [(key, value) for key, value in own if key == "phone-context"]
    rest = [(key, value.lower()) for key, value in own if key != "phone-context"]
    if _is_plain(name or "-") is None or set(name) & set('%@:<>"'):
        raise _bad("the user part is escaped twice, or holds a delimiter")
    user = _in_context(name, context)
    number = canonical_number(user)
    if number is None and (user[:1] == "+" or context):
        raise _bad("the user part is no number")
    for key, value in rest:
        if (key, value) not in (("user", "phone"), ("user", "ip"), ("lr", "")) and (
            key != "transport" or value not in _TRANSPORTS
        ):
            raise _bad(f"the parameter {key!r} is not taken")
    host = _canonical_host(uri.host)
    if not host.rpartition(".")[2][:1].isalpha() and not is_ip(host):
        # A top label begins with a letter (RFC 3261 §25.1).
        raise _bad("a number stands where the host should")
    port = None if uri.port == _DEFAULT_PORT[uri.scheme] else uri.port
    shown = SipUri(uri.scheme, number or user, host, port)
    transport = dict(rest).get("transport")
    tail = f";transport={transport}" if transport else ""
    return Target(f"{shown}{tail}", number or "", number or user, host, port, uri.scheme)


def _in_context(number: str, params: Iterable[tuple[str, str]]) -> str:
    """Apply ``phone-context`` (RFC 3966 §5.1.5); no other parameter of a number is taken."""
    for key, value in params:
        if key.lower() != "phone-context":
            raise _bad(f"the parameter {key!r} of a number is not taken")
        context = value.translate(_VISUAL)
        if context.startswith("+"):
            if _is_global(context) is None or number.startswith("+"):
                raise _bad("phone-context does not fit")
            number = context + number.translate(_VISUAL)
        elif not context or number.startswith("+"):
            raise _bad("phone-context does not fit")
    return number


def _number_target(text: str) -> Target:
    number = canonical_number(text)
    if number is None:
        raise _bad("must be a number, or a sip:, sips: or tel: URI")
    return Target(f"tel:{number}", number, number)


def canonical_number(text: str) -> str | None:
    """Return ``+…`` for a global number, digits for any other; None for what is no number.

    Raises TargetRefused for what looks like a global number and is none.
    """
    number = text.translate(_VISUAL)
    if _is_number(number) is None:
        return None
    if number.startswith("00"):
        number = "+" + number[2:]
    if number.startswith("+") and (_is_global(number) is None or len(number) > MOST_DIGITS + 1):
        raise _bad("is not a global number (+, country code, at most 15 digits)")
    return number


def _canonical_host(host: str) -> str:
    return str(ipaddress.ip_address(host)) if is_ip(host) else host.lower().removesuffix(".")


def _bad(why: str) -> TargetRefused:
    return TargetRefused(why, "bad_target")


# ── rules ───────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Pattern:
    """One entry of a list. Raises ValueError from :meth:`parse` when it cannot be read."""

    text: str
    scheme: str
    """``number``, ``sip``, ``sips`` or ``any``."""
    user: str = ""
    place: str | None = None
    """Host and port; None: any."""

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Read one entry."""
        if text == "*":
            return cls(text, "any")
        scheme, colon, rest = text.partition(":")
        if colon and scheme.lower() in ("sip", "sips"):
            user, at, place = rest.rpartition("@")
            if not at and rest.endswith("*"):
                return cls(text, scheme.lower(), _pattern_user(rest))
            if not place:
                raise ValueError(f"{text!r}: a host is missing")
            return cls(text, scheme.lower(), _pattern_user(user), _pattern_place(place, scheme.lower()))
        number = _pattern_user(rest if scheme.lower() == "tel" and colon else text)
        if number != "+*" and _is_number(number.removesuffix("*")) is None:
            raise ValueError(f"{text!r}: must be a number, a sip: URI, or *")
        return cls(text, "number", number)

    def fits(self, target: Target) -> bool:
        """Tell whether the target is one of those meant."""
        if self.scheme == "any":
            return True
        if self.scheme == "number":
            return not target.host and _like(self.user, target.number)
        return (
            self.scheme == target.scheme
            and (_like(self.user, target.user) or bool(target.number and _like(self.user, target.number)))
            and (self.place is None or _like(self.place, target.place))
        )


class TargetRules:
    """An allow-list and a deny-list. Raises ValueError for an entry that cannot be read.

    Denied numbers are denied wherever they stand: bare, in a ``tel:`` or in the user part of any SIP URI.
    """

    def __init__(self, allowed: Sequence[str], denied: Sequence[str] = (), *, built_in: bool = True) -> None:
        """``built_in``: deny what :data:`~voiceagent.call.target_ranges.BUILT_IN_DENIED` names as well."""
        self._allowed = tuple(Pattern.parse(text) for text in allowed)
        patterns = [Pattern.parse(text) for text in (*denied, *(BUILT_IN_DENIED if built_in else ()))]
        self._denied = tuple(pattern for pattern in patterns if pattern.scheme != "number")
        numbers = [pattern.user for pattern in patterns if pattern.scheme == "number"]
        self._denied_ranges = tuple(number[:-1] for number in numbers if number.endswith("*"))
        self._denied_numbers = frozenset(number for number in numbers if not number.endswith("*"))

    def check(self, text: str) -> Target:
        """Return the target to be called. Raises TargetRefused."""
        target = parse_target(text)
        for number in _readings(target):
            if number in self._denied_numbers or number.startswith(self._denied_ranges):
                raise TargetRefused(f"{target.shown} is denied", "denied_target")
        if any(pattern.fits(target) for pattern in self._denied):
            raise TargetRefused(f"{target.shown} is denied", "denied_target")
        if not any(pattern.fits(target) for pattern in self._allowed):
            raise TargetRefused(f"{target.shown} is not on the allow-list", "target_not_allowed")
        return target


def allowed_target(target: str, patterns: Sequence[str]) -> bool:
    """Tell whether ``patterns`` allow the target, built-in denials included."""
    return why_not(target, patterns) is None


def why_not(target: str, patterns: Sequence[str]) -> str | None:
    """Return why ``patterns`` or the built-in denials forbid the target, or None."""
    try:
        rules_of(tuple(patterns)).check(target)
    except TargetRefused as refused:
        return str(refused).removeprefix("to: ")
    return None


@lru_cache(maxsize=64)
def rules_of(allowed: tuple[str, ...]) -> TargetRules:
    """Return the rules of an allow-list; the same ones for the same list."""
    return TargetRules(allowed)


def _readings(target: Target) -> set[str]:
    """All numbers that some switch might dial for this target, service codes (``*31#…``) taken off."""
    text = target.number or target.user
    code = _service(text)
    parts = _digits(text)
    if code is not None:
        parts += [text[code.end() :], text[code.end() - 1 :]]
    if not target.number:
        parts.append("".join(part.removeprefix("+") for part in parts))
        parts = [part for part in parts if part[:1] == "+" or len(part) >= WHOLE_NUMBER]
    readings: set[str] = {target.number} if target.number else set()
    for part in filter(None, parts):
        readings.add(part)
        if part[:1] != "+" and len(part) >= WHOLE_NUMBER:
            readings.add(f"+{part}")
        while (abroad := _abroad(part)) is not None:
            part = part[abroad.end() :]
            readings.add(f"+{part}")
    return readings


def _like(pattern: str, text: str) -> bool:
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern


def _pattern_user(text: str) -> str:
    star = "*" if text.endswith("*") else ""
    body = text.removesuffix("*")
    try:
        return (canonical_number(body) or body) + star
    except TargetRefused:
        plain = body.translate(_VISUAL)
        return ("+" if plain == "00" else plain) + star


def _pattern_place(text: str, scheme: str) -> str:
    if text.endswith("*"):
        if _is_place_start(text[:-1]) is None:
            raise ValueError(f"{text!r}: * stands for the rest of a host only at its end")
        return text.lower()
    try:
        uri = SipUri.parse(f"{scheme}:{text}")
    except SipError as error:
        raise ValueError(f"{text!r}: {error}") from None
    port = None if uri.port == _DEFAULT_PORT[scheme] else uri.port
    return host_text(_canonical_host(uri.host), port)
