"""One party's RTP stream and the SDP that describes it, for legs, phones and providers alike."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Literal

from voiceagent.errors import SipError
from voiceagent.media import codecs as wire
from voiceagent.media import comfort_noise
from voiceagent.media.dtls import process_identity
from voiceagent.media.fingerprint import DtlsParameters, Fingerprint
from voiceagent.media.g711 import Law
from voiceagent.media.music import HoldMusic
from voiceagent.media.party_security import PartySecurity, SecurityPolicy
from voiceagent.media.port import Direction as PortDirection
from voiceagent.media.port import MediaPath, MediaPort, PortEvents
from voiceagent.media.ports import PortRange
from voiceagent.media.sdp import (
    Abilities,
    AudioAgreement,
    CodecPreference,
    Direction,
    SessionDescription,
    accept_answer,
    make_offer,
    negotiate,
    parse_sdp,
)
from voiceagent.media.wheel import MediaWheel

LineFormat = Literal["audio/pcmu", "audio/pcma"]
DigitWay = Literal["auto", "rfc4733", "info", "inband"]
"""``auto``: RFC 4733 where it was agreed on, else INFO where the peer takes it, else tones."""
_FORMATS: dict[Law, LineFormat] = {"ulaw": "audio/pcmu", "alaw": "audio/pcma"}
PTIMES = (10, 20, 30, 40, 60)
"""Packet times, in ms, that we send when a peer asks for them."""
_PLAIN = SecurityPolicy()
_NEVER = 1e9


@dataclass(frozen=True, slots=True)
class MediaPlace:
    """Where the RTP of calls lives. ``ports`` None lets the system pick."""

    wheel: MediaWheel
    ports: PortRange | None
    host: str
    advertised_host: str
    learn_source: bool = True
    silence_limit_s: float = 20.0
    """After so long without RTP the other side is asked whether it is there; 0 never."""
    first_packet_limit_s: float = 30.0
    """The same before its first packet."""
    silence_probes: int = 15
    """How often it is asked in one silence before the call ends; 0: for ever."""
    hold_probe_s: float = 300.0
    """How often it is asked while no media has to come and no session timer runs; 0 never."""
    music: HoldMusic = field(default_factory=HoldMusic)
    """What peers hear while we hold them."""
    digits: DigitWay = "auto"
    """How we send keys."""
    codecs: tuple[str, ...] = wire.PLAIN
    """In our order."""
    preference: CodecPreference = "untouched"
    comfort_noise: bool = False
    """Name comfort noise in SDP, so that peers may leave silence out. Taken in either case."""
    security: SecurityPolicy = _PLAIN
    rtcp: bool = False


class RtpParty:
    """The audio of one SIP dialog: a bound port, what we said about it, and what was agreed.

    The line, our side of the port, has one law of G.711 for the whole call, whatever codec the wire has: that
    of the first codec agreed on, or, where we offer first, that of our first G.711 codec.
    """

    def __init__(self, media: MediaPlace, events: PortEvents, codecs: tuple[str, ...] | None = None) -> None:
        """``codecs``, in our order, stand for those of ``media``."""
        self._media = media
        self._codecs = media.codecs if codecs is None else codecs
        self._law: Law | None = None
        self.port = MediaPort(
            media.wheel,
            events,
            media_timeout_s=media.silence_limit_s or _NEVER,
            first_timeout_s=media.first_packet_limit_s or _NEVER,
            rtcp=media.rtcp,
        )
        self._security = PartySecurity(media.security, secrets.token_bytes, _fingerprint)
        self.tls_signalling = False
        """The SDP travels encrypted: then keys may stand in it."""
        self._ours: SessionDescription | None = None
        self._offered: SessionDescription | None = None
        self._session_id = secrets.randbits(48)
        self._settled: tuple[bytes, Direction] | None = None
        """The peer's offer that what we agreed on answers, and what we wanted then."""
        self._holds = False
        self._entertains = False
        self._voice: Callable[[], bytes] | None = None
        self.agreement: AudioAgreement | None = None
        self.direction = Direction.SENDRECV
        """What we want; an answer may narrow it."""

    def open(self) -> None:
        """Bind the RTP port. Raises MediaError when none is free."""
        self.port.open(self._media.host, self._media.ports)

    async def load(self) -> None:
        """Import what the codecs need that this dialog may use. Call it before packets flow."""
        agreed = self.agreement
        await wire.load(self._codecs if agreed is None else (codec for _, codec in agreed.receive_types))

    @property
    def audio_format(self) -> LineFormat:
        """The format of the line; before it is settled, the one that an offer of ours would settle."""
        return _FORMATS[self._law or self._own_law]

    @property
    def held(self) -> bool:
        """True while the peer does not want to hear us."""
        return self.agreement is not None and not self.agreement.sends

    @property
    def running(self) -> bool:
        """True once packets flow."""
        return self.port.turning

    def settle(self, line: LineFormat) -> None:
        """Give the line this format, whatever is agreed on: what hears and speaks into it stands already."""
        self._law = "alaw" if line == "audio/pcma" else "ulaw"

    def hold(self, on: bool) -> bytes:
        """Put the peer on hold with music, or take it back; return the offer that says so (RFC 3264 §8.4).

        A peer that holds us hears nothing of ours anyway: then neither side sends.
        """
        if on != self._holds:
            self._holds = on  # asked again while another exchange is open, the music goes on
            self._play_music()
        both = Direction.INACTIVE if self.held else Direction.SENDONLY
        self.direction = both if on else Direction.SENDRECV
        try:
            return self.offer()
        finally:
            if on:
                self.direction = Direction.SENDONLY  # what a later offer of the peer is answered with

    def entertain(self, on: bool) -> None:
        """Play the music of a hold in place of silence, without a hold."""
        if on != self._entertains:
            self._entertains = on
            if not self._holds:
                self._play_music()

    def speak_live(self, voice: Callable[[], bytes] | None) -> None:
        """Play ``voice``, 20 ms of the line's G.711 a call, in place of silence; None ends it.

        The music of a hold goes before it, other music after it.
        """
        self._voice = voice
        if not self._holds:
            self._play_music()

    def _play_music(self) -> None:
        wanted = self._holds or (self._entertains and self._voice is None)
        self.port.play_music(self._media.music.loop(self._law or self._own_law) if wanted else self._voice)

    def digit_way(self, takes_info: Callable[[], bool]) -> DigitWay:
        """Return how keys go to this peer: the setting, or what suits it best."""
        if self._media.digits != "auto":
            return self._media.digits
        if self.agreement is not None and self.agreement.telephone_event_pt is not None:
            return "rfc4733"
        return "info" if takes_info() else "inband"

    def answer(self, offer: bytes) -> bytes:
        """Answer the peer's offer and follow it. Raises SdpError (400, 413, 488).

        The same offer again only refreshes the session (RFC 4028): it gets the same answer; nothing moves.
        """
        if self._settled == (offer, self.direction) and self._ours is not None:
            return self._ours.to_bytes()
        parsed = parse_sdp(offer)
        result = negotiate(parsed, self._abilities(), self._ours)
        if self._security.stale(result.audio.security):
            result = negotiate(parsed, self._abilities(), self._ours)
        if self._law is None:
            self._law = wire.LAWS.get(result.audio.codec, "ulaw")
        self._ours = result.answer
        self._follow(result.audio)
        self._settled = offer, self.direction
        return result.answer.to_bytes()

    def offer(self) -> bytes:
        """Make an offer (outbound call, late offer, re-INVITE)."""
        if self._law is None:
            self._law = self._own_law
        self._settled = None
        self._offered = make_offer(self._abilities(), self._ours)
        self._ours = self._offered
        return self._offered.to_bytes()

    def answered(self, answer: bytes) -> None:
        """Take the peer's answer to our offer. Raises SdpError when nothing was agreed."""
        if self._offered is None:
            raise SipError("an answer without an offer", status=400)
        security = self._abilities().security
        self._follow(accept_answer(self._offered, parse_sdp(answer), security, PTIMES))

    def refreshed(self, answer: bytes) -> None:
        """Take the answer to our SDP, sent anew as it was (RFC 4028). After SdpError all is as before."""
        if self._ours is None or self.agreement is None:
            return
        security = self._abilities().security
        agreed = accept_answer(self._ours, parse_sdp(answer), security, PTIMES)
        if agreed != self.agreement:
            self._settled = None
            self._follow(agreed)

    def close(self) -> None:
        """Stop, and let the port rest."""
        self.port.close()

    def _abilities(self) -> Abilities:
        codecs = self._codecs
        if self.agreement is not None:
            # What is in use stays first, so that a hold does not change the codec.
            codecs = tuple(sorted(codecs, key=lambda codec: codec != self._in_use))
        return Abilities(
            address=self._media.advertised_host,
            port=self.port.address[1],
            codecs=codecs,
            session_id=self._session_id,
            direction=self.direction,
            ptimes=PTIMES,
            preference=self._media.preference,
            comfort_noise=self._media.comfort_noise,
            rtcp_mux=self._media.rtcp,
            security=self._security.abilities(tls=self.tls_signalling),
        )

    @property
    def _own_law(self) -> Law:
        laws: list[Law] = [wire.LAWS[codec] for codec in self._codecs if codec in wire.LAWS]
        return laws[0] if laws else "ulaw"

    @property
    def _in_use(self) -> str:
        return self.agreement.codec if self.agreement is not None else ""

    def _follow(self, agreed: AudioAgreement) -> None:
        self.agreement = agreed
        self._security.agreed = agreed.security
        security = None if agreed.security is None else agreed.security.security
        # With DTLS a second port needs a second handshake (RFC 5764 §4.1): then RTCP shares RTP's or is none.
        rtcp = self._media.rtcp and not agreed.rtcp_mux and not isinstance(security, DtlsParameters)
        host = agreed.remote_address
        # The old way to hold (RFC 3264 §8.4) names no address: nothing may go there, for the system would
        # take it for this machine, and whom we believe stays as it is.
        nowhere = ip_address(host).is_unspecified
        direction: PortDirection = agreed.local_direction.value
        path = MediaPath(
            remote=None if nowhere else (host, agreed.remote_port),
            codec=agreed.codec,
            payload_type=agreed.payload_type,
            event_payload_type=agreed.telephone_event_pt,
            direction=direction,
            learn=self._media.learn_source,
            line=self._law,
            ptime=agreed.ptime,
            fmtp=agreed.fmtp,
            event_rate=agreed.telephone_event_rate,
            receives=dict(agreed.receive_types),
            receive_event_type=agreed.receive_telephone_event_pt,
            inband_digits=agreed.receive_telephone_event_pt is None,
            comfort_noise_type=agreed.comfort_noise_pt or comfort_noise.PAYLOAD_TYPE,
            security=security,
            rtcp=(host, agreed.remote_rtcp_port) if rtcp and not nowhere else None,
            rtcp_mux=self._media.rtcp and agreed.rtcp_mux,
        )
        self._path = path
        if self.port.turning:
            self.port.update(path)

    def start(self) -> None:
        """Let packets flow as agreed; harmless when they do. Raises SipError when nothing was agreed."""
        if self.agreement is None:
            raise SipError("no audio was agreed on", status=488)
        if not self.port.turning:
            self.port.connect(self._path)

    _path: MediaPath = MediaPath(None)


def _fingerprint() -> Fingerprint:
    return process_identity().fingerprint
