"""PURE. REFER of the peer: taken or refused by the application, and its outcome told by NOTIFY (RFC 3515).

A REFER is told with its CSeq number, which names it from then on. The application answers at once; a REFER
that it has accepted stays open, also beyond the end of the session, until a final status was told, the
subscription has run out, or the peer wants to hear no more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voiceagent.errors import SipError
from voiceagent.sip.dialogs.refer import SIPFRAG
from voiceagent.sip.effects import ReferReceived
from voiceagent.sip.syntax.grammar_scan import NO_PARAMS
from voiceagent.sip.syntax.message import Request, Response
from voiceagent.sip.timers import Timer
from voiceagent.sip.transaction import ServerTransaction

if TYPE_CHECKING:
    from voiceagent.sip.dialogs.invite import Leg
    from voiceagent.sip.endpoint_core import Core

ANSWER_LIMIT_S = 4.0
"""So long the application may think; then the REFER is declined."""
MOST = 4
"""So many REFERs may be open in one dialog."""


@dataclass(slots=True)
class ReferSubscription:
    """A REFER of the peer, and its implicit subscription once it was accepted."""

    number: int
    server: ServerTransaction | None
    """Until it was answered."""
    silent: bool
    """The peer wants no NOTIFY (RFC 4488)."""
    timer: Timer | None = None
    """The application's time to answer, then the subscription's expiry."""
    expires_at: float = 0.0
    busy: bool = False
    """A NOTIFY is under way: the next one waits, or it might overtake and be refused as out of order."""
    waiting: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])


def take_refer(core: Core, leg: Leg, transaction: ServerTransaction) -> None:
    """Tell a REFER within the dialog, or refuse what cannot be read or done."""
    request = transaction.request
    if request.headers.count("Refer-To") != 1:
        core.respond(transaction, 400, "Exactly One Refer-To Needed")
        return
    event = _read(leg, request)
    if event is None:
        core.respond(transaction, 400, "Malformed Refer-To Header")
        return
    if leg.dialog is None or leg.ended or not leg.established:
        core.respond(transaction, 481)
        return
    if len(leg.refers_in) >= MOST:
        core.respond(transaction, 491)
        return
    silent = (request.headers.get("Refer-Sub") or "").partition(";")[0].strip().lower() == "false"
    subscription = ReferSubscription(event.refer, transaction, silent)
    leg.refers_in[event.refer] = subscription
    subscription.timer = core.wire.timers.at(
        core.wire.now + ANSWER_LIMIT_S, lambda: refuse_refer(core, leg, event.refer, 603)
    )
    core.emit(event)


def _read(leg: Leg, request: Request, *, taken: bool = True) -> ReferReceived | None:
    """Return what a REFER asks for, or None when its headers cannot be read."""
    try:
        refer_to = request.refer_to
        if refer_to is None:
            return None
        uri = refer_to.address.uri
    except SipError:
        return None
    replaces = "" if refer_to.replaces is None else str(refer_to.replaces)
    if not replaces.isprintable():
        return None  # escapes in the URI must not become lines in the INVITE that we are to send
    target = str(uri.replace(headers=NO_PARAMS, params=uri.params.without("method"))) if uri.is_sip else None
    return ReferReceived(
        leg.id,
        target or refer_to.address.uri_text,
        refer=request.cseq.number,
        method=refer_to.method,
        replaces=replaces,
        referred_by=request.headers.get("Referred-By") or "",
        taken=taken,
    )


def accept_refer(core: Core, leg: Leg, number: int) -> bool:
    """Answer 202 and begin to tell how it goes (100 first); False when it is no longer open."""
    subscription = leg.refers_in.get(number)
    if subscription is None or subscription.server is None:
        return False
    server, subscription.server = subscription.server, None
    timers = core.wire.timers
    timers.cancel(subscription.timer)
    subscription.timer = None
    if subscription.silent:
        core.respond(server, 200, headers=(("Contact", leg.contact), ("Refer-Sub", "false")))
        del leg.refers_in[number]
        return True
    core.respond(server, 202, headers=(("Contact", leg.contact),))
    core.referrers[leg.id] = leg
    subscription.expires_at = core.wire.now + core.config.refer_limit
    subscription.timer = timers.at(subscription.expires_at, lambda: _expired(core, leg, subscription))
    notify(core, leg, number, 100, "Trying")
    return True


def refuse_refer(core: Core, leg: Leg, number: int, status: int, reason: str = "") -> None:
    """Refuse a REFER that was not answered yet."""
    subscription = leg.refers_in.get(number)
    if subscription is not None and subscription.server is not None:
        core.wire.timers.cancel(subscription.timer)
        del leg.refers_in[number]
        core.respond(subscription.server, status, reason)


def refuse_open(core: Core, leg: Leg) -> None:
    """The session is over: nobody will answer what is still open."""
    for number, subscription in list(leg.refers_in.items()):
        if subscription.server is not None:
            refuse_refer(core, leg, number, 481)


def notify(core: Core, leg: Leg, number: int | None, status: int, reason: str) -> None:
    """Report how a REFER goes; a final status ends the matter. ``number`` None: the oldest one."""
    if number is None:
        number = next((n for n, one in leg.refers_in.items() if one.server is None), None)
    subscription = leg.refers_in.get(number) if number is not None else None
    if subscription is None or subscription.server is not None:
        return
    waiting = subscription.waiting
    if waiting and waiting[-1][0] >= 200:
        return
    if subscription.busy:
        waiting[:] = [(status, reason)]  # what was not told yet is old news
        return
    _send(core, leg, subscription, status, reason)


def _send(core: Core, leg: Leg, subscription: ReferSubscription, status: int, reason: str) -> None:
    left = max(1, round(subscription.expires_at - core.wire.now))
    state = "terminated;reason=noresource" if status >= 200 else f"active;expires={left}"
    _notify(core, leg, subscription, state, status, reason)


def _expired(core: Core, leg: Leg, subscription: ReferSubscription) -> None:
    subscription.waiting.clear()
    _notify(core, leg, subscription, "terminated;reason=timeout", 100, "Trying")


def _notify(
    core: Core, leg: Leg, subscription: ReferSubscription, state: str, status: int, reason: str
) -> None:
    dialog = leg.dialog
    if dialog is None:
        return
    if state.startswith("terminated"):
        _forget(core, leg, subscription)
    client = core.in_dialog(
        dialog,
        "NOTIFY",
        contact=leg.contact,
        headers=(("Event", f"refer;id={subscription.number}"), ("Subscription-State", state)),
        body=f"SIP/2.0 {status} {reason}\r\n".encode(),
        content_type=f"{SIPFRAG};version=2.0",
    )

    def answered(response: Response) -> None:
        if response.status >= 300:
            _forget(core, leg, subscription)  # 481 and its like: the peer has forgotten, or does not care
        elif response.status >= 200:
            subscription.busy = False
            if subscription.waiting and leg.refers_in.get(subscription.number) is subscription:
                _send(core, leg, subscription, *subscription.waiting.pop(0))

    subscription.busy = True
    client.on_response = answered
    client.on_timeout = lambda: _forget(core, leg, subscription)
    client.start()


def _forget(core: Core, leg: Leg, subscription: ReferSubscription) -> None:
    core.wire.timers.cancel(subscription.timer)
    subscription.timer = None
    if leg.refers_in.get(subscription.number) is subscription:
        del leg.refers_in[subscription.number]
    if not any(one.server is None for one in leg.refers_in.values()):
        core.referrers.pop(leg.id, None)


def tell_refused(core: Core, leg: Leg, request: Request) -> None:
    """Tell that a REFER was refused (the 405 is already on its way)."""
    event = _read(leg, request, taken=False)
    if event is not None and not leg.ended:
        core.emit(event)
