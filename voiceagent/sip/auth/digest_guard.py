"""PURE. The server side of digest: who are you, proven to us (RFC 3261 §22.4, RFC 7616, RFC 8760).

A nonce carries its time of issue and a MAC over it, the source's IP address and the realm, so nothing is kept
for a challenge that nobody answers. Only a nonce that was answered rightly has a place in a table, for its
count. Nothing here tells a known user from an unknown one: both take the same steps and get the same answer.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from voiceagent.errors import SipError
from voiceagent.sip.auth.digest import Challenge, Credentials, known_algorithm, response_hash, secret_hash

_US = 1_000_000
_TIME_BYTES = 8
_MAC_BYTES = 32
_NONCE_CHARS = 4 * -(-(_TIME_BYTES + _MAC_BYTES) // 3)

FAILURES_TO_HOLD = 5
"""Wrong answers of one source for one user before it is held."""
SOURCE_FAILURES_TO_HOLD = 20
"""Wrong answers of one source for any users before all of it is held, unless its address is allow-listed."""
FIRST_HOLD_S = 30.0
LONGEST_HOLD_S = 3600.0
"""Also how long failures are remembered after the last one."""
TOO_OLD = 10
"""A nonce older than this many lives is not looked at at all: who had it then need not be there now."""
MAX_NONCES = 65_536
"""Answered nonces that are remembered; beyond it the oldest ones end before their time."""
MAX_RECORDS = 16_384
"""Sources and users with failures that are remembered."""
_USER_CHARS = 128  # of a user name, as the key of a record


class Proof(StrEnum):
    """What came of looking at a request's credentials."""

    RIGHT = "right"
    MISSING = "missing"
    """None for our realm: challenge."""
    STALE = "stale"
    """Right, but for a nonce that is too old or a count that was used: challenge with ``stale=true``."""
    WRONG = "wrong"
    HELD = "held"
    """Too many wrong answers before; this one was not looked at."""


@dataclass(frozen=True, slots=True)
class DigestUser:
    """One user who may prove itself. ``trunk`` is whose rules apply then."""

    trunk: str
    password: str = field(repr=False)
    algorithms: tuple[str, ...] = ("SHA-256",)
    """What it may use: MD5 is for phones that know nothing better."""


@dataclass(slots=True)
class _Failures:
    count: int = 0
    holds: int = 0
    until: float = 0.0
    """Held until then."""
    at: float = 0.0
    """When the last one came."""
    last: str = ""
    """The last wrong answer: the same one again is a retransmission, not an attempt."""


class DigestGuard:
    """Challenges and verifies. ``secret`` is random per process; times are monotonic seconds."""

    def __init__(
        self, users: Mapping[str, DigestUser], *, realm: str, secret: bytes, life_s: float = 30.0
    ) -> None:
        self.realm = realm
        self._users = users
        self._secret = secret
        self._life_us = int(life_s * _US)
        self._last_issue = 0
        self._used: OrderedDict[int, int] = OrderedDict()
        """Highest count used, by the nonce's time of issue (which is unique)."""
        self._floor = 0
        """Nonces issued until then were pushed out of the table: they count as old."""
        self._failures: OrderedDict[tuple[str, str | None], _Failures] = OrderedDict()
        self._secrets: dict[tuple[str, str], str] = {
            (name, algorithm): secret_hash(algorithm, name, realm, user.password)
            for name, user in users.items()
            for algorithm in user.algorithms
        }
        self._nobody = hmac.digest(secret, b"nobody", "sha256").hex()

    def __len__(self) -> int:
        return len(self._used) + len(self._failures)

    # Challenges.

    def challenge(
        self, source: str, now: float, algorithms: tuple[str, ...] = ("SHA-256",), *, stale: bool = False
    ) -> tuple[str, ...]:
        """Return WWW-Authenticate values for ``source`` (an IP address), best first (RFC 8760 §2.4)."""
        # Strictly rising, so that every nonce is its own even within one microsecond.
        self._last_issue = max(int(now * _US), self._last_issue + 1)
        nonce = self._nonce(self._last_issue, source)
        return tuple(str(Challenge(self.realm, nonce, one, ("auth",), None, stale)) for one in algorithms)

    def _nonce(self, issued: int, source: str) -> str:
        time = issued.to_bytes(_TIME_BYTES, "big")
        mac = hmac.digest(self._secret, b"\0".join((time, source.encode(), self.realm.encode())), "sha256")
        return base64.b64encode(time + mac).decode("ascii")

    def _issued(self, nonce: str, source: str) -> int | None:
        """Return when we issued ``nonce`` to ``source``, in µs; None if we did not."""
        if len(nonce) != _NONCE_CHARS:
            return None
        try:
            raw = base64.b64decode(nonce, validate=True)
        except (binascii.Error, ValueError):
            return None
        issued = int.from_bytes(raw[:_TIME_BYTES], "big")
        # As text: the last letters of base64 have spare bits, and one nonce must not be written in two ways.
        genuine = hmac.compare_digest(nonce.encode(), self._nonce(issued, source).encode())
        return issued if genuine else None

    # Answers.

    def verify(
        self,
        lines: Iterable[str],
        *,
        method: str,
        body: bytes,
        source: str,
        now: float,
        listed: bool = False,
    ) -> tuple[Proof, str]:
        """Look at the Authorization lines of a request; return what they prove, and for which user.

        ``listed``: the source's address is on a trunk's list, so it is never held for users it did not name.
        The ``uri`` of the credentials is hashed; proxies on the way may have rewritten the Request-URI.
        """
        given = self._ours(lines)
        if given is None:
            return Proof.MISSING, ""
        user = given.username
        issued = self._issued(given.nonce, source)
        age = 0 if issued is None else int(now * _US) - issued
        if issued is None or age > TOO_OLD * self._life_us:
            # Not ours, or another's: whoever sent it has not shown that it receives our answers, so it
            # counts for nothing, least of all against the owner of that address.
            return Proof.MISSING, ""
        if self._held(source, user, now, listed=listed):
            return Proof.HELD, user
        if not self._right(given, method, body):
            self._failed(source, user, given, now, listed=listed)
            return Proof.WRONG, user
        self._failures.pop((source, user[:_USER_CHARS]), None)
        if age > self._life_us or issued <= self._floor or not self._count(issued, given.count, now):
            return Proof.STALE, user
        if not given.qop:
            self._used[issued] = 1 << 32  # RFC 2069 cannot count: such a nonce is good for one request
        return Proof.RIGHT, user

    def trunk_of(self, user: str) -> str:
        """Return the trunk of a user that has proven itself."""
        return self._users[user].trunk

    def _ours(self, lines: Iterable[str]) -> Credentials | None:
        for line in lines:
            try:
                given = Credentials.parse(line)
            except SipError:
                continue
            if given is not None and given.realm == self.realm:
                return given
        return None

    def _right(self, given: Credentials, method: str, body: bytes) -> bool:
        algorithm = known_algorithm(given.algorithm)
        known = None if algorithm is None else self._secrets.get((given.username, algorithm))
        sound = given.qop == "auth" or (not given.qop and algorithm == "MD5")
        expected = response_hash(
            algorithm or "SHA-256",
            known or self._nobody,
            nonce=given.nonce,
            method=method,
            uri=given.uri,
            qop=given.qop,
            nc=given.nc,
            cnonce=given.cnonce,
            body=body,
        )
        same = hmac.compare_digest(
            expected.encode(), given.response.lower().encode("utf-8", "surrogateescape")
        )
        return same and known is not None and sound

    def _count(self, issued: int, count: int, now: float) -> bool:
        """Take the count of a nonce; False unless it is above all before it."""
        used = self._used
        if count <= used.get(issued, 0):
            return False
        used[issued] = count
        oldest_alive = int(now * _US) - self._life_us
        while used:
            first = next(iter(used))
            if first >= oldest_alive and len(used) <= MAX_NONCES:
                break
            if first >= oldest_alive:
                self._floor = max(self._floor, first)
            del used[first]
        return True

    # Holds.

    def _held(self, source: str, user: str, now: float, *, listed: bool) -> bool:
        keys = [(source, user[:_USER_CHARS])] if listed else [(source, user[:_USER_CHARS]), (source, None)]
        return any(one.until > now for one in map(self._failures.get, keys) if one is not None)

    def _failed(self, source: str, user: str, given: Credentials, now: float, *, listed: bool) -> None:
        mark = f"{given.nonce} {given.nc} {given.response}"[:512]
        self._note((source, user[:_USER_CHARS]), FAILURES_TO_HOLD, mark, now)
        if not listed:
            self._note((source, None), SOURCE_FAILURES_TO_HOLD, mark, now)

    def _note(self, key: tuple[str, str | None], most: int, mark: str, now: float) -> None:
        table = self._failures
        record = table.pop(key, None)
        if record is None or now - max(record.at, record.until) > LONGEST_HOLD_S:
            record = _Failures()
        table[key] = record
        if mark == record.last:
            return
        record.last, record.at = mark, now
        record.count += 1
        if record.count >= most:
            record.until = now + min(FIRST_HOLD_S * 2**record.holds, LONGEST_HOLD_S)
            record.holds += 1
            record.count = 0
        while len(table) > MAX_RECORDS:
            table.popitem(last=False)
