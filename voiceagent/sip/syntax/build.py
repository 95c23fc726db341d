"""PURE. Building messages: responses to a request, requests from their parts, reasons, header order."""

from __future__ import annotations

from collections.abc import Iterable

from voiceagent.errors import SipError
from voiceagent.sip.syntax.grammar_addr import NameAddr
from voiceagent.sip.syntax.grammar_values import CSeq
from voiceagent.sip.syntax.grammar_via import Via
from voiceagent.sip.syntax.headers import Headers
from voiceagent.sip.syntax.message import Request, Response

REASONS: dict[int, str] = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    199: "Early Dialog Terminated",
    200: "OK",
    202: "Accepted",
    204: "No Notification",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    412: "Conditional Request Failed",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    428: "Use Identity Header",
    429: "Provide Referrer Identity",
    433: "Anonymity Disallowed",
    436: "Bad Identity Info",
    438: "Invalid Identity Header",
    439: "First Hop Lacks Outbound Support",
    440: "Max-Breadth Exceeded",
    469: "Bad Info Package",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    493: "Undecipherable",
    494: "Security Agreement Required",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    580: "Precondition Failure",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
    607: "Unwanted",
    608: "Rejected",
}

_CLASS_REASONS = {
    1: "Trying",
    2: "OK",
    3: "Redirect",
    4: "Bad Request",
    5: "Server Error",
    6: "Global Failure",
}
# Methods whose 2xx (and tagged 1xx) make or refresh a dialog, so that Record-Route goes back (§12.1.1).
_DIALOG_FORMING = frozenset({"INVITE", "SUBSCRIBE", "REFER", "NOTIFY"})
_ORDER = (
    "Via",
    "Record-Route",
    "Route",
    "Max-Forwards",
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Contact",
)
_RANK = {name: rank for rank, name in enumerate(_ORDER)}
_LAST = {"Content-Type": 1, "Content-Length": 2}


def reason_for(status: int) -> str:
    """The usual phrase for a status, or that of its class."""
    return REASONS.get(status) or _CLASS_REASONS.get(status // 100, "Unknown")


def response_to(
    request: Request, status: int, reason: str | None = None, to_tag: str | None = None
) -> Response:
    """The response skeleton of RFC 3261 §8.2.6: Via, From, To, Call-ID, CSeq copied as they came.

    ``to_tag`` is added unless To has a tag or the status is 100. Timestamp is copied to a 100. Record-Route
    is copied to 101–299 of dialog-forming methods. Never raises for a malformed request: what is missing is
    left out, so a ``Malformed.partial`` may be answered too.
    """
    headers = Headers()
    source = request.headers
    for value in source.get_all("Via"):
        headers.add("Via", value)
    if 100 < status < 300 and request.method in _DIALOG_FORMING:
        for value in source.get_all("Record-Route"):
            headers.add("Record-Route", value)
    for name in ("From", "To", "Call-ID", "CSeq"):
        value = source.get(name)
        if value is None:
            continue
        if name == "To" and to_tag is not None and status > 100:
            value = _tagged(request, value, to_tag)
        headers.add(name, value)
    if status == 100:
        timestamp = source.get("Timestamp")
        if timestamp is not None:
            headers.add("Timestamp", timestamp)
    return Response(status, reason_for(status) if reason is None else reason, headers)


def _tagged(request: Request, value: str, tag: str) -> str:
    try:
        to = request.to
    except SipError:
        return value
    return value if to.tag is not None else f"{value};tag={tag}"


def request(
    method: str,
    uri: str,
    *,
    via: Via | str,
    from_: NameAddr | str,
    to: NameAddr | str,
    call_id: str,
    cseq: int | CSeq,
    max_forwards: int = 70,
    route: Iterable[NameAddr | str] = (),
    contact: NameAddr | str | None = None,
    extra: Iterable[tuple[str, str]] = (),
    content_type: str | None = None,
    body: bytes = b"",
) -> Request:
    """A request from its parts, headers in the usual order (RFC 3261 §8.1.1)."""
    headers = Headers()
    headers.add("Via", via)
    for hop in route:
        headers.add("Route", hop)
    headers.add("Max-Forwards", max_forwards)
    headers.add("From", from_)
    headers.add("To", to)
    headers.add("Call-ID", call_id)
    headers.add("CSeq", CSeq(cseq, method) if isinstance(cseq, int) else cseq)
    if contact is not None:
        headers.add("Contact", contact)
    for name, value in extra:
        headers.add(name, value)
    if content_type is not None:
        headers.add("Content-Type", content_type)
    return Request(method, uri, headers, body)


def ordered(headers: Headers) -> Headers:
    """A copy in the usual order: routing and core headers first, Content-* last, the rest as it was."""

    def rank(item: tuple[str, str]) -> int:
        return _LAST.get(item[0], 0) * 1000 or _RANK.get(item[0], 100)

    return Headers(sorted(headers.items(), key=rank))
