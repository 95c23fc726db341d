"""``voiceagent bench srtp``: what encryption costs, per packet and per call, in CPU time of this process.

A *pair* is one packet sealed and one opened: what each 20 ms of a call's audio needs. It is measured twice:
at the guard alone, and as the difference of two ports that talk over loopback sockets, encrypted and plain.
Many short runs are made and the fastest tenth of them counts: what else the machine does can only add.
"""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable
from typing import Any

from voiceagent.bench.stats import percentile
from voiceagent.errors import MediaError
from voiceagent.media.dtls import DtlsAssociation, DtlsIdentity
from voiceagent.media.fingerprint import DtlsParameters
from voiceagent.media.path import MediaPath, Security
from voiceagent.media.port import MediaPort
from voiceagent.media.secure import MediaGuard
from voiceagent.media.srtp import HOW_TO_INSTALL, srtp_available
from voiceagent.media.srtp_profile import PROFILES, SrtpKeys, SrtpProfile
from voiceagent.media.wheel import MediaWheel

LIMIT_US = 10.0
"""What encryption may add to a pair."""
RUN = 100
"""Pairs of one short run."""


def run_srtp_bench(*, runs: int = 200, handshakes: int = 100) -> dict[str, Any]:
    """Measure and return the figures. Raises MediaError (``srtp_missing``) without the packages."""
    if not srtp_available():
        raise MediaError(HOW_TO_INSTALL, code="srtp_missing")
    profiles = {profile.value: _guard_us(profile, runs) for profile in PROFILES}
    plain = _port_us(None, runs)
    ports = {profile.value: round(_port_us(profile, runs) - plain, 2) for profile in PROFILES}
    return {
        "pair_us": profiles,
        "port_plain_us": round(plain, 2),
        "port_adds_us": ports,
        "limit_us": LIMIT_US,
        "within_limit": max(profiles.values()) <= LIMIT_US,
        "forged_us": _forged_us(runs),
        "dtls": _dtls(handshakes),
    }


def _us(run: Callable[[], None], runs: int) -> float:
    """CPU time per packet pair of the fastest tenth of the runs."""
    times: list[float] = []
    for _ in range(runs):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return round(percentile(times, 0.1) * 1e6 / RUN, 2)


def _keys(profile: SrtpProfile) -> tuple[SrtpKeys, SrtpKeys]:
    one, two = (random.randbytes(profile.secret_bytes) for _ in range(2))
    return SrtpKeys(profile, one, two), SrtpKeys(profile, two, one)


def _guards(profile: SrtpProfile) -> tuple[MediaGuard, MediaGuard]:
    here, there = (MediaGuard(lambda _data: None) for _ in range(2))
    for guard, keys in zip((here, there), _keys(profile), strict=True):
        guard.follow(keys, None, 0.0)
    return here, there


def _guard_us(profile: SrtpProfile, runs: int) -> float:
    here, there = _guards(profile)
    sequence = 0

    def run() -> None:
        nonlocal sequence
        for _ in range(RUN):
            packet = bytearray(struct.pack("!BBHII", 0x80, 0, sequence & 0xFFFF, 0, 7) + bytes(160))
            sequence += 1
            sealed = here.seal(packet)
            if sealed is None or there.open(sealed, 0.0) is None:
                raise MediaError("a genuine packet was refused", code="srtp_bench")

    return _us(run, runs)


def _forged_us(runs: int) -> float:
    _, there = _guards(SrtpProfile.AES_CM_128_HMAC_SHA1_80)
    packet = struct.pack("!BBHII", 0x80, 0, 1, 0, 7) + bytes(170)

    def run() -> None:
        for _ in range(RUN):
            there.open(packet, 0.0)

    return _us(run, runs)


class _Deaf:
    """A port's owner who wants nothing."""

    def on_audio(self, audio: bytes) -> None: ...

    def on_digit(self, digit: str) -> None: ...

    def on_playback_started(self, response_id: str, item_id: str) -> None: ...

    def on_playback_ended(self, response_id: str, item_id: str, heard_ms: int, cut: bool) -> None: ...

    def on_media_lost(self, silence_s: float) -> None: ...

    def on_media_failed(self, error: MediaError) -> None:
        raise error


def _port_us(profile: SrtpProfile | None, runs: int) -> float:
    """CPU time of one packet sent and one received by a port, the wheel and both system calls included."""
    now = 1.0

    def clock() -> float:
        return now

    wheel = MediaWheel(timer="none", clock=clock)
    here, there = MediaPort(wheel, _Deaf()), MediaPort(wheel, _Deaf())
    here.open()
    there.open()
    keys: tuple[Security | None, Security | None] = (None, None) if profile is None else _keys(profile)
    here.connect(MediaPath(there.address, security=keys[0]))
    there.connect(MediaPath(here.address, security=keys[1]))

    def run() -> None:
        nonlocal now
        for _ in range(RUN // 2):  # each frame has two pairs: both ports send and receive
            for _ in range(10):
                now += 0.002
                wheel.tick()

    try:
        return _us(run, runs // 2)
    finally:
        here.close()
        there.close()
        wheel.close()


def _dtls(handshakes: int) -> dict[str, float]:
    """CPU milliseconds of both sides of a handshake, and the longest single step."""
    ours, theirs = DtlsIdentity(), DtlsIdentity()
    totals: list[float] = []
    longest: list[float] = []
    for _ in range(handshakes):
        client = DtlsAssociation(ours, DtlsParameters("client", (theirs.fingerprint,)))
        server = DtlsAssociation(theirs, DtlsParameters("server", (ours.fingerprint,)))
        steps: list[float] = []
        start = time.process_time()
        server.start(0.0)
        out = client.start(0.0)
        to, back = server, client
        while out:
            answers: list[bytes] = []
            for datagram in out:
                step = time.process_time()
                answers += to.receive(datagram, 0.0)
                steps.append(time.process_time() - step)
            out = answers
            to, back = back, to
        totals.append(time.process_time() - start)
        longest.append(max(steps))
        if client.keys is None or server.keys is None:
            raise MediaError("a handshake brought no keys", code="srtp_bench")
    return {
        "handshake_ms": round(percentile(totals, 0.1) * 1000, 2),
        "longest_step_ms": round(percentile(longest, 0.1) * 1000, 2),
    }
