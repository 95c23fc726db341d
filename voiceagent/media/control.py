"""The RTCP of one call: its socket (the port above RTP's, or RTP's own under rtcp-mux), reports out and in.

    control = RtcpChannel(session, wheel)
    control.open("127.0.0.1", 40001)
    control.follow(("192.0.2.7", 4001))        # None: multiplexed; the media port hands it what came
    control.turn(now, …)                       # every half second

What comes is believed only from the host that the media is locked to, and it changes figures only.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from voiceagent.media.reception import Reception
from voiceagent.media.rtcp_session import RtcpSession, Sent
from voiceagent.media.source_lock import Address
from voiceagent.media.udp import udp_socket
from voiceagent.media.wheel import MediaWheel

_READS = 4
"""Datagrams read in one tick: a report comes every 5 s."""
_MAX = 1500

Open = Callable[[bytes], bytes | None]
Seal = Callable[[bytes], bytes | None]


def _nowhere() -> Address | None:
    """The channel is closed."""


class RtcpChannel:
    """See the module. ``peer`` tells where the media goes now: only that host is believed."""

    def __init__(
        self, session: RtcpSession, wheel: MediaWheel, peer: Callable[[], Address | None], unseal: Open
    ) -> None:
        self.session = session
        self._wheel = wheel
        self._peer = peer
        self._unseal = unseal
        self._socket: socket.socket | None = None
        self._told: Address | None = None
        """Where the SDP wants RTCP; None under rtcp-mux."""
        self._seen: Address | None = None
        """Where it came from last."""
        self.foreign = 0
        self.refused = 0

    def open(self, host: str, port: int) -> None:
        """Bind the port. Raises :class:`OSError`."""
        self._socket = udp_socket(host, port)

    def watch(self) -> None:
        """Let the wheel read the socket from now on."""
        if self._socket is not None:
            self._wheel.watch(self._socket.fileno(), self.readable)

    def follow(self, told: Address | None) -> None:
        """Go on as the SDP says; None is rtcp-mux."""
        if told != self._told:
            self._told = told
            self._seen = None

    def close(self) -> None:
        """Close the socket; harmless twice."""
        if self._socket is not None:
            self._wheel.unwatch(self._socket.fileno())
            self._socket.close()
            self._socket = None
        self._peer, self._unseal = _nowhere, bytes  # nobody is held

    def readable(self, now: float) -> None:
        """Read what the socket has."""
        for _ in range(_READS):
            if self._socket is None:
                return
            try:
                data, source = self._socket.recvfrom(_MAX)
            except BlockingIOError:
                return
            except OSError:
                self.refused += 1
                continue
            peer = self._peer()
            if peer is None or source[0] != peer[0]:
                self.foreign += 1
                continue
            plain = self._unseal(data)
            if plain is not None:
                self._seen = (str(source[0]), int(source[1]))
                self.session.receive(plain, now)

    def target(self) -> Address | None:
        """Where a report goes that is not multiplexed: to the SDP's address unless the media moved away."""
        peer = self._peer()
        told = self._told
        if peer is None or told is None:
            return None
        if told[0] == peer[0] and told[1]:
            return told
        return self._seen if self._seen is not None and self._seen[0] == peer[0] else None

    def report(
        self,
        sent: Sent,
        reception: Reception,
        now: float,
        *,
        seal: Seal,
        mux: Callable[[bytes], object],
        leaving: bool = False,
    ) -> None:
        """Send the report that is due, through ``mux`` under rtcp-mux."""
        data = seal(self.session.report(sent, reception, now, leaving=leaving))
        if data is None:
            return
        if self._told is None:
            mux(data)
            return
        target = self.target()
        if target is None or self._socket is None:
            return
        try:
            self._socket.sendto(data, target)
        except OSError:
            self.refused += 1
