"""PURE. One call's side of RTCP: when to report, what, and what the peer's reports tell.

Nothing here influences the media: what a peer claims ends in figures and nowhere else. ``now`` is in seconds
on any monotonic clock; ``epoch`` is the NTP time (seconds since 1900) at its zero; ``dice`` gives numbers
from 0 up to 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from voiceagent.media import rtcp
from voiceagent.media.quality import Quality, estimate
from voiceagent.media.reception import Reception

INTERVAL_S = 5.0
"""The least mean interval of two reports (RFC 3550 §6.2); two parties never need a longer one."""
_COMPENSATION = 1.21828
"""e − 3/2 (§6.3.1): makes up for reconsideration."""
NTP_OFFSET_S = 2_208_988_800
"""From 1900 to 1970."""
_REPORTS_KEPT = 8
_LONGEST_TRIP_S = 30.0


class Sent(NamedTuple):
    """Our outgoing stream so far."""

    packets: int
    octets: int
    timestamp: int
    """Of the next packet."""
    sequence: int = 0
    """Of the next packet."""


class RtcpSession:
    """See the module."""

    def __init__(self, *, ssrc: int, name: str, dice: Callable[[], float], epoch: float = 0.0) -> None:
        self._ssrc = ssrc
        self._name = name
        self._dice = dice
        self._epoch = epoch
        self._wake = 0.0
        self._sent_packets = 0
        self._their_report: tuple[int, float] | None = None
        """Middle bits of the last sender report that came, and when."""
        self._base = 0
        """The sequence number that our stream began with."""
        self._our_reports: dict[int, None] = {}
        """Middle bits of our last sender reports, in order: only these can be answered."""
        self.sent = 0
        self.received = 0
        self.malformed = 0
        self.round_trip_s: float | None = None
        self.remote_lost: int | None = None
        """Of our packets, by the peer's last report."""
        self.remote_loss = 0.0
        """The same as a share of what it should have had by then."""
        self.remote_jitter: float | None = None
        """Of our packets at the peer, in our timestamp units."""

    def start(self, now: float) -> None:
        """The media begins: the first report comes after half an interval (§6.2)."""
        self._wake = now + self._interval() / 2

    def wake_at(self) -> float:
        """When the next report is due."""
        return self._wake

    def _interval(self) -> float:
        return INTERVAL_S * (0.5 + self._dice()) / _COMPENSATION

    def report(self, sent: Sent, reception: Reception, now: float, *, leaving: bool = False) -> bytes:
        """The compound packet that is due, and the next time is set. ``leaving`` adds BYE."""
        self._wake = now + self._interval()
        sender = None
        if sent.packets != self._sent_packets:
            self._sent_packets = sent.packets
            ntp = self._ntp(now)
            sender = rtcp.SenderInfo(ntp, sent.timestamp, sent.packets, sent.octets)
            while len(self._our_reports) >= _REPORTS_KEPT:
                self._our_reports.pop(next(iter(self._our_reports)))
            self._our_reports[ntp >> 16 & 0xFFFFFFFF] = None
            self._base = sent.sequence - sent.packets & 0xFFFF
        blocks = () if reception.ssrc < 0 else (self._block(reception, now),)
        self.sent += 1
        data = rtcp.build_report(rtcp.Report(self._ssrc, sender, blocks))
        data += rtcp.build_name(self._ssrc, self._name)
        return data + rtcp.build_bye(self._ssrc) if leaving else data

    def _block(self, reception: Reception, now: float) -> rtcp.ReportBlock:
        last_sr, delay = 0, 0
        if self._their_report is not None:
            last_sr, came = self._their_report
            delay = min(0xFFFFFFFF, round((now - came) * 65536))
        return rtcp.ReportBlock(
            reception.ssrc,
            reception.fraction_lost(),
            reception.lost,
            reception.highest_sequence,
            int(reception.jitter),
            last_sr,
            delay,
        )

    def receive(self, data: bytes, now: float) -> None:
        """Take in a datagram of the peer. Never raises; what cannot be read is counted."""
        try:
            packets = rtcp.parse_compound(data)
        except rtcp.RtcpFormatError:
            self.malformed += 1
            return
        self.received += 1
        for packet in packets:
            if not isinstance(packet, rtcp.Report):
                continue
            if packet.sender is not None:
                self._their_report = (packet.sender.ntp >> 16 & 0xFFFFFFFF, now)
            for block in packet.blocks:
                if block.ssrc == self._ssrc:
                    self._told(block, now)

    def _told(self, block: rtcp.ReportBlock, now: float) -> None:
        self.remote_lost = block.cumulative_lost
        self.remote_jitter = float(block.jitter)
        if block.last_sr in self._our_reports:
            trip = (self._ntp(now) >> 16) - block.last_sr - block.delay_since_last_sr & 0xFFFFFFFF
            # A little below zero is what rounding and our 2 ms ticks make of a round trip in no time.
            seconds = trip / 65536 if trip < 0xFFFF0000 else 0.0
            if seconds <= _LONGEST_TRIP_S:
                self.round_trip_s = seconds
        # How many it should have had by then: the numbers count from the first of ours (RFC 3550 A.3).
        expected = block.highest_sequence - self._base + 1
        self.remote_loss = min(1.0, max(0.0, block.cumulative_lost / expected)) if expected > 0 else 0.0

    def _ntp(self, now: float) -> int:
        return int((self._epoch + now) * 0x100000000) & 0xFFFFFFFFFFFFFFFF

    def remote(self, clock_rate: int, codec: str, ptime: int = 20) -> Quality | None:
        """How our stream arrives there, by the peer's word; None before its first report on us."""
        if self.remote_jitter is None:
            return None
        jitter_ms = min(10_000.0, self.remote_jitter * 1000 / clock_rate)
        return estimate(
            loss=self.remote_loss,
            jitter_ms=jitter_ms,
            round_trip_ms=self._trip_ms(),
            codec=codec,
            ptime=ptime,
        )

    def _trip_ms(self) -> float | None:
        return None if self.round_trip_s is None else self.round_trip_s * 1000


def quality_details(
    reception: Reception, session: RtcpSession | None, codec: str, ptime: int = 20
) -> dict[str, float]:
    """What is known of both directions as named numbers: ``…_ms``, ``…_percent``, ``mos``.

    Without any packet nothing is known; ``remote_…`` and ``round_trip_ms`` need the peer's reports.
    """
    found: dict[str, float] = {}
    trip = None if session is None or session.round_trip_s is None else session.round_trip_s * 1000
    if reception.expected:
        loss = reception.lost / reception.expected
        heard = estimate(
            loss=loss, jitter_ms=reception.jitter_ms, round_trip_ms=trip, codec=codec, ptime=ptime
        )
        found["loss_percent"] = round(100 * heard.loss, 2)
        found["jitter_ms"] = round(heard.jitter_ms, 2)
        found["jitter_peak_ms"] = round(reception.peak_jitter_ms, 2)
        found["mos"] = round(heard.mos, 2)
    if session is None:
        return found
    found["rtcp_sent"] = float(session.sent)
    found["rtcp_received"] = float(session.received)
    found["rtcp_malformed"] = float(session.malformed)
    if trip is not None:
        found["round_trip_ms"] = round(trip, 1)
    remote = session.remote(reception.clock_rate, codec, ptime)
    if remote is not None:
        found["remote_loss_percent"] = round(100 * remote.loss, 2)
        found["remote_jitter_ms"] = round(remote.jitter_ms, 2)
        found["remote_mos"] = round(remote.mos, 2)
    return found
