"""One UDP listener: datagrams in batches, and the ICMP errors that tell which peer cannot be reached."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
import sys
from collections import Counter
from collections.abc import Callable

from voiceagent.errors import ConfigError
from voiceagent.sip.address import Address

_DATAGRAM = 65_535
_BATCH = 64  # datagrams read per wake-up of the loop, so that a flood cannot starve the calls
_RECEIVE_BUFFER = 4 * 1024 * 1024
_IP_RECVERR, _IPV6_RECVERR = 11, 25  # <linux/in.h>, <linux/in6.h>
_UNREACHABLE = frozenset({errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENOPROTOOPT})
"""Errors that say so for good (§18.4); a datagram that was too long or came late is none."""
_BUFFER = bytearray(_DATAGRAM)
_VIEW = memoryview(_BUFFER)
"""One for all listeners: a datagram is copied out of it before the next is read."""


def bind_udp(host: str, port: int, setting: tuple[str, str]) -> socket.socket:
    """Bind; port 0 takes a free one. ``setting`` names the host and the port for the ConfigError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        name = setting[0] if error.errno == errno.EADDRNOTAVAIL else setting[1]
        raise ConfigError(name, f"cannot listen on udp {host}:{port}: {error.strerror}") from error
    return sock


class UdpSocket:
    """``receive(data, host, port, flow)`` gets datagrams, ``unreachable(address, why)`` ICMP errors."""

    def __init__(
        self,
        sock: socket.socket,
        number: int,
        errors: Counter[str],
        receive: Callable[[bytes, str, int, int], None],
        unreachable: Callable[[Address, str], None],
    ) -> None:
        self._socket: socket.socket | None = sock
        self._flow = -number
        self._errors = errors
        self._receive = receive
        self._unreachable = unreachable
        self._erred = False  # an error was pending since the last look
        self.ipv6 = sock.family == socket.AF_INET6
        if sys.platform == "linux":
            level, option = (
                (socket.IPPROTO_IPV6, _IPV6_RECVERR) if self.ipv6 else (socket.IPPROTO_IP, _IP_RECVERR)
            )
            with contextlib.suppress(OSError):
                sock.setsockopt(level, option, 1)
        asyncio.get_running_loop().add_reader(sock.fileno(), self._readable)

    def close(self) -> None:
        """Stop listening at once; harmless when called again."""
        sock, self._socket = self._socket, None
        if sock is not None:
            asyncio.get_running_loop().remove_reader(sock.fileno())
            sock.close()

    def send(self, data: bytes, destination: Address) -> None:
        """Send one datagram. What fails is counted: a retransmission heals it, or an ICMP error ends it."""
        sock = self._socket
        if sock is None:
            return
        try:
            sock.sendto(data, destination[:2])
        except OSError as error:
            self._erred = True
            if error.errno not in _UNREACHABLE or not self._drain():
                self._errors[type(error).__name__] += 1
                if error.errno in _UNREACHABLE:
                    self._unreachable(destination, error.strerror or "unreachable")
                return
            # It was the error of an earlier datagram, to whomever; this one has not been sent yet.
            try:
                sock.sendto(data, destination[:2])
            except OSError as again:
                self._errors[type(again).__name__] += 1

    def _readable(self) -> None:
        self._read_batch()
        self._drain()
        if self._erred:
            self._listen_again()

    def _read_batch(self) -> None:
        view = _VIEW
        for _ in range(_BATCH):
            sock = self._socket
            if sock is None:
                return
            try:
                size, source = sock.recvfrom_into(_BUFFER)
            except BlockingIOError:
                return
            except OSError as error:
                self._erred = True
                self._errors[type(error).__name__] += 1
                self._drain()
                continue
            self._receive(bytes(view[:size]), source[0], source[1], self._flow)

    def _listen_again(self) -> None:
        """uvloop (libuv) stops watching a socket that has an error pending; only a new watch hears on."""
        self._erred = False
        if self._socket is not None:
            loop, number = asyncio.get_running_loop(), self._socket.fileno()
            loop.remove_reader(number)
            loop.add_reader(number, self._readable)

    def _drain(self) -> bool:
        """Read the queue of ICMP errors; True when there was one."""
        found = False
        for _ in range(_BATCH):
            sock = self._socket
            if sock is None or sys.platform != "linux":
                return found
            try:
                _, extra, _, peer = sock.recvmsg(512, 512, socket.MSG_ERRQUEUE)
            except OSError:
                return found
            found = self._erred = True
            for level, kind, value in extra:
                if (level, kind) not in (
                    (socket.IPPROTO_IP, _IP_RECVERR),
                    (socket.IPPROTO_IPV6, _IPV6_RECVERR),
                ):
                    continue
                number = struct.unpack_from("=I", value)[0]
                if number in _UNREACHABLE:
                    self._errors["icmp"] += 1
                    self._unreachable(Address(peer[0], peer[1]), errno.errorcode.get(number, "unreachable"))
        return found
