"""DTLS-SRTP without sockets: handshakes, keys, forged certificates, lost datagrams, rubbish."""

from __future__ import annotations

import random
import select
import time

import pytest

from voiceagent.errors import MediaError
from voiceagent.media import dtls
from voiceagent.media.dtls import DtlsAssociation, DtlsIdentity, datagrams_of, is_dtls
from voiceagent.media.fingerprint import (
    DtlsParameters,
    Fingerprint,
    parse_fingerprints,
    role_for_answer,
    role_for_offer,
    setup_of,
)
from voiceagent.media.srtp import SrtpSession

HERE, THERE = DtlsIdentity(), DtlsIdentity()


def two(
    there_shows: Fingerprint | None = None, here_shows: Fingerprint | None = None
) -> tuple[DtlsAssociation, DtlsAssociation]:
    """A client that expects what the server shows, and the other way round."""
    client = DtlsAssociation(HERE, DtlsParameters("client", (there_shows or THERE.fingerprint,)))
    server = DtlsAssociation(THERE, DtlsParameters("server", (here_shows or HERE.fingerprint,)))
    return client, server


def run(
    client: DtlsAssociation, server: DtlsAssociation, out: list[bytes] | None = None, now: float = 0
) -> int:
    """Carry datagrams to and fro until nobody has anything to say; how many there were."""
    carried = 0
    if out is None:
        assert server.start(now) == []
        out = client.start(now)
    to, back = server, client
    while out:
        carried += len(out)
        out = [answer for datagram in out for answer in to.receive(datagram, now)]
        to, back = back, to
    return carried


def test_both_sides_have_the_same_keys_crosswise() -> None:
    client, server = two()
    assert run(client, server) <= 10
    assert client.keys is not None
    assert server.keys is not None
    assert client.keys.profile is server.keys.profile
    assert client.keys.profile.startswith("AEAD")
    assert client.keys.local == server.keys.remote != client.keys.remote == server.keys.local
    packet = b"\x80\x00" + bytes(170)
    assert SrtpSession(server.keys).unprotect(SrtpSession(client.keys).protect(packet)) == packet
    assert client.wake_at() is server.wake_at() is None


def test_each_handshake_brings_other_keys() -> None:
    found = set()
    for _ in range(3):
        client, server = two()
        run(client, server)
        assert client.keys is not None
        found.add(client.keys.local)
    assert len(found) == 3


@pytest.mark.parametrize("wrong", ["client", "server"])
def test_a_certificate_that_is_not_the_one_of_the_sdp_brings_no_keys(wrong: str) -> None:
    other = DtlsIdentity().fingerprint
    client, server = two(there_shows=other) if wrong == "client" else two(here_shows=other)
    run(client, server)
    deceived = client if wrong == "client" else server
    assert deceived.keys is None
    assert isinstance(deceived.error, MediaError)
    assert deceived.error.code == "dtls_fingerprint"
    assert deceived.receive(b"\x16" * 100, 0) == []


def test_any_of_several_fingerprints_will_do() -> None:
    client, server = two()
    client.parameters = DtlsParameters("client", (HERE.fingerprint, THERE.fingerprint))
    run(client, server)
    assert client.keys is not None


def wait_for_timer(association: DtlsAssociation) -> list[bytes]:
    """What is sent when the timer ends. That is OpenSSL's, on its own clock: it takes a second."""
    at = association.wake_at()
    assert at is not None
    again: list[bytes] = []
    while not again:
        select.select([], [], [], max(0.0, at - time.monotonic()))
        again = association.wake(time.monotonic())
    return again


def test_a_lost_first_flight_is_sent_again() -> None:
    client, server = two()
    server.start(time.monotonic())
    assert client.start(time.monotonic())  # … and it is lost
    run(client, server, wait_for_timer(client), time.monotonic())
    assert client.keys is not None
    assert server.keys is not None


def test_a_lost_last_flight_is_sent_again_by_the_side_that_is_done() -> None:
    client, server = two()
    now = time.monotonic()
    server.start(now)
    flight = [answer for datagram in client.start(now) for answer in server.receive(datagram, now)]
    finished = [answer for datagram in flight for answer in client.receive(datagram, now)]
    assert [answer for datagram in finished for answer in server.receive(datagram, now)]  # … and it is lost
    assert server.keys is not None
    assert client.keys is None
    run(client, server, wait_for_timer(client), time.monotonic())
    assert client.keys is not None
    assert client.keys.local == server.keys.remote


def test_a_handshake_that_never_ends_is_given_up() -> None:
    client, _ = two()
    client.start(100.0)
    assert client.wake(100.0 + dtls.HANDSHAKE_LIMIT_S) == []
    assert client.error is not None
    assert client.error.code == "dtls_handshake"


def test_records_are_packed_into_datagrams() -> None:
    def record(size: int) -> bytes:
        return b"\x16\xfe\xfd" + bytes(8) + size.to_bytes(2, "big") + bytes(size)

    data = record(500) + record(500) + record(500) + record(1500)
    found = datagrams_of(data)
    assert [len(one) for one in found] == [1026, 513, 1513]
    assert b"".join(found) == data
    assert datagrams_of(b"") == []


def test_the_first_byte_tells_dtls_from_the_rest() -> None:
    """RFC 7983 §7."""
    told = [first for first in range(256) if is_dtls(bytes((first,)) * 20)]
    assert told == list(range(20, 64))
    assert not is_dtls(b"\x16" * 13)


def test_rubbish_neither_raises_nor_hinders() -> None:
    dice = random.Random(7)
    for seed in range(60):
        client, server = two()
        server.start(0)
        out = client.start(0)
        to, back = server, client
        for _ in range(8):
            answers: list[bytes] = []
            for datagram in out:
                for _ in range(dice.randrange(4)):
                    garbage = bytes((dice.randrange(20, 64),)) + dice.randbytes(dice.randrange(13, 200))
                    answers += to.receive(garbage, 0)
                answers += to.receive(datagram, 0)
            out = answers
            to, back = back, to
        assert client.keys is not None, seed
        assert client.keys.local == (server.keys.remote if server.keys else b"")


def test_mutated_flights_raise_nothing() -> None:
    dice = random.Random(9)
    for _ in range(400):
        client, server = two()
        server.start(0)
        out = client.start(0)
        to, back = server, client
        for _ in range(6):
            answers: list[bytes] = []
            for datagram in out:
                changed = bytearray(datagram)
                if dice.random() < 0.5:
                    changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
                answers += to.receive(bytes(changed), 0)
            out = answers
            to, back = back, to
        for one in (client, server):
            assert one.error is None or one.error.code.startswith("dtls_")


def test_a_flood_of_datagrams_is_not_followed_for_ever() -> None:
    client, _ = two()
    client.start(0)
    for _ in range(dtls.MAX_DATAGRAMS):
        client.receive(b"\x16" + bytes(40), 0)
    assert client.receive(b"\x16" + bytes(40), 0) == []


# ── SDP's part ──────────────────────────────────────────────────────────────────────────────────
def test_fingerprints_are_read_and_weak_ones_passed_over() -> None:
    text = str(HERE.fingerprint)
    assert parse_fingerprints([text]) == (HERE.fingerprint,)
    assert parse_fingerprints([text.lower().replace("sha", "SHA")]) == (HERE.fingerprint,)
    for bad in (
        "",
        "sha-256",
        "sha-256 AA:BB",
        "sha-1 " + ":".join(["AA"] * 20),
        text + ":AA",
        text[:-1] + "G",
    ):
        assert parse_fingerprints([bad]) == ()
    assert len(parse_fingerprints([text] * 100)) <= 8


def test_roles_follow_rfc_5763() -> None:
    assert [role_for_offer(s) for s in ("actpass", "active", "passive", "holdconn", "x")] == [
        "client",
        "server",
        "client",
        None,
        None,
    ]
    assert [role_for_answer(s) for s in ("active", "passive", "actpass")] == ["server", "client", None]
    assert (setup_of("client"), setup_of("server")) == ("active", "passive")
