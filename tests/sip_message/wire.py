"""Hand-made datagrams for the tests of this folder."""

from __future__ import annotations

SDP = (
    b"v=0\r\no=alice 2890844526 2890844526 IN IP4 192.0.2.101\r\ns=-\r\nc=IN IP4 192.0.2.101\r\nt=0 0\r\n"
    b"m=audio 49172 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"
)

CORE: dict[str, str] = {
    "Via": "SIP/2.0/UDP pc33.example.com:5060;branch=z9hG4bK776asdhds;rport",
    "Max-Forwards": "70",
    "From": '"Alice" <sip:alice@example.com>;tag=1928301774',
    "To": "Bob <sip:bob@biloxi.example.com>",
    "Call-ID": "a84b4c76e66710@pc33.example.com",
    "CSeq": "314159 INVITE",
    "Contact": "<sip:alice@pc33.example.com>",
}


def datagram(
    method: str = "INVITE",
    *,
    start: str | None = None,
    headers: dict[str, str | None] | None = None,
    extra: tuple[str, ...] = (),
    body: bytes = b"",
    length: int | str | None = -1,
) -> bytes:
    """A request with the core headers; ``headers`` change or (None) drop some, ``extra`` are further lines.

    ``length`` is the Content-Length: −1 the true one, None no such header.
    """
    fields: dict[str, str | None] = dict(CORE)
    fields["CSeq"] = f"314159 {method}"
    fields.update(headers or {})
    lines = [start or f"{method} sip:bob@biloxi.example.com SIP/2.0"]
    lines += [f"{name}: {value}" for name, value in fields.items() if value is not None]
    lines += extra
    if length is not None:
        lines.append(f"Content-Length: {len(body) if length == -1 else length}")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


def invite() -> bytes:
    """An INVITE with an offer, as a phone sends it."""
    return datagram(headers={"Content-Type": "application/sdp", "Allow": "INVITE, ACK, BYE"}, body=SDP)
