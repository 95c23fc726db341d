"""The phones of the load bench: one socket each, 50 packets a second both ways, on a wheel of their own.

Arrival times are the kernel's (SO_TIMESTAMPNS) where it gives them, so a busy load process does not blur
them.
"""

from __future__ import annotations

import array
import socket
import struct
import sys
import time
from dataclasses import dataclass, field

from voiceagent.bench.load_frames import read_stamp, stamped
from voiceagent.media.rtp import HEADER, RtpWriter
from voiceagent.media.wheel import MediaWheel

_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("qq")
_RTP = struct.Struct("!BBHII")
_FRAME_NS = 20_000_000


@dataclass
class PhoneFigures:
    """What all phones have seen together; times in ms."""

    pacing: array.array[float] = field(default_factory=lambda: array.array("d"))
    """How far each packet was from 20 ms after the one before, within one talk spurt or silence."""
    first_audio: array.array[float] = field(default_factory=lambda: array.array("d"))
    """From the provider's send of an answer to the arrival of its first frame."""
    received: int = 0
    sent: int = 0
    lost: int = 0
    """Holes in the sequence numbers, and frames missing from answers."""
    loud: int = 0
    """Packets that held audio of the agent; counted for plain audio only."""
    bunched: int = 0
    """Packets that came less than 5 ms after the one before."""


class Phone:
    """One phone. ``measuring`` is shared: nothing is noted before the window opens."""

    def __init__(self, number: int, wheel: MediaWheel, figures: PhoneFigures) -> None:
        self.due = 0
        self.turning = False
        self.number = number
        self.measuring = False
        self.speaking = True
        """What is sent is sound; else silence, which is stamped, too."""
        self._wheel = wheel
        self._figures = figures
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(("127.0.0.1", 0))
        self._stamps = sys.platform == "linux"
        if self._stamps:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.port = int(self._socket.getsockname()[1])
        self._writer = RtpWriter(0, ssrc=number + 1, sequence=65_000, timestamp=2**32 - 80_000)
        self._sent = 0
        self._next_sequence = -1
        self._last_arrival = 0
        self._last_talk = False
        self.heard: dict[int, int] = {}
        """Frames heard of each answer."""
        self.last_heard_ns: dict[int, int] = {}
        self.plain = False
        """The agent's audio is resampled on its way: it holds no stamps, and is known by its loudness."""
        self.awaiting_ns = 0
        """When the answer was sent whose first sound has not come yet; plain audio only."""
        self.last_loud_ns = 0

    def start(self, target: int) -> None:
        """Talk to ``target`` (a port on this machine) from now on."""
        self._socket.connect(("127.0.0.1", target))
        self._wheel.attach(self)

    def close(self) -> None:
        """Hang up."""
        self._wheel.detach(self)
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def frame(self, now: float, skipped: int) -> int:
        writer = self._writer
        writer.skip(skipped)
        now_ns = time.monotonic_ns()
        payload = stamped(self.number, self._sent & 0xFFFFFFFF, now_ns, loud=self.speaking)
        self._sent += 1
        try:
            self._socket.send(writer.audio(payload))
        except OSError:
            return 0
        self._figures.sent += 1
        return 0

    def readable(self, now: float) -> None:
        # One packet a tick: ten ticks come for every packet, and the kernel has stamped its arrival.
        try:
            if self._stamps:
                data, ancillary, _, _ = self._socket.recvmsg(2048, 64)
                arrival = _kernel_time(ancillary)
            else:
                data = self._socket.recv(2048)
                arrival = time.monotonic_ns()
        except OSError:
            return
        self._packet(data, arrival)

    def _packet(self, data: bytes, arrival: int) -> None:
        figures = self._figures
        figures.received += 1
        _, second, sequence, _, _ = _RTP.unpack_from(data)
        stamp = None if self.plain else read_stamp(data, HEADER)
        measuring = self.measuring
        talk = stamp is not None or (self.plain and self._loud(data, arrival))
        if self._next_sequence >= 0 and measuring:
            figures.lost += (sequence - self._next_sequence) & 0xFFFF
            if second < 0x80 and talk == self._last_talk:
                gap = arrival - self._last_arrival
                figures.pacing.append(abs(gap - _FRAME_NS) / 1e6)
                if gap < 5_000_000:
                    figures.bunched += 1
        self._next_sequence = (sequence + 1) & 0xFFFF
        self._last_arrival = arrival
        self._last_talk = talk
        if stamp is None:
            return
        answer, index, sent_ns, _ = stamp
        expected = self.heard.get(answer, 0)
        if index == 0:
            if measuring:
                figures.first_audio.append((arrival - sent_ns) / 1e6)
        elif index > expected and measuring:
            figures.lost += index - expected
        self.heard[answer] = index + 1
        self.last_heard_ns[answer] = arrival

    def _loud(self, data: bytes, arrival: int) -> bool:
        """Whether a plain packet holds the tone; notes when, and how long the answer took."""
        if not loud(data):
            return False
        self.last_loud_ns = arrival
        if self.measuring:
            self._figures.loud += 1
            if self.awaiting_ns:
                self._figures.first_audio.append((arrival - self.awaiting_ns) / 1e6)
        self.awaiting_ns = 0
        return True


def loud(packet: bytes) -> bool:
    """Whether G.711 µ-law in an RTP packet is more than noise: of every sixteenth sample three above 3 %."""
    return sum((sample & 0x70) <= 0x40 for sample in packet[HEADER::16]) >= 3


_offset_ns = 0
_offset_until = 0.0


def _kernel_time(ancillary: list[tuple[int, int, bytes]]) -> int:
    """Return the kernel's arrival time as CLOCK_MONOTONIC nanoseconds."""
    global _offset_ns, _offset_until
    now = time.monotonic()
    if now >= _offset_until:
        # Best of a few readings: the two clocks cannot be read at one instant.
        before = time.monotonic_ns()
        wall = time.time_ns()
        after = time.monotonic_ns()
        _offset_ns = wall - (before + after) // 2
        _offset_until = now + 1.0
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            return seconds * 1_000_000_000 + nanoseconds - _offset_ns
    return time.monotonic_ns()
