"""PURE. What the SIP endpoint gives back: datagrams to send and things that have happened.

A *leg id* is our own opaque name for one INVITE dialog usage, inbound or outbound.
"""

from __future__ import annotations

from dataclasses import dataclass

from voiceagent.sip.address import Address


@dataclass(frozen=True, slots=True)
class SendDatagram:
    """Order: send these bytes to this address."""

    data: bytes
    destination: Address


@dataclass(frozen=True, slots=True)
class InviteReceived:
    """A new call is offered; 100 Trying is already on its way. ``offer`` is None for a late offer."""

    leg: str
    call_id: str
    source: Address
    request_uri: str
    called_user: str
    caller_uri: str
    caller_user: str
    caller_name: str
    offer: bytes | None
    headers: tuple[tuple[str, str], ...]
    """All other headers, in order, undecodable bytes kept by surrogateescape: claims, not facts."""
    all_headers: tuple[tuple[str, str], ...] = ()
    """Every header of the INVITE, in order, likewise."""
    replaces: str = ""
    """The leg that this call is to take the place of (RFC 3891): accept, then hang that one up."""
    trunk: str = ""
    """Whose rules let it in; empty where there are no trunks."""
    trusted: bool = False
    """The trunk's rules let its identity headers count."""


@dataclass(frozen=True, slots=True)
class InviteProgress:
    """Outbound: a provisional response (180, 183 …), with early media when ``answer`` is set."""

    leg: str
    status: int
    reason: str
    answer: bytes | None = None
    fork: str = ""
    """To tag: which branch of a forked INVITE speaks (RFC 3261 §13.2.2.4)."""


@dataclass(frozen=True, slots=True)
class Answered:
    """Outbound: 2xx came, ACK has been sent. ``sdp`` is its body (the answer, or the late offer's offer).

    None where the answer was given reliably before: what InviteProgress of this fork told holds.
    """

    leg: str
    sdp: bytes | None
    fork: str = ""
    """To tag of the branch that answered."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Inbound: the ACK for our 2xx came. ``answer`` is set where our 2xx carried the offer."""

    leg: str
    answer: bytes | None = None


@dataclass(frozen=True, slots=True)
class OfferReceived:
    """A re-INVITE, UPDATE or PRACK within the dialog; reply with ``answer_offer`` or ``refuse_offer``.

    ``offer`` is None when a re-INVITE came without SDP: answer with a fresh offer of ours.
    """

    leg: str
    method: str
    offer: bytes | None


@dataclass(frozen=True, slots=True)
class AnswerReceived:
    """The peer answered a re-INVITE or UPDATE of ours (``sdp``), or refused it (``status`` ≥ 300).

    For an inbound call that came without an offer also the answer in PRACK to what our early media offered.
    """

    leg: str
    status: int
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class SessionRefreshed:
    """The peer answered a refresh of ours (RFC 4028); ``sdp`` is what it says about media now, if anything.

    Refreshes by the peer come as OfferReceived where they carry SDP, else not at all.
    """

    leg: str
    method: str
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class RefreshRefused:
    """A refresh of ours came to nothing. 408 and 481 end the session; after others it is tried again."""

    leg: str
    method: str
    status: int


@dataclass(frozen=True, slots=True)
class ProbeAnswered:
    """The peer answered our OPTIONS within the dialog, with whatever status: it is there."""

    leg: str
    status: int


@dataclass(frozen=True, slots=True)
class InfoReceived:
    """INFO within the dialog (already answered 200): ``application/dtmf-relay`` or ``application/dtmf``."""

    leg: str
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class ReferProgress:
    """What became of our REFER: 202 or its refusal, then the statuses that NOTIFY told."""

    leg: str
    status: int
    reason: str
    final: bool


@dataclass(frozen=True, slots=True)
class ReferReceived:
    """The peer asks us to call ``target``: answer at once with ``accept_refer`` or ``refuse_refer``."""

    leg: str
    target: str
    """The URI without its headers."""
    refer: int = 0
    """Names this REFER within the leg."""
    method: str = "INVITE"
    replaces: str = ""
    """What stands in a Replaces header of the call to make (RFC 3891)."""
    referred_by: str = ""
    """Value of Referred-By (RFC 3892), for the same call: a claim."""
    taken: bool = True
    """False: refused with 405 by configuration already; there is nothing to answer."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The dialog usage is over, once.

    ``by`` is one of ``peer``, ``us``, ``cancelled``, ``rejected``, ``no_ack``, ``timeout``, ``failed``, and
    ``expired`` (408) when the session timer ran out.
    """

    leg: str
    by: str
    status: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Dropped:
    """A datagram was not answered; ``why`` is a short stable code for the counter."""

    why: str
    source: Address


@dataclass(frozen=True, slots=True)
class TrunkJudged:
    """A request out of a dialog met the rules of a trunk.

    ``what``: passed, challenged, auth_failed, held, challenge_flood, method, number, rate or max_calls.
    ``trunk`` is empty where none is proven yet.
    """

    trunk: str
    what: str
    source: Address


@dataclass(frozen=True, slots=True)
class TrunkState:
    """How we stand with a trunk has changed.

    ``part`` is ``registration`` (states registering, registered, failed, refused, unregistered) or
    ``keepalive`` (up, down). ``detail`` says why in words.
    """

    trunk: str
    part: str
    state: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Retransmitted:
    """We repeated a message because no answer came; ``what`` is its method or status."""

    what: str


SipEvent = (
    InviteReceived
    | InviteProgress
    | Answered
    | Confirmed
    | OfferReceived
    | AnswerReceived
    | SessionRefreshed
    | RefreshRefused
    | ProbeAnswered
    | InfoReceived
    | ReferProgress
    | ReferReceived
    | Ended
    | Dropped
    | TrunkJudged
    | TrunkState
    | Retransmitted
)
SipEffect = SendDatagram | SipEvent
