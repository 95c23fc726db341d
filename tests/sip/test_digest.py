"""The arithmetic of digest against published vectors, and the header values as text."""

from __future__ import annotations

import hashlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voiceagent.errors import SipError
from voiceagent.sip.auth.digest import (
    ALGORITHMS,
    Challenge,
    Credentials,
    known_algorithm,
    response_hash,
    secret_hash,
)


def test_rfc_2617_section_3_5() -> None:
    secret = secret_hash("MD5", "Mufasa", "testrealm@host.com", "Circle Of Life")
    told = {"nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093", "method": "GET", "uri": "/dir/index.html"}
    counted = response_hash("MD5", secret, **told, qop="auth", nc="00000001", cnonce="0a4f113b")
    assert counted == "6629fae49393a05397450978507c4ef1"
    # The same without qop: RFC 2069, as its errata has it.
    assert response_hash("MD5", secret, **told) == "670fd8c2df070c60b045671b8b24ff02"


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_rfc_7616_section_3_9_1(algorithm: str, expected: str) -> None:
    secret = secret_hash(algorithm, "Mufasa", "http-auth@example.org", "Circle of Life")
    told = response_hash(
        algorithm,
        secret,
        nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
        method="GET",
        uri="/dir/index.html",
        qop="auth",
        nc="00000001",
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )
    assert told == expected


def test_rfc_7616_section_3_9_2_as_its_erratum_4897_has_it() -> None:
    """SHA-512/256 proper: the RFC's own figures are those of SHA-512 cut short."""
    secret = secret_hash("SHA-512-256", "Jäsøn Doe", "api@example.org", "Secret, or not?")
    told = response_hash(
        "SHA-512-256",
        secret,
        nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
        method="GET",
        uri="/doe.json",
        qop="auth",
        nc="00000001",
        cnonce="NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
    )
    assert told == "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"


def test_auth_int_and_sess_by_the_definitions_of_rfc_7616() -> None:
    """No vectors are published for these: the formulas of §3.4.2 and §3.4.3, written out once more."""

    def h(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    plain = secret_hash("SHA-256", "u", "r", "p")
    assert plain == h("u:r:p")
    session = h(f"{plain}:n:c")
    asked = h("INVITE:sip:a@b:" + h("body"))
    told = response_hash(
        "SHA-256-sess",
        plain,
        nonce="n",
        method="INVITE",
        uri="sip:a@b",
        qop="auth-int",
        nc="0000000a",
        cnonce="c",
        body=b"body",
    )
    assert told == h(f"{session}:n:0000000a:c:auth-int:{asked}")


def test_names_of_algorithms_compare_without_case() -> None:
    assert [known_algorithm(name) for name in ("md5", "sha-256", "MD5-SESS", "SHA-512-256", "AKAv1-MD5")] == [
        "MD5",
        "SHA-256",
        "MD5-sess",
        "SHA-512-256",
        None,
    ]


def test_a_challenge_is_read_as_others_write_it() -> None:
    told = Challenge.parse(
        'DIGEST  realm="a, \\"b\\"" ,nonce="n,1", stale=TRUE,Qop="auth-int , Auth",opaque="",'
        "algorithm=sha-256, x=y"
    )
    assert told == Challenge('a, "b"', "n,1", "sha-256", ("auth-int", "auth"), "", stale=True)
    assert Challenge.parse('Digest realm="r", nonce="n"') == Challenge("r", "n")
    assert Challenge.parse('NTLM realm="r", nonce="n"') is None


@pytest.mark.parametrize(
    "text",
    [
        "Digest",
        'Digest realm="r"',
        'Digest nonce="n"',
        'Digest realm="r", nonce=""',
        'Digest realm="r, nonce="n"',
        'Digest realm="r", realm="s", nonce="n"',
        'Digest realm="r"x, nonce="n"',
        'Digest realm="r", nonce="n", a b=c',
        "Digest realm=r s, nonce=n",
        'Digest realm="r", nonce="n"' + ", x=y" * 40,
    ],
)
def test_a_challenge_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(SipError) as error:
        Challenge.parse(text)
    assert error.value.code == "bad_challenge"


@pytest.mark.parametrize(
    "rest",
    [
        "",
        ', response="x", qop=auth',
        ', response="x", qop=auth, nc=1, cnonce="c"',
        ', response="x", qop=auth, nc=0000000g, cnonce="c"',
        ', response="x", qop=auth, nc=٠٠٠٠٠٠٠١, cnonce="c"',
        ', response="x", qop=auth, nc=00000001',
    ],
)
def test_credentials_that_cannot_be_read_are_refused(rest: str) -> None:
    with pytest.raises(SipError):
        Credentials.parse('Digest username="u", realm="r", nonce="n", uri="sip:a"' + rest)


words = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)


@given(words, words, words, st.sampled_from(ALGORITHMS), st.integers(0, 2**32 - 1))
def test_what_is_written_reads_back(user: str, realm: str, nonce: str, algorithm: str, count: int) -> None:
    challenge = Challenge(realm, nonce, algorithm, ("auth",), user, stale=bool(count % 2))
    assert Challenge.parse(str(challenge)) == challenge
    credentials = Credentials(user, realm, nonce, "sip:a@b", "0f", algorithm, "auth", f"{count:08x}", realm)
    assert Credentials.parse(str(credentials)) == credentials
    assert credentials.count == count


@given(st.text(max_size=200))
def test_no_text_raises_more_than_a_refusal(text: str) -> None:
    for kind in (Challenge, Credentials):
        with suppress(SipError):
            kind.parse("Digest " + text)
