"""``a=crypto`` (RFC 4568): read, refused, chosen, answered."""

from __future__ import annotations

import base64
import random

import pytest

from voiceagent.media.sdes import Crypto, CryptoError, accept, answer_to, offer_lines, parse_crypto, usable
from voiceagent.media.srtp_profile import PROFILES, SrtpProfile

CM80, CM32 = SrtpProfile.AES_CM_128_HMAC_SHA1_80, SrtpProfile.AES_CM_128_HMAC_SHA1_32
GCM128, GCM256 = SrtpProfile.AEAD_AES_128_GCM, SrtpProfile.AEAD_AES_256_GCM
KEY30 = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
"""The key of RFC 4568's own example (§9.1)."""
SECRETS = tuple((profile, bytes([index] * profile.secret_bytes)) for index, profile in enumerate(PROFILES))


def line(tag: int, profile: SrtpProfile, fill: int = 7) -> str:
    return str(Crypto(tag, profile, bytes([fill] * profile.secret_bytes)))


@pytest.mark.parametrize(
    "value",
    [
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY30}",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY30}|2^20",
        f"1 aes_cm_128_hmac_sha1_80 INLINE:{KEY30}|1048576",
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY30}|2^31 WSH=128 -UNKNOWN",
    ],
)
def test_lines_of_phones_are_read(value: str) -> None:
    crypto = parse_crypto(value)
    assert (crypto.tag, crypto.profile, crypto.secret) == (1, CM80, base64.b64decode(KEY30))


def test_a_key_without_padding_is_read() -> None:
    value = line(3, GCM128).rstrip("=")
    assert parse_crypto(value).secret == bytes([7] * 28)
    assert parse_crypto(line(3, GCM256)).secret == bytes([7] * 44)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", "needs a tag"),
        (f"x AES_CM_128_HMAC_SHA1_80 inline:{KEY30}", "tag"),
        (f"1234567890 AES_CM_128_HMAC_SHA1_80 inline:{KEY30}", "tag"),
        (f"1 F8_128_HMAC_SHA1_80 inline:{KEY30}", "suite"),
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY30}|2^20|1:4", "MKI"),
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY30}|1:32", "MKI"),
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY30}|2^20|2^20", "lifetime"),
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY30}|soon", "lifetime"),
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY30};inline:{KEY30}", "several"),
        (f"1 AES_CM_128_HMAC_SHA1_80 outline:{KEY30}", "method"),
        ("1 AES_CM_128_HMAC_SHA1_80 inline:AAAA", "bytes"),
        ("1 AES_CM_128_HMAC_SHA1_80 inline:!!!!", "base64"),
        (f"1 AEAD_AES_128_GCM inline:{KEY30}", "bytes"),
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY30} UNENCRYPTED_SRTP", "UNENCRYPTED_SRTP"),
        (f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY30} KDR=1", "KDR"),
    ],
)
def test_what_we_cannot_follow_is_refused_without_telling_the_key(value: str, why: str) -> None:
    with pytest.raises(CryptoError, match=why) as caught:
        parse_crypto(value)
    assert KEY30 not in str(caught.value)


def test_the_best_common_suite_is_taken_and_the_tag_kept() -> None:
    offered = [line(1, CM32), line(2, CM80), line(7, GCM128), "9 AES_256_CM_HMAC_SHA1_80 inline:AAAA"]
    answered = answer_to(offered, SECRETS)
    assert answered is not None
    crypto, keys = answered
    assert (crypto.tag, crypto.profile) == (7, GCM128)
    assert keys.local == crypto.secret == dict(SECRETS)[GCM128]
    assert keys.remote == bytes([7] * 28)
    assert answer_to([line(1, CM32), line(2, CM80)], SECRETS)[0].tag == 2  # type: ignore[index]
    assert answer_to(["1 NULL_HMAC inline:AAAA"], SECRETS) is None


def test_a_line_with_mki_is_passed_over_for_the_next() -> None:
    answered = answer_to([f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY30}|2^20|1:4", line(2, CM80)], SECRETS)
    assert answered is not None
    assert answered[0].tag == 2


def test_offer_and_answer_meet() -> None:
    offered = offer_lines(SECRETS)
    assert [(one.tag, one.profile) for one in offered] == list(enumerate(PROFILES, 1))
    theirs = tuple(
        (profile, bytes([50 + index] * profile.secret_bytes)) for index, profile in enumerate(PROFILES)
    )
    answered = answer_to([str(one) for one in offered], theirs)
    assert answered is not None
    accepted = accept([str(answered[0])], offered)
    assert accepted is not None
    line_taken, keys = accepted
    assert line_taken.profile is GCM256
    assert (keys.local, keys.remote) == (answered[1].remote, answered[1].local)


@pytest.mark.parametrize(
    "wrong", [[], [line(9, CM80)], [line(1, CM32)], [line(3, CM80), line(4, CM32)], ["rubbish"]]
)
def test_an_answer_that_does_not_fit_the_offer_is_none(wrong: list[str]) -> None:
    assert accept(wrong, offer_lines(SECRETS)) is None


def test_the_key_is_on_the_wire_only() -> None:
    crypto = parse_crypto(f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY30}|2^20")
    assert str(crypto) == f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY30}|2^20"
    assert repr(crypto.secret) not in repr(crypto)


def test_mutations_raise_nothing_else() -> None:
    dice = random.Random(8)
    seeds = [line(1, profile) for profile in PROFILES] + [
        f"1 AES_CM_128_HMAC_SHA1_80 inline:{KEY30}|2^20|1:4 WSH=9"
    ]
    for _ in range(20_000):
        text = list(dice.choice(seeds))
        for _ in range(dice.randrange(1, 5)):
            at = dice.randrange(len(text))
            text[at : at + dice.randrange(3)] = dice.choice(
                ["", "|", ":", "=", " ", "é", "\x00", "9" * 20, ";"]
            )
        usable(["".join(text)])
