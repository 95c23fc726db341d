"""Encrypted ports: audio and keys through every profile, forgeries without effect, DTLS, re-keying."""

from __future__ import annotations

import logging
import random
import struct

import pytest

from tests.media.secure_kit import Pair, keys, pair, stranger
from voiceagent.media import rtp
from voiceagent.media.dtls import DtlsIdentity, process_identity
from voiceagent.media.fingerprint import DtlsParameters, Fingerprint
from voiceagent.media.path import MediaPath
from voiceagent.media.srtp import SrtpSession
from voiceagent.media.srtp_profile import PROFILES, SrtpProfile

pytestmark = pytest.mark.loopback

CM80 = SrtpProfile.AES_CM_128_HMAC_SHA1_80
WORDS = b"\x21" * 1600
FORGED = struct.pack("!BBHII", 0x80, 0, 7, 160, 77) + b"\x66" * 170


def talk(both: Pair, ms: float = 500) -> None:
    """Each says its words."""
    both.here.play(WORDS, "r", "i")
    both.there.play(WORDS, "r", "i")
    both.run(ms)


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.value)
def test_words_and_keys_arrive_through_every_profile(profile: SrtpProfile) -> None:
    with pair() as both:
        both.connect(*keys(profile))
        both.run(100)
        talk(both)
        both.here.send_digits("42#")
        both.run(1500)
        for events, port in zip(both.events, (both.here, both.there), strict=True):
            assert events.audio.count(b"\x21") == len(WORDS)
            assert port.srtp_profile == profile.value
            assert port.figures().details["srtp_refused"] == 0
        assert both.events[1].digits == "42#"


def test_nothing_leaves_in_the_clear_and_nothing_plain_is_heard() -> None:
    with pair() as both, stranger() as phone:
        one, _ = keys(CM80)
        both.here.connect(MediaPath(phone.getsockname(), security=one))
        both.here.play(WORDS, "r", "i")
        for n in range(50):
            packet = rtp.RtpPacket(0, False, n, 160 * n, 5, b"\x55" * 160)
            phone.sendto(rtp.build(packet), both.here.address)
            both.run(20)
        seen = 0
        while True:
            try:
                packet = phone.recv(2048)
            except BlockingIOError:
                break
            seen += 1
            assert len(packet) == 182
            assert b"\x21" * 8 not in packet
        assert seen >= 49
        assert both.events[0].audio == b""
        figures = both.here.figures()
        assert figures.received == 0
        assert figures.details["srtp_refused"] == 50


def test_an_encrypted_stream_begins_in_the_lower_half_of_the_numbers() -> None:
    for _ in range(20):
        with pair() as both, stranger() as phone:
            both.here.connect(MediaPath(phone.getsockname(), security=keys(CM80)[0]))
            both.run(30)
            assert rtp.parse(phone.recv(2048)).sequence < 0x8000


def test_forged_packets_of_the_right_address_end_no_call_and_feed_no_timer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """B2: 10^5 wrong tags. The canary goes on meanwhile; without it the silence is noticed on time."""
    with pair(timeout_s=3.0) as both, caplog.at_level(logging.WARNING, "voiceagent.media"):
        both.connect(*keys(CM80))
        both.run(200)
        for turn in range(2500):
            # Straight into the socket, as if the peer's address had sent them.
            for n in range(40):
                both.there._send_raw(FORGED[:2] + (turn * 40 + n & 0xFFFF).to_bytes(2, "big") + FORGED[4:])
            both.run(2)
        figures = both.here.figures()
        assert figures.details["srtp_refused"] > 90_000
        assert both.events[0].lost == []
        assert b"\x66" not in both.events[0].audio
        assert figures.details["loss_percent"] < 50
        lines = [record for record in caplog.records if "not authentic" in record.getMessage()]
        assert 1 <= len(lines) <= 2  # five seconds of virtual time
        # Now the peer itself is silent, and only forgeries come.
        received = both.here.figures().received
        both.there.update(MediaPath(both.here.address, direction="inactive", security=keys(CM80)[1]))
        for _ in range(200):
            both.there._send_raw(FORGED)
            both.run(20)
        assert both.here.figures().received <= received + 1
        assert [round(silence) for silence in both.events[0].lost] == [3]


def test_who_has_no_key_learns_nothing_by_a_foreign_address() -> None:
    with pair() as both, stranger() as thief:
        one, _ = keys(CM80)
        both.here.connect(MediaPath(("127.0.0.1", 9), security=one))
        for n in range(200):
            packet = rtp.RtpPacket(0, False, n, 160 * n, 5, b"\x66" * 160)
            thief.sendto(rtp.build(packet) + bytes(10), both.here.address)
            both.run(20)
        assert both.here.remote == ("127.0.0.1", 9)
        with pytest.raises(BlockingIOError):
            thief.recv(2048)


def test_who_has_the_key_is_learned_behind_nat() -> None:
    with pair() as both, stranger() as phone:
        one, two = keys(CM80)
        both.here.connect(MediaPath(("127.0.0.1", 9), security=one))
        session = SrtpSession(two)
        for n in range(20):
            packet = rtp.build(rtp.RtpPacket(0, False, n, 160 * n, 5, b"\x21" * 160))
            phone.sendto(session.protect(packet), both.here.address)
            both.run(20)
        assert both.here.remote == phone.getsockname()
        assert both.events[0].audio.count(b"\x21") == 16 * 160


def test_new_keys_of_a_re_invite_are_taken_in_mid_call() -> None:
    with pair() as both:
        both.connect(*keys(CM80))
        talk(both)
        both.connect(*keys(SrtpProfile.AEAD_AES_128_GCM, 50))
        talk(both)
        both.connect(*keys(SrtpProfile.AEAD_AES_128_GCM, 50))
        talk(both)
        assert both.events[0].audio.count(b"\x21") == 3 * len(WORDS)
        assert both.here.figures().resyncs == 0


def test_one_re_invite_may_switch_encryption_on_and_another_off() -> None:
    with pair() as both:
        both.connect(None, None)
        talk(both)
        both.connect(*keys(CM80))
        talk(both)
        both.connect(None, None)
        talk(both)
        assert both.events[1].audio.count(b"\x21") == 3 * len(WORDS)
        assert both.here.srtp_profile == ""


# ── DTLS ────────────────────────────────────────────────────────────────────────────────────────
def dtls(both: Pair, expected: Fingerprint | None = None, **changes) -> None:
    ours = process_identity().fingerprint
    both.connect(
        DtlsParameters("client", (expected or ours,)), DtlsParameters("server", (ours,)), mux=True, **changes
    )


def test_a_handshake_brings_the_keys_and_what_was_played_waits_for_it() -> None:
    with pair() as both:
        both.here.play(WORDS, "r", "i")
        dtls(both)
        both.run(600)
        assert both.events[1].audio.count(b"\x21") == len(WORDS)
        assert both.here.srtp_profile == both.there.srtp_profile != ""
        assert both.here.figures().sent >= 25


def test_the_first_words_wait_for_the_handshake_no_longer_than_it_takes() -> None:
    with pair() as both:
        dtls(both)
        both.here.play(WORDS, "r", "i")
        both.run(60)
        assert both.events[1].audio.count(b"\x21") >= 160


def test_a_wrong_certificate_ends_the_media_with_its_reason() -> None:
    with pair() as both:
        dtls(both, expected=DtlsIdentity().fingerprint)
        talk(both, 1500)
        (error,) = both.events[0].failed
        assert error.code == "dtls_fingerprint"
        assert both.events[1].audio == b""
        assert both.here.figures().sent == 0


def test_a_hello_from_elsewhere_is_not_looked_at() -> None:
    """B10: a stranger's ClientHello before, while and after ours."""
    from voiceagent.media.dtls import DtlsAssociation

    ours = process_identity().fingerprint
    evil = DtlsAssociation(DtlsIdentity(), DtlsParameters("client", (ours,))).start(0.0)[0]
    with pair() as both, stranger() as thief:
        for port in (both.here.address, both.there.address):
            thief.sendto(evil, port)
        dtls(both)
        for _ in range(1000):
            thief.sendto(evil, both.there.address)
            thief.sendto(evil, both.here.address)
            both.run(2)
        talk(both)
        assert both.events[0].audio.count(b"\x21") == both.events[1].audio.count(b"\x21") == len(WORDS)
        with pytest.raises(BlockingIOError):
            thief.recv(2048)


def test_hold_keeps_the_association_and_another_certificate_needs_a_new_one() -> None:
    with pair() as both:
        dtls(both)
        talk(both)
        guard = both.here._guard
        assert guard is not None
        before = guard._association
        dtls(both, direction="inactive")
        both.run(100)
        ours = process_identity().fingerprint
        nowhere = MediaPath(None, direction="recvonly", security=DtlsParameters("client", (ours,)))
        both.here.update(nowhere)  # the old way to hold
        both.run(25_000)
        assert both.events[0].failed == []
        dtls(both)
        talk(both)
        assert guard._association is before
        assert both.events[0].audio.count(b"\x21") == 2 * len(WORDS)


# ── whatever comes ──────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("kind", ["plain", "sdes", "dtls"])
def test_mutated_packets_of_all_kinds_raise_nothing(kind: str) -> None:
    """B8: RTP, RTCP, STUN and DTLS seeds, mutated, through the entry of a port: 10^5 over the three kinds."""
    dice = random.Random(kind)
    one, two = keys(CM80)
    session = SrtpSession(two)
    plain = rtp.build(
        rtp.RtpPacket(0, True, 65_500, 2**32 - 8000, 5, b"\x21" * 160, (1, 2), (0xBEDE, bytes(8)))
    )
    report = struct.pack("!BBHIIIIIII", 0x81, 201, 7, 5, 9, 0, 0, 0, 0, 0)
    stun = bytes.fromhex("000100002112a442") + bytes(12)
    hello = bytes.fromhex("16fefd0000000000000000000b") + bytes(11)
    seeds = [
        plain,
        plain[:12] + bytes(160),
        report,
        stun,
        hello,
        session.protect(plain),
        session.protect_rtcp(report),
    ]
    with pair(rtcp=True) as both:
        if kind == "dtls":
            dtls(both)
        else:
            both.connect(*((one, two) if kind == "sdes" else (None, None)), mux=True)
        both.run(40)
        source = both.there.address
        for n in range(34_000):
            data = bytearray(dice.choice(seeds))
            for _ in range(dice.randrange(4)):
                data[dice.randrange(len(data))] = dice.choice((0, 0x7F, 0x80, 0xFF, dice.randrange(256)))
            if dice.random() < 0.2:
                del data[dice.randrange(len(data)) :]
            both.here._from_anyone(bytes(data), source if n % 3 else ("127.0.0.1", 9), both.now)
        both.run(40)
        assert both.events[0].failed == []
