"""Session descriptions (RFC 8866) and the offer/answer model (RFC 3264): pure values and functions."""

from __future__ import annotations

from voiceagent.media.sdp.choice import CodecPreference
from voiceagent.media.sdp.limits import SdpLimits
from voiceagent.media.sdp.offer_answer import (
    Abilities,
    AudioAgreement,
    Negotiated,
    accept_answer,
    make_offer,
    negotiate,
)
from voiceagent.media.sdp.parser import parse_sdp
from voiceagent.media.sdp.security import AgreedSecurity, SecurityAbilities
from voiceagent.media.sdp.serialise import serialise
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

__all__ = [
    "Abilities",
    "AgreedSecurity",
    "Attribute",
    "AudioAgreement",
    "CodecPreference",
    "Connection",
    "Direction",
    "MediaDescription",
    "Negotiated",
    "Origin",
    "RtpMap",
    "SdpError",
    "SdpLimits",
    "SecurityAbilities",
    "SessionDescription",
    "accept_answer",
    "make_offer",
    "negotiate",
    "parse_sdp",
    "serialise",
]
