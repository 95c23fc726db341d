"""PURE. One datagram in, one message (or the reason why not) out.

Two levels of failure: what cannot be answered is dropped and counted (``reply_status`` None); what can be
answered carries the status that fits and enough of the request to build the reply. The time is linear in the
size of the datagram, and no input raises.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from voiceagent.errors import SipError
from voiceagent.sip.limits import DEFAULT, Limits
from voiceagent.sip.syntax.grammar_scan import WSP, is_token, parse_int
from voiceagent.sip.syntax.headers import KNOWN_SPELLINGS, Headers, canonical_name
from voiceagent.sip.syntax.message import Request, Response

_fold = re.compile(r"\r\n[ \t]+").sub
_is_version = re.compile(r"[Ss][Ii][Pp]/[0-9]{1,4}\.[0-9]{1,4}").fullmatch
_KEEP_ALIVE_BYTES = b"\r\n\x00 \t"
_NOT_READ = Headers()
"""What a message has between its start line and its headers."""


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Only CRLF (RFC 5626 §3.5.1) or NUL bytes, as phones send to hold a NAT binding open."""

    data: bytes

    @property
    def is_ping(self) -> bool:
        """True for the double CRLF that asks for a CRLF back on streams."""
        return self.data == b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Malformed:
    """A datagram that is no acceptable message.

    ``why`` is a short stable code for the counter. ``reply_status`` is None when nothing may be sent (a
    response, an ACK, or no Via to answer to). Otherwise ``partial`` goes to ``build.response_to``; of its
    accessors only ``via`` is sure not to raise.
    """

    why: str
    reply_status: int | None = None
    partial: Request | None = None


def parse_datagram(data: bytes, limits: Limits = DEFAULT) -> Request | Response | KeepAlive | Malformed:
    """Read one UDP datagram (RFC 3261 §7, §18.3); a body beyond Content-Length is cut, a short one is 400.

    The Via, From, To, Call-ID and CSeq of a returned message have been read and are well-formed.
    """
    if data[:2] == b"\r\n" or data[:1] in (b"", b"\x00"):
        if not data.strip(_KEEP_ALIVE_BYTES):
            return KeepAlive(data)
        data = data.lstrip(b"\r\n")
    oversize = len(data) > limits.datagram
    if oversize:
        data = data[: limits.datagram]
    end = data.find(b"\r\n\r\n")
    if end >= 0:
        head, body = data[:end], data[end + 4 :]
    elif data.endswith(b"\r\n"):
        # The datagram ends where the empty line should be: nothing is lost, there was no body.
        head, body = data[:-2], b""
    else:
        head, body = data, None
    result = _parse_head(head.decode("utf-8", "surrogateescape"), limits)
    if isinstance(result, Malformed):
        return result
    message, why, status = result
    if oversize:
        why, status = "too_large", 513
    if why is None and body is None:
        why = "no_end_of_headers"
    if why is None and body is not None:
        why = _take_body(message, body)
    if why is None:
        why = _check_core(message)
    if why is None:
        return message
    return _refuse(message, why, status)


def _parse_head(text: str, limits: Limits) -> tuple[Request | Response, str | None, int] | Malformed:
    """Start line and headers; the second and third item are the first failure found and the status for it."""
    if "\r\n " in text or "\r\n\t" in text:
        text = _fold(" ", text)
    lines = text.split("\r\n")
    start = lines[0]
    # split() took one CR and one LF for each line end; more of them stand alone inside a line.
    line_ends = len(lines) - 1
    alone = text.count("\n") != line_ends or text.count("\r") != line_ends
    if alone and ("\n" in start or "\r" in start):
        return Malformed("bare_cr_or_lf")
    message, why = _start_line(start)
    if message is None:
        return Malformed(why or "not_sip")
    status = 505 if why == "version" else 400
    if why is None and _too_long(start, limits.header_line):
        why, status = "start_line_too_long", 414
    if len(lines) - 1 > limits.headers:
        why = why or "too_many_headers"
        del lines[limits.headers + 1 :]
    ascii_only = text.isascii()
    size = limits.header_line
    every_line_is_fine = ascii_only and not alone and len(text) <= size
    fields: list[tuple[str, str, str]] = []
    known_names = KNOWN_SPELLINGS
    for line in lines[1:]:
        if not every_line_is_fine:
            if len(line) > size or (not ascii_only and _too_long(line, size)):
                why = why or "header_too_long"
                continue
            if alone and ("\n" in line or "\r" in line):
                why = why or "bare_cr_or_lf"
                continue
        name, _, value = line.partition(":")
        key = known_names.get(name)
        if key is not None:
            fields.append((key, key, value.strip(WSP)))
            continue
        name = name.rstrip(WSP)
        if len(name) == len(line) or not is_token(name):
            why = why or "bad_header_line"
            continue
        key = canonical_name(name)
        fields.append((key, name if key == name.lower() else key, value.strip(WSP)))
    message.headers = Headers.from_lines(fields)
    if why is None and len(message.headers.split_all("Via", limits.vias)) > limits.vias:
        why = "too_many_vias"
    return message, why, status


def _start_line(line: str) -> tuple[Request | Response | None, str | None]:
    """The message of a start line, and what is wrong with it. No message: nobody to answer."""
    if line[:4].upper() == "SIP/":
        return _status_line(line)
    parts = line.split(" ")
    if len(parts) == 3:
        method, uri, version = parts
        if version == "SIP/2.0" and is_token(method) and uri:
            return Request(method, uri, _NOT_READ), None
        if not is_token(method) or not uri or _is_version(version) is None:
            return None, "not_sip"
        if version.upper() == "SIP/2.0":
            return Request(method, uri), None
        return Request(method, uri), "version"
    # Spaces too many or too few: not a request line (RFC 3261 §7.1), but a SIP client that may be told so.
    words = line.replace("\t", " ").split(" ")
    words = [word for word in words if word]
    if len(words) >= 3 and is_token(words[0]) and _is_version(words[-1]):
        return Request(words[0], words[1]), "start_line"
    return None, "not_sip"


def _status_line(line: str) -> tuple[Response | None, str | None]:
    version, _, rest = line.partition(" ")
    code, _, reason = rest.partition(" ")
    if version.upper() != "SIP/2.0":
        return None, "version"
    if len(code) != 3 or not code.isascii() or not code.isdigit() or not 100 <= int(code) <= 699:
        return None, "bad_status"
    return Response(int(code), reason, _NOT_READ), None


def _too_long(line: str, size: int) -> bool:
    if len(line) > size:
        return True
    return 4 * len(line) > size and len(line.encode("utf-8", "surrogateescape")) > size


def _take_body(message: Request | Response, body: bytes) -> str | None:
    """Apply Content-Length as UDP asks; returns what is wrong."""
    headers = message.headers
    declared = headers.get("Content-Length")
    if declared is None:
        message.body = body
        return None
    if headers.count("Content-Length") > 1:
        return "many_content_length"
    try:
        length = parse_int(declared, "content_length")
    except SipError as error:
        return error.code
    if length > len(body):
        return "short_body"
    message.body = body[:length]
    return None


def _check_core(message: Request | Response) -> str | None:
    """Read the headers every message needs; returns the code of the first that is missing or malformed."""
    try:
        _ = message.via, message.from_, message.to, message.call_id, message.cseq
    except SipError as error:
        return error.code
    return None


def _refuse(message: Request | Response, why: str, status: int) -> Malformed:
    if isinstance(message, Response) or message.method == "ACK":
        return Malformed(why)
    try:
        _ = message.via
    except SipError:
        return Malformed(why)
    return Malformed(why, status, message)
