"""``voiceagent bench parse``: reading and writing one message of everyday size.

Beside each figure stands its ratio to a reference loop (a plain split of the same bytes into names and
values, no checks) timed in the same run, so that two machines or two days can be compared.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from voiceagent.bench.sip_peer import OURS, PEER
from voiceagent.media.sdp import parse_sdp
from voiceagent.sip.syntax.message import Request
from voiceagent.sip.syntax.parser import parse_datagram
from voiceagent.sip.transaction.reply import reply_bytes, reply_head

_BATCH = 20
SDP = (
    b"v=0\r\no=- 3957731642 3957731642 IN IP4 198.51.100.17\r\ns=trunk\r\nc=IN IP4 198.51.100.17\r\nt=0 0\r\n"
    b"m=audio 18432 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\n"
)
INVITE = (
    b"INVITE sip:+442079460018@192.0.2.10:5060 SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 198.51.100.4:5060;branch=z9hG4bK4fa1c9d0e8b7;rport\r\n"
    b'From: "Alice Example" <sip:+442079460123@carrier.example.com>;tag=as5e1f0a77\r\n'
    b"To: <sip:+442079460018@192.0.2.10:5060>\r\n"
    b"Call-ID: 5f0c6c1b2d9e4a7f8b3c1d2e3f405162@198.51.100.4\r\n"
    b"CSeq: 102 INVITE\r\n"
    b"Contact: <sip:+442079460123@198.51.100.4:5060;transport=udp>\r\n"
    b"Max-Forwards: 68\r\n"
    b"User-Agent: Example SBC 7.2\r\n"
    b"Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, INFO, UPDATE, PRACK\r\n"
    b"Supported: replaces, timer\r\n"
    b"Content-Type: application/sdp\r\n"
    b"Content-Length: %d\r\n\r\n" % len(SDP)
) + SDP


def _reference() -> None:
    head, _, _ = INVITE.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    fields: dict[str, str] = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip()


def _read() -> Request:
    message = parse_datagram(INVITE)
    assert isinstance(message, Request)
    _ = message.via, message.from_, message.to, message.call_id, message.cseq, message.contact
    return message


def _times_us(work: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Return the median and the fastest round."""
    clock = time.thread_time  # other work on the machine is not ours
    rounds: list[float] = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(rounds) < 5:
        began = clock()
        for _ in range(_BATCH):
            work()
        rounds.append((clock() - began) / _BATCH * 1e6)
    return statistics.median(rounds), min(rounds)


def run_parse_bench(seconds: float = 4.0) -> dict[str, Any]:
    """Measure for about ``seconds``; medians in µs, and the fastest rounds (a busy machine only adds).

    ``read``: parse, and Via, From, To, Call-ID, CSeq and Contact taken apart. ``write``: the request back to
    bytes. ``answer``: the bytes of its 200. ``sdp``: its session description read.
    """
    request = _read()
    head = reply_head(request, PEER)
    contact = (("Contact", f"<sip:100@{OURS.host}:{OURS.port}>"),)
    works: dict[str, Callable[[], object]] = {
        "reference": _reference,
        "read": _read,
        "write": request.to_bytes,
        "answer": lambda: reply_bytes(head, 200, "", "tag", contact, SDP, "application/sdp"),
        "sdp": lambda: parse_sdp(SDP),
    }
    times = {name: _times_us(work, seconds / len(works)) for name, work in works.items()}
    medians = {name: median for name, (median, _) in times.items()}
    reference = medians["reference"]
    return {
        "bytes": len(INVITE),
        "us": {name: round(value, 1) for name, value in medians.items()},
        "fastest_us": {name: round(fastest, 1) for name, (_, fastest) in times.items()},
        "times_the_reference": {
            name: round(value / reference, 2) for name, value in medians.items() if name != "reference"
        },
    }
