"""The port between a call and one party's attachment, whatever carries it.

A leg reports through a :class:`LegListener`; calls are plain, synchronous and on the event loop's thread.
Audio is G.711 in frames of 20 ms (160 bytes) and takes the short road: it never waits behind control.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal, Protocol

from voiceagent.claims import CallerClaims

NO_CLAIMS = CallerClaims()
G711 = Literal["audio/pcmu", "audio/pcma"]

Progress = Callable[[int, str], None]
"""Told each status of a transfer, and its reason."""


class LegEnd(StrEnum):
    """How a leg came to its end."""

    CALLER_HUNG_UP = "caller_hung_up"
    CALLER_CANCELLED = "caller_cancelled"
    WE_HUNG_UP = "we_hung_up"
    REJECTED = "rejected"
    NO_ACK = "no_ack"
    NO_MEDIA = "no_media"
    EXPIRED = "expired"
    """The session timer ran out: nobody refreshed."""
    LOST = "lost"
    """The caller's side no longer knows the call (408 or 481 within it), or is silent on every line."""
    TRANSFERRED = "transferred"
    FAILED = "failed"
    # Of calls that we place and nobody answers:
    BUSY = "busy"
    DECLINED = "declined"
    NO_ANSWER = "no_answer"
    NOT_FOUND = "not_found"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class LegInfo:
    """Who calls whom. Everything here but ``id`` is a claim of the caller's side: data, never trusted."""

    id: str
    kind: Literal["direct", "hosted", "browser"]
    caller: str
    """User part (or URI) of From, as claimed."""
    called: str
    """User part of the Request-URI: the number that picks the flow."""
    caller_name: str = ""
    protocol_call_id: str = ""
    """SIP Call-ID, or the provider's call id."""
    source: str = ""
    headers: Sequence[tuple[str, str]] = ()
    claims: CallerClaims = NO_CLAIMS
    """What the headers say about the caller."""
    direction: Literal["inbound", "outbound"] = "inbound"
    """``outbound``: we place the call, ``called`` is the callee and ``caller`` is us."""
    dialled: str = ""
    """Outbound: the URI that we call."""
    trunk: str = ""
    """Whose rules let it in, or over which it goes: ours to say. Empty on hosted calls."""


def with_party(info: LegInfo, party: LegInfo) -> LegInfo:
    """Return ``info`` with somebody else on the other side; which number was called, and how, stays."""
    outbound = party.direction == "outbound"
    other = {
        "called" if info.direction == "outbound" else "caller": party.called if outbound else party.caller
    }
    return replace(
        info,
        id=party.id,
        caller_name=info.caller_name
        if info.direction == "outbound"
        else ""
        if outbound
        else party.caller_name,
        protocol_call_id=party.protocol_call_id,
        source=party.source,
        headers=party.headers,
        claims=party.claims,
        **other,
    )


@dataclass(frozen=True, slots=True)
class LegCapabilities:
    """What this attachment can do; asked instead of "is it hosted"."""

    owns_playout: bool = True
    """We play the audio ourselves and count what was heard."""
    can_transfer: bool = True
    can_send_digits: bool = True
    can_hold: bool = True
    can_consult: bool = True
    """A second leg can be joined with this one (attended transfer)."""
    private_input: bool = True
    """The caller's keys and sound come to us first, so that they can be kept from everybody else."""
    can_record: bool = False
    """Both sides' audio passes through us: :meth:`Leg.tap` brings it."""


@dataclass(frozen=True, slots=True)
class Heard:
    """How much of one item was played to the caller before it ended or was cut."""

    response_id: str
    item_id: str
    heard_ms: int
    cut: bool


@dataclass(frozen=True, slots=True)
class TransferResult:
    """Final word on a REFER. ``status`` is the SIP status of the transferred call, as NOTIFY told it."""

    accepted: bool
    status: int | None = None
    reason: str = ""
    steps: tuple[tuple[int, str], ...] = ()
    """Every status and reason on the way, in order."""


class ReferAsked(Protocol):
    """The other side asks us to have the call go on with somebody else (REFER, RFC 3515)."""

    @property
    def target(self) -> str:
        """URI to call."""
        ...

    @property
    def headers(self) -> Sequence[tuple[str, str]]:
        """What the new INVITE has to carry: Replaces (RFC 3891), Referred-By (RFC 3892)."""
        ...

    def accept(self) -> None:
        """Say that we try."""
        ...

    def refuse(self, status: int) -> None:
        """Say that we do not."""
        ...

    def tell(self, status: int, reason: str) -> None:
        """Say how far it is; a status from 200 on is the last word. Works after the leg's end, too."""
        ...


@dataclass(frozen=True, slots=True)
class MediaFigures:
    """Counters of a leg's media, for the record and the metrics."""

    received: int = 0
    sent: int = 0
    lost: int = 0
    late: int = 0
    foreign: int = 0
    details: Mapping[str, float] = field(default_factory=dict[str, float])
    """Quality as named numbers (``…_ms``, ``…_percent``, ``mos``): see the guide's table of figures."""
    srtp: str = ""
    """The profile that encrypts the media; empty for plain RTP."""


class LegTap(Protocol):
    """What a recording hears: G.711 of the line, any whole frames of 20 ms. Plain and synchronous."""

    def caller_audio(self, audio: bytes) -> None:
        """What :meth:`LegListener.leg_audio` brings."""
        ...

    def agent_audio(self, audio: bytes) -> None:
        """What goes out just now: the agent's voice, our lines, music. Silence may be left out."""
        ...


class LegListener(Protocol):
    """What a call hears of its leg."""

    def leg_progress(self, status: int, early_media: bool) -> None:
        """Outbound: it rings (180-189, with or without early media), or was just answered (200)."""
        ...

    def leg_audio(self, audio: bytes) -> None:
        """One or more whole 20 ms frames of the caller's G.711, in order, gaps already filled."""
        ...

    def leg_digit(self, digit: str) -> None:
        """The caller pressed ``digit`` (0-9, *, #, A-D); each press is told exactly once."""
        ...

    def leg_playback_started(self, response_id: str, item_id: str) -> None:
        """The first frame of this item goes out."""
        ...

    def leg_playback_ended(self, heard: Heard) -> None:
        """The item was played to its end (``cut`` is False) or stopped (True)."""
        ...

    def leg_held(self, held: bool) -> None:
        """The caller's side put us on hold, or took us back."""
        ...

    def leg_refer(self, asked: ReferAsked) -> None:
        """The other side wants the call to go on with somebody else; accept or refuse at once."""
        ...

    def leg_replaced(self, by: Leg) -> bool:
        """``by``, which is not answered yet, wants this leg's place (RFC 3891). False: it may not have it."""
        ...

    def leg_noted(self, kind: str, **facts: object) -> None:
        """Something for the journal that changes nothing: ``media.silent``, ``session.refresh_refused`` …"""
        ...

    def leg_ended(self, end: LegEnd, status: int | None, reason: str) -> None:
        """The leg is gone; told exactly once."""
        ...


class Leg(Protocol):
    """One party's attachment. Created when a call is offered or to be placed; nothing is answered yet."""

    @property
    def info(self) -> LegInfo: ...

    @property
    def capabilities(self) -> LegCapabilities: ...

    @property
    def audio_format(self) -> G711: ...

    def listen(self, listener: LegListener) -> None:
        """Name the one listener, before anything else."""
        ...

    async def prepare(self) -> None:
        """Open media and agree on a codec. Raises :class:`~voiceagent.errors.MediaError` or ``SipError``.

        Outbound: open media and send the INVITE.
        """
        ...

    async def answer(self) -> None:
        """Answer the call and wait until the caller has acknowledged it or the leg ended.

        Outbound: wait until the callee has answered or the leg ended.
        """
        ...

    async def reject(self, status: int, reason: str, *, retry_after_s: int | None = None) -> None:
        """Refuse an unanswered call; outbound: give it up (CANCEL)."""
        ...

    async def hang_up(self, reason: str = "") -> None:
        """End the call from our side; harmless when it is already over."""
        ...

    async def transfer(
        self, target: str, *, timeout_s: float, progress: Progress | None = None
    ) -> TransferResult:
        """Hand the caller to ``target`` (blind, RFC 3515) and wait for the outcome."""
        ...

    async def transfer_to(
        self, other: Leg, *, timeout_s: float, progress: Progress | None = None
    ) -> TransferResult:
        """Have the caller take our place in the call with ``other`` (attended, RFC 5589), and wait."""
        ...

    async def hold(self, on: bool) -> bool:
        """Put the caller on hold with music, or take it back; False where its side did not agree."""
        ...

    async def send_digits(self, digits: str) -> None:
        """Send keys (0-9, *, #, A-D), and return when they are sent."""
        ...

    def play(self, audio: bytes, *, response_id: str, item_id: str) -> None:
        """Queue agent audio (G.711, any length) for the caller."""
        ...

    def play_end(self, *, response_id: str) -> None:
        """Say that no more audio of this response will come."""
        ...

    def stop_playing(self) -> Sequence[Heard]:
        """Silence now, within one frame; return what was heard of every item that was cut.

        The same values are *not* repeated through :meth:`LegListener.leg_playback_ended`.
        """
        ...

    def play_music(self, on: bool) -> None:
        """Play the music of a hold wherever nothing else is played, without a hold; or stop it."""
        ...

    def speak_live(self, voice: Callable[[], bytes] | None) -> None:
        """Play ``voice`` wherever no agent audio is played; None ends it.

        It is called for the next 20 ms (160 bytes of the line's G.711). The music of a hold is heard in its
        place. Only where the leg ``can_record``.
        """
        ...

    def tap(self, tap: LegTap | None) -> None:
        """Have ``tap`` hear both sides from now on; None ends it. Only where the leg ``can_record``."""
        ...

    def figures(self) -> MediaFigures:
        """Media counters so far."""
        ...
