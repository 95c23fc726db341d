"""PURE. SDP security descriptions (RFC 4568): ``a=crypto`` lines read, written and chosen from.

An attribute that we cannot follow (unknown suite, MKI, key derivation rate, unencrypted streams) is passed
over, as the RFC asks: another one of the same offer may do. Key lifetimes are read and not acted upon: the
shortest in use, 2^20 packets, is nearly six hours of audio.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from voiceagent.media.srtp_profile import PROFILES, Secrets, SrtpKeys, SrtpProfile

MAX_ATTRIBUTES = 16
"""``a=crypto`` lines of one section that are looked at."""
_TAG = re.compile(r"[0-9]{1,9}\Z")
_LIFETIME = re.compile(r"(?:2\^[0-9]{1,2}|[0-9]{1,15})\Z")
_BY_NAME = {profile.value: profile for profile in PROFILES}


class CryptoError(ValueError):
    """An ``a=crypto`` line that we cannot follow; the text says why, without the key."""


@dataclass(frozen=True, slots=True)
class Crypto:
    """One ``a=crypto`` attribute: tag, suite, and master key with salt."""

    tag: int
    profile: SrtpProfile
    secret: bytes = field(repr=False)
    lifetime: str = ""

    def __str__(self) -> str:
        """The value as it stands in SDP; it holds the key, so it is for the wire only."""
        key = base64.b64encode(self.secret).decode("ascii")
        lifetime = f"|{self.lifetime}" if self.lifetime else ""
        return f"{self.tag} {self.profile.value} inline:{key}{lifetime}"


def parse_crypto(value: str) -> Crypto:
    """Read the value of one ``a=crypto`` attribute. Raises :class:`CryptoError`."""
    parts = value.split()
    if len(parts) < 3:
        raise CryptoError("a=crypto needs a tag, a suite and a key")
    tag, suite, key_params, *session_params = parts
    if _TAG.match(tag) is None:
        raise CryptoError("the tag is no number of up to nine digits")
    profile = _BY_NAME.get(suite.upper())
    if profile is None:
        raise CryptoError("an unknown crypto suite")
    for param in session_params:
        # A window hint is only a hint; a parameter with "-" in front may be ignored (§6.3.7).
        if not param.upper().startswith(("WSH=", "-")):
            raise CryptoError(f"the session parameter {param.partition('=')[0][:32]!r} is not supported")
    if ";" in key_params:
        raise CryptoError("several keys in one attribute are not supported")
    method, _, rest = key_params.partition(":")
    if method.lower() != "inline":
        raise CryptoError("an unknown key method")
    secret_text, *extras = rest.split("|")
    if len(extras) > 2:
        raise CryptoError("too many fields after the key")
    lifetime = ""
    for extra in extras:
        if ":" in extra:
            raise CryptoError("a master key identifier (MKI) is not supported")
        if lifetime or _LIFETIME.match(extra) is None:
            raise CryptoError("a malformed key lifetime")
        lifetime = extra
    return Crypto(int(tag), profile, _secret(secret_text, profile.secret_bytes), lifetime)


def _secret(text: str, size: int) -> bytes:
    # Many phones leave the padding off.
    padded = text.rstrip("=")
    padded += "=" * (-len(padded) % 4)
    try:
        secret = base64.b64decode(padded, validate=True)
    except (binascii.Error, ValueError):
        raise CryptoError("the key is not base64") from None
    if len(secret) != size:
        raise CryptoError(f"the key has {len(secret)} bytes where the suite needs {size}")
    return secret


def usable(values: Iterable[str]) -> list[Crypto]:
    """The attributes of one section that we can follow, in their order; a tag counts once."""
    found: dict[int, Crypto] = {}
    for value in list(values)[:MAX_ATTRIBUTES]:
        try:
            crypto = parse_crypto(value)
        except CryptoError:
            continue
        found.setdefault(crypto.tag, crypto)
    return list(found.values())


def offer_lines(secrets: Secrets) -> list[Crypto]:
    """What we offer: a line for every profile that we have a secret for."""
    return [Crypto(tag, profile, secret) for tag, (profile, secret) in enumerate(secrets, 1)]


def answer_to(offered: Iterable[str], secrets: Secrets) -> tuple[Crypto, SrtpKeys] | None:
    """Choose from an offer, our best first: the answering line, which keeps the tag, and the keys.

    None when nothing offered can be followed.
    """
    theirs = usable(offered)
    for profile, secret in secrets:
        for crypto in theirs:
            if crypto.profile is profile:
                return Crypto(crypto.tag, profile, secret), SrtpKeys(profile, secret, crypto.secret)
    return None


def accept(answered: Iterable[str], offered: Iterable[Crypto]) -> tuple[Crypto, SrtpKeys] | None:
    """What an answer to our lines amounts to: our line that was taken, and the keys.

    None unless exactly one line came back, under a tag and with the suite that we offered (§5.1.3).
    """
    values = list(answered)
    if len(values) != 1:
        return None
    theirs = usable(values)
    for ours in offered:
        if theirs and theirs[0].tag == ours.tag and theirs[0].profile is ours.profile:
            return ours, SrtpKeys(ours.profile, ours.secret, theirs[0].secret)
    return None
