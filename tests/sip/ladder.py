"""Ladders: one endpoint under a virtual clock, a hand-made phone opposite, and the traffic written down.

``>>`` is towards the endpoint, ``<<`` from it, ``**`` an event for the application::

    >> INVITE
    << 100 INVITE
    ** InviteReceived
    << 200 INVITE
    >> ACK
    ** Confirmed
"""

from __future__ import annotations

import textwrap
from typing import Any, TypeVar

from voiceagent.ids import counted_tokens
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.effects import (
    Address,
    AnswerReceived,
    Dropped,
    Ended,
    InfoReceived,
    InviteProgress,
    OfferReceived,
    ProbeAnswered,
    ReferProgress,
    ReferReceived,
    RefreshRefused,
    Retransmitted,
    SendDatagram,
    SessionRefreshed,
    SipEffect,
    TrunkJudged,
    TrunkState,
)
from voiceagent.sip.endpoint import SipEndpoint
from voiceagent.sip.syntax.message import Request, Response
from voiceagent.sip.syntax.parser import parse_datagram

OURS = Address("127.0.0.1", 5060)
PHONE = Address("127.0.0.1", 5090)
OFFER = (
    b"v=0\r\no=phone 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
)
ANSWER = (
    b"v=0\r\no=agent 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 6000 RTP/AVP 0\r\n"
)

E = TypeVar("E")


def label(effect: SipEffect) -> str | None:
    """One ladder line for an effect; None for what only counts."""
    match effect:
        case SendDatagram(data):
            return "<< " + message_label(data)
        case Retransmitted():
            return None
        case Ended(_, by, status, _):
            return f"** Ended {by}" + (f" {status}" if status else "")
        case InviteProgress(status=status) | AnswerReceived(status=status):
            return f"** {type(effect).__name__} {status}"
        case ReferProgress(_, status, _, final):
            return f"** ReferProgress {status}" + (" final" if final else "")
        case ReferReceived():
            return f"** ReferReceived {effect.target}" + ("" if effect.taken else " refused")
        case OfferReceived(_, method, _):
            return f"** OfferReceived {method}"
        case SessionRefreshed(_, method, _):
            return f"** SessionRefreshed {method}"
        case RefreshRefused(_, method, status):
            return f"** RefreshRefused {method} {status}"
        case ProbeAnswered(_, status):
            return f"** ProbeAnswered {status}"
        case InfoReceived(_, content_type, _):
            return f"** InfoReceived {content_type}"
        case TrunkJudged(_, what, _):
            return f"** TrunkJudged {what}"
        case TrunkState(_, _, state, _):
            return f"** TrunkState {state}"
        case Dropped(why, _):
            return f"** Dropped {why}"
        case _:
            return f"** {type(effect).__name__}"


def message_label(data: bytes) -> str:
    """``INVITE`` or ``200 INVITE``; ``?`` for what is no message."""
    message = parse_datagram(data)
    if isinstance(message, Request):
        return message.method
    if isinstance(message, Response):
        return f"{message.status} {message.cseq.method}"
    return "?"


class Ladder:
    """An endpoint at 127.0.0.1:5060 and the record of everything in and out of it."""

    def __init__(self, **config: Any) -> None:
        self.endpoint = SipEndpoint(EndpointConfig(local=OURS, **config), counted_tokens())
        self.now = 0.0
        self.lines: list[tuple[float, str]] = []
        self.effects: list[SipEffect] = []
        self._shown = 0

    # Driving.

    def take(self, effects: list[SipEffect]) -> list[SipEffect]:
        self.effects += effects
        for effect in effects:
            line = label(effect)
            if line is not None:
                self.lines.append((self.now, line))
        return effects

    def receive(self, data: bytes, source: Address = PHONE) -> list[SipEffect]:
        self.lines.append((self.now, ">> " + message_label(data)))
        return self.take(self.endpoint.receive(data, source, self.now))

    def do(self, command: str, *args: Any, **kwargs: Any) -> list[SipEffect]:
        """Give a command of the endpoint; the time is filled in."""
        return self.take(getattr(self.endpoint, command)(*args, now=self.now, **kwargs))

    def invite(self, target: str = "sip:bob@127.0.0.1:5090", **kwargs: Any) -> str:
        leg, effects = self.endpoint.invite(
            target,
            from_uri="sip:agent@127.0.0.1",
            sdp=OFFER,
            destination=kwargs.pop("destination", PHONE),
            now=self.now,
            **kwargs,
        )
        self.take(effects)
        return leg

    def advance(self, seconds: float) -> None:
        """Let time pass, waking the endpoint exactly when it asks for it."""
        until = self.now + seconds
        while (due := self.endpoint.wake_at()) is not None and due <= until:
            self.now = max(self.now, due)
            self.take(self.endpoint.wake(self.now))
        self.now = until

    def settle(self) -> None:
        """Let so much time pass that every transaction must be over."""
        self.advance(100.0)

    # Reading.

    def shows(self, expected: str, *, times: bool = False) -> None:
        """Compare what happened since the last look; with ``times`` each line starts with seconds."""
        fresh = self.lines[self._shown :]
        self._shown = len(self.lines)
        wanted = [" ".join(line.split()) for line in textwrap.dedent(expected).strip().splitlines()]
        got = [(f"{at:.2f} {line}" if times else line) for at, line in fresh]
        assert got == [line for line in wanted if line], "\n" + "\n".join(got)

    def skip(self) -> None:
        """Take what happened so far as read."""
        self._shown = len(self.lines)

    def sent(self, index: int = -1) -> Request | Response:
        """A message that the endpoint sent."""
        datagrams = [effect for effect in self.effects if isinstance(effect, SendDatagram)]
        message = parse_datagram(datagrams[index].data)
        assert isinstance(message, Request | Response)
        return message

    def sends(self) -> list[SendDatagram]:
        return [effect for effect in self.effects if isinstance(effect, SendDatagram)]

    def last_send(self) -> SendDatagram:
        return self.sends()[-1]

    def request(self) -> Request:
        message = self.sent()
        assert isinstance(message, Request)
        return message

    def response(self) -> Response:
        message = self.sent()
        assert isinstance(message, Response)
        return message

    def event(self, kind: type[E]) -> E:
        """The latest event of ``kind``."""
        found = [effect for effect in self.effects if isinstance(effect, kind)]
        assert found, f"no {kind.__name__}"
        return found[-1]

    def events(self, kind: type[E]) -> list[E]:
        return [effect for effect in self.effects if isinstance(effect, kind)]

    def nothing_left(self) -> None:
        figures = self.endpoint.figures()
        live = (
            figures.server_transactions,
            figures.client_transactions,
            figures.legs,
            figures.dialogs,
            figures.timers,
        )
        assert live == (0, 0, 0, 0, 0), figures


class Phone:
    """Writes messages by hand, byte for byte what it is told, right or wrong."""

    def __init__(self, address: Address = PHONE, call_id: str = "call-1", tag: str = "phone-tag") -> None:
        self.address = address
        self.call_id = call_id
        self.tag = tag
        self.to_tag = ""
        self.cseq = 0
        self.branches = 0
        self.user = "alice"

    def branch(self) -> str:
        self.branches += 1
        return f"z9hG4bK-{self.call_id}-{self.branches}"

    def request(
        self,
        method: str,
        body: bytes = b"",
        *headers: str,
        cseq: int | None = None,
        branch: str | None = None,
        uri: str = "sip:100@127.0.0.1:5060",
        to_tag: str | None = None,
        via: str | None = None,
        contact: bool = True,
        content_type: str = "application/sdp",
        version: str = "SIP/2.0",
        cseq_method: str | None = None,
    ) -> bytes:
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        host, port = self.address[:2]
        tag = self.to_tag if to_tag is None else to_tag
        lines = [
            f"{method} {uri} {version}",
            f"Via: {via or f'SIP/2.0/UDP {host}:{port};branch={branch or self.branch()};rport'}",
            "Max-Forwards: 70",
            f'From: "Alice" <sip:{self.user}@{host}:{port}>;tag={self.tag}',
            "To: <sip:100@127.0.0.1:5060>" + (f";tag={tag}" if tag else ""),
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq} {cseq_method or method}",
        ]
        if contact:
            lines.append(f"Contact: <sip:{self.user}@{host}:{port}>")
        lines += headers
        if body:
            lines.append(f"Content-Type: {content_type}")
        lines += [f"Content-Length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode() + body

    def reply(
        self,
        request: Request,
        status: int,
        body: bytes = b"",
        *headers: str,
        tag: str = "callee",
        contact: str = "<sip:bob@127.0.0.1:5090>",
        reason: str = "Text",
        content_type: str = "application/sdp",
    ) -> bytes:
        """A response to what the endpoint sent."""
        to = request.headers.get("To") or ""
        if "tag=" not in to and status > 100 and tag:
            to += f";tag={tag}"
        lines = [
            f"SIP/2.0 {status} {reason}",
            *[f"Via: {via}" for via in request.headers.get_all("Via")],
            f"From: {request.headers.get('From')}",
            f"To: {to}",
            f"Call-ID: {request.call_id}",
            f"CSeq: {request.headers.get('CSeq')}",
            *([f"Contact: {contact}"] if contact else []),
            *headers,
        ]
        if body:
            lines.append(f"Content-Type: {content_type}")
        lines += [f"Content-Length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode() + body

    def from_callee(
        self, ours: Request, method: str, body: bytes = b"", *headers: str, tag: str = "callee", **kwargs: Any
    ) -> bytes:
        """A request of the called side: the tags of the endpoint's own request, turned round."""
        lines = self.request(method, body, *headers, to_tag="", **kwargs).split(b"\r\n")
        lines[3] = f"From: <sip:bob@127.0.0.1:5090>;tag={tag}".encode()
        lines[4] = f"To: {ours.headers.get('From')}".encode()
        lines[5] = f"Call-ID: {ours.call_id}".encode()
        return b"\r\n".join(lines)


def established(**config: Any) -> tuple[Ladder, Phone, str]:
    """An answered and acknowledged inbound call, its beginning already looked at."""
    ladder, phone = Ladder(**config), Phone()
    ladder.receive(phone.request("INVITE", OFFER))
    from voiceagent.sip.effects import InviteReceived

    leg = ladder.event(InviteReceived).leg
    ladder.do("accept", leg, ANSWER)
    phone.to_tag = ladder.response().to.tag or ""
    ladder.receive(phone.request("ACK", cseq=phone.cseq))
    ladder.skip()
    return ladder, phone, leg


def calling(**config: Any) -> tuple[Ladder, Phone, str, Request]:
    """An answered outbound call: ladder, phone, leg, our INVITE."""
    ladder, phone = Ladder(**config), Phone(call_id="unused")
    leg = ladder.invite()
    invite = ladder.request()
    ladder.receive(phone.reply(invite, 200, ANSWER))
    ladder.skip()
    return ladder, phone, leg, invite
