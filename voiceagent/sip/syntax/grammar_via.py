"""PURE. The Via header field (RFC 3261 §20.42, rport RFC 3581)."""

from __future__ import annotations

import re
from typing import NamedTuple

from voiceagent.errors import SipError
from voiceagent.sip.syntax.grammar_scan import NO_PARAMS, WSP, Params, bad, is_token, parse_int, parse_params
from voiceagent.sip.syntax.uri import host_text, parse_hostport

MAGIC_COOKIE = "z9hG4bK"
_usual = re.compile(r"SIP/2\.0/([A-Za-z]++) ([A-Za-z0-9._\-]{1,255}+)(?::([1-9][0-9]{0,4}+))?+(?=;|\Z)").match
"""One blank and no other white space."""


class Via(NamedTuple):
    """One Via value. ``transport`` in upper case; ``host`` without brackets; ``version`` is ``2.0``."""

    transport: str
    host: str
    port: int | None = None
    params: Params = NO_PARAMS
    version: str = "2.0"

    @classmethod
    def parse(cls, text: str, *, skip_empty_params: bool = False) -> Via:
        """Read one Via value, white space around ``/ ; = :`` allowed; SipError 400 ``bad_via``."""
        usual = _usual(text)
        if usual is not None and int(usual[3] or 1) <= 65_535:
            transport, host, port = usual.groups()
            tail = text[usual.end() :]
            params = parse_params(tail, "via", skip_empty=skip_empty_params) if tail else NO_PARAMS
            return cls(transport.upper(), host, None if port is None else int(port), params)
        if text[:8] == "SIP/2.0/":
            version, rest = "2.0", text[8:]
        else:
            name, _, rest = text.partition("/")
            version, slash, rest = rest.partition("/")
            name, version = name.strip(WSP), version.strip(WSP)
            if not slash or name.upper() != "SIP" or not is_token(version):
                raise bad("via", "not a SIP Via")
        rest = rest.strip(WSP).replace("\t", " ")
        transport, _, rest = rest.partition(" ")
        if not is_token(transport):
            raise bad("via", "malformed transport")
        sent_by, semicolon, tail = rest.partition(";")
        sent_by = sent_by.strip(WSP)
        if ":" in sent_by and (" " in sent_by):
            sent_by = ":".join(piece.strip(WSP) for piece in sent_by.split(":"))
        try:
            host, port = parse_hostport(sent_by)
        except SipError as error:
            raise bad("via", f"sent-by: {error}") from None
        params = parse_params(";" + tail, "via", skip_empty=skip_empty_params) if semicolon else NO_PARAMS
        return cls(transport.upper(), host, port, params, version)

    @property
    def branch(self) -> str | None:
        """The ``branch`` parameter."""
        return self.params.get("branch")

    @property
    def is_rfc3261(self) -> bool:
        """True when the branch identifies the transaction (§17.2.3); else RFC 2543 matching applies."""
        branch = self.branch
        return branch is not None and branch[:7].lower() == "z9hg4bk" and len(branch) > 7

    @property
    def rport(self) -> int | None:
        """The port in ``rport``; None when absent, empty or no port (``asks_rport`` tells an empty one)."""
        value = self.params.get("rport")
        if not value:
            return None
        try:
            return parse_int(value, "rport", maximum=65_535)
        except SipError:
            return None

    @property
    def asks_rport(self) -> bool:
        """True when ``rport`` is present: reply to the source port (RFC 3581 §4)."""
        return "rport" in self.params

    @property
    def received(self) -> str | None:
        """The ``received`` parameter without IPv6 brackets (RFC 5118 §4.5 accepts both spellings)."""
        value = self.params.get("received")
        return None if value is None else value.strip("[]")

    @property
    def sent_by(self) -> str:
        """``host[:port]`` in lower case, as transactions are keyed (§17.2.3)."""
        return host_text(self.host.lower(), self.port)

    def with_param(self, name: str, value: str | None = None) -> Via:
        """A copy with one parameter set."""
        return Via(self.transport, self.host, self.port, self.params.with_(name, value), self.version)

    def seen_from(self, host: str, port: int) -> Via:
        """A copy with ``rport`` filled in, which it has, and ``received`` (RFC 3581 §4)."""
        params = self.params
        if "received" in params or len(params) > 8:
            return self.with_param("rport", str(port)).with_param("received", host)
        pairs = [(name, str(port) if name.lower() == "rport" else value) for name, value in params.pairs]
        pairs.append(("received", host))
        return self._replace(params=Params(pairs))

    def __str__(self) -> str:
        where = host_text(self.host, self.port)
        return f"SIP/{self.version}/{self.transport} {where}{self.params.header_text()}"
