"""Plays ladders of hand-made SIP messages to a service on a real socket.

``>>`` is towards the service, ``<<`` from it, ``**`` what the service knows::

    >> INVITE                   and how: again (the same bytes), sendonly, a header, …: see Player._made
    << 180 INVITE
    << 200 INVITE m=audio       with this in it; "again": the same bytes as before
    << nothing                  for as long as it takes to repeat a 200 twice
    ** 1 call                   of this caller, however it ended; "1 key": pressed in it
"""

from __future__ import annotations

import re

from tests.kit.corpora import rfc4475, rfc5118
from tests.kit.service import until
from tests.kit.wires import Wire, wire
from tests.sip.ladder import OFFER, Phone, message_label
from voiceagent.app.service import Service
from voiceagent.sip.syntax.message import Request, Response
from voiceagent.sip.syntax.parser import parse_datagram

_STEP = re.compile(r"(>>|<<|\*\*) ((?:\d{3} )?\w+) ?(.*)")
_BODIES = {"broken": b"v=0\r\nthis is no session description\r\n", "sendonly": OFFER + b"a=sendonly\r\n"}
_RELAY = b"Signal=5\r\nDuration=160\r\n"
_REPEATED = """
    >> INVITE
    << 100 INVITE
    << 180 INVITE
    << 200 INVITE
    << 200 INVITE again
    << 200 INVITE again
    >> ACK
"""


class Player:
    """One caller on one wire; all its requests belong to one call."""

    def __init__(self, running: Service, line: Wire) -> None:
        assert running.addresses is not None
        self._running = running
        self._sip = running.addresses.sip
        self._wire = line
        self._caller = f"{line.target.transport}-{line.local.port}"
        self._phone = Phone(line.local, call_id=f"probe-{self._caller}")
        self._phone.user = self._caller
        self._sent: dict[str, bytes] = {}
        self._heard: dict[str, bytes] = {}
        self._invite = (0, "")
        """CSeq number and branch of the last INVITE."""
        self._unsettled = False
        """A 200 waits for its ACK, or did just now: on a busy machine it may come once more."""

    async def play(self, ladder: str) -> None:
        """Play every line, one after the other."""
        for line in filter(None, map(str.strip, ladder.splitlines())):
            step = _STEP.fullmatch(line)
            assert step is not None, line
            match step.groups():
                case (">>", "torture", _):
                    await self._torture()
                case (">>", label, how):
                    self._wire.send(self._made(label, how))
                case ("<<", "nothing", _):
                    await self._nothing()
                case ("<<", label, detail):
                    await self._hear(label, detail)
                case _:
                    await self._know(int(step[2]), step[3])

    # Towards the service.

    def _made(self, label: str, how: str) -> bytes:
        if label[0].isdigit():
            status, method = label.split(" ")
            request = parse_datagram(self._heard[method])
            assert isinstance(request, Request)
            return self._phone.reply(request, int(status))
        if how == "again":
            return self._sent[label]
        if how == "on another branch":
            return self._sent[label].replace(b";branch=", b";branch=z9hG4bK-another-")
        body = _BODIES.get(how, OFFER) if label in ("INVITE", "UPDATE") else b""
        content_type = "application/sdp"
        if how == "dtmf-relay":
            body, content_type = _RELAY, "application/dtmf-relay"
        headers = (how,) if ": " in how else ()
        version = how if how.startswith("SIP/") else "SIP/2.0"
        data = self._request(label, body, *headers, content_type=content_type, version=version)
        self._sent[label] = data
        return data

    def _request(self, method: str, body: bytes, *headers: str, **parts: str) -> bytes:
        host, port, transport = self._phone.address[:3]
        branch, number = self._phone.branch(), None
        if method == "INVITE":
            self._invite = (self._phone.cseq + 1, branch)
        elif method == "ACK":
            number, invite = self._invite
            if "200 INVITE" not in self._heard:  # for a refusal it is part of the transaction (§17.1.1.3)
                branch = invite
        return self._phone.request(
            method,
            body,
            f"Contact: <sip:{self._caller}@{host}:{port};transport={transport}>",
            *headers,
            cseq=number,
            uri=f"sip:100@{self._sip}",
            via=f"SIP/2.0/{transport.upper()} {host}:{port};branch={branch};rport",
            contact=False,
            **parts,
        )

    async def _torture(self) -> None:
        """Every message of the corpora, over wires of their own."""
        messages = [*rfc4475().values(), *rfc5118().values()]
        if self._wire.target.transport == "udp":
            async with wire(self._sip, "udp") as line:
                for message in messages:
                    line.send(message)
            return
        for message in messages:
            async with wire(self._sip, "tcp") as line:
                line.send_last(message)
                while await line.receive():
                    pass

    # From the service.

    async def _hear(self, label: str, detail: str) -> None:
        data = await self._wire.receive()
        while self._unsettled and detail != "again" and data == self._heard["200 INVITE"]:
            data = await self._wire.receive()
        assert message_label(data) == label, data.decode()
        if detail == "again":
            assert data == self._heard[label]
        assert detail == "again" or detail.encode() in data, data.decode()
        self._unsettled = label == "200 INVITE" or (self._unsettled and "INVITE" in label)
        self._heard[label] = data
        message = parse_datagram(data)
        if isinstance(message, Response) and message.status > 100:
            self._phone.to_tag = message.to.tag or ""

    async def _nothing(self) -> None:
        """A second call lives until its 200 was repeated twice, 1.5 s; our second one would come in 1 s."""
        async with wire(self._sip, self._wire.target.transport) as line:
            await Player(self._running, line).play(_REPEATED)
        assert self._wire.waiting == 0

    async def _know(self, count: int, what: str) -> None:
        directory = self._running.directory
        if what.startswith("call"):
            assert sum(call.caller == self._caller for call in directory.calls()) == count
        else:
            live = next(call for call in directory.live if call.info.caller == self._caller)
            await until(lambda: live.digits_pressed == count)
