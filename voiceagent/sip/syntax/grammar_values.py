"""PURE. Small structured header values: CSeq, Replaces, RAck, Session-Expires, Refer-To."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from voiceagent.sip.syntax.grammar_addr import NameAddr
from voiceagent.sip.syntax.grammar_scan import NO_PARAMS, WSP, Params, bad, is_token, parse_int, parse_params

MAX_CSEQ = 2**31 - 1


class CSeq(NamedTuple):
    """Sequence number (below 2³¹, RFC 3261 §8.1.1.5) and method."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> CSeq:
        """Read ``1 INVITE``; SipError 400 ``bad_cseq``."""
        parts = text.split(" ")
        if len(parts) != 2 or "\t" in text:
            parts = [part for part in text.replace("\t", " ").split(" ") if part]
            if len(parts) != 2:
                raise bad("cseq", "not a number and a method")
        if not is_token(parts[1]):
            raise bad("cseq", "malformed method")
        return cls(parse_int(parts[0], "cseq", maximum=MAX_CSEQ), parts[1])

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


@dataclass(frozen=True, slots=True)
class Replaces:
    """Replaces (RFC 3891 §6.1). ``to_tag`` is our tag when we receive it, ``from_tag`` the peer's."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False

    @classmethod
    def parse(cls, text: str) -> Replaces:
        """Read ``callid;to-tag=a;from-tag=b[;early-only]``; SipError 400 ``bad_replaces``."""
        call_id, _, tail = text.partition(";")
        call_id = call_id.strip(WSP)
        params = parse_params(";" + tail, "replaces")
        to_tag, from_tag = params.get("to-tag"), params.get("from-tag")
        if not call_id or " " in call_id or not to_tag or not from_tag:
            raise bad("replaces", "needs a Call-ID, a to-tag and a from-tag")
        return cls(call_id, to_tag, from_tag, "early-only" in params)

    def __str__(self) -> str:
        early = ";early-only" if self.early_only else ""
        return f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}{early}"


@dataclass(frozen=True, slots=True)
class RAck:
    """RAck of a PRACK (RFC 3262 §7.2)."""

    rseq: int
    cseq: int
    method: str

    @classmethod
    def parse(cls, text: str) -> RAck:
        """Read ``776656 1 INVITE``; SipError 400 ``bad_rack``."""
        parts = [part for part in text.replace("\t", " ").split(" ") if part]
        if len(parts) != 3 or not is_token(parts[2]):
            raise bad("rack", "not two numbers and a method")
        return cls(parse_int(parts[0], "rack"), parse_int(parts[1], "rack"), parts[2])

    def __str__(self) -> str:
        return f"{self.rseq} {self.cseq} {self.method}"


@dataclass(frozen=True, slots=True)
class SessionExpires:
    """Session-Expires or Min-SE (RFC 4028 §4, §5): seconds, and ``uac`` or ``uas`` or None as refresher."""

    seconds: int
    refresher: str | None = None
    params: Params = NO_PARAMS

    @classmethod
    def parse(cls, text: str) -> SessionExpires:
        """Read ``1800;refresher=uas``; SipError 400 ``bad_session_expires``."""
        seconds, semicolon, tail = text.partition(";")
        params = parse_params(";" + tail, "session_expires") if semicolon else NO_PARAMS
        refresher = params.get("refresher")
        if refresher is not None:
            refresher = refresher.lower()
            if refresher not in ("uac", "uas"):
                raise bad("session_expires", "unknown refresher")
        return cls(parse_int(seconds.strip(WSP), "session_expires"), refresher, params)

    def __str__(self) -> str:
        return str(self.seconds) if self.refresher is None else f"{self.seconds};refresher={self.refresher}"


@dataclass(frozen=True, slots=True)
class ReferTo:
    """Refer-To (RFC 3515 §2.1), with the Replaces of an attended transfer (RFC 3891) already taken apart."""

    address: NameAddr
    replaces: Replaces | None = None

    @classmethod
    def parse(cls, text: str) -> ReferTo:
        """Read the header value; SipError 400 ``bad_refer_to``, ``bad_uri`` or ``bad_replaces``."""
        address = NameAddr.parse(text, "refer_to")
        value = address.uri.headers.get("Replaces")
        return cls(address, None if value is None else Replaces.parse(value))

    @property
    def method(self) -> str:
        """The method to send: the URI's ``method`` parameter, or INVITE."""
        return (self.address.uri.params.get("method") or "INVITE").upper()

    def __str__(self) -> str:
        return str(self.address)
