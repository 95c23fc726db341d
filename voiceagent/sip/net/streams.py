"""All stream connections of one endpoint: accepted within limits, opened on demand, closed on time."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import random
import socket
import ssl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from voiceagent.errors import ConfigError
from voiceagent.log_context import nowhere
from voiceagent.sip.address import Address, Transport
from voiceagent.sip.limits import StreamLimits
from voiceagent.sip.net.framing import Broken
from voiceagent.sip.net.stream_socket import Connection
from voiceagent.sip.net.tls import TlsConfig, client_context, proves, server_context
from voiceagent.tasks import TaskNest

_BACKLOG = 256
_ACCEPTS = 32  # connections accepted per wake-up of the loop
_OUT_OF_FILES_S = 0.5
_FULL = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


_DEAD_AFTER_MS = 20_000  # bytes unacknowledged for this long mean that the peer is gone (RFC 5482)


class StreamOwner(Protocol):
    """Whom the connections belong to; every method is called synchronously."""

    def stream_allowed(self, source: Address) -> bool:
        """May ``source`` connect?"""
        ...

    def stream_expected(self, source: Address) -> bool:
        """Is ``source`` on the allow-list, so that a place is kept for it?"""
        ...

    def stream_opened(self, address: Address, identities: tuple[str, ...], listener: int) -> None:
        """A connection stands."""
        ...

    def stream_closed(self, address: Address, reason: str) -> None:
        """It is gone."""
        ...

    def stream_failed(self, address: Address, reason: str) -> None:
        """No connection to ``address`` could be had, or its flow is gone."""
        ...

    def stream_message(self, data: bytes, address: Address) -> None:
        """A whole message came."""
        ...

    def stream_broken(self, broken: Broken, address: Address) -> None:
        """The frame is lost; the connection is closed after this."""
        ...

    def stream_in_use(self, flow: int) -> bool:
        """Does a call need this connection?"""
        ...


@dataclass(slots=True)
class _Listener:
    number: int
    transport: Transport
    sock: socket.socket
    context: ssl.SSLContext | None
    anybody: bool
    """Any address may connect: its certificate is its pass."""


@dataclass(slots=True)
class _Opening:
    waiting: list[bytes]
    size: int = 0


class Streams:
    """Owned by the transport; all methods belong to the loop's thread."""

    def __init__(
        self,
        owner: StreamOwner,
        limits: StreamLimits,
        tls: TlsConfig,
        *,
        spread: Callable[[], float] = lambda: random.uniform(0.8, 1.0),
    ) -> None:
        self._owner = owner
        self._limits = limits
        self._tls = tls
        self._spread = spread
        self._nest = TaskNest("sip-streams", nowhere())
        self._listeners: list[_Listener] = []
        self._client: ssl.SSLContext | None = None
        self._flows = 0
        self._live: dict[int, Connection] = {}
        self._opened: dict[Address, Connection] = {}
        self._opening: dict[Address, _Opening] = {}
        self._sources: Counter[str] = Counter()
        self._accepted = 0
        self.local_hosts: dict[tuple[Transport, bool], str] = {}
        """Where connections of ours leave from, by transport and whether it is IPv6."""
        self.counts: Counter[str] = Counter()
        """Connections accepted, opened, refused and closed, by why."""

    def __len__(self) -> int:
        """Return the number of live connections."""
        return len(self._live)

    @property
    def accepted(self) -> int:
        """Places taken: connections that we accepted, or that still shake hands."""
        return self._accepted

    # Listening.

    def listen(
        self, sock: socket.socket, number: int, transport: Transport, *, anybody: bool = False
    ) -> None:
        """Accept connections on a bound socket. Raises ConfigError for the files of a TLS listener."""
        context = server_context(self._tls) if transport == "tls" else None
        listener = _Listener(number, transport, sock, context, anybody and context is not None)
        sock.listen(_BACKLOG)
        self._listeners.append(listener)
        asyncio.get_running_loop().add_reader(sock.fileno(), self._acceptable, listener)

    def _acceptable(self, listener: _Listener) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(_ACCEPTS):
            try:
                sock, peer = listener.sock.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                self.counts[f"accept_{type(error).__name__}"] += 1
                if error.errno in _FULL:  # the waiting connection would wake us at once, again and again
                    loop.remove_reader(listener.sock.fileno())
                    loop.call_later(_OUT_OF_FILES_S, self._accept_again, listener)
                return
            source = Address(peer[0], peer[1], listener.transport)
            refused = self._refusal(source, listener)
            if refused is not None:
                self.counts[refused] += 1
                sock.close()
                continue
            self._take_place(source)
            self._nest.start(f"accept-{source.host}:{source.port}", self._admit(sock, source, listener))

    def _accept_again(self, listener: _Listener) -> None:
        if listener in self._listeners:
            asyncio.get_running_loop().add_reader(listener.sock.fileno(), self._acceptable, listener)

    def _refusal(self, source: Address, listener: _Listener) -> str | None:
        limits = self._limits
        if not listener.anybody and not self._owner.stream_allowed(source):
            return "refused_unknown_source"
        if self._sources[source.host] >= limits.per_address:
            return "refused_per_address"
        kept = 0 if self._owner.stream_expected(source) else limits.reserve
        if self._accepted >= limits.connections - kept:
            return "refused_full"
        return None

    def _take_place(self, source: Address) -> None:
        self._accepted += 1
        self._sources[source.host] += 1

    def _free_place(self, source: Address) -> None:
        self._accepted -= 1
        self._sources[source.host] -= 1
        if self._sources[source.host] <= 0:
            del self._sources[source.host]

    async def _admit(self, sock: socket.socket, source: Address, listener: _Listener) -> None:
        """Shake hands, where that is needed, and begin to read."""
        sock.setblocking(False)
        _tune(sock)
        self._flows += 1
        connection = Connection(
            self, self._limits, source._replace(flow=self._flows), listener.number, accepted=True
        )
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                sock,
                ssl=listener.context,
                ssl_handshake_timeout=None if listener.context is None else self._limits.handshake_s,
            )
        except (OSError, TimeoutError) as error:
            self.counts["handshake_failed" if isinstance(error, ssl.SSLError) else "handshake_broken"] += 1
        finally:
            if not connection.made:
                sock.close()
                self._free_place(source)

    # Sending.

    def send(self, data: bytes, destination: Address) -> None:
        """Send by the connection named, else by one to that address, opened where there is none."""
        if destination.flow > 0:
            connection = self._live.get(destination.flow)
            if connection is None:
                self._owner.stream_failed(destination, "connection closed")
            else:
                connection.write(data)
            return
        key = destination._replace(flow=0)
        connection = self._opened.get(key)
        if connection is not None:
            connection.write(data)
            return
        opening = self._opening.get(key)
        if opening is None:
            opening = self._opening[key] = _Opening([])
            self._nest.start(f"connect-{key.host}:{key.port}", self._open(key, opening))
        opening.size += len(data)
        if opening.size <= self._limits.write_buffer:
            opening.waiting.append(data)
        else:
            self.counts["dropped_while_connecting"] += 1

    async def _open(self, key: Address, opening: _Opening) -> None:
        loop = asyncio.get_running_loop()
        self._flows += 1
        connection = Connection(
            self, self._limits, key._replace(flow=self._flows, name=""), -1, accepted=False, name=key.name
        )
        reason = ""
        sock: socket.socket | None = None
        try:
            context = self._context() if key.transport == "tls" else None
            async with asyncio.timeout(self._limits.connect_s):
                sock = self._socket_for(key)
                await loop.sock_connect(sock, (key.host, key.port))
                await loop.create_connection(
                    lambda: connection,
                    sock=sock,
                    ssl=context,
                    server_hostname=(key.name or key.host) if context is not None else None,
                )
            reason = connection.refused
        except TimeoutError:
            reason = "no connection in time"
        except ssl.SSLError as error:
            reason = getattr(error, "verify_message", "") or error.reason or "TLS failed"
        except (OSError, ConfigError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        finally:
            self._opening.pop(key, None)
            if sock is not None and not connection.made:
                sock.close()
        if reason or not connection.made:
            self.counts["connect_failed"] += 1
            self._owner.stream_failed(key, reason or "connection closed")
            return
        if connection.closed:
            self._owner.stream_failed(key, "connection closed")
            return
        self._opened[key] = connection
        for data in opening.waiting:
            connection.write(data)

    def _socket_for(self, peer: Address) -> socket.socket:
        """Return a socket that leaves from where we listen, so that the peer knows us by our address."""
        ipv6 = ":" in peer.host
        sock = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        _tune(sock)
        local = self.local_hosts.get((peer.transport, ipv6))
        if local is not None:
            with contextlib.suppress(OSError):  # then from wherever the system thinks right
                sock.bind((local, 0))
        return sock

    def _context(self) -> ssl.SSLContext:
        if self._client is None:
            self._client = client_context(self._tls)
        return self._client

    # What connections tell.

    @property
    def owner(self) -> StreamOwner:
        """Whom they belong to."""
        return self._owner

    def spread(self) -> float:
        """Return a share of the ping interval."""
        return self._spread()

    def established(self, connection: Connection, identities: tuple[str, ...]) -> str:
        """Take in a connection that stands; return why it must not be used, if so."""
        address = connection.address
        if not connection.accepted and address.transport == "tls" and self._tls.verify:
            wanted = connection.name or address.host
            if not proves(identities, wanted):
                self.counts["wrong_certificate"] += 1
                return f"the certificate is not that of {wanted}"
        self._live[address.flow] = connection
        self.counts["accepted" if connection.accepted else "opened"] += 1
        self._owner.stream_opened(address, identities, connection.listener)
        return ""

    def lost(self, connection: Connection, why: str) -> None:
        """A connection that was made is over."""
        address = connection.address
        if connection.accepted:
            self._free_place(address)
        if self._live.pop(address.flow, None) is None:
            return
        self.counts[f"closed_{why}"] += 1
        for key, opened in list(self._opened.items()) if not connection.accepted else ():
            if opened is connection:
                del self._opened[key]
        self._owner.stream_closed(address, why)

    def unlisten(self) -> None:
        """Accept nothing more."""
        for listener in self._listeners:
            asyncio.get_running_loop().remove_reader(listener.sock.fileno())
            listener.sock.close()
        self._listeners.clear()

    async def close(self) -> None:
        """Stop listening and drop every connection. Harmless when called again."""
        self.unlisten()
        await self._nest.close()
        over = [connection.over for connection in self._live.values()]
        for connection in list(self._live.values()):
            connection.finish("shut_down")
        if over:
            await asyncio.wait(over, timeout=1.0)
        for connection in list(self._live.values()):
            connection.abort("shut_down")


def bind_tcp(host: str, port: int, setting: tuple[str, str], kind: str = "tcp") -> socket.socket:
    """Bind, not listening yet. ``setting`` names the host and the port for the ConfigError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        name = setting[0] if error.errno == errno.EADDRNOTAVAIL else setting[1]
        raise ConfigError(name, f"cannot listen on {kind} {host}:{port}: {error.strerror}") from error
    return sock


def _tune(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_AFTER_MS)
