"""SIP by hand over a real UDP socket: what our own phone would never send."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from voiceagent.sip.syntax.message import Request, Response
from voiceagent.sip.syntax.parser import parse_datagram

OFFER = (
    "v=0\r\no=raw 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 9 RTP/AVP 0\r\na=sendrecv\r\n"
)


class RawSip(asyncio.DatagramProtocol):
    """A socket that speaks to one SIP address and keeps every response, by branch."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.responses: dict[str, list[Response]] = {}
        self.requests: list[Request] = []
        self.local = ("", 0)
        self._news = asyncio.Event()
        self._numbers = itertools.count(1)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.local = transport.get_extra_info("sockname")

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = parse_datagram(data)
        if isinstance(message, Response):
            self.responses.setdefault(message.via.branch or "", []).append(message)
        elif isinstance(message, Request):
            self.requests.append(message)
        self._news.set()

    def error_received(self, exc: Exception) -> None:
        """A refused datagram is a lost one."""

    def send(self, data: bytes) -> None:
        """Send ``data`` as it is."""
        self._transport.sendto(data, self.target)

    def request(
        self,
        method: str,
        user: str = "100",
        *,
        body: str | bytes = b"",
        content_type: str = "application/sdp",
        branch: str = "",
        headers: tuple[str, ...] = (),
    ) -> tuple[bytes, str]:
        """Return a request and its branch."""
        number = next(self._numbers)
        branch = branch or f"z9hG4bKraw{self.local[1]}x{number}"
        body = body.encode() if isinstance(body, str) else body
        host, port = self.local[:2]
        lines = [
            f"{method} sip:{user}@{self.target[0]}:{self.target[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};rport;branch={branch}",
            "Max-Forwards: 70",
            f"From: <sip:raw@{host}:{port}>;tag=t{number}",
            f"To: <sip:{user}@{self.target[0]}>",
            f"Call-ID: raw-{self.local[1]}-{number}",
            f"CSeq: 1 {method}",
            f"Contact: <sip:raw@{host}:{port}>",
            *headers,
        ]
        if body:
            lines.append(f"Content-Type: {content_type}")
        lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode() + body, branch

    async def final(self, branch: str, *, repeat: bytes | None = None, within_s: float = 45.0) -> Response:
        """Wait for the final response of a branch; ``repeat`` is sent again every half second meanwhile."""
        async with asyncio.timeout(within_s):
            while True:
                for response in self.responses.get(branch, ()):
                    if response.status >= 200:
                        return response
                self._news.clear()
                try:
                    async with asyncio.timeout(0.5):
                        await self._news.wait()
                except TimeoutError:
                    if repeat is not None:
                        self.send(repeat)

    async def ask(self, method: str, user: str = "100", **parts: object) -> Response:
        """Send a request and return its final response."""
        data, branch = self.request(method, user, **parts)  # type: ignore[arg-type]
        self.send(data)
        return await self.final(branch, repeat=data)

    def acknowledge(self, response: Response, body: str = "") -> None:
        """Send the ACK for the final answer of an INVITE, with ``body`` as the answer to its late offer."""
        own = f"{response.via.branch}{'' if response.status >= 300 else 'a'}"
        self.within(response, "ACK", response.cseq.number, body, branch=own)

    def within(
        self, response: Response, method: str, number: int, body: str = "", *, branch: str = ""
    ) -> str:
        """Send a request within the dialog that ``response`` made; return its branch."""
        host, port = self.local[:2]
        branch = branch or f"{response.via.branch}{method}{number}"
        lines = [
            f"{method} sip:100@{self.target[0]}:{self.target[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};rport;branch={branch}",
            "Max-Forwards: 70",
            f"From: {response.headers.get('From')}",
            f"To: {response.headers.get('To')}",
            f"Call-ID: {response.headers.get('Call-ID')}",
            f"CSeq: {number} {method}",
            f"Contact: <sip:raw@{host}:{port}>",
            *(["Content-Type: application/sdp"] if body else []),
            f"Content-Length: {len(body)}",
        ]
        self.send("\r\n".join([*lines, "", body]).encode())
        return branch


@asynccontextmanager
async def raw_sip(sip: str, local: str = "127.0.0.1") -> AsyncIterator[RawSip]:
    """A raw socket at ``local`` for the service at ``host:port``."""
    host, _, port = sip.rpartition(":")
    loop = asyncio.get_running_loop()
    transport, raw = await loop.create_datagram_endpoint(
        lambda: RawSip((host, int(port))), local_addr=(local, 0)
    )
    try:
        yield raw
    finally:
        transport.close()
