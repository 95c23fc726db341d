"""PURE. The SRTP protection profiles that we speak, and the keys of one stream pair."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

Secrets = tuple[tuple["SrtpProfile", bytes], ...]
"""One master key with its salt for each profile, drawn by the shell."""


class SrtpProfile(StrEnum):
    """Crypto suites by their SDP names (RFC 4568 §6.2, RFC 7714 §14.2), best first."""

    AEAD_AES_256_GCM = "AEAD_AES_256_GCM"
    AEAD_AES_128_GCM = "AEAD_AES_128_GCM"
    AES_CM_128_HMAC_SHA1_80 = "AES_CM_128_HMAC_SHA1_80"
    AES_CM_128_HMAC_SHA1_32 = "AES_CM_128_HMAC_SHA1_32"

    @property
    def key_bytes(self) -> int:
        """Length of the master key."""
        return 32 if self is SrtpProfile.AEAD_AES_256_GCM else 16

    @property
    def salt_bytes(self) -> int:
        """Length of the master salt."""
        return 12 if self.startswith("AEAD") else 14

    @property
    def secret_bytes(self) -> int:
        """Length of key and salt together."""
        return self.key_bytes + self.salt_bytes

    @property
    def tag_bytes(self) -> int:
        """By how much a protected RTP packet is longer."""
        if self.startswith("AEAD"):
            return 16
        return 4 if self is SrtpProfile.AES_CM_128_HMAC_SHA1_32 else 10


PROFILES: tuple[SrtpProfile, ...] = tuple(SrtpProfile)
"""In the order that we prefer: authenticated encryption first, long tags before short ones."""


@dataclass(frozen=True, slots=True)
class SrtpKeys:
    """What protects one stream pair: master key and salt for each direction. Never shown in a log."""

    profile: SrtpProfile
    local: bytes = field(repr=False)
    """For what we send."""
    remote: bytes = field(repr=False)
    """For what the peer sends."""

    def __post_init__(self) -> None:
        for secret in (self.local, self.remote):
            if len(secret) != self.profile.secret_bytes:
                raise ValueError(f"{self.profile} needs {self.profile.secret_bytes} bytes of key and salt")
