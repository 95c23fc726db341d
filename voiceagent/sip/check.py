"""PURE. May a user agent work on this request? The refusals that need no dialog and no configuration.

RFC 3261 §8.2 in its order, with the treatments RFC 4475 §3 names. ``parser`` has already refused what cannot
be read at all; here are the messages that read well and still must not be acted on. ACK gets no refusal sent.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from voiceagent.errors import SipError
from voiceagent.sip.syntax.build import reason_for
from voiceagent.sip.syntax.grammar_addr import NameAddr
from voiceagent.sip.syntax.grammar_scan import WSP
from voiceagent.sip.syntax.message import Request, Response


class Refusal(NamedTuple):
    """The final response that fits: status, reason phrase, headers to add."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()


SINGLE_HEADERS = (
    "Call-ID",
    "CSeq",
    "From",
    "To",
    "Max-Forwards",
    "Content-Type",
    "Content-Length",
    "Content-Disposition",
    "Expires",
    "Min-Expires",
    "Session-Expires",
    "Min-SE",
    "Replaces",
    "Refer-To",
    "Referred-By",
    "RAck",
    "Event",
    "Date",
    "Timestamp",
)
"""Headers that may stand once only (§20); a second line could be read differently by someone on the path."""

DEFAULT_SCHEMES = frozenset({"sip", "sips", "tel"})
DEFAULT_SUPPORTED = frozenset({"100rel", "timer", "replaces", "norefersub", "outbound", "path", "gruu"})
SDP_TYPES = frozenset({"application/sdp"})
_MULTIPART = frozenset({"multipart/mixed", "multipart/alternative", "multipart/related"})
_ACCEPT_READ = 32
_OFFER_METHODS = frozenset({"INVITE", "UPDATE", "PRACK", "ACK"})
_CONTACT_METHODS = frozenset({"INVITE", "UPDATE", "SUBSCRIBE", "REFER", "NOTIFY", "REGISTER"})


def check_request(
    request: Request,
    *,
    supported: Collection[str] = DEFAULT_SUPPORTED,
    schemes: Collection[str] = DEFAULT_SCHEMES,
    accept: Collection[str] = SDP_TYPES,
    as_proxy: bool = False,
) -> Refusal | None:
    """The refusal this request earns, or None when it may be worked on.

    ``supported`` are the option tags a Require may name, ``schemes`` those of a Request-URI, ``accept`` the
    body types of INVITE, UPDATE and PRACK (multipart around them is accepted). A user agent works on a
    request with Max-Forwards 0 (RFC 4475 §3.3.11); ``as_proxy`` refuses it with 483.
    """
    return (
        _check_syntax(request)
        or _check_uri(request, schemes)
        or _check_hops(request, as_proxy=as_proxy)
        or _check_require(request, supported)
        or _check_body(request, accept)
        or _check_accept(request, accept)
    )


def check_response(response: Response) -> str | None:
    """Why a response must be discarded, as a stable code, or None (RFC 3261 §8.1.3.3, RFC 4475 §3.3.10)."""
    try:
        if len(response.vias) != 1:
            return "many_vias"
    except SipError as error:
        return error.code
    for name in ("Call-ID", "CSeq", "From", "To", "Content-Length"):
        if response.headers.count(name) > 1:
            return "many_" + name.lower().replace("-", "_")
    return None


def _refuse(status: int, detail: str = "", *headers: tuple[str, str]) -> Refusal:
    reason = reason_for(status)
    return Refusal(status, f"{reason} - {detail}" if detail else reason, headers)


def _check_syntax(request: Request) -> Refusal | None:
    headers = request.headers
    if headers.has_repeated:
        for name in SINGLE_HEADERS:
            if headers.count(name) > 1:
                return _refuse(400, f"Several {name} Headers")
    method = request.method
    for name, read in _READS.get(method, _EVERY_READ):
        try:
            read(request)
        except SipError:
            return _refuse(400, f"Malformed {name} Header")
    if request.cseq.method != method:
        return _refuse(400, "CSeq Method Differs")
    branch = request.via.branch
    if branch is not None and branch.lower() == "z9hg4bk":
        return _refuse(400, "Empty Branch")
    if method == "REFER" and headers.count("Refer-To") == 0:
        return _refuse(400, "Missing Refer-To Header")
    if method not in ("INVITE", "ACK") and headers.count("Replaces"):
        return _refuse(400, "Replaces Outside of INVITE")  # RFC 3891 §3
    if method == "PRACK" and headers.count("RAck") == 0:
        return _refuse(400, "Missing RAck Header")
    return None


def _first_contact(request: Request) -> None:
    """Read the URI we would send to; a request that makes a dialog has exactly one (§8.1.1.8)."""
    values = request.headers.split_all("Contact", 1)
    if len(values) > 1 and request.method != "REGISTER":
        raise SipError("more than one Contact", code="many_contact")
    if values and values[0] != "*":
        _ = NameAddr.parse(values[0], "contact").uri


def _first_record_route(request: Request) -> None:
    if "Record-Route" in request.headers:
        for first in request.record_route[:1]:  # an empty header names no proxy
            _ = first.uri


_Read = tuple[str, Callable[[Request], object]]
_EVERY_READ: tuple[_Read, ...] = (
    ("Via", lambda request: request.vias),
    ("From", lambda request: request.from_.uri),
    ("To", lambda request: request.to.uri),
    ("Call-ID", lambda request: request.call_id),
    ("CSeq", lambda request: request.cseq),
    ("Max-Forwards", lambda request: request.max_forwards),
    ("Require", lambda request: request.require),
    ("Content-Type", lambda request: request.content_type),
)
"""What must read well in any request, in the order in which it is looked at."""
_DIALOG_READS: tuple[_Read, ...] = (("Contact", _first_contact), ("Record-Route", _first_record_route))
_EXTRA_READS: dict[str, tuple[_Read, ...]] = {
    "INVITE": (
        ("Replaces", lambda request: request.replaces),
        ("Session-Expires", lambda request: request.session_expires),
    ),
    "UPDATE": (("Session-Expires", lambda request: request.session_expires),),
    "REFER": (("Refer-To", lambda request: request.refer_to),),
    "PRACK": (("RAck", lambda request: request.rack),),
}
_READS: dict[str, tuple[_Read, ...]] = {
    method: (
        *_EVERY_READ,
        *(_DIALOG_READS if method in _CONTACT_METHODS else ()),
        *_EXTRA_READS.get(method, ()),
    )
    for method in (*_CONTACT_METHODS, *_EXTRA_READS)
}


def _check_uri(request: Request, schemes: Collection[str]) -> Refusal | None:
    try:
        uri = request.request_uri
    except SipError:
        return _refuse(400, "Malformed Request-URI")
    if uri.scheme not in schemes:
        return _refuse(416)
    if len(uri.headers) > 0:
        return _refuse(400, "Headers in Request-URI")
    if request.method == "REGISTER" and (not uri.is_sip or not request.to.uri.is_sip):
        # The address of record is a SIP or SIPS URI (§10.3, RFC 4475 §3.3.4).
        return _refuse(400, "Address of Record Is Not a SIP URI")
    return None


def _check_hops(request: Request, *, as_proxy: bool) -> Refusal | None:
    return _refuse(483) if as_proxy and request.max_forwards == 0 else None


def _check_require(request: Request, supported: Collection[str]) -> Refusal | None:
    if request.method in ("ACK", "CANCEL"):
        # Require in these cannot be refused: they belong to an INVITE already judged (§8.2.2.3).
        return None
    required = request.require
    if not required:
        return None
    known = {tag.lower() for tag in supported}
    unsupported = [tag for tag in required if tag.lower() not in known]
    return _refuse(420, "", ("Unsupported", ", ".join(unsupported))) if unsupported else None


def _check_body(request: Request, accept: Collection[str]) -> Refusal | None:
    if request.method not in _OFFER_METHODS or not request.body:
        return None
    handling = (request.headers.get("Content-Disposition") or "").replace(" ", "").lower()
    if ";handling=optional" in handling:
        return None
    encoding = (request.headers.get("Content-Encoding") or "identity").strip(WSP).lower()
    if encoding != "identity":
        return _refuse(415, "", ("Accept-Encoding", "identity"))
    kind = request.content_type
    if kind is None:
        return _refuse(400, "Missing Content-Type Header")
    if kind in accept or kind in _MULTIPART:
        return None
    return _refuse(415, "", ("Accept", ", ".join(sorted(accept))))


def _check_accept(request: Request, accept: Collection[str]) -> Refusal | None:
    """406 when the caller takes no body we could answer an INVITE with (§20.1, RFC 4475 §3.3.15)."""
    if request.method != "INVITE" or "Accept" not in request.headers:
        return None
    for item in request.headers.split_all("Accept", _ACCEPT_READ):
        wanted = item.partition(";")[0].strip(WSP).lower()
        if wanted in accept or wanted == "*/*":
            return None
        if wanted.endswith("/*") and any(ours.startswith(wanted[:-1]) for ours in accept):
            return None
    return _refuse(406)
