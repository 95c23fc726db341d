"""PURE. The offer/answer model (RFC 3264) for one audio stream over RTP.

Every function works on values and returns values; the caller keeps the last description it sent and hands it
back as ``previous``, from which the ``o=`` version follows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from voiceagent.media.sdp.choice import (
    CodecPreference,
    choose,
    codec_of,
    event_rates,
    event_type,
    find,
    is_audio,
    name_of,
    noise_type,
    packet_time,
)
from voiceagent.media.sdp.codecs import COMFORT_NOISE, TELEPHONE_EVENT, codec_named
from voiceagent.media.sdp.security import (
    PLAIN,
    AgreedSecurity,
    SecurityAbilities,
    accept_security,
    answer_security,
    offer_security,
)
from voiceagent.media.sdp.values import (
    Attribute,
    Connection,
    Direction,
    MediaDescription,
    Origin,
    RtpMap,
    SdpError,
    SessionDescription,
)

_FIRST_DYNAMIC = 96
_EVENT_PAYLOAD_TYPE = 101
_EVENTS = "0-15"
_NOISE_PAYLOAD_TYPE = 13


@dataclass(frozen=True, slots=True)
class Abilities:
    """What we can do and where we listen. ``ptime`` in ms; ``ptimes`` those we can send when asked to.

    ``comfort_noise`` names CN, which lets the peer leave silence out (RFC 3389).
    """

    address: str
    port: int
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    telephone_event: bool = True
    ptime: int = 20
    ptimes: tuple[int, ...] = (20,)
    session_id: int | str = 1
    version: int = 1
    direction: Direction = Direction.SENDRECV
    rtcp_mux: bool = False
    username: str = "-"
    preference: CodecPreference = "theirs"
    comfort_noise: bool = False
    security: SecurityAbilities = PLAIN


@dataclass(frozen=True, slots=True)
class AudioAgreement:
    """The audio stream both sides agreed on.

    ``payload_type`` and ``telephone_event_pt`` are what we send (the peer's numbers); the ``receive_…`` ones
    are what the peer sends (ours; equal in an answer of ours). ``ptime`` is what we send, in ms.
    ``local_direction`` is what we may do, ``remote_direction`` what the peer's description says it does.
    """

    remote_address: str
    remote_port: int
    codec: str
    clock_rate: int
    channels: int
    payload_type: int
    receive_payload_type: int
    telephone_event_pt: int | None
    receive_telephone_event_pt: int | None
    ptime: int
    local_direction: Direction
    remote_direction: Direction
    rtcp_mux: bool
    remote_rtcp_port: int
    media_index: int
    telephone_event_rate: int = 8000
    """Clock of the telephone-events: that of the codec, or 8000 beside Opus where only that is offered."""
    fmtp: str = ""
    """What the peer asks of our stream of this codec."""
    receive_types: tuple[tuple[int, str], ...] = ()
    """Payload type and codec of everything that the peer may send."""
    comfort_noise_pt: int | None = None
    security: AgreedSecurity | None = None
    """None: plain RTP."""

    @property
    def sends(self) -> bool:
        """True when we may send audio; False when the peer holds us."""
        return self.local_direction.sends

    @property
    def receives(self) -> bool:
        """True when audio from the peer is expected; False ends every silence timer."""
        return self.local_direction.receives


@dataclass(frozen=True, slots=True)
class Negotiated:
    """Our answer to an offer, and what it amounts to."""

    answer: SessionDescription
    audio: AudioAgreement


def negotiate(
    offer: SessionDescription, abilities: Abilities, previous: SessionDescription | None = None
) -> Negotiated:
    """Answer an offer: the first audio section that fits is taken, every other one refused with port 0.

    The codec is chosen as ``abilities.preference`` says, under the offer's payload type. ``previous`` is our
    last description in this dialog. SdpError 488 with code ``sdp_no_common_codec``, ``sdp_protocol``,
    ``sdp_srtp_unsupported``, ``sdp_srtp_required``, ``sdp_unreachable`` or ``sdp_no_audio`` when nothing
    remains.
    """
    taken: AudioAgreement | None = None
    why = "sdp_no_audio"
    sections: list[MediaDescription] = []
    for index, media in enumerate(offer.media):
        section = None
        if taken is None and media.kind == "audio" and media.port:
            found = _agree(offer, media, abilities, index)
            if isinstance(found, str):
                why = found
            else:
                taken = found
                section = _answer_section(media, found, abilities)
        sections.append(section or _refused(media))
    if taken is None:
        raise SdpError(f"SDP: nothing in the offer can be taken ({why})", status=488, code=why)
    answer = SessionDescription(
        origin=_origin(abilities),
        media=tuple(sections),
        connection=Connection.of(abilities.address),
        times=offer.times,
    )
    return Negotiated(_versioned(answer, previous), taken)


def make_offer(abilities: Abilities, previous: SessionDescription | None = None) -> SessionDescription:
    """An offer of one audio section, codecs in our order.

    ``previous`` is our last description in this dialog: the number of sections never shrinks (RFC 3264 §8),
    so the audio keeps its place and the others stay refused; codecs in use come first and payload types keep
    their meaning (§8.3.2), so that a hold does not change the codec.
    """
    sections = [_offer_section(abilities, None)]
    if previous is not None and previous.media:
        place = next((i for i, media in enumerate(previous.media) if media.kind == "audio" and media.port), 0)
        section = _offer_section(abilities, previous.media[place])
        sections = [
            section if i == place else replace(media, port=0, attributes=(), connection=None, extra=())
            for i, media in enumerate(previous.media)
        ]
    offer = SessionDescription(
        origin=_origin(abilities), media=tuple(sections), connection=Connection.of(abilities.address)
    )
    return _versioned(offer, previous)


def accept_answer(
    offer: SessionDescription,
    answer: SessionDescription,
    security: SecurityAbilities | None = None,
    ptimes: tuple[int, ...] = (20,),
) -> AudioAgreement:
    """What the peer's answer to our offer amounts to; SdpError 488 when it takes no audio of ours.

    The answer's first codec is what we send; the peer may send any of its list (RFC 3264 §7). ``ptimes`` are
    the packet times that we can send when asked to.
    """
    index = next((i for i, media in enumerate(offer.media) if media.kind == "audio" and media.port), None)
    if index is None or index >= len(answer.media):
        raise SdpError("SDP: the answer has no section for our audio", status=488, code="sdp_no_audio")
    ours, theirs = offer.media[index], answer.media[index]
    if theirs.kind != "audio" or not theirs.port:
        raise SdpError("SDP: the answer refuses our audio", status=488, code="sdp_no_audio")
    agreed = accept_security(ours, answer, theirs, "off" if security is None else security.mode)
    connection = answer.connection_of(theirs)
    if connection is None or not connection.is_reachable:
        raise SdpError("SDP: the answer has no usable address", status=488, code="sdp_unreachable")
    offered = ours.rtpmaps
    pairs = [(entry, find(offered, entry)) for entry in theirs.rtpmaps if is_audio(entry)]
    shared = [(entry, mine) for entry, mine in pairs if mine is not None]
    if not shared:
        raise SdpError("SDP: the answer names no codec of ours", status=488, code="sdp_no_common_codec")
    entry, mine = shared[0]
    their_event, our_event, event_rate = None, None, entry.clock_rate
    for event_rate in event_rates(entry.clock_rate):
        their_event, our_event = event_type(theirs.rtpmaps, event_rate), event_type(offered, event_rate)
        if their_event is not None and our_event is not None:
            break
    noise = noise_type(theirs.rtpmaps, entry.clock_rate) is not None
    wanted = _effective(answer, theirs, connection)
    return AudioAgreement(
        remote_address=str(connection.ip),
        remote_port=theirs.port,
        codec=name_of(entry),
        clock_rate=entry.clock_rate,
        channels=entry.channels,
        payload_type=entry.payload_type,
        receive_payload_type=mine.payload_type,
        telephone_event_pt=their_event if our_event is not None else None,
        receive_telephone_event_pt=our_event if their_event is not None else None,
        ptime=packet_time(theirs, ours.ptime or 20, ptimes, codec_of(entry)),
        local_direction=offer.direction_of(ours).narrowed(wanted.reversed),
        remote_direction=wanted,
        rtcp_mux=ours.rtcp_mux and theirs.rtcp_mux,
        remote_rtcp_port=theirs.rtcp_port,
        media_index=index,
        telephone_event_rate=event_rate,
        fmtp=theirs.fmtp(entry.payload_type) or "",
        receive_types=tuple((mine.payload_type, name_of(mine)) for _, mine in shared),
        comfort_noise_pt=noise_type(offered, entry.clock_rate) if noise else None,
        security=agreed,
    )


def _agree(
    offer: SessionDescription, media: MediaDescription, abilities: Abilities, index: int
) -> AudioAgreement | str:
    """The agreement an offered audio section allows, or the code of why it does not."""
    security = answer_security(offer, media, abilities.security)
    if isinstance(security, str):
        return security
    connection = offer.connection_of(media)
    if connection is None or not connection.is_reachable:
        return "sdp_unreachable"
    entries = media.rtpmaps
    known = [codec_named(name) for name in abilities.codecs]
    pair = choose(entries, known, abilities.preference)
    if pair is None:
        return "sdp_no_common_codec"
    chosen, codec = pair
    event, event_rate = None, chosen.clock_rate
    if abilities.telephone_event:
        for event_rate in event_rates(chosen.clock_rate):
            event = event_type(entries, event_rate)
            if event is not None:
                break
    wanted = _effective(offer, media, connection)
    mux = media.rtcp_mux and abilities.rtcp_mux
    return AudioAgreement(
        remote_address=str(connection.ip),
        remote_port=media.port,
        codec=codec.name,
        clock_rate=chosen.clock_rate,
        channels=chosen.channels,
        payload_type=chosen.payload_type,
        receive_payload_type=chosen.payload_type,
        telephone_event_pt=event,
        receive_telephone_event_pt=event,
        ptime=packet_time(media, abilities.ptime, abilities.ptimes, codec),
        local_direction=wanted.reversed.narrowed(abilities.direction),
        remote_direction=wanted,
        rtcp_mux=mux,
        remote_rtcp_port=media.port if mux else _rtcp_port_without_mux(media),
        media_index=index,
        telephone_event_rate=event_rate,
        fmtp=media.fmtp(chosen.payload_type) or "",
        receive_types=((chosen.payload_type, codec.name),),
        comfort_noise_pt=noise_type(entries, chosen.clock_rate) if abilities.comfort_noise else None,
        security=security,
    )


def _rtcp_port_without_mux(media: MediaDescription) -> int:
    if not media.rtcp_mux:
        return media.rtcp_port
    kept = tuple(attribute for attribute in media.attributes if attribute.name != "rtcp-mux")
    return replace(media, attributes=kept).rtcp_port


def _effective(session: SessionDescription, media: MediaDescription, connection: Connection) -> Direction:
    """What the peer does. An unspecified address means it takes no media, whatever else it says (§8.4)."""
    told = session.direction_of(media)
    return Direction.of(sends=told.sends, receives=False) if connection.is_hold else told


def _answer_section(
    media: MediaDescription, agreed: AudioAgreement, abilities: Abilities
) -> MediaDescription:
    codec = codec_named(agreed.codec)
    entries = [RtpMap(agreed.payload_type, codec.name, agreed.clock_rate, agreed.channels)]
    return _section(
        media.protocol,
        abilities,
        [(entries[0], codec.fmtp)],
        []
        if agreed.telephone_event_pt is None
        else [(agreed.telephone_event_pt, agreed.telephone_event_rate)],
        agreed.local_direction,
        rtcp_mux=agreed.rtcp_mux,
        noise=agreed.comfort_noise_pt,
        security=() if agreed.security is None else agreed.security.attributes,
    )


def _offer_section(abilities: Abilities, previous: MediaDescription | None) -> MediaDescription:
    numbers: dict[tuple[str, int], int] = {}
    if previous is not None:
        numbers = {(e.encoding.lower(), e.clock_rate): e.payload_type for e in previous.rtpmaps}
    codecs = [codec_named(name) for name in abilities.codecs]
    in_use = [codec for codec in codecs if (codec.name.lower(), codec.clock_rate) in numbers]
    codecs = in_use + [codec for codec in codecs if codec not in in_use]
    taken = set(numbers.values())

    def number_for(name: str, rate: int, usual: int) -> int:
        known = numbers.get((name.lower(), rate))
        if known is not None:
            return known
        number = next(n for n in (usual, *range(_FIRST_DYNAMIC, 128)) if n not in taken)
        taken.add(number)
        return number

    entries: list[tuple[RtpMap, str | None]] = []
    for codec in codecs:
        usual = _FIRST_DYNAMIC if codec.static_payload_type is None else codec.static_payload_type
        number = number_for(codec.name, codec.clock_rate, usual)
        entries.append((RtpMap(number, codec.name, codec.clock_rate, codec.channels), codec.fmtp))
    events: list[tuple[int, int]] = []
    if abilities.telephone_event:
        # 101 for the narrow-band events is what every phone uses; a second clock rate needs its own number.
        for rate in sorted({codec.clock_rate for codec in codecs}):
            usual = _EVENT_PAYLOAD_TYPE + len(events)
            events.append((number_for(TELEPHONE_EVENT, rate, usual), rate))
    noise = None
    if abilities.comfort_noise and any(codec.clock_rate == 8000 for codec in codecs):
        noise = number_for(COMFORT_NOISE, 8000, _NOISE_PAYLOAD_TYPE)
    protocol, security = offer_security(abilities.security, previous)
    return _section(
        protocol,
        abilities,
        entries,
        events,
        abilities.direction,
        rtcp_mux=abilities.rtcp_mux,
        security=security,
        noise=noise,
    )


def _section(
    protocol: str,
    abilities: Abilities,
    entries: list[tuple[RtpMap, str | None]],
    events: list[tuple[int, int]],
    direction: Direction,
    *,
    rtcp_mux: bool,
    noise: int | None,
    security: tuple[Attribute, ...],
) -> MediaDescription:
    attributes: list[Attribute] = []
    formats: list[str] = []
    for entry, fmtp in entries:
        formats.append(str(entry.payload_type))
        attributes.append(Attribute("rtpmap", str(entry)))
        if fmtp is not None:
            attributes.append(Attribute("fmtp", f"{entry.payload_type} {fmtp}"))
    if noise is not None:
        formats.append(str(noise))
        attributes.append(Attribute("rtpmap", str(RtpMap(noise, COMFORT_NOISE, 8000))))
    for number, rate in events:
        formats.append(str(number))
        attributes.append(Attribute("rtpmap", str(RtpMap(number, TELEPHONE_EVENT, rate))))
        attributes.append(Attribute("fmtp", f"{number} {_EVENTS}"))
    attributes.append(Attribute("ptime", str(abilities.ptime)))
    attributes.append(Attribute(direction.value))
    if rtcp_mux:
        attributes.append(Attribute("rtcp-mux"))
    attributes.extend(security)
    return MediaDescription("audio", abilities.port, protocol, tuple(formats), tuple(attributes))


def _refused(media: MediaDescription) -> MediaDescription:
    """The mirror of a section we do not take (§6): port 0, kind, protocol and one format as offered."""
    return MediaDescription(media.kind, 0, media.protocol, media.formats[:1] or ("0",))


def _origin(abilities: Abilities) -> Origin:
    addrtype = "IP6" if ":" in abilities.address else "IP4"
    return Origin(
        abilities.username, str(abilities.session_id), str(abilities.version), abilities.address, addrtype
    )


def _versioned(new: SessionDescription, previous: SessionDescription | None) -> SessionDescription:
    """§8: the same description keeps its o= line; a changed one adds one to the version of the session."""
    if previous is None or previous.origin is None or new.origin is None:
        return new
    if replace(new, origin=previous.origin) == previous:
        return replace(new, origin=previous.origin)
    version = str(int(previous.origin.version) + 1)
    return replace(new, origin=replace(new.origin, session_id=previous.origin.session_id, version=version))
