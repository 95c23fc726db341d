"""PURE. What one party of a call does about encryption: its policy, its keys, and what was agreed.

Keys are drawn once and kept through every re-offer, so that the roll-over counters go on. When the peer
changes its key, ours changes with it: some peers then begin both directions anew, and with two new keys that
and keeping one are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from voiceagent.media.fingerprint import Fingerprint
from voiceagent.media.sdp.security import AgreedSecurity, Keying, Mode, SecurityAbilities
from voiceagent.media.srtp_profile import PROFILES, Secrets, SrtpKeys

Draw = Callable[[int], bytes]
"""So many bytes that nobody can guess."""


@dataclass(frozen=True, slots=True)
class SecurityPolicy:
    """``off``: plain RTP only. ``optional``: as the peer offers. ``required``: encrypted or not at all."""

    mode: Mode = "off"
    keying: tuple[Keying, ...] = ("sdes", "dtls")
    """In this order; what we offer is the first that is allowed."""
    sdes_over: Literal["tls", "any"] = "tls"
    """Signalling that may carry SDES keys: whoever reads the SDP can listen to the call."""


class PartySecurity:
    """One party's. ``identity`` gives our certificate's fingerprint when DTLS is first needed."""

    def __init__(self, policy: SecurityPolicy, draw: Draw, identity: Callable[[], Fingerprint]) -> None:
        self._policy = policy
        self._draw = draw
        self._identity = identity
        self._secrets: Secrets = ()
        self._fingerprint: Fingerprint | None = None
        self.agreed: AgreedSecurity | None = None

    def abilities(self, *, tls: bool) -> SecurityAbilities:
        """What may be agreed on now; ``tls`` says whether the signalling is encrypted."""
        policy = self._policy
        if policy.mode == "off":
            return SecurityAbilities()
        keying: tuple[Keying, ...] = tuple(
            one for one in policy.keying if one != "sdes" or tls or policy.sdes_over == "any"
        )
        if "sdes" in keying and not self._secrets:
            self._secrets = tuple((profile, self._draw(profile.secret_bytes)) for profile in PROFILES)
        if "dtls" in keying and self._fingerprint is None:
            self._fingerprint = self._identity()
        optional_first = policy.mode == "optional" and keying[:1] != policy.keying[:1]
        return SecurityAbilities(
            policy.mode, keying, self._secrets, self._fingerprint, self.agreed, offers=not optional_first
        )

    def stale(self, found: AgreedSecurity | None) -> bool:
        """True when the peer has changed its key and ours has not; then ours is drawn anew: ask again."""
        before = None if self.agreed is None else self.agreed.security
        after = None if found is None else found.security
        if not isinstance(before, SrtpKeys) or not isinstance(after, SrtpKeys):
            return False
        if before.remote == after.remote or before.local != after.local:
            return False
        self._secrets = ()
        return True
