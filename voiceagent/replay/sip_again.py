"""PURE. The SIP dialogs of a call, lived again: today's endpoint, what came, and what our legs ordered.

A pass of its own beside that of the call (docs/decisions/0011): the orders are taken from the recording, so
what differs here is the endpoint's doing. Its clock is virtual. The recording says when timers fired that did
something, and with everything that came how long one had been due by then: what was due from then on fires
later. Older recordings say nothing of it: there a timer fires when it is due, unless the loop stood still
then, or something came just before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from voiceagent.call.inputs import HIDDEN
from voiceagent.call.sip_secrets import bytes_of
from voiceagent.errors import SipError
from voiceagent.ids import seeded_tokens
from voiceagent.replay.sip_difference import Names, SipVerdict, compare_sip, differing, key_of
from voiceagent.replay.sip_recording import SipInput, SipMessage, SipRecording, address_of
from voiceagent.replay.sip_setup import endpoint_config
from voiceagent.replay.trace import JournalError
from voiceagent.sip.effects import InviteReceived, SendDatagram, SipEffect
from voiceagent.sip.endpoint import SipEndpoint

T = TypeVar("T")

BASE_S = 1000.0
"""The endpoint's clock when the call begins."""
SLACK_S = 0.05
"""So late a timer may have been when something else came first, in older recordings."""
NEAR_S = 1e-5
"""Times of a recording are rounded."""
Late = Sequence[tuple[float, float]]


class SipAgain:
    """One life of the dialogs. ``late``: from when to when the loop stood still, since the call began."""

    def __init__(self, recording: SipRecording, late: Late = ()) -> None:
        self._recording = recording
        self._late = late
        self._given: deque[str] = deque()
        self._spare = seeded_tokens("replay", "sip")
        self.drawn: set[str] = set()
        """Names that this life has drawn."""
        self.names = Names()
        self.sent: list[SipMessage] = []
        self.faults: list[str] = []
        """What the endpoint raised."""
        self._unpaired = [(key_of(one), one) for one in recording.sent]
        self._legs: dict[int, str] = {}
        self._flows: set[int] = set()
        self._at = min([0.0, *(one.at for one in recording.inputs)])
        self._tells = any(one.get("timers") for one in recording.dialogs.values())
        """The recording says when timers fired."""
        self._endpoint = SipEndpoint(endpoint_config(recording), self._draw)

    def run(self) -> list[SipMessage]:
        """Return what leaves, in order, until the journal ends."""
        for one in self._recording.inputs:
            late = float(one.entry.get("late_ms", 0.0)) / 1000
            self._wait(one.at, one.before, one.at - late if self._tells else None)
            self._at = max(self._at, one.at)
            self._given = deque(cast("list[str]", one.entry.get("drawn", ())))
            self._note(self._guarded(self._take, one))
            self._given.clear()
        self._wait(self._recording.last, len(self._recording.sent))
        return self.sent

    def _draw(self) -> str:
        token = self._given.popleft() if self._given else self._spare()
        self.drawn.add(token)
        return token

    # ── time ────────────────────────────────────────────────────────────────────────────────────
    def _wait(self, until: float, before: int, overdue: float | None = None) -> None:
        """Let timers fire until something comes before which ``before`` messages had left.

        ``overdue``: timers that are due from then on had not fired by then.
        """
        while True:
            due = self._endpoint.wake_at()
            if due is None:
                return
            if overdue is not None:
                if due - BASE_S >= overdue - NEAR_S:
                    return
                self._fire(max(self._at, due - BASE_S), due)
                continue
            at = max(self._at, self._woken(due - BASE_S))
            if at > until or (at > until - SLACK_S and len(self.sent) >= before):
                return
            self._fire(at, due)

    def _fire(self, at: float, due: float) -> None:
        self._at = at
        self._note(self._guarded(self._endpoint.wake, max(due, BASE_S + at)))

    def _woken(self, due: float) -> float:
        """Return when a timer fires that is due then."""
        return max([due, *(until for since, until in self._late if since <= due < until)])

    def _guarded(self, work: Callable[[T], list[SipEffect]], given: T) -> list[SipEffect]:
        """Return what ``work`` does. A fault costs one message or timer, as it does in a service."""
        try:
            return work(given)
        except Exception as error:
            self.faults.append(f"{type(error).__name__}: {error}, at {self._at:.3f} s")
            return []

    # ── what happens ────────────────────────────────────────────────────────────────────────────
    def _take(self, one: SipInput) -> list[SipEffect]:
        entry, now = one.entry, BASE_S + self._at
        match one.kind:
            case "in.sip":
                return self._receive(entry, now)
            case "in.sip_order":
                return self._order(entry, now)
            case "in.sip_woke":
                due = self._endpoint.wake_at()
                return self._endpoint.wake(now if due is None or due > now + NEAR_S else max(now, due))
            case "in.sip_lost":
                peer = address_of(entry["peer"])
                tell = self._endpoint.flow_closed if peer.flow > 0 else self._endpoint.transport_failed
                return tell(peer, now, str(entry["reason"]))
            case _:
                return []

    def _receive(self, entry: Mapping[str, Any], now: float) -> list[SipEffect]:
        peer = address_of(entry["peer"])
        flow = entry.get("flow")
        if flow is not None and peer.flow not in self._flows:
            self._flows.add(peer.flow)
            self._endpoint.flow_opened(peer, now, tuple(flow["identities"]), int(flow["listener"]))
        text = self.names.told_now(str(entry["message"]))
        if entry.get("hidden"):
            head, gap, body = text.partition("\r\n\r\n")
            text = f"{head}{gap}{body.replace(HIDDEN, '0')}"
        effects = self._endpoint.receive(bytes_of(text), peer, now)
        for one in effects:
            if isinstance(one, InviteReceived):
                self._legs[int(entry["dialog"])] = one.leg
        return effects

    def _order(self, entry: Mapping[str, Any], now: float) -> list[SipEffect]:
        """Give an order again. One that is refused sends nothing: that shows by itself."""
        args: dict[str, Any] = dict(entry["args"])
        for name in ("sdp", "body"):
            if isinstance(args.get(name), str):
                args[name] = bytes_of(args[name].replace(HIDDEN, "0"))
        if "headers" in args:
            args["headers"] = tuple((name, self.names.told_now(value)) for name, value in args["headers"])
        if "other" in args:
            args["other"] = self._legs.get(int(args["other"]), "") if isinstance(args["other"], int) else ""
        if "target" in args:
            args["target"] = self.names.told_now(args["target"])
        order = str(entry["order"])
        try:
            if order == "invite":
                given = args["destination"]
                args["destination"] = (
                    [address_of(one) for one in given]
                    if not given or isinstance(given[0], list)
                    else address_of(given)
                )
                self._legs[int(entry["dialog"])], effects = self._endpoint.invite(**args, now=now)
            else:
                leg = self._legs.get(int(entry["dialog"]), "")
                effects = cast("list[SipEffect]", getattr(self._endpoint, order)(leg, **args, now=now))
        except SipError:
            return []
        return effects

    def _note(self, effects: Sequence[SipEffect]) -> None:
        for one in effects:
            if isinstance(one, SendDatagram):
                text = one.data.decode("utf-8", "surrogateescape")
                self._sent(SipMessage(self._at, text, one.destination))

    def _sent(self, message: SipMessage) -> None:
        """A message leaves: what it is called by in the recording is learnt from its like there."""
        self.sent.append(message)
        key = key_of(message)
        for place, (other, then) in enumerate(self._unpaired):
            if other == key:
                del self._unpaired[place]
                differing(then, message, self.names, self.drawn, learn=True)
                return


def sip_again(recording: SipRecording, late: Late, tolerance_s: float) -> SipVerdict:
    """Live the dialogs of a journal (a replayable one) again, and compare what leaves.

    Raises :class:`JournalError` where what the endpoint was set up with cannot be read.
    """
    try:
        life = SipAgain(recording, late)
    except (KeyError, TypeError, ValueError) as error:
        raise JournalError(f"the SIP of this journal is of another version ({error!r})") from None
    now = life.run()
    verdict = compare_sip(recording.sent, now, life.names, life.drawn, tolerance_s)
    verdict.faults = life.faults
    return verdict
