"""What a SIP endpoint must keep to in every order of well-formed events, watched from outside.

The watcher sees each message and event on its way and knows the tables of the transaction layer, because a
branch that comes back after its transaction is gone rightfully begins a new one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from voiceagent.errors import VoiceAgentError
from voiceagent.sip.effects import Ended, InviteReceived, OfferReceived, SendDatagram, SipEffect, SipEvent
from voiceagent.sip.endpoint import SipEndpoint
from voiceagent.sip.syntax.message import Request, Response
from voiceagent.sip.syntax.parser import parse_datagram
from voiceagent.sip.transaction import ClientTransaction, ServerTransaction
from voiceagent.sip.transaction.client import ClientState
from voiceagent.sip.transaction.layer import server_key

PROMISES: dict[str, str] = {
    "P1": "one final response per transaction",
    "P2": "one end per leg, and no event after it",
    "P3": "everything is freed in the end",
    "P4": "CSeq of our requests rises within a dialog",
    "P5": "no request but ACK and NOTIFY after BYE",
    "P6": "no two open offers in one dialog",
    "P7": "no datagram larger than UDP carries",
    "P8": "one unacknowledged reliable provisional at a time",
    "P9": "a 2xx to INVITE is repeated until its ACK",
    "P10": "a repeated INVITE opens no second call",
    "P11": "every 2xx to our INVITE gets an ACK",
    "P12": "every request is answered, at once or through the application",
    "P13": "the legs counted are the legs not ended",
}
UDP_PAYLOAD = 65_507
"""What an IPv4 datagram carries."""
_T2 = 4.0
_GIVE_UP = 32.0

DialogName = tuple[str, str, str]
"""Call-ID, the endpoint's tag, the peer's."""


class PromiseBroken(VoiceAgentError):
    """An order of events broke a promise; ``promise`` is its code."""

    code = "sip_promise_broken"

    def __init__(self, promise: str, how: str) -> None:
        super().__init__(f"{promise} ({PROMISES[promise]}): {how}")
        self.promise = promise


@dataclass(slots=True)
class _Unacknowledged:
    """A 2xx of the endpoint whose ACK has not come."""

    call_id: str
    number: int
    data: bytes
    first: float
    last: float


@dataclass(slots=True)
class _Seen:
    """A message of the peer on its way in, and what was known of it before."""

    message: Request | Response | None = None
    known: bool = False
    """It repeats, acknowledges or cancels within a live transaction."""
    responses: int = 0
    acks: list[int] = field(default_factory=list[int])
    told: bool = False
    """The application was told of it."""


class Watcher:
    """Feed it everything; :class:`PromiseBroken` is raised where a promise breaks."""

    def __init__(self, endpoint: SipEndpoint) -> None:
        self._endpoint = endpoint
        self.legs: list[str] = []
        self.ended: dict[str, str] = {}
        """By leg: who ended it."""
        self.requests: list[Request] = []
        """Requests of the endpoint, in order, repetitions included."""
        self._calls: dict[str, str] = {}  # inbound: leg → Call-ID
        self._over: set[str] = set()  # Call-IDs of inbound legs that have ended
        self._finals: dict[ServerTransaction, bytes] = {}
        self._numbers: dict[DialogName, int] = {}
        self._said: set[bytes] = set()
        self._byes: set[DialogName] = set()
        self._our_offers: dict[DialogName, tuple[str, str]] = {}
        self._their_offers: dict[str, str] = {}
        self._provisional: dict[tuple[str, int], tuple[int, bytes]] = {}
        self._unacknowledged: dict[str, _Unacknowledged] = {}
        self._seen = _Seen()

    def placed(self, leg: str) -> None:
        """The application has begun an outbound call."""
        self.legs.append(leg)

    # The way in.

    def incoming(self, data: bytes) -> None:
        """Note a message of the peer, before the endpoint gets it."""
        message = parse_datagram(data)
        seen = self._seen = _Seen(message if isinstance(message, Request | Response) else None)
        layer = self._endpoint._core.layer  # pyright: ignore[reportPrivateUsage]
        if isinstance(message, Request):
            seen.known = server_key(message, message.method) in layer.servers
            if message.method == "ACK":
                self._acknowledged(message)
            elif message.method == "PRACK" and message.rack is not None:
                key = (message.call_id, message.rack.cseq)
                if self._provisional.get(key, (0, b""))[0] == message.rack.rseq:
                    del self._provisional[key]
        elif isinstance(message, Response):
            client = layer.find_client(message)
            seen.known = client is not None and _takes_2xx(client)
            if message.status >= 200:
                self._our_offers = {
                    dialog: offer
                    for dialog, offer in self._our_offers.items()
                    if offer[0] != message.via.branch
                }

    def _acknowledged(self, ack: Request) -> None:
        for branch, wait in list(self._unacknowledged.items()):
            if (wait.call_id, wait.number) == (ack.call_id, ack.cseq.number):
                del self._unacknowledged[branch]

    # The way out.

    def outgoing(self, effects: Iterable[SipEffect], now: float) -> None:
        """Check what the endpoint gave back for the message noted, for a command or for the clock."""
        for effect in effects:
            if isinstance(effect, SendDatagram):
                self._message(effect.data, now)
            else:
                self._event(effect)
        self._answered()
        live = len(self.legs) - len(self.ended)
        self._keep("P13", self._endpoint.figures().legs == live, f"{live} legs have not ended")
        self._seen = _Seen()

    def _answered(self) -> None:
        seen, message = self._seen, self._seen.message
        if isinstance(message, Request) and message.method != "ACK" and not seen.known:
            told = seen.responses or (message.method in ("UPDATE", "REFER") and seen.told)
            self._keep("P12", bool(told), f"{message.method} met silence")
        elif (
            isinstance(message, Response)
            and seen.known
            and message.is_success
            and message.cseq.method == "INVITE"
        ):
            self._keep("P11", message.cseq.number in seen.acks, f"no ACK for INVITE {message.cseq.number}")

    def _message(self, data: bytes, now: float) -> None:
        self._keep("P7", len(data) <= UDP_PAYLOAD, f"{len(data)} bytes")
        message = parse_datagram(data)
        if isinstance(message, Response):
            self._response(message, data, now)
        elif isinstance(message, Request):
            self._request(message, data)
        else:
            raise PromiseBroken("P12", f"what was sent is no message: {message!r}")

    def _response(self, response: Response, data: bytes, now: float) -> None:
        branch = response.via.branch or ""
        self._seen.responses += 1
        if response.status < 200:
            number = response.headers.get("RSeq")
            if number is not None:
                key = (response.call_id, response.cseq.number)
                held = self._provisional.setdefault(key, (int(number), data))
                self._keep("P8", held[1] == data, f"RSeq {number} while {held[0]} waits for PRACK")
            return
        self._provisional.pop((response.call_id, response.cseq.number), None)
        servers = self._endpoint._core.layer.servers  # pyright: ignore[reportPrivateUsage]
        transaction = servers.get((branch, response.via.sent_by, response.cseq.method))
        if transaction is not None:
            said = self._finals.setdefault(transaction, data)
            self._keep("P1", said == data, f"{said[:12]!r} and {data[:12]!r}")
        for leg, offer in list(self._their_offers.items()):
            if offer == branch:
                del self._their_offers[leg]
        if response.cseq.method == "INVITE" and response.is_success and response.call_id not in self._over:
            wait = self._unacknowledged.get(branch)
            if wait is None:
                self._unacknowledged[branch] = _Unacknowledged(
                    response.call_id, response.cseq.number, data, now, now
                )
            else:
                wait.last = now

    def _request(self, request: Request, data: bytes) -> None:
        self.requests.append(request)
        if request.method == "ACK":
            self._seen.acks.append(request.cseq.number)
            return
        repeated = data in self._said
        self._said.add(data)
        if request.method == "CANCEL" or repeated:
            return
        dialog = (request.call_id, request.from_.tag or "", request.to.tag or "")
        number = request.cseq.number
        self._keep("P4", number > self._numbers.get(dialog, 0), f"{request.method} {number} in {dialog}")
        self._numbers[dialog] = number
        over = dialog in self._byes and request.method != "NOTIFY"
        self._keep("P5", not over, f"{request.method} {number} in {dialog}")
        if request.method == "BYE":
            self._byes.add(dialog)
        elif request.method in ("INVITE", "UPDATE") and request.body and dialog[2]:
            self._keep("P6", not self._ours_is_open(dialog), f"a second offer of ours in {dialog}")
            self._our_offers[dialog] = (request.via.branch or "", request.method)

    def _ours_is_open(self, dialog: DialogName) -> bool:
        """Unanswered, and its transaction has not timed out."""
        clients = self._endpoint._core.layer.clients  # pyright: ignore[reportPrivateUsage]
        return self._our_offers.get(dialog, ("", "")) in clients

    def _event(self, event: SipEvent) -> None:
        leg = getattr(event, "leg", None)
        if leg is None:
            return
        self._seen.told = True
        self._keep("P2", leg not in self.ended, f"{type(event).__name__} of a leg that has ended")
        if isinstance(event, Ended):
            self.ended[leg] = event.by
            self._their_offers.pop(leg, None)
            if event.leg in self._calls:
                call_id = self._calls[leg]
                self._over.add(call_id)
                self._unacknowledged = {
                    branch: wait for branch, wait in self._unacknowledged.items() if wait.call_id != call_id
                }
        elif isinstance(event, InviteReceived):
            self._keep("P10", not self._seen.known, f"{event.call_id} is offered again")
            self.legs.append(leg)
            self._calls[leg] = event.call_id
        elif isinstance(event, OfferReceived):
            self._keep("P6", leg not in self._their_offers, f"a second offer of the peer in {leg}")
            request = self._seen.message
            if isinstance(request, Request):
                dialog = (request.call_id, request.to.tag or "", request.from_.tag or "")
                self._keep("P6", not self._ours_is_open(dialog), f"their offer beside ours in {dialog}")
                self._their_offers[leg] = request.via.branch or ""

    # The clock.

    def time_passed(self, now: float) -> None:
        """Check what silence would break: a 2xx that is not acknowledged must have been repeated."""
        for branch, wait in list(self._unacknowledged.items()):
            if now - wait.first >= _GIVE_UP:
                del self._unacknowledged[branch]
                continue
            self._keep(
                "P9", now - wait.last <= _T2 + 0.001, f"{wait.call_id}: {now - wait.last:.1f} s silent"
            )

    def over(self) -> None:
        """Check that nothing is left."""
        figures = self._endpoint.figures()
        core = self._endpoint._core  # pyright: ignore[reportPrivateUsage]
        left = {
            "server transactions": figures.server_transactions,
            "client transactions": figures.client_transactions,
            "legs": figures.legs,
            "dialogs": figures.dialogs,
            "timers": figures.timers,
            "REFERs": len(core.referrers),
            "callees": len(core.callees),
        }
        self._keep("P3", not any(left.values()), f"left: {left}")
        missing = [leg for leg in self.legs if leg not in self.ended]
        self._keep("P2", not missing, f"no end of {missing}")

    @staticmethod
    def _keep(promise: str, kept: bool, how: str) -> None:
        if not kept:
            raise PromiseBroken(promise, how)


def _takes_2xx(client: ClientTransaction) -> bool:
    return client.state in (ClientState.CALLING, ClientState.PROCEEDING, ClientState.ACCEPTED)
