"""The UDP sockets under RTP: marked as voice, bound, connected and set free again."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import sys

from voiceagent.errors import MediaError

_RECEIVE_BUFFER = 24 * 1024
"""About a second of packets: when we are overloaded, old audio is lost rather than heard late."""
_DSCP_EF = 0xB8
"""Expedited forwarding, the class for voice (RFC 4594 §4.1), as the IP TOS byte."""


def udp_socket(host: str, port: int) -> socket.socket:
    """Return a non-blocking socket bound on ``host`` (IPv4 or IPv6). Raises :class:`OSError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            if family == socket.AF_INET:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _DSCP_EF)
            else:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _DSCP_EF)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


def free_port(host: str) -> int:
    """Let the system pick. A port bound as 0 would be lost when :func:`dissolve` undoes ``connect``."""
    try:
        with udp_socket(host, 0) as sock:
            return int(sock.getsockname()[1])
    except OSError as error:
        raise MediaError(f"no RTP port can be bound on {host}: {error}", code="no_port") from error


def dissolve(sock: socket.socket) -> bool:
    """Undo ``connect`` of a UDP socket (connect to AF_UNSPEC, which Python cannot say)."""
    unspecified = (ctypes.c_uint8 * 28)()
    if sys.platform == "darwin":
        unspecified[0] = 28
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.connect(sock.fileno(), unspecified, 28) == 0 or sys.platform == "darwin"
