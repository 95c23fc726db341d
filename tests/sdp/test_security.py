"""Encrypted media in offer and answer: SDES, DTLS, opportunistic SRTP, and no way down."""

from __future__ import annotations

import pytest

from voiceagent.media.fingerprint import DtlsParameters, Fingerprint
from voiceagent.media.party_security import PartySecurity, SecurityPolicy
from voiceagent.media.sdes import Crypto
from voiceagent.media.sdp import Abilities, SdpError, accept_answer, make_offer, negotiate, parse_sdp
from voiceagent.media.sdp.security import Keying, Mode, SecurityAbilities
from voiceagent.media.srtp_profile import PROFILES, SrtpKeys, SrtpProfile

CM80 = SrtpProfile.AES_CM_128_HMAC_SHA1_80
CRYPTO = f"a=crypto:{Crypto(4, CM80, bytes(range(30)))}"
CRYPTO_2 = f"a=crypto:{Crypto(4, CM80, bytes(range(1, 31)))}"
THEIRS = Fingerprint("sha-256", bytes(range(32)))
OURS = Fingerprint("sha-256", bytes(32))
FINGERPRINT = f"a=fingerprint:{THEIRS}"


def secrets(fill: int) -> tuple[tuple[SrtpProfile, bytes], ...]:
    return tuple((profile, bytes([fill] * profile.secret_bytes)) for profile in PROFILES)


def we(mode: Mode = "optional", *keying: Keying, fill: int = 9) -> Abilities:
    security = SecurityAbilities(mode, keying or ("sdes", "dtls"), secrets(fill), OURS)
    return Abilities("192.0.2.1", 4000, security=security)


def offer(protocol: str, *lines: str) -> bytes:
    head = ["v=0", "o=- 1 1 IN IP4 192.0.2.7", "s=-", "c=IN IP4 192.0.2.7", "t=0 0"]
    return "\r\n".join([*head, f"m=audio 5000 {protocol} 0", *lines, ""]).encode()


def answer(protocol: str, *lines: str, mode: Mode = "optional", keying: tuple[Keying, ...] = ()):
    return negotiate(parse_sdp(offer(protocol, *lines)), we(mode, *keying))


def refused(protocol: str, *lines: str, mode: Mode, keying: tuple[Keying, ...] = ()) -> str:
    with pytest.raises(SdpError) as caught:
        answer(protocol, *lines, mode=mode, keying=keying)
    assert caught.value.status == 488
    return caught.value.code


# ── answers ─────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("mode", ["optional", "required"])
@pytest.mark.parametrize("protocol", ["RTP/SAVP", "RTP/SAVPF", "RTP/AVP"])
def test_an_offer_with_keys_is_answered_with_keys(protocol: str, mode: Mode) -> None:
    result = answer(protocol, CRYPTO, mode=mode)
    (media,) = result.answer.media
    assert media.protocol == protocol
    assert media.attribute("crypto") == str(Crypto(4, CM80, bytes([9] * 30)))
    assert result.audio.security is not None
    assert result.audio.security.security == SrtpKeys(CM80, bytes([9] * 30), bytes(range(30)))


@pytest.mark.parametrize("protocol", ["UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF", "RTP/SAVP", "RTP/AVP"])
def test_an_offer_with_a_fingerprint_is_answered_with_ours(protocol: str) -> None:
    result = answer(protocol, FINGERPRINT, "a=setup:actpass")
    (media,) = result.answer.media
    assert media.protocol == protocol
    assert media.attribute("fingerprint") == str(OURS)
    assert media.attribute("setup") == "active"
    assert result.audio.security is not None
    assert result.audio.security.security == DtlsParameters("client", (THEIRS,))


def test_a_fingerprint_of_the_session_counts_and_active_is_answered_passive() -> None:
    data = offer("UDP/TLS/RTP/SAVP").replace(b"t=0 0", f"t=0 0\r\n{FINGERPRINT}\r\na=setup:active".encode())
    result = negotiate(parse_sdp(data), we())
    assert result.answer.media[0].attribute("setup") == "passive"
    assert result.audio.security is not None
    assert result.audio.security.security == DtlsParameters("server", (THEIRS,))


def test_who_comes_without_keys_is_served_or_refused_by_the_mode() -> None:
    assert answer("RTP/AVP", mode="optional").audio.security is None
    assert refused("RTP/AVP", mode="required") == "sdp_srtp_required"
    assert refused("RTP/SAVP", mode="optional") == "sdp_srtp_unsupported"
    assert refused("RTP/SAVP", mode="required") == "sdp_srtp_unsupported"


def test_off_is_off() -> None:
    plain = answer("RTP/AVP", CRYPTO, FINGERPRINT, mode="off")
    assert plain.audio.security is None
    assert b"crypto" not in plain.answer.to_bytes()
    assert refused("RTP/SAVP", CRYPTO, mode="off") == "sdp_srtp_unsupported"
    assert refused("UDP/TLS/RTP/SAVP", FINGERPRINT, "a=setup:actpass", mode="off") == "sdp_srtp_unsupported"


def test_only_the_ways_that_are_allowed_are_taken() -> None:
    assert refused("RTP/SAVP", CRYPTO, mode="optional", keying=("dtls",)) == "sdp_srtp_unsupported"
    assert (
        refused("UDP/TLS/RTP/SAVP", FINGERPRINT, mode="required", keying=("sdes",)) == "sdp_srtp_unsupported"
    )
    both = answer("RTP/SAVP", CRYPTO, FINGERPRINT, "a=setup:actpass", keying=("dtls", "sdes"))
    assert both.audio.security is not None
    assert isinstance(both.audio.security.security, DtlsParameters)


def test_of_two_sections_the_one_that_fits_is_taken() -> None:
    """Some phones offer RTP/SAVP and RTP/AVP side by side."""
    data = offer("RTP/SAVP", CRYPTO) + b"m=audio 5002 RTP/AVP 0\r\n"
    for mode, taken in (("required", 0), ("optional", 0), ("off", 1)):
        result = negotiate(parse_sdp(data), we(mode))  # type: ignore[arg-type]
        assert result.audio.media_index == taken
        assert [bool(media.port) for media in result.answer.media] == [taken == 0, taken == 1]


# ── offers ──────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("mode", "keying", "protocol"),
    [
        ("off", ("sdes", "dtls"), "RTP/AVP"),
        ("optional", ("sdes",), "RTP/AVP"),
        ("required", ("sdes", "dtls"), "RTP/SAVP"),
        ("required", ("dtls",), "UDP/TLS/RTP/SAVP"),
    ],
)
def test_what_we_offer(mode: Mode, keying: tuple[Keying, ...], protocol: str) -> None:
    (media,) = make_offer(we(mode, *keying)).media
    assert media.protocol == protocol
    assert len(media.attribute_all("crypto")) == (0 if mode == "off" or keying == ("dtls",) else 4)
    assert media.attribute_all("setup") == (["actpass"] if keying == ("dtls",) else [])


@pytest.mark.parametrize("keying", ["sdes", "dtls"])
@pytest.mark.parametrize("mode", ["optional", "required"])
def test_two_of_us_agree(keying: Keying, mode: Mode) -> None:
    offered = make_offer(we(mode, keying))
    result = negotiate(parse_sdp(offered.to_bytes()), we("required", keying, fill=5))
    accepted = accept_answer(offered, parse_sdp(result.answer.to_bytes()), we(mode, keying).security)
    ours, theirs = accepted.security, result.audio.security
    assert ours is not None
    assert theirs is not None
    if isinstance(ours.security, SrtpKeys) and isinstance(theirs.security, SrtpKeys):
        assert ours.security.profile is PROFILES[0]
        assert (ours.security.local, ours.security.remote) == (theirs.security.remote, theirs.security.local)
    else:
        assert isinstance(ours.security, DtlsParameters)
        assert isinstance(theirs.security, DtlsParameters)
        assert {ours.security.role, theirs.security.role} == {"client", "server"}


def test_an_answer_without_keys_is_plain_only_where_we_allow_it() -> None:
    offered = make_offer(we("optional", "sdes"))
    plain = parse_sdp(offer("RTP/AVP"))
    assert accept_answer(offered, plain, we("optional", "sdes").security).security is None
    demanded = make_offer(we("required", "sdes"))
    for protocol in ("RTP/AVP", "RTP/SAVP"):
        with pytest.raises(SdpError):
            accept_answer(demanded, parse_sdp(offer(protocol)), we("required", "sdes").security)


# ── a party over several offers ─────────────────────────────────────────────────────────────────
class Party:
    """A dialog's answers, the way a party makes them."""

    def __init__(self, policy: SecurityPolicy, *, tls: bool = True) -> None:
        self._count = 0
        self.security = PartySecurity(policy, self._draw, lambda: OURS)
        self._tls = tls
        self._previous = None

    def _draw(self, size: int) -> bytes:
        self._count += 1
        return bytes([self._count] * size)

    def abilities(self) -> Abilities:
        return Abilities("192.0.2.1", 4000, security=self.security.abilities(tls=self._tls))

    def answer(self, protocol: str, *lines: str) -> SrtpKeys | DtlsParameters | None:
        parsed = parse_sdp(offer(protocol, *lines))
        result = negotiate(parsed, self.abilities(), self._previous)
        if self.security.stale(result.audio.security):
            result = negotiate(parsed, self.abilities(), self._previous)
        self._previous = result.answer
        self.security.agreed = result.audio.security
        return None if result.audio.security is None else result.audio.security.security

    def offer(self) -> tuple[str, list[str]]:
        (media,) = make_offer(self.abilities(), self._previous).media
        return media.protocol, media.attribute_all("crypto")


def test_keys_stay_over_offers_that_change_nothing() -> None:
    party = Party(SecurityPolicy("required"))
    first = party.answer("RTP/SAVP", CRYPTO)
    assert isinstance(first, SrtpKeys)
    assert party.answer("RTP/SAVP", CRYPTO, "a=sendonly") == first
    protocol, lines = party.offer()
    assert protocol == "RTP/SAVP"
    assert lines == [str(Crypto(4, CM80, first.local))]


def test_a_changed_key_is_answered_with_a_changed_key() -> None:
    party = Party(SecurityPolicy("required"))
    first = party.answer("RTP/SAVP", CRYPTO)
    second = party.answer("RTP/SAVP", CRYPTO_2)
    assert isinstance(first, SrtpKeys)
    assert isinstance(second, SrtpKeys)
    assert second.local != first.local
    assert second.remote != first.remote
    assert party.answer("RTP/SAVP", CRYPTO_2) == second


def test_there_is_no_way_down_by_re_invite() -> None:
    party = Party(SecurityPolicy("required"))
    party.answer("RTP/SAVP", CRYPTO)
    for protocol, lines in (("RTP/AVP", ()), ("RTP/SAVP", ()), ("RTP/AVP", ("a=crypto:1 NULL inline:AAAA",))):
        with pytest.raises(SdpError) as caught:
            party.answer(protocol, *lines)
        assert caught.value.status == 488


def test_the_role_of_the_handshake_stays() -> None:
    party = Party(SecurityPolicy("required", ("dtls",)))
    first = party.answer("UDP/TLS/RTP/SAVP", FINGERPRINT, "a=setup:active")
    assert first == DtlsParameters("server", (THEIRS,))
    assert party.answer("UDP/TLS/RTP/SAVP", FINGERPRINT, "a=setup:actpass") == first


def test_sdes_keys_travel_over_tls_only_unless_told_otherwise() -> None:
    with pytest.raises(SdpError):
        Party(SecurityPolicy("required"), tls=False).answer("RTP/SAVP", CRYPTO)
    assert Party(SecurityPolicy("optional"), tls=False).answer("RTP/AVP", CRYPTO) is None
    assert Party(SecurityPolicy("required", sdes_over="any"), tls=False).answer("RTP/SAVP", CRYPTO)
    assert Party(SecurityPolicy("required"), tls=False).offer()[0] == "UDP/TLS/RTP/SAVP"
    assert Party(SecurityPolicy("optional"), tls=False).offer() == ("RTP/AVP", [])
    with pytest.raises(SdpError) as caught:
        Party(SecurityPolicy("required", ("sdes",)), tls=False).offer()
    assert caught.value.status == 488
