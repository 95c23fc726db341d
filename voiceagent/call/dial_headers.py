"""PURE. Headers that may be added to an INVITE: data for the callee's side, never part of the protocol."""

from __future__ import annotations

import re
from collections.abc import Mapping

from voiceagent.errors import RequestRefused

MOST_HEADERS = 20
MOST_CHARS = 1024
_is_token = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]{1,64}").fullmatch
_is_value = re.compile(r"[\x20-\x7e]*").fullmatch

_NAMES = """
accept accept-contact accept-encoding accept-language alert-info allow allow-events
authentication-info authorization call-id contact content-disposition content-encoding
content-language content-length content-type cseq date diversion error-info event expires
feature-caps from geolocation history-info identity identity-info in-reply-to join max-breadth
max-forwards mime-version min-expires min-se p-asserted-identity p-preferred-identity path privacy
proxy-authenticate proxy-authorization proxy-require rack reason record-route recv-info refer-sub
refer-to referred-by reject-contact remote-party-id replaces reply-to request-disposition require
retry-after route rseq security-client security-server security-verify server service-route
session-expires sip-etag sip-if-match subscription-state supported target-dialog timestamp to
unsupported user-agent via warning www-authenticate
"""
CORE = frozenset(_NAMES.split())
"""Names that mean something to SIP itself, or claim an identity; in lower case."""


def check_headers(headers: Mapping[str, str], field: str = "headers") -> tuple[tuple[str, str], ...]:
    """Return the headers in order. Raises RequestRefused naming the one at fault."""
    if len(headers) > MOST_HEADERS:
        raise RequestRefused(field, f"at most {MOST_HEADERS} are taken")
    for name, value in headers.items():
        where = f"{field}.{name[:64]}"
        if _is_token(name) is None:
            raise RequestRefused(where, "the name is no token (RFC 3261 §25.1)")
        if len(name) == 1 or name.lower() in CORE:
            raise RequestRefused(where, "is a header of the protocol itself")
        if len(value) > MOST_CHARS or _is_value(value) is None:
            raise RequestRefused(where, f"the value must be up to {MOST_CHARS} printable ASCII characters")
    return tuple((name, value.strip()) for name, value in headers.items())
