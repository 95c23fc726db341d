"""The far end of a SIP dialog for benches: writes its messages by hand, byte for byte, right or wrong."""

from __future__ import annotations

from voiceagent.sip.address import Address
from voiceagent.sip.syntax.message import Request

OURS = Address("127.0.0.1", 5060)
PEER = Address("127.0.0.1", 5090)
OFFER = (
    b"v=0\r\no=peer 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
)
ANSWER = (
    b"v=0\r\no=agent 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n"
)


class Peer:
    """One side of one dialog. ``to_tag`` is the endpoint's tag once it is known."""

    def __init__(self, call_id: str, tag: str, address: Address = PEER) -> None:
        self.call_id = call_id
        self.tag = tag
        self.to_tag = ""
        self.number = 0
        self.address = address
        self._branches = 0

    def branch(self) -> str:
        """Return a branch never used before by this peer."""
        self._branches += 1
        return f"z9hG4bK-{self.call_id}-{self._branches}"

    def request(
        self,
        method: str,
        body: bytes = b"",
        *headers: str,
        number: int | None = None,
        branch: str | None = None,
        to_tag: str | None = None,
        content_type: str = "application/sdp",
    ) -> bytes:
        """Return a request; CSeq counts up unless ``number`` is given, To has the endpoint's tag if known."""
        if number is None:
            self.number += 1
            number = self.number
        host, port = self.address[:2]
        transport = self.address.transport.upper()
        tag = self.to_tag if to_tag is None else to_tag
        lines = [
            f"{method} sip:100@127.0.0.1:5060 SIP/2.0",
            f"Via: SIP/2.0/{transport} {host}:{port};branch={branch or self.branch()};rport",
            "Max-Forwards: 70",
            f'From: "Peer" <sip:peer@{host}:{port}>;tag={self.tag}',
            "To: <sip:100@127.0.0.1:5060>" + (f";tag={tag}" if tag else ""),
            f"Call-ID: {self.call_id}",
            f"CSeq: {number} {method}",
            f"Contact: <sip:peer@{host}:{port}>",
            *headers,
        ]
        if body:
            lines.append(f"Content-Type: {content_type}")
        lines += [f"Content-Length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode() + body


def reply(request: Request, status: int, body: bytes = b"", *headers: str, tag: str = "callee") -> bytes:
    """Return the peer's response to a request of the endpoint."""
    to = request.headers.get("To") or ""
    if "tag=" not in to and status > 100:
        to += f";tag={tag}"
    lines = [
        f"SIP/2.0 {status} Text",
        *[f"Via: {via}" for via in request.headers.get_all("Via")],
        f"From: {request.headers.get('From')}",
        f"To: {to}",
        f"Call-ID: {request.call_id}",
        f"CSeq: {request.headers.get('CSeq')}",
        f"Contact: <sip:bob@{PEER[0]}:{PEER[1]}>",
        *headers,
    ]
    if body:
        lines.append("Content-Type: application/sdp")
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + body


def from_callee(ours: Request, method: str, number: int, branch: str, body: bytes = b"") -> bytes:
    """Return a request of the called side in the dialog that ``ours`` (an ACK) belongs to."""
    host, port = PEER[:2]
    lines = [
        f"{method} sip:voiceagent@127.0.0.1:5060 SIP/2.0",
        f"Via: SIP/2.0/UDP {host}:{port};branch={branch};rport",
        "Max-Forwards: 70",
        f"From: {ours.headers.get('To')}",
        f"To: {ours.headers.get('From')}",
        f"Call-ID: {ours.call_id}",
        f"CSeq: {number} {method}",
        f"Contact: <sip:bob@{host}:{port}>",
    ]
    if body:
        lines.append("Content-Type: application/sdp")
    lines += [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + body
