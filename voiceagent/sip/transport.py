"""The UDP shell around :class:`~voiceagent.sip.endpoint.SipEndpoint`: a socket, a timer, effects in order."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import logging
import socket
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence

from voiceagent.errors import ConfigError
from voiceagent.ids import Tokens, random_token
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.effects import Address, SendDatagram, SipEffect, SipEvent
from voiceagent.sip.endpoint import SipEndpoint

_log = logging.getLogger("voiceagent.sip")

_DATAGRAM = 65_535
_BATCH = 64  # datagrams read per wake-up of the loop, so that a flood cannot starve the calls
_RECEIVE_BUFFER = 4 * 1024 * 1024

HeaderLines = Iterable[tuple[str, str]]


class SipTransport:
    """Owns a socket and an endpoint. All methods belong to the loop's thread.

    ``on_event`` is called synchronously for every :data:`~voiceagent.sip.effects.SipEvent`, in order, and may
    give commands at once; their effects are performed after those already waiting. What it raises is logged.
    ``advertised`` is the address told to others where it differs from the bound one (port 0: the bound port).
    """

    def __init__(
        self,
        config: EndpointConfig,
        on_event: Callable[[SipEvent], None],
        *,
        tokens: Tokens = random_token,
        advertised: Address | None = None,
    ) -> None:
        self._config = config
        self._on_event = on_event
        self._tokens = tokens
        self._advertised = advertised
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._endpoint: SipEndpoint | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._waiting: deque[SipEffect] = deque()
        self._performing = False
        self._buffer = bytearray(_DATAGRAM)
        self.errors: Counter[str] = Counter()
        """Socket and internal errors by kind; none of them is ever raised."""

    @property
    def endpoint(self) -> SipEndpoint:
        """The core. Raises RuntimeError before :meth:`start`."""
        if self._endpoint is None:
            raise RuntimeError("the SIP transport was not started")
        return self._endpoint

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> Address:
        """Bind ``host:port`` (0: a free one) and listen; return the bound address.

        Raises ConfigError where the address cannot be bound, or is a wildcard and nothing is advertised.
        """
        if self._socket is not None:
            raise RuntimeError("the SIP transport runs already")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            sock.bind((host, port))
        except OSError as error:
            sock.close()
            setting = "sip.host" if error.errno == errno.EADDRNOTAVAIL else "sip.port"
            raise ConfigError(setting, f"cannot listen on {host}:{port}: {error.strerror}") from error
        bound = Address(*sock.getsockname()[:2])
        if self._advertised is None and bound[0] in ("0.0.0.0", "::"):
            sock.close()
            raise ConfigError("sip.advertised_host", "a wildcard address needs an advertised one")
        told = self._advertised
        local = bound if told is None else Address(told.host, told.port or bound.port)
        self._endpoint = SipEndpoint(dataclasses.replace(self._config, local=local), self._tokens)
        self._socket = sock
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._readable)
        return bound

    async def close(self) -> None:
        """Stop listening at once. Live calls are not ended; hang up first. Harmless when called again."""
        sock, self._socket = self._socket, None
        if sock is not None and self._loop is not None:
            self._loop.remove_reader(sock.fileno())
            sock.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waiting.clear()

    # Commands: as on the endpoint, without the time, and performed at once.

    def ring(self, leg: str, status: int = 180, sdp: bytes | None = None) -> None:
        """See :meth:`SipEndpoint.ring`."""
        self._perform(self.endpoint.ring(leg, self._now(), status, sdp))

    def accept(self, leg: str, sdp: bytes) -> None:
        """See :meth:`SipEndpoint.accept`."""
        self._perform(self.endpoint.accept(leg, sdp, self._now()))

    def reject(self, leg: str, status: int, reason: str = "", headers: HeaderLines = ()) -> None:
        """See :meth:`SipEndpoint.reject`."""
        self._perform(self.endpoint.reject(leg, status, reason, self._now(), headers))

    def invite(
        self,
        target_uri: str,
        *,
        from_uri: str,
        from_name: str = "",
        sdp: bytes,
        destination: Address | Sequence[Address],
        headers: HeaderLines = (),
    ) -> str:
        """See :meth:`SipEndpoint.invite`; returns the leg's id."""
        leg, effects = self.endpoint.invite(
            target_uri,
            from_uri=from_uri,
            from_name=from_name,
            sdp=sdp,
            destination=destination,
            now=self._now(),
            headers=headers,
        )
        self._perform(effects)
        return leg

    def cancel(self, leg: str) -> None:
        """See :meth:`SipEndpoint.cancel`."""
        self._perform(self.endpoint.cancel(leg, self._now()))

    def hang_up(self, leg: str, reason: str = "") -> None:
        """See :meth:`SipEndpoint.hang_up`."""
        self._perform(self.endpoint.hang_up(leg, self._now(), reason))

    def offer(self, leg: str, sdp: bytes) -> None:
        """See :meth:`SipEndpoint.offer`."""
        self._perform(self.endpoint.offer(leg, sdp, self._now()))

    def answer_offer(self, leg: str, sdp: bytes) -> None:
        """See :meth:`SipEndpoint.answer_offer`."""
        self._perform(self.endpoint.answer_offer(leg, sdp, self._now()))

    def refuse_offer(self, leg: str, status: int = 488) -> None:
        """See :meth:`SipEndpoint.refuse_offer`."""
        self._perform(self.endpoint.refuse_offer(leg, status, self._now()))

    def refer(self, leg: str, target: str, headers: HeaderLines = ()) -> None:
        """See :meth:`SipEndpoint.refer`."""
        self._perform(self.endpoint.refer(leg, target, self._now(), headers))

    def refer_replacing(self, leg: str, other: str, headers: HeaderLines = ()) -> None:
        """See :meth:`SipEndpoint.refer_replacing`."""
        self._perform(self.endpoint.refer_replacing(leg, other, self._now(), headers))

    def accept_refer(self, leg: str, number: int) -> None:
        """See :meth:`SipEndpoint.accept_refer`."""
        self._perform(self.endpoint.accept_refer(leg, number, self._now()))

    def refuse_refer(self, leg: str, number: int, status: int) -> None:
        """See :meth:`SipEndpoint.refuse_refer`."""
        self._perform(self.endpoint.refuse_refer(leg, number, status, self._now()))

    def refer_outcome(self, leg: str, status: int, reason: str = "", number: int | None = None) -> None:
        """See :meth:`SipEndpoint.refer_outcome`."""
        self._perform(self.endpoint.refer_outcome(leg, status, reason, self._now(), number))

    def send_info(self, leg: str, content_type: str, body: bytes) -> None:
        """See :meth:`SipEndpoint.send_info`."""
        self._perform(self.endpoint.send_info(leg, content_type, body, self._now()))

    def peer_takes(self, leg: str, method: str) -> bool:
        """See :meth:`SipEndpoint.peer_takes`; False where the peer has said nothing."""
        return bool(self.endpoint.peer_takes(leg, method))

    def probe(self, leg: str) -> None:
        """See :meth:`SipEndpoint.probe`."""
        self._perform(self.endpoint.probe(leg, self._now()))

    # The loop.

    def _now(self) -> float:
        if self._loop is None:
            raise RuntimeError("the SIP transport was not started")
        return self._loop.time()

    def _readable(self) -> None:
        buffer = self._buffer
        view = memoryview(buffer)
        for _ in range(_BATCH):
            sock = self._socket
            if sock is None:
                return
            try:
                size, source = sock.recvfrom_into(buffer)
            except BlockingIOError:
                return
            except OSError as error:
                self.errors[type(error).__name__] += 1
                continue
            try:
                effects = self.endpoint.receive(
                    bytes(view[:size]), Address(source[0], source[1]), self._now()
                )
            except Exception:
                # A fault of ours must cost one datagram, never the loop with every other call in it.
                self.errors["internal"] += 1
                _log.exception("a datagram of %s could not be handled", source[:2])
                continue
            self._perform(effects)

    def _perform(self, effects: Iterable[SipEffect]) -> None:
        waiting = self._waiting
        waiting.extend(effects)
        if self._performing:
            return
        self._performing = True
        try:
            while waiting:
                effect = waiting.popleft()
                if isinstance(effect, SendDatagram):
                    self._send(effect)
                    continue
                try:
                    self._on_event(effect)
                except Exception:
                    self.errors["listener"] += 1
                    _log.exception("the listener failed on %s", type(effect).__name__)
        finally:
            self._performing = False
        self._arm()

    def _send(self, order: SendDatagram) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(order.data, order.destination[:2])
        except OSError as error:
            # Refused, unreachable or a full buffer: like a lost datagram, a retransmission heals it.
            self.errors[type(error).__name__] += 1

    def _arm(self) -> None:
        loop = self._loop
        due = self.endpoint.wake_at()
        timer = self._timer
        if loop is None or self._socket is None or due is None:
            return
        if timer is not None:
            if self._timer_due <= due:
                return  # an early wake is harmless, and cheaper than setting the timer anew
            timer.cancel()
        self._timer_due = due  # not timer.when(): uvloop gives a plain handle for what is due already
        self._timer = loop.call_at(due, self._wake)

    def _wake(self) -> None:
        self._timer = None
        try:
            effects = self.endpoint.wake(self._now())
        except Exception:
            self.errors["internal"] += 1
            _log.exception("a SIP timer failed")
            effects = []
        self._perform(effects)
