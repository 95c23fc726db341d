"""Settings of SIP and RTP."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from voiceagent.settings.base import CodecName, Port, Section, ip_address
from voiceagent.settings.transport import StreamSettings, TlsSettings
from voiceagent.sip.net.listen import parse_listen


class SipSettings(Section):
    """Our SIP user agent."""

    host: str = Field(default="127.0.0.1", description="Address to listen on, by UDP and TCP.")
    port: Port = Field(default=5060, description="Port to listen on; 0 takes a free one.")
    listen: tuple[str, ...] = Field(
        default=(),
        description="Listeners instead of that: udp:HOST:PORT, tcp:…, tls:…; with =HOST:PORT told to others.",
    )
    advertised_host: str | None = Field(
        default=None, description="Address told to others, behind a NAT or on 0.0.0.0."
    )
    allowed_sources: tuple[str, ...] = Field(
        default=("127.0.0.0/8", "::1/128"),
        description="Addresses and CIDR blocks that may call us; anyone else is ignored in silence.",
    )
    trust_headers: bool = Field(
        default=False, description="Show flows the identity and X- headers of these sources? See Trunks."
    )
    realm: str = Field(default="voiceagent", description="Realm in which users of trunks prove themselves.")
    nonce_life_s: Annotated[float, Field(ge=1, le=3600)] = Field(
        default=30.0, description="How long a digest challenge of ours may be answered."
    )
    udp_limit: Annotated[int, Field(ge=200, le=65_535)] = Field(
        default=1300, description="Longest request in bytes that goes by UDP; longer ones take TCP."
    )
    refuse_unknown_sources: bool = Field(
        default=False,
        description="Answer anyone else with 403 instead: ten a second for each host, a hundred in all.",
    )
    reliable_provisionals: Literal["off", "supported", "required"] = Field(
        default="supported",
        description="100rel and PRACK. supported: on demand, and for early media; required: of everyone.",
    )
    session_expires_s: Annotated[int, Field(ge=0, le=86_400)] = Field(
        default=1800,
        description="Session timers (RFC 4028): interval that we ask for and grant; 0 turns them off.",
    )
    min_se_s: Annotated[int, Field(ge=90, le=86_400)] = Field(
        default=90, description="Least session interval that we take; less is refused with 422."
    )
    session_refresher: Literal["auto", "us", "peer"] = Field(
        default="auto", description="Who refreshes: auto is the peer if it can, else we; peer: never we."
    )

    accept_refer: bool = Field(
        default=False,
        description="May the other side have the call go on with a target of call.transfer_targets (REFER)?",
    )
    tls: TlsSettings = Field(default_factory=TlsSettings)
    stream: StreamSettings = Field(default_factory=StreamSettings)

    @field_validator("host", "advertised_host")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        return ip_address(value)

    @field_validator("listen")
    @classmethod
    def _listen(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            parse_listen(one)
        places = [(read.transport == "udp", read.host, read.port) for read in map(parse_listen, value)]
        taken = [place for place in places if place[2]]
        if len(set(taken)) < len(taken):
            raise ValueError("names an address and port twice")
        return value

    @field_validator("realm")
    @classmethod
    def _realm(cls, value: str) -> str:
        if not value or not value.isprintable() or '"' in value or "\\" in value:
            raise ValueError("must be some text without quotes and backslashes")
        return value

    @property
    def first_host(self) -> str:
        """The address of the first listener."""
        return parse_listen(self.listen[0]).host if self.listen else self.host

    @property
    def first_told(self) -> str:
        """The address of the first listener as others know it."""
        if self.listen:
            return parse_listen(self.listen[0]).told(0, self.advertised_host).host
        return self.advertised_host or self.host

    @model_validator(mode="after")
    def _session_times(self) -> SipSettings:
        if 0 < self.session_expires_s < self.min_se_s:
            raise ValueError("session_expires_s must be 0 or at least min_se_s")
        return self

    @field_validator("allowed_sources")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            ipaddress.ip_network(one, strict=False)
        return value


class MediaSettings(Section):
    """RTP."""

    host: str | None = Field(
        default=None, description="Address for RTP sockets; default: that of the first SIP listener."
    )
    advertised_host: str | None = Field(
        default=None,
        description="Address in our SDP; default: sip.advertised_host, else the first listener's.",
    )
    port_low: Annotated[int, Field(ge=1024, le=65535)] = Field(default=30000, description="First RTP port.")
    port_high: Annotated[int, Field(ge=1024, le=65535)] = Field(default=31999, description="Last RTP port.")
    learn_source: bool = Field(
        default=True, description="May a phone behind a NAT send from an address its SDP hides?"
    )
    silence_limit_s: Annotated[float, Field(ge=0)] = Field(
        default=20.0,
        description="Silence of the caller's RTP after which its phone is asked (OPTIONS); 0 never.",
    )
    first_packet_limit_s: Annotated[float, Field(ge=0)] = Field(
        default=30.0, description="The same before the first RTP packet; 0 never."
    )
    silence_probes: Annotated[int, Field(ge=0)] = Field(
        default=15,
        description="End the call after so many answered questions in one silence; 0: ask for ever.",
    )
    hold_probe_s: Annotated[float, Field(ge=0)] = Field(
        default=300.0, description="How often a phone on hold is asked where no session timer runs; 0 never."
    )
    digits: Literal["auto", "rfc4733", "info", "inband"] = Field(
        default="auto",
        description="How keys are sent: as events (RFC 4733) if agreed on, else by INFO, else as tones.",
    )
    codecs: tuple[CodecName, ...] = Field(
        default=(), description="Codecs, the preferred first; default: all that are installed, G.711 first."
    )
    codec_preference: Literal["untouched", "theirs", "ours"] = Field(
        default="untouched",
        description="Codec taken of an offer: first of `theirs` or `ours`; `untouched`: their first G.711.",
    )
    comfort_noise: bool = Field(
        default=False, description="Name comfort noise in SDP, so that phones may leave silence out?"
    )
    srtp: Literal["off", "optional", "required"] = Field(
        default="optional",
        description="Encrypted media: never, as the other side offers, or else no call.",
    )
    srtp_keying: tuple[Literal["sdes", "dtls"], ...] = Field(
        default=("sdes", "dtls"), description="How keys may be agreed on, the preferred way first."
    )
    sdes_over: Literal["tls", "any"] = Field(
        default="tls", description="Signalling that may carry SDES keys: whoever reads it can listen."
    )
    rtcp: bool = Field(default=True, description="Send and take RTCP reports: round trip, loss, jitter.")

    @field_validator("host", "advertised_host")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        return ip_address(value)

    @model_validator(mode="after")
    def _range(self) -> MediaSettings:
        if self.port_high <= self.port_low:
            raise ValueError("port_high must be above port_low")
        return self

    @field_validator("codecs")
    @classmethod
    def _each_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            raise ValueError("names a codec twice")
        return value
