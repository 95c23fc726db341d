"""The shell around :class:`~voiceagent.sip.endpoint.SipEndpoint`: sockets, one timer, effects in order."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import socket
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence

from voiceagent.errors import ConfigError
from voiceagent.ids import Tokens, random_token
from voiceagent.log_context import nowhere
from voiceagent.sip.address import Address, Transport
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.effects import SendDatagram, SipEffect, SipEvent
from voiceagent.sip.endpoint import SipEndpoint
from voiceagent.sip.limits import StreamLimits
from voiceagent.sip.net.framing import Broken
from voiceagent.sip.net.listen import Listen
from voiceagent.sip.net.streams import Streams, bind_tcp
from voiceagent.sip.net.tls import TlsConfig
from voiceagent.sip.net.udp_socket import UdpSocket, bind_udp
from voiceagent.sip.trunk.trunk_keeper import TrunkStatus
from voiceagent.sip.trunk.trunks import Trunk

_log = logging.getLogger("voiceagent.sip")

_SAME_PORT_ATTEMPTS = 20
_SETTINGS = ("sip.host", "sip.port")

HeaderLines = Iterable[tuple[str, str]]


class SipTransport:
    """Owns an endpoint and its listeners. All methods belong to the loop's thread.

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
        tls: TlsConfig | None = None,
        stream_limits: StreamLimits | None = None,
        make_endpoint: Callable[[EndpointConfig, Tokens], SipEndpoint] = SipEndpoint,
    ) -> None:
        self._config = config
        self._on_event = on_event
        self._tokens = tokens
        self._make_endpoint = make_endpoint
        self._advertised = advertised
        self._loop: asyncio.AbstractEventLoop | None = None
        self._endpoint: SipEndpoint | None = None
        self._udp: dict[int, UdpSocket] = {}
        """By the flow that names them: 0, or minus the listener's number."""
        self._first_udp: dict[bool, UdpSocket] = {}
        """The default for calls we place, by whether it is IPv6."""
        self.streams = Streams(self, stream_limits or StreamLimits(), tls or TlsConfig())
        self.bound: tuple[Address, ...] = ()
        """Where each listener is bound, in the order wished for."""
        self._running = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._waiting: deque[SipEffect] = deque()
        self._performing = False
        self.errors: Counter[str] = Counter()
        """Socket and internal errors by kind; none of them is ever raised."""

    @property
    def endpoint(self) -> SipEndpoint:
        """The core. Raises RuntimeError before :meth:`start`."""
        if self._endpoint is None:
            raise RuntimeError("the SIP transport was not started")
        return self._endpoint

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> Address:
        """Listen by UDP on ``host:port`` (0: a free one); return the bound address. See :meth:`listen`."""
        return (await self.listen([Listen("udp", host, port)]))[0]

    async def listen(
        self, listeners: Sequence[Listen], setting: tuple[str, str] = _SETTINGS
    ) -> tuple[Address, ...]:
        """Bind all of ``listeners``; return their addresses. The first is the default of what we tell others.

        Raises ConfigError where one cannot be bound, where its TLS files are no good, or where it is a
        wildcard and nothing is advertised; ``setting`` names host and port there. Nothing stays open then.
        """
        if self._endpoint is not None or not listeners:
            raise RuntimeError("the SIP transport runs already, or has nowhere to listen")
        advertised = self._advertised
        sockets = _bind_all(listeners, setting)
        try:
            self.bound = tuple(
                _bound_to(sock, wish.transport) for sock, wish in zip(sockets, listeners, strict=True)
            )
            told: list[Address] = []
            for bound, wish in zip(self.bound, listeners, strict=True):
                address = wish.told(bound.port, None if advertised is None else advertised.host)
                if advertised is not None and advertised.port and len(listeners) == 1:
                    address = address._replace(port=advertised.port)
                if address.host in ("0.0.0.0", "::"):
                    raise ConfigError("sip.advertised_host", "a wildcard address needs an advertised one")
                told.append(address)
            self._loop = asyncio.get_running_loop()
            config = dataclasses.replace(self._config, local=told[0], listeners=tuple(told))
            self._endpoint = self._make_endpoint(config, self._tokens)
            for number, (sock, bound) in enumerate(zip(sockets, self.bound, strict=True)):
                self._attend(sock, bound, number)
        except BaseException:
            self._endpoint = None
            self._unlisten()
            for sock in sockets:
                sock.close()
            raise
        self._running = True
        return self.bound

    def _attend(self, sock: socket.socket, bound: Address, number: int) -> None:
        ipv6 = ":" in bound.host
        if bound.transport == "udp":
            listener = UdpSocket(sock, number, self.errors, self._datagram, self._unreachable)
            self._udp[-number] = listener
            self._first_udp.setdefault(ipv6, listener)
            return
        self.streams.listen(sock, number, bound.transport, anybody=self._config.takes_certificates)
        if bound.host not in ("0.0.0.0", "::"):
            self.streams.local_hosts.setdefault((bound.transport, ipv6), bound.host)

    async def close(self) -> None:
        """Stop listening at once. Live calls are not ended; hang up first. Harmless when called again."""
        self._running = False
        self._unlisten()
        await self.streams.close()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._waiting.clear()

    def _unlisten(self) -> None:
        for listener in self._udp.values():
            listener.close()
        self._udp.clear()
        self._first_udp.clear()
        self.streams.unlisten()

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
        destination: Address | Sequence[Address] = (),
        headers: HeaderLines = (),
        trunk: str = "",
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
            trunk=trunk,
        )
        self._perform(effects)
        return leg

    def open_trunks(self) -> None:
        """See :meth:`SipEndpoint.open_trunks`."""
        self._perform(self.endpoint.open_trunks(self._now()))

    def close_trunks(self, *, retreat: bool = False) -> None:
        """See :meth:`SipEndpoint.close_trunks`."""
        self._perform(self.endpoint.close_trunks(self._now(), retreat=retreat))

    def renew_trunk(self, trunk: Trunk) -> None:
        """See :meth:`SipEndpoint.renew_trunk`."""
        self._perform(self.endpoint.renew_trunk(trunk, self._now()))

    def trunk_status(self) -> tuple[TrunkStatus, ...]:
        """See :meth:`SipEndpoint.trunk_status`."""
        return self.endpoint.trunk_status()

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

    def update(self, leg: str, sdp: bytes | None) -> None:
        """See :meth:`SipEndpoint.update`."""
        self._perform(self.endpoint.update(leg, sdp, self._now()))

    def call_id(self, leg: str) -> str:
        """See :meth:`SipEndpoint.call_id`."""
        return self.endpoint.call_id(leg)

    def session_interval(self, leg: str) -> int | None:
        """See :meth:`SipEndpoint.session_interval`."""
        return self.endpoint.session_interval(leg)

    def probe(self, leg: str) -> None:
        """See :meth:`SipEndpoint.probe`."""
        self._perform(self.endpoint.probe(leg, self._now()))

    # The loop.

    def _now(self) -> float:
        if self._loop is None:
            raise RuntimeError("the SIP transport was not started")
        return self._loop.time()

    def _datagram(self, data: bytes, host: str, port: int, flow: int) -> None:
        self._receive(data, Address(host, port, "udp", flow))

    def _receive(self, data: bytes, source: Address) -> None:
        try:
            effects = self.endpoint.receive(data, source, self._now())
        except Exception:
            # A fault of ours must cost one message, never the loop with every other call in it.
            self.errors["internal"] += 1
            _log.exception("a message of %s could not be handled", source[:3])
            return
        self._perform(effects)

    def _unreachable(self, address: Address, reason: str) -> None:
        self._perform(self.endpoint.transport_failed(address, self._now(), reason))

    # StreamOwner.

    def stream_allowed(self, source: Address) -> bool:
        return self.endpoint.accepts_flow(source)

    def stream_expected(self, source: Address) -> bool:
        return self.endpoint.expects_flow(source)

    def stream_opened(self, address: Address, identities: tuple[str, ...], listener: int) -> None:
        self._perform(self.endpoint.flow_opened(address, self._now(), identities, listener))

    def stream_closed(self, address: Address, reason: str) -> None:
        self._perform(self.endpoint.flow_closed(address, self._now(), f"connection closed: {reason}"))

    def stream_failed(self, address: Address, reason: str) -> None:
        self._unreachable(address, reason)

    def stream_message(self, data: bytes, address: Address) -> None:
        self._receive(data, address)

    def stream_broken(self, broken: Broken, address: Address) -> None:
        now = self._now()
        self._perform(self.endpoint.receive_broken(broken.head, address, broken.status, broken.why, now))

    def stream_in_use(self, flow: int) -> bool:
        return self.endpoint.flow_in_use(flow)

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
        if not self._running:
            return
        destination = order.destination
        if destination.transport != "udp":
            self.streams.send(order.data, destination)
            return
        ipv6 = ":" in destination.host
        listener = self._udp.get(destination.flow)
        if listener is None or listener.ipv6 != ipv6:
            listener = self._first_udp.get(ipv6)
        if listener is None:
            self.errors["no_listener"] += 1
            self._unreachable(destination, "we do not listen on UDP in this address family")
        else:
            listener.send(order.data, destination)

    def _arm(self) -> None:
        loop = self._loop
        due = self.endpoint.wake_at()
        timer = self._timer
        if loop is None or not self._running or due is None:
            return
        if timer is not None:
            if self._timer_due <= due:
                return  # an early wake is harmless, and cheaper than setting the timer anew
            timer.cancel()
        self._timer_due = due  # not timer.when(): uvloop gives a plain handle for what is due already
        self._timer = loop.call_at(due, self._wake, context=nowhere())

    def _wake(self) -> None:
        self._timer = None
        try:
            effects = self.endpoint.wake(self._now())
        except Exception:
            self.errors["internal"] += 1
            _log.exception("a SIP timer failed")
            effects = []
        self._perform(effects)


def _bound_to(sock: socket.socket, transport: Transport) -> Address:
    host, port = sock.getsockname()[:2]
    return Address(host, port, transport)


def _bind_all(listeners: Sequence[Listen], setting: tuple[str, str]) -> list[socket.socket]:
    """Bind everything, or nothing. UDP and TCP on one host that both take a free port get the same one."""
    last = None
    for _ in range(_SAME_PORT_ATTEMPTS):
        made: list[socket.socket] = []
        taken: dict[tuple[str, bool], int] = {}
        try:
            for wish in listeners:
                key = wish.host, wish.transport == "tls"
                port = wish.port or taken.get(key, 0)
                if wish.transport == "udp":
                    sock = bind_udp(wish.host, port, setting)
                else:
                    sock = bind_tcp(wish.host, port, setting, wish.transport)
                made.append(sock)
                if not wish.port:
                    taken.setdefault(key, int(sock.getsockname()[1]))
        except ConfigError as error:
            last = error
            for sock in made:
                sock.close()
            if not taken:
                raise
            continue  # the free port of the one was not free for the other
        return made
    assert last is not None
    raise last
