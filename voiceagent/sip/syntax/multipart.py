"""PURE. Finding one body within ``multipart/…`` (RFC 5621, RFC 2046 §5.1), depth and parts limited."""

from __future__ import annotations

from dataclasses import dataclass

from voiceagent.errors import SipError
from voiceagent.sip.limits import DEFAULT, Limits
from voiceagent.sip.syntax.grammar_scan import WSP, bad, parse_params
from voiceagent.sip.syntax.message import Message

_PART_HEADERS = 32
"""Header lines of a part that are looked at."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part: media type in lower case (``text/plain`` when untold), its parameters, its content."""

    content_type: str
    boundary: str
    body: bytes


def find_body(message: Message, wanted: str = "application/sdp", limits: Limits = DEFAULT) -> bytes | None:
    """The body of this type: the message's own, or the first such part of a multipart; None if absent.

    SipError 400 for a multipart that cannot be taken apart or has too many parts.
    """
    kind = message.content_type
    if kind is None or not message.body:
        return None
    if kind == wanted:
        return message.body
    boundary = message.content_type_params.get("boundary", "")
    return _search(Part(kind, boundary, message.body), wanted, limits, 1)


def _search(part: Part, wanted: str, limits: Limits, depth: int) -> bytes | None:
    if not part.content_type.startswith("multipart/") or depth > limits.multipart_depth:
        return None
    for inner in split_parts(part.body, part.boundary, limits):
        if inner.content_type == wanted:
            return inner.body
        found = _search(inner, wanted, limits, depth + 1)
        if found is not None:
            return found
    return None


def split_parts(body: bytes, boundary: str, limits: Limits = DEFAULT) -> list[Part]:
    """Take a multipart body apart; SipError 400 without a boundary, without parts, or with too many."""
    if not boundary or len(boundary) > 70:
        raise bad("multipart", "no usable boundary")
    try:
        mark = b"\r\n--" + boundary.encode("ascii")
    except UnicodeEncodeError:
        raise bad("multipart", "no usable boundary") from None
    # One more than allowed, and the text before the first and after the last boundary.
    pieces = (b"\r\n" + body).split(mark, limits.multipart_parts + 2)
    parts: list[Part] = []
    for piece in pieces[1:]:
        if piece.startswith(b"--"):
            break
        if len(parts) >= limits.multipart_parts:
            raise bad("multipart", f"over {limits.multipart_parts} parts")
        parts.append(_part(piece))
    if not parts:
        raise bad("multipart", "no part found")
    return parts


def _part(piece: bytes) -> Part:
    """Read what follows a boundary: the rest of its line, headers, an empty line, the content."""
    _, _, rest = piece.partition(b"\r\n")
    if rest.startswith(b"\r\n"):
        return Part("text/plain", "", rest[2:])
    head, blank, content = rest.partition(b"\r\n\r\n")
    if not blank:
        raise bad("multipart", "a part without an empty line")
    kind, boundary = "text/plain", ""
    text = head.decode("utf-8", "surrogateescape").replace("\r\n ", " ").replace("\r\n\t", " ")
    for line in text.split("\r\n", _PART_HEADERS)[:_PART_HEADERS]:
        name, _, value = line.partition(":")
        if name.strip(WSP).lower() == "content-type":
            media, semicolon, tail = value.partition(";")
            kind = media.strip(WSP).replace(" ", "").lower()
            boundary = _boundary(tail) if semicolon else ""
    return Part(kind, boundary, content)


def _boundary(tail: str) -> str:
    try:
        return parse_params(";" + tail, "multipart").get("boundary") or ""
    except SipError:
        return ""
