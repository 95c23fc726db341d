"""PURE. How offer and answer agree on encrypted media: SDES (RFC 4568) and DTLS-SRTP (RFC 5763).

Three kinds of offers are understood: RTP/SAVP with ``a=crypto``, (UDP/TLS/)RTP/SAVP with ``a=fingerprint``,
and RTP/AVP with either: opportunistic SRTP (RFC 8643), which many phones call "optional". An offer of ours
is of the first or second kind when encryption is required, and of the third when it is optional, because a
peer without SRTP then just ignores the attributes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from voiceagent.media import sdes
from voiceagent.media.fingerprint import (
    DtlsParameters,
    Fingerprint,
    parse_fingerprints,
    role_for_answer,
    role_for_offer,
    setup_of,
)
from voiceagent.media.path import Security
from voiceagent.media.sdp.values import Attribute, MediaDescription, SdpError, SessionDescription
from voiceagent.media.srtp_profile import Secrets

RTP_PROTOCOLS = frozenset({"RTP/AVP", "RTP/AVPF"})
SRTP_PROTOCOLS = frozenset({"RTP/SAVP", "RTP/SAVPF"})
DTLS_PROTOCOLS = frozenset({"UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF"})

Mode = Literal["off", "optional", "required"]
Keying = Literal["sdes", "dtls"]


@dataclass(frozen=True, slots=True)
class AgreedSecurity:
    """What one section is encrypted with, and our answer's attributes that say so."""

    security: Security
    attributes: tuple[Attribute, ...] = field(default=(), repr=False)
    crypto: sdes.Crypto | None = None
    """Our SDES line."""


@dataclass(frozen=True, slots=True)
class SecurityAbilities:
    """What we can and will do about encryption. The default does nothing."""

    mode: Mode = "off"
    keying: tuple[Keying, ...] = ()
    """Allowed here and now, the preferred first."""
    secrets: Secrets = ()
    """Our keys for SDES, best profile first."""
    fingerprint: Fingerprint | None = None
    """Of our certificate, for DTLS."""
    agreed: AgreedSecurity | None = None
    """What this dialog has agreed on: offered again as it is."""
    offers: bool = True
    """False: encrypted media is taken when offered, but not offered."""


PLAIN = SecurityAbilities()
"""No encryption."""


def answer_security(
    offer: SessionDescription, media: MediaDescription, abilities: SecurityAbilities
) -> AgreedSecurity | str | None:
    """What an offered section allows: an agreement, None (plain RTP), or the code of why neither will do."""
    protocol = media.protocol
    secure = protocol in SRTP_PROTOCOLS or protocol in DTLS_PROTOCOLS
    if not secure and protocol not in RTP_PROTOCOLS:
        return "sdp_protocol"
    if abilities.mode == "off":
        return "sdp_srtp_unsupported" if secure else None
    for keying in abilities.keying:
        found: AgreedSecurity | None = None
        if keying == "sdes" and protocol not in DTLS_PROTOCOLS:
            found = _answer_sdes(media, abilities)
        elif keying == "dtls":
            found = _answer_dtls(offer, media, abilities)
        if found is not None:
            return found
    if secure:
        return "sdp_srtp_unsupported"
    return "sdp_srtp_required" if abilities.mode == "required" else None


def _answer_sdes(media: MediaDescription, abilities: SecurityAbilities) -> AgreedSecurity | None:
    answered = sdes.answer_to(media.attribute_all("crypto"), abilities.secrets)
    if answered is None:
        return None
    line, keys = answered
    return AgreedSecurity(keys, (Attribute("crypto", str(line)),), line)


def _answer_dtls(
    offer: SessionDescription, media: MediaDescription, abilities: SecurityAbilities
) -> AgreedSecurity | None:
    fingerprints = _fingerprints(offer, media)
    setup = _setup(offer, media) or "actpass"
    role = role_for_offer(setup)
    before = None if abilities.agreed is None else abilities.agreed.security
    if isinstance(before, DtlsParameters) and setup.strip().lower() == "actpass":
        role = before.role  # a change of roles would mean another handshake
    if not fingerprints or role is None or abilities.fingerprint is None:
        return None
    attributes = (
        Attribute("setup", setup_of(role)),
        Attribute("fingerprint", str(abilities.fingerprint)),
    )
    return AgreedSecurity(DtlsParameters(role, fingerprints), attributes)


def offer_security(
    abilities: SecurityAbilities, previous: MediaDescription | None = None
) -> tuple[str, tuple[Attribute, ...]]:
    """The protocol and the attributes of a section that we offer; ``previous`` is our last one of it."""
    agreed = abilities.agreed
    if agreed is not None and previous is not None:
        return previous.protocol, _again(agreed, abilities)
    for keying in abilities.keying if abilities.mode != "off" and abilities.offers else ():
        optional = abilities.mode == "optional"
        if keying == "sdes" and abilities.secrets:
            attributes = tuple(Attribute("crypto", str(line)) for line in sdes.offer_lines(abilities.secrets))
            return ("RTP/AVP" if optional else "RTP/SAVP"), attributes
        if keying == "dtls" and abilities.fingerprint is not None:
            return ("RTP/AVP" if optional else "UDP/TLS/RTP/SAVP"), _actpass(abilities.fingerprint)
    if abilities.mode == "required":
        raise SdpError(
            "SDP: no keying is allowed for an encrypted offer", status=488, code="sdp_srtp_required"
        )
    return "RTP/AVP", ()


def _again(agreed: AgreedSecurity, abilities: SecurityAbilities) -> tuple[Attribute, ...]:
    if agreed.crypto is not None:
        return (Attribute("crypto", str(agreed.crypto)),)
    return () if abilities.fingerprint is None else _actpass(abilities.fingerprint)


def _actpass(fingerprint: Fingerprint) -> tuple[Attribute, ...]:
    return Attribute("setup", "actpass"), Attribute("fingerprint", str(fingerprint))


def accept_security(
    ours: MediaDescription, answer: SessionDescription, theirs: MediaDescription, mode: Mode
) -> AgreedSecurity | None:
    """What the answer to a section of ours amounts to; None is plain RTP.

    Raises SdpError (488) when the answer changes the protocol, or brings no keys where they are needed.
    """
    if theirs.protocol != ours.protocol and theirs.protocol != f"{ours.protocol}F":
        raise SdpError("SDP: the answer changes the protocol", status=488, code="sdp_protocol")
    offered = sdes.usable(ours.attribute_all("crypto"))
    if offered:
        accepted = sdes.accept(theirs.attribute_all("crypto"), offered)
        if accepted is not None:
            return AgreedSecurity(accepted[1], crypto=accepted[0])
    elif ours.attribute("fingerprint") is not None:
        fingerprints = _fingerprints(answer, theirs)
        role = role_for_answer(_setup(answer, theirs) or "active")
        if fingerprints and role is not None:
            return AgreedSecurity(DtlsParameters(role, fingerprints))
    if ours.protocol not in RTP_PROTOCOLS or mode == "required":
        raise SdpError("SDP: the answer brings no keys", status=488, code="sdp_srtp_required")
    return None


def _fingerprints(session: SessionDescription, media: MediaDescription) -> tuple[Fingerprint, ...]:
    values = media.attribute_all("fingerprint") or session.attribute_all("fingerprint")
    return parse_fingerprints(values)


def _setup(session: SessionDescription, media: MediaDescription) -> str | None:
    return media.attribute("setup") or session.attribute("setup")
