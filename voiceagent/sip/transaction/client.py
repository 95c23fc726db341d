"""PURE. Client transactions: INVITE (RFC 3261 §17.1.1, RFC 6026 §7.2) and all others (§17.1.2).

The transaction user gets every response it must see through ``on_response`` (never a repetition, except a
2xx to INVITE), ``on_timeout`` when timers B or F strike, and ``on_unreachable`` (else ``on_timeout``) when
the transport cannot deliver (§17.1.4). Where ``on_challenge`` gives another transaction for a 401 or 407,
that one takes over all of these, and ``on_replaced`` is told.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum, auto

from voiceagent.sip.address import Address
from voiceagent.sip.syntax.message import Request, Response
from voiceagent.sip.timers import Timer
from voiceagent.sip.transaction.wire import Doubling, Key, Wire


class ClientState(Enum):
    """States of both client machines. CALLING and ACCEPTED belong to INVITE, TRYING to the others."""

    CALLING = auto()
    TRYING = auto()
    PROCEEDING = auto()
    ACCEPTED = auto()
    COMPLETED = auto()
    TERMINATED = auto()


class ClientTransaction(ABC):
    """What both kinds share: the request as sent, its destination, and the TU's callbacks."""

    __slots__ = (
        "_remove",
        "_repeater",
        "_timer",
        "data",
        "destination",
        "key",
        "on_challenge",
        "on_end",
        "on_replaced",
        "on_response",
        "on_timeout",
        "on_unreachable",
        "otherwise",
        "reliable",
        "request",
        "state",
        "wire",
    )

    def __init__(
        self,
        wire: Wire,
        key: Key,
        request: Request,
        destination: Address,
        remove: Callable[[ClientTransaction], None],
        *,
        reliable: bool,
    ) -> None:
        self.wire = wire
        self.key = key
        self.request = request
        self.data = request.to_bytes()
        self.destination = destination
        self.reliable = reliable
        self.state = ClientState.CALLING
        self.on_response: Callable[[Response], None] | None = None
        self.on_timeout: Callable[[], None] | None = None
        self.on_unreachable: Callable[[str], None] | None = None
        self.otherwise: tuple[Request, Address] | None = None
        """What to send, and where, when this way fails: by UDP where TCP was taken for the size only
        (§18.1.1), to where the peer listens where its connection was taken. Its branch stays the same."""
        self.on_challenge: Callable[[Response], ClientTransaction | None] | None = None
        self.on_replaced: Callable[[ClientTransaction], None] | None = None
        self.on_end: Callable[[], None] | None = None
        self._remove = remove
        self._timer: Timer | None = None
        self._repeater: Doubling | None = None

    @property
    def heard(self) -> bool:
        """Whether a provisional response came and no final one yet (§9.1: only then may CANCEL be sent)."""
        return self.state is ClientState.PROCEEDING

    @abstractmethod
    def start(self) -> None:
        """Send the request and start its timers."""

    @abstractmethod
    def response_received(self, response: Response) -> None:
        """A response matched this transaction."""

    def waits_on(self, address: Address) -> bool:
        """Tell whether nothing was heard yet of a request that went to ``address`` or over its connection."""
        if self.state is not ClientState.CALLING and self.state is not ClientState.TRYING:
            return False
        to = self.destination
        return to[:3] == address[:3] and (to.flow <= 0 or address.flow <= 0 or to.flow == address.flow)

    def unreachable(self, reason: str) -> None:
        """The transport cannot deliver: take the other way, if there is one, or give up at once."""
        if self.otherwise is not None:
            self._stop_repeating()
            self.wire.timers.cancel(self._timer)
            (self.request, self.destination), self.otherwise = self.otherwise, None
            self.data = self.request.to_bytes()
            self.reliable = self.destination.reliable
            self.start()
            return
        failed, silent = self.on_unreachable, self.on_timeout
        self.terminate()
        if failed is not None:
            failed(reason)
        elif silent is not None:
            silent()

    def _repeat(self) -> None:
        self.wire.repeat(self.data, self.destination, self.request.method)

    def _stop_repeating(self) -> None:
        if self._repeater is not None:
            self._repeater.stop()
            self._repeater = None

    def _terminate_in(self, delay: float) -> None:
        self._stop_repeating()
        self.wire.timers.cancel(self._timer)
        if delay <= 0:
            self.terminate()
        else:
            self._timer = self.wire.timers.at(self.wire.now + delay, self.terminate)

    def _timed_out(self) -> None:
        self._timer = None
        callback = self.on_timeout
        self.terminate()
        if callback is not None:
            callback()

    def terminate(self) -> None:
        """Leave the table and stop all timers; harmless when done before."""
        if self.state is ClientState.TERMINATED:
            return
        self.state = ClientState.TERMINATED
        self._stop_repeating()
        self.wire.timers.cancel(self._timer)
        self._timer = None
        self._remove(self)
        callback = self.on_end
        self.on_end = self.on_response = self.on_timeout = self.on_unreachable = None
        self.on_challenge = self.on_replaced = None
        if callback is not None:
            callback()

    def _deliver(self, response: Response) -> None:
        if self.on_response is not None:
            self.on_response(response)

    def _conclude(self, response: Response, linger: float) -> None:
        """Take the final refusal or answer; repetitions of it are absorbed for ``linger`` seconds."""
        told, silent, failed = self.on_response, self.on_timeout, self.on_unreachable
        challenged, replaced = self.on_challenge, self.on_replaced
        self._terminate_in(linger)
        successor = challenged(response) if challenged and response.status in (401, 407) else None
        if successor is not None:
            successor.on_response, successor.on_timeout, successor.on_unreachable = told, silent, failed
            successor.on_replaced = replaced
            if replaced is not None:
                replaced(successor)
            successor.start()
        elif told is not None:
            told(response)


class NonInviteClient(ClientTransaction):
    """Trying (E, F) → Proceeding → Completed (K) → Terminated."""

    __slots__ = ()

    def start(self) -> None:
        """Send the request, start timers E (UDP only) and F."""
        self.state = ClientState.TRYING
        values = self.wire.values
        self.wire.send(self.data, self.destination)
        if not self.reliable:
            self._repeater = Doubling(self.wire, self._repeat, ceiling=values.t2)
        self._timer = self.wire.timers.at(self.wire.now + values.give_up, self._timed_out)

    def response_received(self, response: Response) -> None:
        """Pass on what is new; repetitions of the final response are absorbed."""
        if self.state not in (ClientState.TRYING, ClientState.PROCEEDING):
            return
        if response.status < 200:
            self.state = ClientState.PROCEEDING
            if self._repeater is not None:
                self._repeater.slow_down()
            self._deliver(response)
            return
        self.state = ClientState.COMPLETED
        self._conclude(response, 0 if self.reliable else self.wire.values.t4)


class InviteClient(ClientTransaction):
    """Calling (A, B) → Proceeding → Completed (D, re-sends the ACK) or Accepted (M) → Terminated.

    ``make_ack`` builds the ACK for a 300–699 (§17.1.1.3). ACKs for 2xx belong to the TU.
    """

    __slots__ = ("_ack", "_give_up_at", "make_ack")

    def __init__(
        self,
        wire: Wire,
        key: Key,
        request: Request,
        destination: Address,
        remove: Callable[[ClientTransaction], None],
        *,
        reliable: bool,
        make_ack: Callable[[Request, Response], bytes],
    ) -> None:
        super().__init__(wire, key, request, destination, remove, reliable=reliable)
        self.make_ack = make_ack
        self._ack: bytes | None = None
        self._give_up_at: float | None = None

    def start(self) -> None:
        """Send the INVITE, start timers A (UDP only) and B."""
        self.state = ClientState.CALLING
        self.wire.send(self.data, self.destination)
        if not self.reliable:
            self._repeater = Doubling(self.wire, self._repeat, ceiling=None)
        self._timer = self.wire.timers.at(self.wire.now + self.wire.values.give_up, self._timed_out)

    def give_up_in(self, delay: float) -> None:
        """Treat the INVITE as timed out after ``delay`` s: a CANCEL was sent and nothing follows (§9.1)."""
        self._give_up_at = self.wire.now + delay
        if self.state is ClientState.PROCEEDING:
            self.wire.timers.cancel(self._timer)
            self._timer = self.wire.timers.at(self._give_up_at, self._timed_out)

    def response_received(self, response: Response) -> None:
        """Pass on provisionals, the final response, and each 2xx while in Accepted."""
        status = response.status
        state = self.state
        if state is ClientState.COMPLETED:
            if status >= 300 and self._ack is not None:
                self.wire.send(self._ack, self.destination)
            return
        if state is ClientState.ACCEPTED:
            if 200 <= status < 300:
                self._deliver(response)
            return
        if state is ClientState.TERMINATED:
            return
        if status < 200:
            if state is ClientState.CALLING:
                self.state = ClientState.PROCEEDING
                self._stop_repeating()
                self.wire.timers.cancel(self._timer)
                # Given up before the peer was heard: its ringing is no reason to wait for ever.
                given_up = self._give_up_at
                self._timer = None if given_up is None else self.wire.timers.at(given_up, self._timed_out)
            self._deliver(response)
        elif status < 300:
            self.state = ClientState.ACCEPTED
            self._terminate_in(self.wire.values.give_up)
            self._deliver(response)
        else:
            self.state = ClientState.COMPLETED
            self._ack = self.make_ack(self.request, response)
            self.wire.send(self._ack, self.destination)
            self._conclude(response, 0 if self.reliable else self.wire.values.timer_d)
