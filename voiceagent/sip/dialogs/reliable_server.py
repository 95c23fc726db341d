"""PURE. Reliable provisional responses of ours (RFC 3262 §3): RSeq, repetition until PRACK, one at a time.

With ``reliable_provisionals`` at ``supported`` a caller that requires 100rel gets all of them reliably, and
one that only supports it those with SDP: a plain 180 is worth no round trip. ``required`` refuses the others
with 421.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voiceagent.sip.dialogs.abilities import tags_of
from voiceagent.sip.endpoint_core import SDP, Core
from voiceagent.sip.syntax.grammar_values import RAck
from voiceagent.sip.syntax.message import Request
from voiceagent.sip.timers import Timer
from voiceagent.sip.transaction.wire import Doubling

if TYPE_CHECKING:
    from voiceagent.sip.dialogs.invite import Leg

TAG = "100rel"
_FIRST_RSEQ = 2**30  # the first one is anything up to here: room to count, and no guessing (§3)
_MOST_WAITING = 8


@dataclass(slots=True)
class _Open:
    """The response that waits for its PRACK."""

    rack: RAck
    sdp: bytes | None
    repeater: Doubling
    deadline: Timer | None


class ReliableResponses:
    """The reliable provisional responses to one INVITE."""

    __slots__ = (
        "_core",
        "_leg",
        "_on_accept",
        "_on_no_prack",
        "_open",
        "_over",
        "_rseq",
        "_waiting",
        "accepting",
        "always",
        "settled",
    )

    def __init__(
        self,
        core: Core,
        leg: Leg,
        *,
        always: bool,
        on_accept: Callable[[bytes], None],
        on_no_prack: Callable[[], None],
    ) -> None:
        """``on_accept(sdp)`` sends the 2xx that had to wait; ``on_no_prack`` must refuse the call (§3)."""
        self._core = core
        self._leg = leg
        self._on_accept = on_accept
        self._on_no_prack = on_no_prack
        self._rseq = core.dice(_FIRST_RSEQ)
        self._waiting: deque[tuple[int, bytes | None]] = deque(maxlen=_MOST_WAITING)
        self._open: _Open | None = None
        self._over = False
        self.always = always
        """The caller requires it of every provisional response."""
        self.settled = False
        """Offer and answer of the INVITE were exchanged before its 2xx."""
        self.accepting: bytes | None = None
        """SDP of the 2xx that waits."""

    @property
    def offering(self) -> bool:
        """True while an offer of ours, in a response that the INVITE's late offer asked for, is open."""
        return self._leg.late_offer and not self.settled and self._open is not None and bool(self._open.sdp)

    def send(self, status: int, sdp: bytes | None) -> None:
        """Send a provisional response, now or once those before it are acknowledged."""
        if self._over or self.accepting is not None:
            return
        if sdp is not None and (self.settled or (self._open is not None and self._open.sdp is not None)):
            sdp = None  # answered once already: nothing that follows may say more (RFC 3261 §13.2.1)
        if sdp is None and self._leg.late_offer and not self.settled and self._open is None:
            # The first reliable response to an INVITE without offer would have to bring ours (§5).
            self._core.counts["ringing_withheld"] += 1
            return
        if self._open is not None:
            self._waiting.append((status, sdp))
            return
        self._send(status, sdp)

    def _send(self, status: int, sdp: bytes | None) -> None:
        core, leg = self._core, self._leg
        server, dialog = leg.server, leg.dialog
        if server is None or dialog is None or server.answered:
            return
        self._rseq += 1
        headers = (
            ("Contact", leg.contact),
            ("Allow", core.allow(leg.trunk)),
            ("Supported", core.supported_text),
            ("Require", TAG),
            ("RSeq", str(self._rseq)),
        )
        core.respond(server, status, "", headers, sdp or b"", SDP, tag=dialog.local_tag)
        wire = core.wire
        data = server.last_response or b""
        self._open = _Open(
            RAck(self._rseq, server.number, "INVITE"),
            sdp,
            Doubling(wire, lambda: server.repeat_as(data, status), ceiling=None),
            wire.timers.at(wire.now + wire.values.give_up, self._give_up),
        )

    def _give_up(self) -> None:
        self.stop()
        self._on_no_prack()

    def matches(self, rack: RAck | None) -> bool:
        """Tell whether a PRACK with this RAck acknowledges what is open."""
        return self._open is not None and self._open.rack == rack

    def acknowledged(self) -> None:
        """The PRACK came."""
        opened, self._open = self._open, None
        if opened is None:
            return
        opened.repeater.stop()
        self._core.wire.timers.cancel(opened.deadline)
        if opened.sdp is not None:
            self.settled = True
            self._leg.local_sdp = opened.sdp

    def may_accept(self, sdp: bytes) -> bool:
        """Tell whether a 2xx may go now; else it follows by itself (§3: SDP first needs its PRACK)."""
        leg = self._leg
        early_offer = leg.peer_offer is not None or leg.our_offer is not None
        if early_offer or (self._open is not None and self._open.sdp is not None):
            self.accepting = sdp
            return False
        return True

    def go_on(self) -> None:
        """Send what waits, where nothing is in its way any more."""
        if self._over:
            return
        if self.accepting is not None:
            sdp, self.accepting = self.accepting, None
            if self.may_accept(sdp):
                self._on_accept(sdp)
        elif self._open is None and self._waiting:
            self._send(*self._waiting.popleft())

    def stop(self) -> None:
        """A final response goes out: repeat no more. A PRACK under way still gets its 200 (§3)."""
        self._over = True
        self._waiting.clear()
        self.accepting = None
        if self._open is not None:
            self._open.repeater.stop()
            self._core.wire.timers.cancel(self._open.deadline)
            self._open.deadline = None


def wants_reliable(core: Core, request: Request) -> bool | None:
    """Return whether to send all provisionals reliably (True), those with SDP (False), or none (None)."""
    mode = core.config.reliable_provisionals
    if mode == "off" or TAG not in tags_of(request):
        return None
    return mode == "required" or any(tag.lower() == TAG for tag in request.require)
