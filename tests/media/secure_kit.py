"""Two media ports that talk to each other over loopback sockets, in virtual time."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from voiceagent.errors import MediaError
from voiceagent.media.path import MediaPath, Security
from voiceagent.media.port import MediaPort
from voiceagent.media.srtp_profile import SrtpKeys, SrtpProfile
from voiceagent.media.wheel import MediaWheel


class Events:
    """What a port told."""

    def __init__(self) -> None:
        self.audio = b""
        self.digits = ""
        self.lost: list[float] = []
        self.failed: list[MediaError] = []

    def on_audio(self, audio: bytes) -> None:
        self.audio += audio

    def on_digit(self, digit: str) -> None:
        self.digits += digit

    def on_playback_started(self, response_id: str, item_id: str) -> None: ...

    def on_playback_ended(self, response_id: str, item_id: str, heard_ms: int, cut: bool) -> None: ...

    def on_media_lost(self, silence_s: float) -> None:
        self.lost.append(silence_s)

    def on_media_failed(self, error: MediaError) -> None:
        self.failed.append(error)


class Pair:
    """Both ports, ``here`` and ``there``."""

    def __init__(self, *, rtcp: bool = False, timeout_s: float = 10.0) -> None:
        self.now = 50.0
        self.wheel = MediaWheel(tick_ms=2, timer="none", clock=lambda: self.now)
        self.events = Events(), Events()
        self.here = MediaPort(self.wheel, self.events[0], media_timeout_s=timeout_s, rtcp=rtcp)
        self.there = MediaPort(self.wheel, self.events[1], media_timeout_s=timeout_s, rtcp=rtcp)
        self.here.open()
        self.there.open()

    def connect(self, here: Security | None, there: Security | None, *, mux: bool = False, **changes) -> None:
        """Let packets flow, or go on with other keys."""
        for port, other, security in ((self.here, self.there, here), (self.there, self.here, there)):
            host, number = other.address
            rtcp = None if mux else (host, number + 1)
            path = MediaPath((host, number), security=security, rtcp=rtcp, rtcp_mux=mux, **changes)
            (port.update if port.turning else port.connect)(path)

    def run(self, ms: float) -> None:
        """Turn the wheel."""
        for _ in range(round(ms / 2)):
            self.now += 0.002
            self.wheel.tick()

    def close(self) -> None:
        self.here.close()
        self.there.close()
        assert len(self.wheel) == 0
        assert self.wheel.errors == 0
        self.wheel.close()


@contextmanager
def pair(*, rtcp: bool = False, timeout_s: float = 10.0) -> Iterator[Pair]:
    both = Pair(rtcp=rtcp, timeout_s=timeout_s)
    try:
        yield both
    finally:
        both.close()


def keys(profile: SrtpProfile, first: int = 1) -> tuple[SrtpKeys, SrtpKeys]:
    """The same keys as both ends see them."""
    one = bytes((first + n) & 0xFF for n in range(profile.secret_bytes))
    two = bytes((first + 100 + n) & 0xFF for n in range(profile.secret_bytes))
    return SrtpKeys(profile, one, two), SrtpKeys(profile, two, one)


@contextmanager
def stranger() -> Iterator[socket.socket]:
    """A socket that has nothing to do with the call."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        yield sock
