"""PURE. SIP, SIPS and tel URIs (RFC 3261 §19.1, RFC 3966); any other scheme is kept as opaque text."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from dataclasses import replace as dc_replace
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Any
from urllib.parse import quote as pct_quote
from urllib.parse import unquote_to_bytes

from voiceagent.errors import SipError
from voiceagent.sip.limits import DEFAULT
from voiceagent.sip.syntax.grammar_scan import NO_PARAMS, Params, parse_int

_is_scheme = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*").fullmatch
_is_host = re.compile(r"[A-Za-z0-9._\-]+").fullmatch
# Forgiving: any visible character except the delimiters, so a '#' feature code or a UTF-8 name gets through.
_is_user = re.compile(r'[^\x00-\x20\x7f<>"@\\^`{|}]*').fullmatch
_is_param = re.compile(r'[^\x00-\x20\x7f<>"@;?=,]+').fullmatch
_is_header = re.compile(r'[^\x00-\x20\x7f<>"&]*').fullmatch
_is_opaque = re.compile(r'[^\x00-\x20\x7f<>"]+').fullmatch
_is_number = re.compile(r"\+?[0-9A-Fa-f*#().\-%]+").fullmatch
_bad_escape = re.compile(r"%(?![0-9A-Fa-f]{2})").search
_MUST_MATCH = ("user", "ttl", "method", "maddr", "transport")
_KNOWN_URIS = 1024
_KNOWN_LENGTH = 128
"""The messages of one call repeat their URIs: short ones are read once and remembered."""
_KEEP_USER = "-_.!~*'()&=+$,;?/"
_KEEP_PARAM = "-_.!~*'()[]/:&+$"
_KEEP_HEADER = "-_.!~*'()[]/?:+$"


def _bad(message: str) -> SipError:
    return SipError(f"URI: {message}", status=400, code="bad_uri")


def _decode(text: str) -> str:
    if "%" not in text:
        return text
    if _bad_escape(text):
        raise _bad("malformed escape")
    return unquote_to_bytes(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")


def _encode(text: str, keep: str) -> str:
    return pct_quote(text, safe=keep, errors="surrogateescape")


def user_text(user: str) -> str:
    """Return a decoded user part as it stands in a URI, escaped where it must be (RFC 3261 §19.1.2)."""
    return user if user.isalnum() and user.isascii() else _encode(user, _KEEP_USER)


def parse_host(text: str) -> str:
    """A host as sockets take it: name or IPv4 unchanged, IPv6 without brackets; SipError 400 otherwise.

    Underscores and all-digit labels are accepted, phones use them. ``[…:::1.2.3.4]``, which the RFC 3261
    grammar allows by mistake (RFC 5118 §4.10), is read as ``::``.
    """
    if text[:1] == "[":
        if text[-1:] != "]":
            raise _bad("IPv6 reference not closed")
        inner = text[1:-1]
        if ":::" in inner and "." in inner:
            inner = inner.replace(":::", "::", 1)
        if len(inner) > 45 or "%" in inner:
            raise _bad("malformed IPv6 address")
        try:
            IPv6Address(inner)
        except AddressValueError:
            raise _bad("malformed IPv6 address") from None
        return inner
    if len(text) > 255 or _is_host(text) is None:
        raise _bad("malformed host")
    return text


def parse_hostport(text: str) -> tuple[str, int | None]:
    """``host[:port]`` → host (IPv6 without brackets) and port; else SipError 400. Nothing is stripped."""
    if text[:1] == "[":
        close = text.find("]")
        if close < 0:
            raise _bad("IPv6 reference not closed")
        host, rest = text[: close + 1], text[close + 1 :]
        if not rest:
            return parse_host(host), None
        if rest[0] != ":":
            raise _bad("text after the IPv6 reference")
        port = rest[1:]
    else:
        host, colon, port = text.partition(":")
        if not colon:
            return parse_host(host), None
    number = parse_int(port, "port", maximum=65_535)
    if number == 0:
        raise _bad("port 0")
    return parse_host(host), number


def is_ip(host: str) -> bool:
    """Tell whether ``host`` is an IPv4 or IPv6 literal (without brackets)."""
    if not host or not (host[-1].isdigit() or ":" in host):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def host_text(host: str, port: int | None = None) -> str:
    """``host[:port]`` with brackets around IPv6."""
    text = f"[{host}]" if ":" in host else host
    return text if port is None else f"{text}:{port}"


@dataclass(frozen=True, slots=True, eq=False)
class SipUri:
    """One URI. For ``tel`` the number is ``user``; for an unknown scheme all is in ``opaque``.

    ``user``, ``password``, parameters and headers are percent-decoded; ``str()`` gives back the text that was
    parsed, or builds it with the escapes needed. ``==`` compares as RFC 3261 §19.1.4 says (not transitive).
    """

    scheme: str = "sip"
    user: str = ""
    host: str = ""
    port: int | None = None
    params: Params = NO_PARAMS
    headers: Params = NO_PARAMS
    password: str | None = None
    opaque: str = ""
    text: str = ""

    @classmethod
    def parse(cls, text: str) -> SipUri:
        """Read a URI without angle brackets; SipError 400 when malformed. An unknown scheme is no error."""
        return _read_known(text) if len(text) <= _KNOWN_LENGTH else cls._read(text)

    @classmethod
    def _read(cls, text: str) -> SipUri:
        if len(text) > DEFAULT.uri:
            raise _bad(f"longer than {DEFAULT.uri}")
        scheme, colon, rest = text.partition(":")
        low = scheme.lower()
        if not colon or (low != "sip" and low != "sips" and _is_scheme(scheme) is None):
            raise _bad("no scheme")
        if low == "tel":
            return cls._parse_tel(rest, text)
        if low not in ("sip", "sips"):
            if _is_opaque(rest) is None:
                raise _bad("malformed URI")
            return cls(scheme=low, opaque=rest, text=text)
        user, password = "", None
        userinfo, at, hostpart = rest.partition("@")
        if at:
            name, colon, secret = userinfo.partition(":")
            if not name or _is_user(name) is None or _is_user(secret) is None:
                raise _bad("malformed user part")
            user = _decode(name)
            password = _decode(secret) if colon else None
        else:
            hostpart = rest
        params = headers = NO_PARAMS
        if "?" in hostpart:
            hostpart, _, query = hostpart.partition("?")
            headers = _parse_headers(query)
        if ";" in hostpart:
            hostpart, _, tail = hostpart.partition(";")
            params = _parse_uri_params(tail)
        host, port = parse_hostport(hostpart)
        return cls(low, user, host, port, params, headers, password, "", text)

    @classmethod
    def _parse_tel(cls, rest: str, text: str) -> SipUri:
        number, semicolon, tail = rest.partition(";")
        if _is_number(number) is None:
            raise _bad("malformed telephone number")
        params = _parse_uri_params(tail) if semicolon else NO_PARAMS
        return cls(scheme="tel", user=_decode(number), params=params, text=text)

    def replace(self, **changes: Any) -> SipUri:
        """A changed copy; its text is built anew."""
        return dc_replace(self, text="", **changes)

    @property
    def is_sip(self) -> bool:
        """True for sip and sips."""
        return self.scheme in ("sip", "sips")

    @property
    def transport(self) -> str | None:
        """The ``transport`` parameter in lower case."""
        value = self.params.get("transport")
        return None if value is None else value.lower()

    def __str__(self) -> str:
        if self.text:
            return self.text
        if self.opaque:
            return f"{self.scheme}:{self.opaque}"
        parts = [self.scheme, ":"]
        if self.user:
            parts.append(user_text(self.user))
            if self.password is not None:
                parts += [":", _encode(self.password, _KEEP_USER)]
            if self.host:
                parts.append("@")
        if self.host:
            parts.append(host_text(self.host, self.port))
        for name, value in self.params:
            parts += [";", _encode(name, _KEEP_PARAM)]
            if value is not None:
                parts += ["=", _encode(value, _KEEP_PARAM)]
        mark = "?"
        for name, value in self.headers:
            parts += [mark, _encode(name, _KEEP_HEADER), "=", _encode(value or "", _KEEP_HEADER)]
            mark = "&"
        return "".join(parts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SipUri):
            return NotImplemented
        if (
            self.scheme != other.scheme
            or self.user != other.user
            or self.password != other.password
            or self.port != other.port
            or self.opaque != other.opaque
            or self.host.lower() != other.host.lower()
        ):
            return False
        mine = {k.lower(): v for k, v in reversed(self.params.pairs)}
        theirs = {k.lower(): v for k, v in reversed(other.params.pairs)}
        for name in mine.keys() | theirs.keys():
            in_both = name in mine and name in theirs
            if not in_both and name in _MUST_MATCH:
                return False
            if in_both and (mine[name] or "").lower() != (theirs[name] or "").lower():
                return False
        return self.headers == other.headers

    def __hash__(self) -> int:
        return hash((self.scheme, self.user, self.password, self.host.lower(), self.port, self.opaque))


_read_known = lru_cache(_KNOWN_URIS)(SipUri._read)  # pyright: ignore[reportPrivateUsage]


def _segments(text: str, separator: str) -> list[str]:
    segments = text.split(separator, DEFAULT.params)
    if len(segments) > DEFAULT.params:
        raise _bad(f"more than {DEFAULT.params} parameters or headers")
    return segments


def _parse_uri_params(text: str) -> Params:
    pairs: list[tuple[str, str | None]] = []
    for segment in _segments(text, ";"):
        name, equals, value = segment.partition("=")
        if _is_param(name) is None or (equals and _is_param(value) is None):
            raise _bad("malformed parameter")
        pairs.append((_decode(name), _decode(value) if equals else None))
    return Params(pairs)


def _parse_headers(text: str) -> Params:
    pairs: list[tuple[str, str | None]] = []
    for segment in _segments(text, "&"):
        name, equals, value = segment.partition("=")
        if not name or not equals or _is_header(segment) is None:
            raise _bad("malformed URI header")
        pairs.append((_decode(name), _decode(value)))
    return Params(pairs)
