"""PURE. Server transactions: INVITE (RFC 3261 §17.2.1, RFC 6026 §7.1) and all others (§17.2.2).

They hold the last response as bytes and repeat it; they never read a message. The transaction user (TU) is
told through three optional callbacks: ``on_ack`` (ACK of a 2xx that matched), ``on_no_ack`` (timer H) and
``on_end`` (removed from the table).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum, auto

from voiceagent.sip.address import Address
from voiceagent.sip.syntax.message import Request
from voiceagent.sip.timers import Timer
from voiceagent.sip.transaction.reply import ReplyHead
from voiceagent.sip.transaction.wire import Doubling, Key, Wire


class ServerState(Enum):
    """States of both server machines; INVITE has no TRYING, the others no ACCEPTED and CONFIRMED."""

    TRYING = auto()
    PROCEEDING = auto()
    ACCEPTED = auto()
    COMPLETED = auto()
    CONFIRMED = auto()
    TERMINATED = auto()


_GIVEN_UP = Request("", "")


class ServerTransaction(ABC):
    """What both kinds share: the request, where replies go, the cached response."""

    __slots__ = (
        "_remove",
        "_timer",
        "head",
        "home",
        "key",
        "last_response",
        "merge",
        "number",
        "on_end",
        "owner",
        "reliable",
        "reply_to",
        "request",
        "source",
        "state",
        "status",
        "wire",
    )

    def __init__(
        self,
        wire: Wire,
        key: Key,
        request: Request,
        source: Address,
        reply_to: Address,
        remove: Callable[[ServerTransaction], None],
        *,
        reliable: bool,
    ) -> None:
        self.wire = wire
        self.key = key
        self.request = request
        """Given up with the final response, when only repetitions remain to be answered."""
        self.number = request.cseq.number
        self.merge: Key | None = None
        """Under what the table knows copies of this request that come another way."""
        self.source = source
        self.reply_to = reply_to
        self.home = reply_to
        """Where responses go once the connection they should take is gone."""
        self.reliable = reliable
        self.state = ServerState.TRYING
        self.status = 0
        """Status of the last response sent; 0 before the first."""
        self.last_response: bytes | None = None
        self.head: ReplyHead | None = None
        """What all responses share, built with the first one."""
        self.owner: object | None = None
        """Whose business this is: the TU's own mark, given up at the end. It may hold this transaction."""
        self.on_end: Callable[[], None] | None = None
        self._remove = remove
        self._timer: Timer | None = None

    @property
    def answered(self) -> bool:
        """Whether a final response was sent, or the transaction is gone."""
        return self.status >= 200 or self.state is ServerState.TERMINATED

    @abstractmethod
    def respond(self, status: int, data: bytes) -> bool:
        """Send a response. A second final one, or any after the end, is refused with False."""

    def _send(self, data: bytes) -> None:
        self.wire.send(data, self._way())

    def _way(self) -> Address:
        """Return where a response goes now (§18.2.2)."""
        to = self.reply_to
        if to.flow > 0 and to.flow not in self.wire.live:
            to = self.reply_to = self.home
        return to

    def repeat(self) -> None:
        """Send the last response again because its ACK did not come."""
        if self.last_response is not None:
            self.repeat_as(self.last_response, self.status)

    def repeat_as(self, data: bytes, status: int) -> None:
        """Send one of the responses again, by the way that is open now."""
        self.wire.repeat(data, self._way(), str(status))

    def _final(self) -> None:
        """Keep for the next 32 s what repetitions need, and no more."""
        self.request = _GIVEN_UP
        self.head = None

    def repeated(self) -> None:
        """The same request came again: repeat what was said last, if anything."""
        if self.last_response is not None:
            self._send(self.last_response)

    def terminate(self) -> None:
        """Leave the table and stop all timers; harmless when done before."""
        if self.state is ServerState.TERMINATED:
            return
        self.state = ServerState.TERMINATED
        self.wire.timers.cancel(self._timer)
        self._timer = None
        self.owner = None
        self._remove(self)
        if self.on_end is not None:
            self.on_end()
            self.on_end = None

    def _terminate_in(self, delay: float) -> None:
        self.wire.timers.cancel(self._timer)
        if delay <= 0:
            self.terminate()
        else:
            self._timer = self.wire.timers.at(self.wire.now + delay, self.terminate)


class NonInviteServer(ServerTransaction):
    """Trying → Proceeding → Completed (timer J) → Terminated."""

    __slots__ = ()

    def respond(self, status: int, data: bytes) -> bool:
        """Send ``data``; the first final response starts timer J."""
        if self.answered:
            return False
        self.status = status
        self.last_response = data
        self._send(data)
        if status < 200:
            self.state = ServerState.PROCEEDING
        else:
            self.state = ServerState.COMPLETED
            self._final()
            self._terminate_in(0 if self.reliable else self.wire.values.give_up)
        return True


class InviteServer(ServerTransaction):
    """Proceeding → Accepted (2xx, timer L) or Completed (300–699, G and H) → Confirmed (I) → Terminated."""

    __slots__ = ("_repeater", "on_ack", "on_no_ack")

    def __init__(
        self,
        wire: Wire,
        key: Key,
        request: Request,
        source: Address,
        reply_to: Address,
        remove: Callable[[ServerTransaction], None],
        *,
        reliable: bool,
    ) -> None:
        super().__init__(wire, key, request, source, reply_to, remove, reliable=reliable)
        self.state = ServerState.PROCEEDING
        self.on_ack: Callable[[Request], object] | None = None
        self.on_no_ack: Callable[[], None] | None = None
        self._repeater: Doubling | None = None

    def respond(self, status: int, data: bytes) -> bool:
        """Send ``data``. A 2xx is repeated by the TU until its ACK comes, 300–699 by this machine."""
        if self.answered:
            return False
        self.status = status
        self.last_response = data
        self._send(data)
        values = self.wire.values
        if status < 200:
            return True
        self._final()
        if status < 300:
            self.state = ServerState.ACCEPTED
            self._terminate_in(values.give_up)  # timer L
            return True
        self.state = ServerState.COMPLETED
        if not self.reliable:
            self._repeater = Doubling(self.wire, self.repeat, ceiling=values.t2)  # timer G
        self._timer = self.wire.timers.at(self.wire.now + values.give_up, self._no_ack)  # timer H
        return True

    def ack_received(self, ack: Request) -> None:
        """An ACK matched this transaction. It is absorbed, except for a 2xx, where it is the TU's."""
        if self.state is ServerState.COMPLETED:
            self.state = ServerState.CONFIRMED
            self.last_response = None
            self._stop_repeating()
            self._terminate_in(0 if self.reliable else self.wire.values.t4)  # timer I
        elif self.state is ServerState.ACCEPTED and self.on_ack is not None:
            self.on_ack(ack)

    def _no_ack(self) -> None:
        self._timer = None
        callback = self.on_no_ack
        self.terminate()
        if callback is not None:
            callback()

    def _stop_repeating(self) -> None:
        if self._repeater is not None:
            self._repeater.stop()
            self._repeater = None

    def terminate(self) -> None:
        """Leave the table and stop all timers; harmless when done before."""
        self._stop_repeating()
        self.on_ack = None
        self.on_no_ack = None
        super().terminate()
