"""Calls from the console's page: from a WebRTC offer to a call of the same kind as any other.

Order of judging: the user's limit, the offer, the flow, aiortc, the connection, a place on this node.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from voiceagent.app.events import EventHub
from voiceagent.app.flow_books import arrival_of
from voiceagent.app.incoming import Reception
from voiceagent.call.admission import Refusal
from voiceagent.call.browser_leg import BrowserLeg
from voiceagent.call.call import Call
from voiceagent.call.direct_audio import DirectMedia
from voiceagent.call.leg import LegInfo
from voiceagent.console.ports import LiveEvent, PhoneAnswer, PhoneWish
from voiceagent.errors import MediaError, RequestRefused
from voiceagent.ids import Tokens
from voiceagent.ivr.flow import FlowBook, Picked
from voiceagent.media.webrtc import MakePeer, load
from voiceagent.media.webrtc_sdp import read_offer
from voiceagent.observe.metrics import Metrics

_log = structlog.get_logger("voiceagent.phone")

ASKED = "asked for"
"""How a flow was found that the page has named."""
_SHOWN = ("state", "floor", "step", "flow", "held_by")
"""What a page is told of its call as it changes."""
_NO_PLACE = frozenset({"phone_limit", "draining", "capacity", "overload"})


class PhoneRefused(RequestRefused):
    """No call now; it may be tried again after ``retry_after_s``."""

    def __init__(self, message: str, code: str, retry_after_s: float) -> None:
        super().__init__("call", message, code=code)
        self.retry_after_s = retry_after_s


class BrowserDesk:
    """Takes calls from the page. Fulfils :class:`voiceagent.console.ports.Phones`."""

    def __init__(
        self,
        *,
        flows: Callable[[], FlowBook],
        hub: EventHub,
        metrics: Metrics,
        tokens: Tokens,
        per_user: int,
        load_peer: Callable[[], Awaitable[MakePeer]] = load,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """``per_user`` calls may one user have at once; 0 takes none at all."""
        self._flows = flows
        self._hub = hub
        self._metrics = metrics
        self._tokens = tokens
        self._per_user = per_user
        self._load_peer = load_peer
        self._wall = wall
        self._calls: Counter[str] = Counter()
        """Calls, and those being set up, by user."""
        self._open: tuple[Reception, DirectMedia] | None = None

    def open(self, reception: Reception, media: DirectMedia) -> None:
        """Take calls from now on."""
        self._open = reception, media

    async def call(self, wish: PhoneWish) -> PhoneAnswer:
        """Begin a call; see :class:`voiceagent.console.ports.Phones`."""
        self._enter(wish.user)
        try:
            answer = await self._begin(wish)
        except BaseException as error:
            self._leave(wish.user)
            if isinstance(error, RequestRefused | MediaError):
                _log.info("no call from the page", code=error.code, user=wish.name)
                if error.code in _NO_PLACE:
                    self._metrics.call_refused(error.code)
            raise
        return answer

    async def _begin(self, wish: PhoneWish) -> PhoneAnswer:
        if self._open is None:
            raise RequestRefused("call", "the service is not up yet", code="not_listening")
        reception, media = self._open
        offer = read_offer(wish.sdp)
        info = LegInfo(
            id=f"browser_{self._tokens()}",
            kind="browser",
            caller=wish.name,
            called=wish.to,
            caller_name=wish.name,
            source=wish.source,
        )
        picked = self._picked(wish, info)
        make_peer = await self._load_peer()
        made = partial(make_peer, host=media.host, told_host=media.advertised_host)
        leg = BrowserLeg(info, offer, media, made)
        sdp = await leg.negotiate()
        over: Callable[[], None] = lambda: self._leave(wish.user)  # noqa: E731
        try:
            call = reception.accept(leg, picked, over=over)
        except BaseException:
            await leg.hang_up()
            raise
        if isinstance(call, Refusal):
            await leg.hang_up(call.code)
            raise PhoneRefused(f"none is taken now ({call.code})", call.code, call.retry_after_s or 10)
        call.journal.write("operator.phone", operator=wish.name)
        self._caption(call, leg)
        return PhoneAnswer(call.id, sdp)

    def _picked(self, wish: PhoneWish, info: LegInfo) -> Picked:
        book = self._flows()
        if wish.flow:
            flow = book.get(wish.flow)
            if flow is None:
                known = ", ".join(one.name for one in book)
                words = f"there is no flow {wish.flow!r}; there are {known}"
                raise RequestRefused("flow", words, code="unknown_flow")
            return Picked(flow, ASKED, book)
        picked = book.pick(arrival_of(info, self._wall()))
        if picked is None:
            raise RequestRefused(
                "to", "no route leads to a flow, and there is no default_flow", code="no_flow"
            )
        return picked

    def _enter(self, user: str) -> None:
        if self._calls[user] >= self._per_user:
            raise PhoneRefused(f"{self._per_user} at once are allowed", "phone_limit", 10)
        self._calls[user] += 1

    def _leave(self, user: str) -> None:
        self._calls[user] -= 1
        if not self._calls[user]:
            del self._calls[user]

    def _caption(self, call: Call, leg: BrowserLeg) -> None:
        """Have the page told what is said, and how its call stands."""

        def tell(event: LiveEvent) -> None:
            if event.type == "transcript.line":
                leg.tell({"type": "caption", **event.data})
            elif event.type in ("call.changed", "call.ended"):
                leg.tell({"type": "call", **{name: event.data[name] for name in _SHOWN}})
                if event.type == "call.ended":
                    self._hub.unfollow(call.id)

        leg.tell({"type": "call", "id": call.id, "state": call.state.value, "flow": call.flow.name})
        self._hub.follow(call.id, tell)
