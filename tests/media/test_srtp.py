"""SRTP: published vectors, an oracle of our own beside libsrtp, replays, wraps, re-keying, forgeries."""

from __future__ import annotations

import random
import struct

import pytest

from tests.media import rfc3711
from voiceagent.media.srtp import MAX_SSRCS, REPLAY_WINDOW, SrtpSession
from voiceagent.media.srtp_profile import PROFILES, SrtpKeys, SrtpProfile

EACH = pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.value)


def h(text: str) -> bytes:
    return bytes.fromhex(text.replace(" ", ""))


def rtp(sequence: int, *, ssrc: int = 7, payload: bytes = b"\x55" * 160, timestamp: int = 160) -> bytes:
    return struct.pack("!BBHII", 0x80, 0, sequence & 0xFFFF, timestamp, ssrc) + payload


def secret(profile: SrtpProfile, first: int = 1) -> bytes:
    return bytes((first + n) & 0xFF for n in range(profile.secret_bytes))


def pair(profile: SrtpProfile = SrtpProfile.AES_CM_128_HMAC_SHA1_80) -> tuple[SrtpSession, SrtpSession]:
    """Two ends."""
    one, two = secret(profile), secret(profile, 99)
    return SrtpSession(SrtpKeys(profile, one, two)), SrtpSession(SrtpKeys(profile, two, one))


# ── the oracle against the RFCs ─────────────────────────────────────────────────────────────────
def test_key_derivation_is_that_of_rfc_3711_b3() -> None:
    master, salt = h("E1F97A0D3E018BE0D64FA32C06DE4139"), h("0EC675AD498AFEEBB6960B3AABE6")
    assert rfc3711.derive(master, salt, rfc3711.RTP_KEY, 16) == h("C61E7A93744F39EE10734AFE3FF7A087")
    assert rfc3711.derive(master, salt, rfc3711.RTP_SALT, 14) == h("30CBBC08863D8C85D49DB34A9AE1")
    auth = rfc3711.derive(master, salt, rfc3711.RTP_AUTH, 94)
    assert auth[:20] == h("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4")
    assert auth[20:32] == h("8F0A0ACF3C34E2359E6CDBCE")


def test_the_key_stream_is_that_of_rfc_3711_b2() -> None:
    key, salt = h("2B7E151628AED2A6ABF7158809CF4F3C"), h("F0F1F2F3F4F5F6F7F8F9FAFBFCFD")
    stream = rfc3711.keystream(key, int.from_bytes(salt, "big") << 16, 0xFF02 * 16)
    assert stream[:48] == h(
        "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0"
    )
    assert stream[-48:] == h(
        "EC8CDF7398607CB0F2D21675EA9EA1E4 362B7C3C6773516318A077D7FC5073AE 6A2CC3787889374FBEB4C81B17BA6C44"
    )


GALLIA = h("8040f17b 8041f8d3 5501a0b2") + b"Gallia est omnis divisa in partes tres"
LUNA = h("81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61") + h("deadbeef") * 5
QUID = b"Quid pro quo"


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (
            16,
            "f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833"
            "899d 7f27beb1 6a9152cf 765ee439 0cce",
        ),
        (
            32,
            "32b1de78 a822fe12 ef9f78fa 332e33aa b1801238 9a58e2f3 b50b2a02 76ffae0f 1ba63799 b87b"
            "7aa3 db36dfff d6b0f9bb 7878d7a7 6c13",
        ),
    ],
)
def test_the_oracle_seals_rtp_as_rfc_7714_16_does(size: int, expected: str) -> None:
    assert rfc3711.seal_gcm(GALLIA, bytes(range(size)), QUID) == GALLIA[:12] + h(expected)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (
            16,
            "63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded"
            "0bb9275b c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
        ),
        (
            32,
            "d50ae4d1 f5ce5d30 4ba297e4 7d470c28 2c3ece5d bffe0a50 a2eaa5c1 110555be 8415f658 c61de047"
            "6f1b6fad 1d1eb30c 4446839f 57ff6f6c b26ac3be 800005d4",
        ),
    ],
)
def test_the_oracle_seals_rtcp_as_rfc_7714_17_does(size: int, expected: str) -> None:
    assert rfc3711.seal_rtcp_gcm(LUNA, bytes(range(size)), QUID, 0x5D4) == LUNA[:8] + h(expected)


# ── libsrtp against the oracle ──────────────────────────────────────────────────────────────────
def test_libsrtp_takes_the_keys_of_rfc_3711_b3() -> None:
    """The packet is the reference packet of libsrtp's own validation under the keys of B.3."""
    local = h("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6")
    session = SrtpSession(SrtpKeys(SrtpProfile.AES_CM_128_HMAC_SHA1_80, local, bytes(30)))
    packet = h("800f1234 decafbad cafebabe") + b"\xab" * 16
    expected = packet[:12] + h("4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb")
    assert session.protect(packet) == expected == rfc3711.protect_cm(packet, local[:16], local[16:])


def oracle(profile: SrtpProfile, packet: bytes, local: bytes, roc: int = 0) -> bytes:
    master, salt = local[: profile.key_bytes], local[profile.key_bytes :]
    if profile.salt_bytes == 12:
        return rfc3711.protect_gcm(packet, master, salt, roc)
    return rfc3711.protect_cm(packet, master, salt, roc, profile.tag_bytes)


@EACH
def test_libsrtp_and_the_oracle_agree_bit_by_bit(profile: SrtpProfile) -> None:
    dice = random.Random(profile.value)
    for _ in range(50):
        local = dice.randbytes(profile.secret_bytes)
        session = SrtpSession(SrtpKeys(profile, local, local))
        for step in range(6):
            packet = rtp(
                0xFFFD + step, ssrc=dice.getrandbits(32), payload=dice.randbytes(dice.randrange(400))
            )
            roc = 0  # each packet is another source: its counter begins at 0
            assert session.protect(packet) == oracle(profile, packet, local, roc)


@EACH
def test_the_counter_of_wraps_is_in_the_cipher(profile: SrtpProfile) -> None:
    local = secret(profile)
    session = SrtpSession(SrtpKeys(profile, local, local))
    for index in range(65_530, 65_545):
        assert session.protect(rtp(index)) == oracle(profile, rtp(index), local, index >> 16)


@EACH
def test_rtcp_is_sealed_as_the_rfcs_say(profile: SrtpProfile) -> None:
    local = secret(profile)
    session = SrtpSession(SrtpKeys(profile, local, local))
    master, salt = local[: profile.key_bytes], local[profile.key_bytes :]
    by_rfc = rfc3711.protect_rtcp_gcm if profile.salt_bytes == 12 else rfc3711.protect_rtcp_cm
    for index in range(1, 5):
        sealed = session.protect_rtcp(LUNA)
        assert sealed == by_rfc(LUNA, master, salt, index)
        assert session.unprotect_rtcp(sealed) == LUNA
        assert session.unprotect_rtcp(sealed) is None
    assert session.replayed == 4


# ── both ends ───────────────────────────────────────────────────────────────────────────────────
@EACH
def test_what_one_end_seals_the_other_opens(profile: SrtpProfile) -> None:
    here, there = pair(profile)
    for sequence in range(100):
        sealed = here.protect(bytearray(rtp(sequence)))
        assert len(sealed) == 172 + profile.tag_bytes
        assert b"\x55" * 16 not in sealed
        assert there.unprotect(sealed) == rtp(sequence)
    assert here.unprotect(there.protect(rtp(9, ssrc=8))) == rtp(9, ssrc=8)
    assert there.refused == here.refused == 0


def test_a_hundred_thousand_replays_are_all_refused() -> None:
    here, there = pair()
    sealed = [here.protect(rtp(sequence)) for sequence in range(1000)]
    assert all(there.unprotect(one) for one in sealed)
    dice = random.Random(3)
    assert not any(there.unprotect(dice.choice(sealed)) for _ in range(100_000))
    assert there.replayed == 100_000
    assert there.unprotect(here.protect(rtp(1000))) == rtp(1000)


def test_the_window_lets_late_packets_in_once() -> None:
    assert REPLAY_WINDOW >= 64
    here, there = pair()
    sealed = [here.protect(rtp(sequence)) for sequence in range(400)]
    assert there.unprotect(sealed[399])
    for sequence in range(399 - REPLAY_WINDOW + 1, 399):
        assert there.unprotect(sealed[sequence]) == rtp(sequence)
        assert there.unprotect(sealed[sequence]) is None
    assert there.unprotect(sealed[399 - REPLAY_WINDOW - 1]) is None


def test_the_wrap_survives_loss_and_disorder() -> None:
    """1,000 seeds: 1 % loss and reordering by up to 20 places around 65,535; nothing that came is refused."""
    for seed in range(1000):
        dice = random.Random(seed)
        here, there = pair()
        start = 65_536 - dice.randrange(1, 60)
        flying = [(n + dice.random() * dice.choice([0, 0, 0, 20]), n) for n in range(start, start + 80)]
        sealed = {n: here.protect(rtp(n)) for _, n in flying}
        first = True
        for _, n in sorted(flying):
            # The very first packets set the receiver's counter: our senders begin low (RFC 3711 §3.3.1).
            if not first and dice.random() < 0.01:
                continue
            if first and n >= 65_536:
                continue
            first = False
            assert there.unprotect(sealed[n]) == rtp(n), (seed, n)
        assert there.refused == 0


def test_a_new_key_begins_at_zero_and_the_old_one_is_dead() -> None:
    profile = SrtpProfile.AES_CM_128_HMAC_SHA1_80
    here, there = pair(profile)
    for index in range(65_500, 65_600):
        assert there.unprotect(here.protect(rtp(index)))
    old = here.protect(rtp(65_600))
    local, remote = secret(profile, 40), secret(profile, 50)
    here.rekey(SrtpKeys(profile, local, remote))
    there.rekey(SrtpKeys(profile, remote, local))
    assert there.unprotect(old) is None
    packet = rtp(65_601)
    sealed = here.protect(packet)
    assert sealed == oracle(profile, packet, local, 0)
    assert there.unprotect(sealed) == packet


def test_a_key_that_stays_keeps_its_counter_and_window() -> None:
    profile = SrtpProfile.AEAD_AES_128_GCM
    here, there = pair(profile)
    sealed = [here.protect(rtp(index)) for index in range(65_500, 65_600)]
    assert all(there.unprotect(one) for one in sealed)
    here.rekey(here.keys)
    there.rekey(SrtpKeys(profile, secret(profile, 77), there.keys.remote))  # only the other direction changes
    assert there.unprotect(sealed[-1]) is None
    assert there.unprotect(here.protect(rtp(65_600))) == rtp(65_600)


@EACH
def test_whatever_is_changed_is_noticed(profile: SrtpProfile) -> None:
    here, there = pair(profile)
    sealed = here.protect(rtp(5))
    for bit in range(8 * len(sealed)):
        forged = bytearray(sealed)
        forged[bit // 8] ^= 1 << bit % 8
        assert there.unprotect(bytes(forged)) is None
    for size in range(len(sealed)):
        assert there.unprotect(sealed[:size]) is None
    assert there.unprotect(sealed) == rtp(5)


def test_rubbish_is_counted_and_never_raised() -> None:
    _, there = pair()
    dice = random.Random(4)
    for _ in range(20_000):
        data = dice.randbytes(dice.choice([0, 1, 4, 8, 11, 12, 13, 30, 172, 182, 1400, 1500, 2048]))
        if dice.random() < 0.7:
            data = b"\x80\x00" + data[2:]
        assert there.unprotect(data) is None
        assert there.unprotect_rtcp(data) is None
    assert there.refused == 40_000


def test_one_key_has_few_sources() -> None:
    here, there = pair()
    for ssrc in range(MAX_SSRCS):
        assert there.unprotect(here.protect(rtp(1, ssrc=ssrc)))
    assert there.unprotect(here.protect(rtp(1, ssrc=999))) is None
    assert there.unprotect(here.protect(rtp(2, ssrc=3)))
    report = struct.pack("!BBHI", 0x80, 201, 1, 3)
    assert there.unprotect_rtcp(here.protect_rtcp(report)) == report


def test_keys_are_not_shown() -> None:
    keys = SrtpKeys(SrtpProfile.AES_CM_128_HMAC_SHA1_80, b"L" * 30, b"R" * 30)
    assert "LLL" not in repr(keys)
    assert "RRR" not in repr(keys)
    with pytest.raises(ValueError, match="30 bytes"):
        SrtpKeys(SrtpProfile.AES_CM_128_HMAC_SHA1_80, b"L" * 28, b"R" * 30)
