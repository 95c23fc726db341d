"""PURE. The header grammar in one import: addresses, Via, CSeq and the small structured values."""

from __future__ import annotations

from voiceagent.sip.syntax.grammar_addr import NameAddr
from voiceagent.sip.syntax.grammar_scan import (
    NO_PARAMS,
    Params,
    bad,
    is_token,
    parse_int,
    parse_params,
    quote,
    scan_quoted,
    split_commas,
)
from voiceagent.sip.syntax.grammar_values import MAX_CSEQ, CSeq, RAck, ReferTo, Replaces, SessionExpires
from voiceagent.sip.syntax.grammar_via import MAGIC_COOKIE, Via
from voiceagent.sip.syntax.uri import SipUri, host_text, parse_hostport

__all__ = [
    "MAGIC_COOKIE",
    "MAX_CSEQ",
    "NO_PARAMS",
    "CSeq",
    "NameAddr",
    "Params",
    "RAck",
    "ReferTo",
    "Replaces",
    "SessionExpires",
    "SipUri",
    "Via",
    "bad",
    "host_text",
    "is_token",
    "parse_hostport",
    "parse_int",
    "parse_params",
    "quote",
    "scan_quoted",
    "split_commas",
]
