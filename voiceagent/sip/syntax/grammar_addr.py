"""PURE. ``name-addr`` and ``addr-spec`` as used by From, To, Contact, Route, Refer-To (RFC 3261 §20.10)."""

from __future__ import annotations

import re
from typing import NamedTuple

from voiceagent.sip.syntax.grammar_scan import NO_PARAMS, WSP, Params, bad, parse_params, quote, scan_quoted
from voiceagent.sip.syntax.uri import SipUri

_plain_display = re.compile(r"[A-Za-z0-9\-.!%*_+`'~ ]*").fullmatch
# An unquoted display name is tokens; characters which are no separators here are forgiven.
_odd_display = re.compile(r'[",;<>\\\x00-\x08\x0a-\x1f\x7f]').search
_has_space = re.compile(r"[\x00-\x20\x7f]").search
_usual = re.compile(r"""(?:"([^"\\]*+)"[ \t]*+|([A-Za-z0-9\-.!%*_+`'~ ]*+))<([^\x00-\x20\x7f<>]++)>""").match
"""A display name without escapes, or none, and a URI in angle brackets."""


class NameAddr(NamedTuple):
    """A display name, a URI and header parameters. ``uri`` is read on demand (SipError 400 if malformed)."""

    uri_text: str
    display: str = ""
    params: Params = NO_PARAMS

    @classmethod
    def parse(cls, text: str, what: str = "address") -> NameAddr:
        """Read one address; SipError 400 with code ``bad_<what>`` when malformed.

        Without angle brackets everything from the first ``;`` on belongs to the header, and the URI may hold
        neither ``?`` nor ``,`` (§20.10).
        """
        usual = _usual(text)
        if usual is not None:
            quoted, plain, uri = usual.groups()
            tail = text[usual.end() :].strip(WSP)
            display = plain.strip(" ") if quoted is None else quoted
            return cls(uri, display, parse_params(tail, what) if tail else NO_PARAMS)
        text = text.strip(WSP)
        if text[:1] == '"':
            display, pos = scan_quoted(text, 0, what)
            opening = text.find("<", pos)
            if opening < 0 or text[pos:opening].strip(WSP):
                raise bad(what, "no address after the display name")
        else:
            opening = text.find("<")
            if opening < 0:
                uri, semicolon, tail = text.partition(";")
                uri = uri.rstrip(WSP)
                if not uri or _has_space(uri) or "?" in uri or "," in uri or '"' in uri or ">" in uri:
                    raise bad(what, "malformed address")
                return cls(uri, "", parse_params(";" + tail, what) if semicolon else NO_PARAMS)
            display = text[:opening].strip(WSP)
            if display and _plain_display(display) is None and _odd_display(display):
                raise bad(what, "malformed display name")
        closing = text.find(">", opening)
        if closing < 0:
            raise bad(what, "angle bracket not closed")
        uri = text[opening + 1 : closing]
        if not uri or _has_space(uri) or "<" in uri:
            raise bad(what, "malformed address")
        tail = text[closing + 1 :]
        return cls(uri, display, parse_params(tail, what) if tail else NO_PARAMS)

    @classmethod
    def of(cls, uri: SipUri | str, display: str = "", params: Params = NO_PARAMS) -> NameAddr:
        """Build one from a URI object or text."""
        return cls(str(uri), display, params)

    @property
    def uri(self) -> SipUri:
        """The URI; SipError 400 when malformed."""
        return SipUri.parse(self.uri_text)

    @property
    def tag(self) -> str | None:
        """The ``tag`` parameter of From and To."""
        return self.params.get("tag")

    def with_param(self, name: str, value: str | None = None) -> NameAddr:
        """A copy with one header parameter set."""
        return NameAddr(self.uri_text, self.display, self.params.with_(name, value))

    def with_tag(self, tag: str) -> NameAddr:
        """A copy with this tag."""
        return self.with_param("tag", tag)

    def __str__(self) -> str:
        display = f"{quote(self.display)} " if self.display else ""
        return f"{display}<{self.uri_text}>{self.params.header_text()}"
