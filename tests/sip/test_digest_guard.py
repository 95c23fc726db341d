"""Proving who you are: nonces, counts, replays, holds (fault table A10)."""

from __future__ import annotations

import hmac
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voiceagent.sip.auth import digest_guard
from voiceagent.sip.auth.digest import Challenge, Credentials, known_algorithm, response_hash, secret_hash
from voiceagent.sip.auth.digest_guard import DigestGuard, DigestUser, Proof

HOST = "192.0.2.7"
URI = "sip:100@127.0.0.1:5060"
BOTH = ("SHA-256", "MD5")


def guard(life_s: float = 30.0) -> DigestGuard:
    users = {"alice": DigestUser("desk", "wonderland"), "old": DigestUser("phones", "pw", BOTH)}
    return DigestGuard(users, realm="voiceagent", secret=b"secret of the test", life_s=life_s)


def challenge(to: DigestGuard, now: float = 0.0, host: str = HOST, *, md5: bool = False) -> Challenge:
    """The last (least) challenge offered."""
    told = Challenge.parse(to.challenge(host, now, BOTH if md5 else BOTH[:1])[-1])
    assert told is not None
    return told


def answer(
    told: Challenge, user: str = "alice", password: str = "wonderland", *, nc: int = 1, qop: str = "auth"
) -> str:
    algorithm = known_algorithm(told.algorithm) or ""
    count, cnonce = (f"{nc:08x}", "0123") if qop else ("", "")
    response = response_hash(
        algorithm,
        secret_hash(algorithm, user, told.realm, password),
        nonce=told.nonce,
        method="INVITE",
        uri=URI,
        qop=qop,
        nc=count,
        cnonce=cnonce,
    )
    return str(Credentials(user, told.realm, told.nonce, URI, response, algorithm, qop, count, cnonce))


def verify(
    to: DigestGuard, *lines: str, now: float = 0.0, host: str = HOST, listed: bool = False
) -> tuple[Proof, str]:
    return to.verify(lines, method="INVITE", body=b"", source=host, now=now, listed=listed)


def test_a_right_answer_names_its_user_and_its_trunk() -> None:
    door = guard()
    assert verify(door, answer(challenge(door))) == (Proof.RIGHT, "alice")
    assert door.trunk_of("alice") == "desk"


def test_sha_256_comes_first_and_md5_only_where_it_is_allowed() -> None:
    door = guard()
    told = [Challenge.parse(line) for line in door.challenge(HOST, 0.0, BOTH)]
    assert [one.algorithm for one in told if one] == ["SHA-256", "MD5"]
    assert len({one.nonce for one in told if one}) == 1
    assert [one.qops for one in told if one] == [("auth",), ("auth",)]
    weak = challenge(door, md5=True)
    assert weak.algorithm == "MD5"
    assert verify(door, answer(weak, "old", "pw"))[0] is Proof.RIGHT
    assert verify(door, answer(challenge(door, md5=True)))[0] is Proof.WRONG  # alice may not


def test_a_nonce_is_good_for_thirty_seconds_for_one_source_and_one_guard() -> None:
    door = guard()
    told = challenge(door, now=100.0)
    assert verify(door, answer(told), now=130.0)[0] is Proof.RIGHT
    assert verify(door, answer(told, nc=2), now=130.1)[0] is Proof.STALE
    assert verify(door, answer(told, password="guess"), now=130.1)[0] is Proof.WRONG
    assert verify(door, answer(told, nc=3), now=100.0 + 10 * 30 + 0.1)[0] is Proof.MISSING
    assert verify(door, answer(challenge(door)), host="192.0.2.8")[0] is Proof.MISSING
    other = DigestGuard({}, realm="voiceagent", secret=b"another", life_s=30.0)
    assert verify(door, answer(challenge(other)))[0] is Proof.MISSING


def test_every_challenge_has_a_nonce_of_its_own() -> None:
    door = guard()
    assert len({challenge(door, now=5.0).nonce for _ in range(1000)}) == 1000


def test_ten_thousand_replays_are_not_accepted_once() -> None:
    door = guard()
    told = challenge(door)
    lines = [answer(told, nc=count) for count in (1, 2, 7)]
    assert [verify(door, line)[0] for line in lines] == [Proof.RIGHT] * 3
    outcomes = {verify(door, lines[count % 3], now=count / 500)[0] for count in range(10_000)}
    assert outcomes == {Proof.STALE}
    assert verify(door, answer(told, nc=6))[0] is Proof.STALE  # below the highest, if never used
    assert verify(door, answer(told, nc=8))[0] is Proof.RIGHT


def test_the_table_of_counts_is_bounded_and_forgets_what_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest_guard, "MAX_NONCES", 50)
    door = guard()
    first = challenge(door, now=0.0)
    assert verify(door, answer(first))[0] is Proof.RIGHT
    for count in range(100):
        assert verify(door, answer(challenge(door, now=count / 100)), now=1.0)[0] is Proof.RIGHT
    assert len(door) <= 51
    # Its place is gone, and with it the right to be used: a replay finds no way in by pushing it out.
    assert verify(door, answer(first), now=1.0)[0] is Proof.STALE
    assert verify(door, answer(first, nc=2), now=1.0)[0] is Proof.STALE
    assert verify(door, answer(challenge(door, now=60.0)), now=60.0)[0] is Proof.RIGHT
    assert len(door) == 1


def test_without_qop_a_nonce_is_good_for_one_request_of_a_user_who_may_use_md5() -> None:
    door = guard()
    told = challenge(door, md5=True)
    assert verify(door, answer(told, "old", "pw", qop=""))[0] is Proof.RIGHT
    assert verify(door, answer(told, "old", "pw", qop=""))[0] is Proof.STALE
    assert verify(door, answer(told, "old", "pw", nc=2))[0] is Proof.STALE
    assert verify(door, answer(challenge(door), qop=""))[0] is Proof.WRONG


def test_auth_int_was_not_offered_and_is_not_taken() -> None:
    door = guard()
    assert verify(door, answer(challenge(door), qop="auth-int"))[0] is Proof.WRONG


def test_credentials_for_others_are_passed_over() -> None:
    door = guard()
    told = challenge(door)
    others = [
        'Digest username="x", realm="elsewhere", nonce="n", uri="sip:a", response="r"',
        "Bearer x",
        "Dig",
    ]
    assert verify(door, *others)[0] is Proof.MISSING
    assert verify(door, *others, answer(told))[0] is Proof.RIGHT


def fail(door: DigestGuard, user: str, times: int, now: float, host: str = HOST, **how: bool) -> Proof:
    proof = Proof.MISSING
    for count in range(times):
        proof, _ = verify(
            door, answer(challenge(door, now, host), user, f"guess {count}"), now=now, host=host, **how
        )
    return proof


def test_five_wrong_answers_hold_the_user_at_that_source_for_longer_each_time() -> None:
    door = guard()
    assert fail(door, "alice", 5, now=0.0) is Proof.WRONG
    now = 0.0
    for hold in (30.0, 60.0, 120.0):
        right = answer(challenge(door, now + hold - 1))
        assert verify(door, right, now=now + hold - 1)[0] is Proof.HELD
        assert (
            verify(door, answer(challenge(door, now, "192.0.2.8")), now=now, host="192.0.2.8")[0]
            is Proof.RIGHT
        )
        now += hold
        assert fail(door, "alice", 5, now=now) is Proof.WRONG
    now += 240.0
    assert verify(door, answer(challenge(door, now)), now=now)[0] is Proof.RIGHT
    assert fail(door, "alice", 4, now=now) is Proof.WRONG
    assert verify(door, answer(challenge(door, now)), now=now)[0] is Proof.RIGHT  # which forgives


def test_a_retransmitted_wrong_answer_is_one_failure() -> None:
    door = guard()
    line = answer(challenge(door), password="guess")
    assert {verify(door, line)[0] for _ in range(20)} == {Proof.WRONG}
    assert verify(door, answer(challenge(door)))[0] is Proof.RIGHT


def test_a_source_that_tries_many_users_is_held_unless_its_address_is_listed() -> None:
    for listed, expected in ((False, Proof.HELD), (True, Proof.RIGHT)):
        door = guard()
        for count in range(20):
            fail(door, f"user{count}", 1, now=0.0, listed=listed)
        assert verify(door, answer(challenge(door)), listed=listed)[0] is expected


def test_forged_sources_hold_nobody() -> None:
    """Who never received our challenge cannot answer it: 1,000 forged requests count for nothing."""
    door = guard()
    elsewhere = challenge(door, host="198.51.100.1")
    for count in range(1000):
        told = Challenge("voiceagent", "A" * 56) if count % 2 else elsewhere
        line = answer(Challenge(told.realm, told.nonce, "SHA-256", ("auth",)), password=f"guess {count}")
        assert verify(door, line)[0] is Proof.MISSING
    assert verify(door, answer(challenge(door)))[0] is Proof.RIGHT
    assert len(door) == 1


def test_records_of_failures_are_bounded_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digest_guard, "MAX_RECORDS", 64)
    door = guard()
    for count in range(300):
        host = f"10.0.{count // 250}.{count % 250}"
        fail(door, "alice", 1, now=0.0, host=host)
    assert len(door) <= 64
    door = guard()
    assert fail(door, "alice", 4, now=0.0) is Proof.WRONG
    assert fail(door, "alice", 4, now=4000.0) is Proof.WRONG
    assert verify(door, answer(challenge(door, 4000.0)), now=4000.0)[0] is Proof.RIGHT


def test_known_and_unknown_users_take_the_same_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple[str, int]] = []

    def watched(module: ModuleType, name: str) -> None:
        real = getattr(module, name)

        def counting(*args: Any, **kwargs: Any) -> Any:
            steps.append((name, len(str(args[-1]))))
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, counting)

    watched(digest_guard, "response_hash")
    watched(hmac, "compare_digest")
    watched(hmac, "digest")
    taken: dict[str, list[tuple[str, int]]] = {}
    for user in ("alice", "nobody"):
        door = guard()
        line = answer(challenge(door), user, "guess")
        steps.clear()
        assert verify(door, line) == (Proof.WRONG, user)
        taken[user] = list(steps)
    assert taken["alice"] == taken["nobody"]
    assert [name for name, _ in taken["alice"]].count("response_hash") == 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 12), max_size=40))
def test_exactly_the_counts_that_rise_are_accepted(counts: list[int]) -> None:
    door = guard()
    told = challenge(door)
    highest = 0
    for count in counts:
        proof, _ = verify(door, answer(told, nc=count))
        assert (proof is Proof.RIGHT) == (count > highest)
        highest = max(highest, count)


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=40, max_size=40), st.integers(0, 55))
def test_no_altered_nonce_is_ours(noise: bytes, place: int) -> None:
    door = guard()
    told = challenge(door)
    letter = "A" if told.nonce[place] != "A" else "B"
    bent = told.nonce[:place] + letter + told.nonce[place + 1 :]
    for nonce in (bent, noise.hex()[:56], told.nonce.rstrip("=")[:-1]):
        line = answer(Challenge("voiceagent", nonce, "SHA-256", ("auth",)))
        assert verify(door, line)[0] is Proof.MISSING
