"""What the settings say about SIP's listeners and connections, in the terms of :mod:`voiceagent.sip`."""

from __future__ import annotations

from voiceagent.settings import SipSettings
from voiceagent.sip.limits import StreamLimits
from voiceagent.sip.net.listen import Listen, parse_listen
from voiceagent.sip.net.resolver import Family
from voiceagent.sip.net.tls import TlsConfig


def listeners_of(sip: SipSettings) -> tuple[Listen, ...]:
    """Return the listeners; without ``sip.listen`` these are UDP and TCP at ``sip.host``, ``sip.port``."""
    if sip.listen:
        return tuple(parse_listen(one) for one in sip.listen)
    return Listen("udp", sip.host, sip.port), Listen("tcp", sip.host, sip.port)


def families_of(sip: SipSettings) -> tuple[Family, ...]:
    """Return the DNS record kinds of addresses that our listeners can speak to."""
    ipv6 = {":" in one.host for one in listeners_of(sip)}
    both: tuple[tuple[Family, bool], ...] = (("A", False), ("AAAA", True))
    return tuple(family for family, six in both if six in ipv6)


def setting_of(sip: SipSettings) -> tuple[str, str]:
    """Name the settings to blame for an address and a port that cannot be had."""
    return ("sip.listen", "sip.listen") if sip.listen else ("sip.host", "sip.port")


def tls_of(sip: SipSettings) -> TlsConfig:
    """Return the TLS files and rules."""
    tls = sip.tls
    return TlsConfig(tls.certificate, tls.key, tls.ca, tls.client_certificates, tls.verify)


def stream_limits_of(sip: SipSettings) -> StreamLimits:
    """Return the limits of connections."""
    stream = sip.stream
    return StreamLimits(
        handshake_s=stream.handshake_s,
        connect_s=stream.connect_s,
        first_message_s=stream.first_message_s,
        message_s=stream.message_s,
        idle_s=stream.idle_s,
        ping_s=stream.ping_s,
        pong_s=stream.pong_s,
        per_address=stream.per_address,
        connections=stream.connections,
        reserve=stream.reserve,
    )
