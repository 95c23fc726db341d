"""A SIP phone in code: dials, speaks, presses keys, barges in, listens and records.

Used by ``voiceagent call``, by the demonstration and by tests. It is a user agent of its own: nothing of
it is shared with the service but the libraries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from voiceagent.call.direct_audio import DirectAudio, DirectMedia
from voiceagent.errors import CallEnded, MediaError, SipError
from voiceagent.ids import random_token
from voiceagent.media import g711
from voiceagent.media.codecs import load
from voiceagent.media.party_security import SecurityPolicy
from voiceagent.media.sdp.security import Keying
from voiceagent.media.srtp import HOW_TO_INSTALL, srtp_available
from voiceagent.media.wav import WavWriter, interleave
from voiceagent.media.wheel import MediaWheel
from voiceagent.phone.ear import FRAME, Ear, Timeline
from voiceagent.phone.holds import Holds
from voiceagent.sip import effects as sip
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.dialogs.dialog import address_of_uri
from voiceagent.sip.net.resolver import Resolver
from voiceagent.sip.net.tls import TlsConfig
from voiceagent.sip.net.transport import SipTransport
from voiceagent.sip.syntax.uri import SipUri

Note = Callable[[float, str, str], None]
"""``note(loop_time, direction, label)``: direction is ``out``, ``in`` or ``self``."""


@dataclass(slots=True)
class CallFigures:
    """What the phone measured, in milliseconds."""

    setup_ms: float | None = None
    """INVITE sent → 200 received."""
    first_audio_ms: float | None = None
    """200 received → first audible sound."""
    ended_by: str = ""
    status: int | None = None
    digits_sent: str = ""
    said: list[str] = field(default_factory=list[str])
    srtp: str = ""
    """The SRTP profile; empty for plain RTP."""
    mos: float | None = None
    """How good the far end's voice arrived, 1 to 4.5, estimated."""


class Phone:
    """One user agent on loopback (or ``host``). An async context manager."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        user: str = "caller",
        codecs: tuple[str, ...] = ("PCMU", "PCMA"),
        note: Note | None = None,
        transfer_status: int | None = None,
        follows: bool = False,
        srtp: Keying | None = None,
        tls: TlsConfig | None = None,
        answer: Callable[[PhoneCall], object] | None = None,
    ) -> None:
        """``answer`` is given every call that comes in, to let it ring and pick it up; None is busy.

        ``transfer_status``: take a transfer (REFER) and report that status; None refuses transfers.
        ``follows``: do what it asks, and report how that goes.

        ``tls`` says which servers are trusted, and which certificate is shown to them.
        ``srtp`` demands encrypted media, keyed that way. Raises MediaError (``srtp_missing``) without the
        packages for it.
        """
        if srtp is not None and not srtp_available():
            raise MediaError(HOW_TO_INSTALL, code="srtp_missing")
        self._security = SecurityPolicy() if srtp is None else SecurityPolicy("required", (srtp,), "any")
        self._transfer_status = transfer_status
        self._tls = tls
        self._answer = answer
        self._host = host
        self._user = user
        self._codecs = codecs
        self._note = note
        self._wheel: MediaWheel | None = None
        self._transport: SipTransport | None = None
        self._follows = follows
        self._calls: dict[str, PhoneCall] = {}
        self.received: list[PhoneCall] = []
        """Calls that we took, also those that followed a REFER."""
        self.address = sip.Address("", 0)

    async def __aenter__(self) -> Phone:
        await load(self._codecs)
        self._wheel = MediaWheel(asyncio.get_running_loop())
        config = EndpointConfig(
            user=self._user,
            user_agent="voiceagent-phone",
            allow_refer=self._transfer_status is not None or self._follows,
            supported=("replaces", "norefersub"),
        )
        self._transport = SipTransport(config, self._on_event, tokens=random_token, tls=self._tls)
        self.address = await self._transport.start(self._host, 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for call in list(self._calls.values()):
            call.hang_up()
        await asyncio.sleep(0)
        if self._transport is not None:
            await self._transport.close()
        if self._wheel is not None:
            self._wheel.close()

    def dial(
        self,
        target: str,
        destination: sip.Address | Sequence[sip.Address] | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> PhoneCall:
        """Call ``sip:user@host:port``, through ``destination`` where the host is a name (:func:`resolve`).

        ``;transport=tcp`` and ``sips:`` are understood.

        Raises SipError when the target cannot be understood.
        """
        assert self._transport is not None
        assert self._wheel is not None
        uri = _uri_of(target)
        destination = destination or address_of_uri(uri)
        if destination is None:
            raise SipError(f"cannot dial {target!r}: {uri.host} is a name; resolve it first")
        call = self._new_call()
        leg = self._transport.invite(
            str(uri),
            from_uri=f"sip:{self._user}@{self.address[0]}:{self.address[1]}",
            sdp=call.begin(),
            destination=destination,
            headers=headers,
        )
        call.placed(leg)
        self._calls[leg] = call
        return call

    def _new_call(self) -> PhoneCall:
        assert self._transport is not None
        assert self._wheel is not None
        media = DirectMedia(
            self._wheel,
            None,
            self._host,
            self._host,
            silence_limit_s=0,
            first_packet_limit_s=0,
            security=self._security,
            rtcp=True,
        )
        return PhoneCall(self._transport, DirectAudioFactory(media, self._codecs), self._note)

    def _called(self, event: sip.InviteReceived) -> None:
        assert self._transport is not None
        if self._answer is None or event.offer is None:
            self._transport.reject(event.leg, 486, "Busy Here")
            return
        call = self._new_call()
        self._calls[event.leg] = call
        call.offered(event)
        self.received.append(call)
        self._answer(call)
        replaced = self._calls.get(event.replaces)
        if replaced is not None:
            replaced.hang_up()  # its place is taken (RFC 3891)

    def _on_event(self, event: sip.SipEvent) -> None:
        leg = getattr(event, "leg", None)
        call = self._calls.get(leg) if leg is not None else None
        if isinstance(event, sip.InviteReceived):
            self._called(event)
        elif isinstance(event, sip.ReferReceived) and event.taken and self._follows:
            self._follow(event)
        elif isinstance(event, sip.ReferReceived) and event.taken and self._transfer_status is not None:
            assert self._transport is not None
            self._transport.accept_refer(event.leg, event.refer)
            self._transport.refer_outcome(event.leg, self._transfer_status)
        elif call is not None:
            call.on_sip(event)
            if isinstance(event, sip.Ended):
                self._calls.pop(event.leg, None)

    def _follow(self, event: sip.ReferReceived) -> None:
        """Call whom we are referred to, and report how it ends."""
        transport = self._transport
        assert transport is not None
        transport.accept_refer(event.leg, event.refer)
        call = self.dial(event.target, headers=[("Replaces", event.replaces)] if event.replaces else ())
        self.received.append(call)

        def settled(answered: asyncio.Future[None]) -> None:
            failed = answered.cancelled() or answered.exception() is not None
            transport.refer_outcome(event.leg, 486 if failed else 200, "", event.refer)

        call.settled(settled)


@dataclass(frozen=True, slots=True)
class DirectAudioFactory:
    """Opens the audio of one call."""

    media: DirectMedia
    codecs: tuple[str, ...]

    def open(self, call: PhoneCall) -> DirectAudio:
        """Bind a port whose events go to ``call``."""
        audio = DirectAudio(self.media, call, self.codecs)
        audio.open()
        return audio


class PhoneCall:
    """One call of the phone. Waiting methods raise CallEnded when the call ends meanwhile."""

    def __init__(self, transport: SipTransport, audio: DirectAudioFactory, note: Note | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._audio = audio.open(self)
        self._noted = note
        self._leg = ""
        self._dialled = self._loop.time()
        self._answered: asyncio.Future[None] = self._loop.create_future()
        self.ended: asyncio.Future[sip.Ended] = self._loop.create_future()
        self._spoken: dict[str, asyncio.Future[None]] = {}
        self._pending: dict[str, bytes] = {}
        self._started: dict[str, float] = {}
        self._words = 0
        self.referred: list[int] = []
        """Statuses of our transfer."""
        self.ear = Ear()
        self.timeline = Timeline()
        self.figures = CallFigures()
        self.answered_at: float | None = None
        self.refer: SipError | None = None
        self.invite: sip.InviteReceived | None = None
        """What came in, when we are the one who is called."""
        self._taken = b""
        self._holds = Holds(self._loop, self._offer_hold)

    def begin(self) -> bytes:
        """Return our offer."""
        return self._audio.offer()

    def settled(self, told: Callable[[asyncio.Future[None]], None]) -> None:
        """Have ``told`` called once the call is answered, or was refused."""
        self._answered.add_done_callback(told)

    @property
    def replaces(self) -> str:
        """The Replaces value (RFC 3891) by which another phone takes our place."""
        return self._transport.endpoint.replaces(self._leg)

    @property
    def held(self) -> bool:
        """True while the far end does not listen to us: its offer was sendonly or inactive."""
        return self._audio.agreement is not None and not self._audio.agreement.remote_direction.receives

    def transfer(self, target: str) -> None:
        """Have the far end go on with ``target`` (REFER); its reports gather in ``referred``."""
        self._transport.refer(self._leg, target)

    def placed(self, leg: str) -> None:
        """The INVITE is on its way."""
        self._leg = leg

    # ── being called ────────────────────────────────────────────────────────────────────────────
    def offered(self, invite: sip.InviteReceived) -> None:
        """Somebody calls: take the offer, and wait for the hand that picks up."""
        self._leg = invite.leg
        self.invite = invite
        self._say("in", "INVITE")
        assert invite.offer is not None
        self._taken = self._audio.answer(invite.offer)

    def ring(self, *, early_media: bool = False) -> None:
        """Say that it rings; with early media (183) what is played is heard before the answer."""
        self._transport.ring(self._leg, 183 if early_media else 180, self._taken if early_media else None)
        if early_media:
            self._audio.start()

    def pick_up(self) -> None:
        """Answer."""
        self._say("out", "200 OK")
        self._transport.accept(self._leg, self._taken)
        if not self._audio.running:
            self._audio.start()
        self.answered_at = self._loop.time()
        if not self._answered.done():
            self._answered.set_result(None)

    def refuse(self, status: int) -> None:
        """Refuse the call."""
        self._transport.reject(self._leg, status)

    # ── doing ───────────────────────────────────────────────────────────────────────────────────
    async def answered(self, timeout_s: float = 10.0) -> None:
        """Wait for the answer. Raises SipError with the final status, or TimeoutError."""
        async with asyncio.timeout(timeout_s):
            await self._answered

    async def play(self, audio: bytes, label: str = "") -> float:
        """Speak G.711 ``audio`` and wait until its last packet has left; return when its first one left."""
        self._words += 1
        key = f"words-{self._words}"
        self._spoken[key] = self._loop.create_future()
        self._pending[key] = audio
        if label:
            self.figures.said.append(label)
        self._audio.port.play(audio, key, key)
        self._audio.port.play_end(key)
        await self._alive(self._spoken[key])
        return self._started.get(key, self._loop.time())

    async def press(self, digits: str) -> None:
        """Press keys (RFC 4733 where agreed, tones otherwise) and wait for the time they take."""
        self._say("out", f"digits {digits}")
        self.figures.digits_sent += digits
        self._audio.port.send_digits(digits)
        await asyncio.sleep(0.2 * len(digits))

    async def until_answered_in_words(self, timeout_s: float = 15.0, quiet_s: float = 0.9) -> None:
        """Wait until the far end has spoken and then been silent for ``quiet_s``."""
        await self._alive(asyncio.ensure_future(self.ear.until_speaking(timeout_s)))
        await self._alive(asyncio.ensure_future(self.ear.until_quiet(quiet_s, timeout_s + 30)))

    async def until_speaking(self, timeout_s: float = 15.0) -> None:
        """Wait until the far end speaks."""
        await self._alive(asyncio.ensure_future(self.ear.until_speaking(timeout_s)))

    async def wait(self, seconds: float) -> None:
        """Do nothing for a while."""
        await self._alive(asyncio.ensure_future(asyncio.sleep(seconds)))

    def note(self, label: str) -> None:
        """Put a remark on the ladder."""
        self._say("self", label)

    def hold(self, on: bool) -> None:
        """Put the far end on hold, or take it back (re-INVITE), once no other offer is open.

        Raises SipError ``bad_state`` before the call is answered.
        """
        if not self._answered.done():
            raise SipError("the call is not answered", status=491, code="bad_state")
        self._holds.wish(on)

    def hang_up(self) -> None:
        """End the call; harmless when it is over."""
        if not self.ended.done():
            self._transport.hang_up(self._leg)

    async def over(self, timeout_s: float = 10.0) -> sip.Ended:
        """Wait for the end."""
        async with asyncio.timeout(timeout_s):
            return await asyncio.shield(self.ended)

    def record(self, path: Path) -> float:
        """Write the call so far as a stereo WAV (caller left, agent right); return its seconds."""
        silence = self._silence
        left, right = self.timeline.stereo(silence)
        law = "alaw" if silence == 0xD5 else "ulaw"
        with WavWriter(path, rate=8000, channels=2) as writer:
            writer.write(interleave(g711.decode(left, law), g711.decode(right, law), 2))
        return len(left) / 8000

    @property
    def law(self) -> str:
        """PCMU or PCMA: the G.711 of the phone's own side, whatever codec the wire has."""
        return "PCMA" if self._audio.audio_format == "audio/pcma" else "PCMU"

    @property
    def codec(self) -> str:
        """The codec of the wire; empty before it is agreed on."""
        return self._audio.agreement.codec if self._audio.agreement is not None else ""

    def encode(self, pcm: bytes) -> bytes:
        """Return 8 kHz PCM as the call's G.711, in whole frames."""
        law = "alaw" if self.law == "PCMA" else "ulaw"
        audio = g711.encode(pcm, law)
        return audio + bytes((self._silence,)) * (-len(audio) % FRAME)

    # ── SIP ─────────────────────────────────────────────────────────────────────────────────────
    def on_sip(self, event: sip.SipEvent) -> None:
        """Take one event of our dialog."""
        match event:
            case sip.InviteProgress():
                self._say("in", f"{event.status} {event.reason}")
            case sip.Answered(sdp=sdp):
                self._on_answer(sdp)
            case sip.OfferReceived(offer=offer):
                self._on_offer(offer)
            case sip.Confirmed(answer=answer) if answer is not None:
                self._on_late_answer(answer)
            case sip.AnswerReceived(sdp=sdp, status=status):
                try:
                    if sdp is not None and status < 300:
                        self._audio.answered(sdp)
                finally:
                    self._holds.settled()
            case sip.ReferProgress():
                self.referred.append(event.status)
            case sip.Ended():
                self._on_end(event)
            case _:
                return

    def _on_answer(self, sdp: bytes | None) -> None:
        now = self._loop.time()
        self.answered_at = now
        self.figures.setup_ms = round((now - self._dialled) * 1000, 1)
        self._say("in", "200 OK")
        self._say("out", "ACK")
        try:
            if sdp is None:
                raise SipError("the answer carries no SDP")
            self._audio.answered(sdp)
            self._audio.start()
        except SipError as error:
            self._transport.hang_up(self._leg, str(error))
            if not self._answered.done():
                self._answered.set_exception(error)
            return
        if not self._answered.done():
            self._answered.set_result(None)

    def _on_offer(self, offer: bytes | None) -> None:
        try:
            answer = self._audio.answer(offer) if offer is not None else self._audio.offer()
        except SipError as error:
            self._transport.refuse_offer(self._leg, error.status)
            return
        self._transport.answer_offer(self._leg, answer)

    def _offer_hold(self, on: bool) -> None:
        from voiceagent.media.sdp import Direction

        self._audio.direction = Direction.SENDONLY if on else Direction.SENDRECV
        self._transport.offer(self._leg, self._audio.offer())

    def _on_late_answer(self, answer: bytes) -> None:
        """The ACK of our 2xx answers the offer that it carried."""
        try:
            self._audio.answered(answer)
        except SipError as error:
            self._transport.hang_up(self._leg, str(error))

    def _on_end(self, event: sip.Ended) -> None:
        self._holds.close()
        self.figures.ended_by = event.by
        self.figures.status = event.status
        if event.by == "peer":
            self._say("in", "BYE")
        elif event.by == "us":
            self._say("out", "BYE" if self.answered_at is not None else "CANCEL")
        else:
            self._say("in", f"{event.status or ''} {event.reason or event.by}".strip())
        media = self._audio.port.figures()
        self.figures.srtp = self._audio.port.srtp_profile
        self.figures.mos = media.details.get("mos")
        self._audio.close()
        if not self._answered.done():
            self._answered.set_exception(
                SipError(f"{event.status or event.by} {event.reason}".strip(), status=event.status or 500)
            )
            self._answered.exception()  # whoever does not wait for the answer must not be warned about it
        if not self.ended.done():
            self.ended.set_result(event)

    # ── media (PortEvents) ──────────────────────────────────────────────────────────────────────
    def on_audio(self, audio: bytes) -> None:
        now = self._loop.time()
        heard_before = self.ear.speaking_since
        for start in range(0, len(audio), FRAME):
            frame = audio[start : start + FRAME]
            self.timeline.put(1, frame, now, self._silence)
            self.ear.hear(frame, now, self.law)
        if self.figures.first_audio_ms is None and self.ear.first_audible is not None and self.answered_at:
            self.figures.first_audio_ms = round((self.ear.first_audible - self.answered_at) * 1000, 1)
        if heard_before is None and self.ear.speaking_since is not None:
            self._say("in", "agent speaks")

    def on_digit(self, digit: str) -> None:
        self._say("in", f"digit {digit}")

    def on_playback_started(self, response_id: str, item_id: str) -> None:
        now = self._loop.time()
        self._started[response_id] = now
        self.timeline.put(0, self._pending.pop(response_id, b""), now, self._silence)

    def on_playback_ended(self, response_id: str, item_id: str, heard_ms: int, cut: bool) -> None:
        done = self._spoken.get(response_id)
        if done is not None and not done.done():
            done.set_result(None)

    def on_media_lost(self, silence_s: float) -> None:
        self._say("self", f"no sound for {silence_s:.0f} s")

    def on_media_failed(self, error: MediaError) -> None:
        self._say("self", str(error))
        self._transport.hang_up(self._leg, str(error))

    # ── inner workings ──────────────────────────────────────────────────────────────────────────
    @property
    def _silence(self) -> int:
        return 0xD5 if self.law == "PCMA" else 0xFF

    def _say(self, direction: str, label: str) -> None:
        if self._noted is not None:
            self._noted(self._loop.time(), direction, label)

    async def _alive(
        self, work: asyncio.Future[object] | asyncio.Future[None] | asyncio.Future[float]
    ) -> None:
        try:
            await asyncio.wait({work, self.ended}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
                return
        finally:
            work.cancel()
        raise CallEnded("the far end has hung up", outcome=self.figures.ended_by)


async def resolve(target: str) -> list[sip.Address]:
    """Return where to call a target, the best first. Raises SipError (404, 503) where there is nowhere."""
    resolver = Resolver(families=("A",))
    try:
        return await resolver.resolve(_uri_of(target))
    except SipError as error:
        raise SipError(f"cannot dial {target!r}: {error}", status=error.status) from None
    finally:
        await resolver.close()


def _uri_of(target: str) -> SipUri:
    uri = SipUri.parse(target if target.startswith(("sip:", "sips:", "tel:")) else f"sip:{target}")
    if not uri.is_sip or not uri.host:
        raise SipError(f"cannot dial {target!r}: a sip: or sips: URI with a host is needed")
    return uri


def chosen(codecs: Sequence[str]) -> tuple[str, ...]:
    """Return codec names in SDP spelling; ``ulaw`` and ``alaw`` are understood, too."""
    names = {"ulaw": "PCMU", "alaw": "PCMA", "pcmu": "PCMU", "pcma": "PCMA", "g722": "G722", "opus": "opus"}
    return tuple(names[codec.lower()] for codec in codecs)
