"""Open the telephony of a service: SIP listeners, media, trunks."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

import voiceagent
from voiceagent.app.routes import Routes
from voiceagent.app.sip_listeners import listeners_of, setting_of, stream_limits_of, tls_of
from voiceagent.app.trunking import TrunkDesk, media_of
from voiceagent.call.direct_audio import DirectMedia
from voiceagent.call.recorded_sip import RecordedEndpoint
from voiceagent.call.sip_gateway import SipGateway
from voiceagent.errors import ConfigError, MediaError
from voiceagent.media.codecs import available, load
from voiceagent.media.dtls import process_identity
from voiceagent.media.music import HoldMusic, pcm_of
from voiceagent.media.party_security import SecurityPolicy
from voiceagent.media.ports import PortRange
from voiceagent.media.srtp import srtp_available
from voiceagent.media.wav import read_wav
from voiceagent.media.wheel import MediaWheel
from voiceagent.settings import MediaSettings
from voiceagent.sip.address import Address
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.endpoint import SipEndpoint
from voiceagent.sip.net.transport import SipTransport
from voiceagent.sip.trunk.trunks import SrtpMode, TrunkTable

if TYPE_CHECKING:
    from voiceagent.app.service import Service


async def open_telephony(service: Service, table: TrunkTable) -> tuple[tuple[Address, ...], DirectMedia]:
    """Open it; returns where SIP listens, and the media of direct calls. Raises ConfigError."""
    settings, media = service.settings.sip, service.settings.media
    media_host = media.host or settings.first_host
    advertised = service.settings.media_told
    if ipaddress.ip_address(advertised).is_unspecified:
        raise ConfigError("media.advertised_host", f"{advertised} cannot be told to others; name an address")
    service.wheel = MediaWheel(asyncio.get_running_loop())
    ports = PortRange(media.port_low, media.port_high, start=secrets.randbits(16))
    service.metrics.watch("rtp_ports_in_use", lambda: ports.in_use)
    direct = DirectMedia(
        wheel=service.wheel,
        ports=ports,
        host=media_host,
        advertised_host=advertised,
        learn_source=media.learn_source,
        silence_limit_s=media.silence_limit_s,
        first_packet_limit_s=media.first_packet_limit_s,
        silence_probes=media.silence_probes,
        hold_probe_s=media.hold_probe_s,
        codecs=media.codecs or available(),
        preference=media.codec_preference,
        comfort_noise=media.comfort_noise,
        security=_security_policy(media),
        rtcp=media.rtcp,
        music=service.music,
        digits=media.digits,
    )
    codecs = {*direct.codecs, *(codec for trunk in table.by_name.values() for codec in trunk.codecs)}
    service.nest.start("codecs and music", _load_media(codecs, direct.music))
    policy = partial(_security_policy, media)
    service.gateway = SipGateway(direct, service.offered, service.sip_event, media_of(table, direct, policy))
    config = EndpointConfig(
        user_agent=f"voiceagent/{voiceagent.__version__}",
        trunks=table,
        digest_realm=settings.realm,
        nonce_life=settings.nonce_life_s,
        udp_limit=settings.udp_limit,
        refuse_unknown_sources=settings.refuse_unknown_sources,
        reliable_provisionals=settings.reliable_provisionals,
        session_expires=settings.session_expires_s,
        min_se=settings.min_se_s,
        session_refresher=settings.session_refresher,
        supported=("replaces", "norefersub"),
        allow_refer=settings.accept_refer,
        unavailable=service.again_in_s,
    )
    advertised_sip = Address(settings.advertised_host, 0) if settings.advertised_host else None
    service.sip = SipTransport(
        config,
        service.gateway.on_event,
        advertised=advertised_sip,
        tls=tls_of(settings),
        stream_limits=stream_limits_of(settings),
        make_endpoint=RecordedEndpoint if service.settings.journal.inputs else SipEndpoint,
    )
    service.gateway.transport = service.sip
    bound = await service.sip.listen(listeners_of(settings), setting_of(settings))
    service.trunks = TrunkDesk(service.sip, service.metrics, service.hub, table, service.settings.trunks)
    service.trunks.open()
    service.nest.start("trunk names", service.trunks.keep_found(service.resolver))
    service.routes = Routes(table, service.resolver, service.trunks.status)
    return bound, direct


def _security_policy(media: MediaSettings, mode: SrtpMode | None = None) -> SecurityPolicy:
    """What the settings (or ``mode`` instead) allow and the installed packages make possible."""
    mode = mode or media.srtp
    if mode == "off" or not srtp_available():
        return SecurityPolicy()
    if "dtls" in media.srtp_keying:
        process_identity()  # a tenth of a second, which no call should wait for
    return SecurityPolicy(mode, media.srtp_keying, media.sdes_over)


async def _load_media(codecs: Iterable[str], music: HoldMusic) -> None:
    """Load and make what a call would have to wait for, and every other call with it."""
    await load(codecs)
    await asyncio.to_thread(music.prepare)


def hold_music(path: str | None) -> HoldMusic:
    """Read the file at the start, so that a mistake in it is told then."""
    if path is None:
        return HoldMusic()
    try:
        return HoldMusic(pcm_of(read_wav(path)))
    except OSError as error:
        raise ConfigError("call.hold_music", f"cannot read {path!r}: {error.strerror}") from None
    except MediaError as error:
        raise ConfigError("call.hold_music", f"{path!r}: {error}") from None
