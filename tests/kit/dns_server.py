"""A tiny DNS server on loopback: records from a table, or silence, or failure."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


class DnsServer(asyncio.DatagramProtocol):
    """``zone`` maps (name, kind) to record texts. ``mode`` is answer, silent or fail."""

    def __init__(self, zone: dict[tuple[str, str], list[str]]) -> None:
        self.zone = zone
        self.mode = "answer"
        self.ttl = 300
        self.asked: Counter[tuple[str, str]] = Counter()
        self.address = ("", 0)
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.address = transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: Any) -> None:
        query = dns.message.from_wire(data)
        (question,) = query.question
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = question.to_text().rsplit(" ", 1)[1]
        self.asked[name, kind] += 1
        if self.mode == "silent":
            return
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        if self.mode == "fail":
            reply.set_rcode(dns.rcode.SERVFAIL)
        else:
            texts = self.zone.get((name, kind), [])
            if texts:
                reply.answer.append(dns.rrset.from_text(question.name, self.ttl, "IN", kind, *texts))
            elif not any(known == name for known, _ in self.zone):
                reply.set_rcode(dns.rcode.NXDOMAIN)
        self._transport.sendto(reply.to_wire(), addr)


@asynccontextmanager
async def dns_server(zone: dict[tuple[str, str], list[str]]) -> AsyncIterator[DnsServer]:
    """Serve ``zone`` on a free port of 127.0.0.1."""
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: DnsServer(zone), local_addr=("127.0.0.1", 0)
    )
    try:
        yield server
    finally:
        transport.close()
