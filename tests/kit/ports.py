"""Ports that other programs of a test are told to listen on."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack

LOW, HIGH = 15_000, 29_999
"""Below those that the system gives to whoever asks for any (32768 and up on Linux), and below our media.

A port from there could be given away before its program listens, or between its death and its next start;
and whoever tried to reach it meanwhile could be given it himself, and so reach himself.
"""

_dice = random.SystemRandom()


def free_port() -> int:
    """A port that is free now for UDP and TCP, as is the next one for TCP (TLS takes the SIP port + 1)."""
    while True:
        port = _dice.randrange(LOW, HIGH)
        with ExitStack() as probes:
            try:
                for kind, above in ((socket.SOCK_DGRAM, 0), (socket.SOCK_STREAM, 0), (socket.SOCK_STREAM, 1)):
                    probe = probes.enter_context(socket.socket(socket.AF_INET, kind))
                    probe.bind(("0.0.0.0", port + above))
            except OSError:
                continue
            return port
