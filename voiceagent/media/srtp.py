"""SRTP and SRTCP (RFC 3711, RFC 7714) of one stream pair, over libsrtp.

    session = SrtpSession(keys)
    sock.send(session.protect(packet))
    packet = session.unprotect(datagram)      # None: forged, replayed or broken; counted, never raised

A packet that fails here has not been looked at by anyone: no lock, no statistics, no silence timer. The
roll-over counter belongs to a key: a new key begins at 0, the same key goes on where it was.

pylibsrtp is an extra; it is imported when the first session is made, :func:`srtp_available` says beforehand.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

from voiceagent.errors import MediaError
from voiceagent.media.srtp_profile import SrtpKeys, SrtpProfile

if TYPE_CHECKING:
    from pylibsrtp import Session

HOW_TO_INSTALL = "SRTP needs pylibsrtp and pyOpenSSL: pip install 'voiceagent[srtp]'"
REPLAY_WINDOW = 128
"""Packets that may come late; what is older or came before is refused (RFC 3711 §3.3.2 asks for 64)."""
MAX_SSRCS = 16
"""Sources that one key may have: each costs memory in libsrtp, and a phone needs one or two."""
MAX_PACKET = 1340
"""Longest packet that is protected; with its trailer it still fits libsrtp's buffer."""

_LIBRARY_NAMES = {
    SrtpProfile.AEAD_AES_256_GCM: "SRTP_PROFILE_AEAD_AES_256_GCM",
    SrtpProfile.AEAD_AES_128_GCM: "SRTP_PROFILE_AEAD_AES_128_GCM",
    SrtpProfile.AES_CM_128_HMAC_SHA1_80: "SRTP_PROFILE_AES128_CM_SHA1_80",
    SrtpProfile.AES_CM_128_HMAC_SHA1_32: "SRTP_PROFILE_AES128_CM_SHA1_32",
}


def srtp_available() -> bool:
    """True when both packages of the extra ``srtp`` are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("pylibsrtp", "OpenSSL"))


class SrtpSession:
    """Both directions of one stream pair. Raises :class:`MediaError` when libsrtp is not installed."""

    __slots__ = (
        "_error",
        "_in",
        "_keys",
        "_out",
        "_ssrc",
        "_ssrcs",
        "malformed",
        "replayed",
        "unauthentic",
    )

    def __init__(self, keys: SrtpKeys) -> None:
        try:
            from pylibsrtp import Error
        except ImportError:
            raise MediaError(HOW_TO_INSTALL, code="srtp_missing") from None
        self._error = Error
        self._keys = keys
        self._out = _session(keys.profile, keys.local, outbound=True)
        self._in = _session(keys.profile, keys.remote, outbound=False)
        self._ssrcs: set[bytes] = set()
        self._ssrc = b""
        self.unauthentic = 0
        """Packets whose tag was wrong."""
        self.replayed = 0
        """Packets that came before, or are older than the window."""
        self.malformed = 0
        """Packets too short, too long or broken in their header."""

    @property
    def keys(self) -> SrtpKeys:
        """What is in force."""
        return self._keys

    @property
    def refused(self) -> int:
        """All packets that were not let through."""
        return self.unauthentic + self.replayed + self.malformed

    def rekey(self, keys: SrtpKeys) -> None:
        """Take new keys. A direction whose key has not changed keeps its roll-over counter and window."""
        same_profile = keys.profile is self._keys.profile
        if not same_profile or keys.local != self._keys.local:
            self._out = _session(keys.profile, keys.local, outbound=True)
        if not same_profile or keys.remote != self._keys.remote:
            self._in = _session(keys.profile, keys.remote, outbound=False)
            self._ssrcs.clear()
            self._ssrc = b""
        self._keys = keys

    def protect(self, packet: bytes | bytearray) -> bytes:
        """Encrypt one RTP packet. Raises :class:`MediaError` (``srtp_protect``)."""
        try:
            return self._out.protect(bytes(packet))
        except (self._error, ValueError) as error:
            raise MediaError(f"SRTP: cannot protect a packet: {error}", code="srtp_protect") from None

    def protect_rtcp(self, packet: bytes) -> bytes:
        """Encrypt one RTCP packet. Raises :class:`MediaError` as :meth:`protect` does."""
        try:
            return self._out.protect_rtcp(packet)
        except (self._error, ValueError) as error:
            raise MediaError(f"SRTCP: cannot protect a packet: {error}", code="srtp_protect") from None

    def unprotect(self, datagram: bytes) -> bytes | None:
        """Check and decrypt one RTP packet; None when it is not to be believed."""
        ssrc = datagram[8:12]
        if ssrc != self._ssrc and not self._may_speak(ssrc):
            return None
        try:
            packet = self._in.unprotect(datagram)
        except self._error as error:
            self._count(str(error))
            return None
        except ValueError:
            self.malformed += 1
            return None
        if ssrc != self._ssrc:
            self._ssrc = ssrc
            self._ssrcs.add(ssrc)
        return packet

    def unprotect_rtcp(self, datagram: bytes) -> bytes | None:
        """Check and decrypt one RTCP packet; None when it is not to be believed."""
        ssrc = datagram[4:8]
        if ssrc not in self._ssrcs and not self._may_speak(ssrc):
            return None
        try:
            packet = self._in.unprotect_rtcp(datagram)
        except self._error as error:
            self._count(str(error))
            return None
        except ValueError:
            self.malformed += 1
            return None
        self._ssrcs.add(ssrc)
        return packet

    def _may_speak(self, ssrc: bytes) -> bool:
        if ssrc in self._ssrcs or len(self._ssrcs) < MAX_SSRCS:
            return True
        self.unauthentic += 1
        return False

    def _count(self, why: str) -> None:
        if why.startswith("replay") or "too old" in why:
            self.replayed += 1
        elif why.startswith(("auth", "cipher")):
            self.unauthentic += 1
        else:
            self.malformed += 1


def _session(profile: SrtpProfile, secret: bytes, *, outbound: bool) -> Session:
    from pylibsrtp import Policy, Session

    constants: Any = Policy  # the package does not say what type its constants have
    policy = Policy(
        key=secret,
        ssrc_type=constants.SSRC_ANY_OUTBOUND if outbound else constants.SSRC_ANY_INBOUND,
        srtp_profile=getattr(constants, _LIBRARY_NAMES[profile]),
    )
    policy.window_size = REPLAY_WINDOW
    return Session(policy)
