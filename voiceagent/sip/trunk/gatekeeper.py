"""PURE. The gate: which trunk a request belongs to, and whether that trunk's rules let it in.

Order of judging: the connection's certificate, the source's address, then a digest challenge where a trunk
with users may be at that address. Nobody else gets an answer (or a 403, by setting). Challenges are
stateless, at most ten a second for one unlisted source, and count against nobody: only a wrong answer to a
nonce that the source has truly received does, so a forged UDP source can ban no one.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from voiceagent.errors import SipError
from voiceagent.sip.address import Address
from voiceagent.sip.auth.digest_guard import DigestGuard, Proof
from voiceagent.sip.syntax.headers import Headers
from voiceagent.sip.syntax.message import Request
from voiceagent.sip.trunk.numbers import any_matches
from voiceagent.sip.trunk.trunks import Candidates, Trunk, TrunkTable

CHALLENGES_PER_SECOND = 10.0
"""To one source whose address is on no list; its further requests are dropped."""
_SOURCES = 4096
_ALWAYS = frozenset({"ACK", "BYE", "CANCEL", "PRACK"})  # a call that may begin may go on and end
_NEVER_SHOWN = frozenset({"Authorization", "Proxy-Authorization"})
_IDENTITY_HEADERS = frozenset(
    {"Remote-Party-ID", "Diversion", "History-Info", "Identity", "Identity-Info", "Geolocation"}
)


class Gate(NamedTuple):
    """The verdict on one request out of a dialog.

    ``status`` 0 lets it in. ``None`` drops it. Any other is the refusal, ``stateless`` where the source has
    proven nothing.
    """

    trunk: str
    what: str
    """A stable code: those of :class:`~voiceagent.sip.effects.TrunkJudged`, and unknown_source."""
    status: int | None = 0
    headers: tuple[tuple[str, str], ...] = ()
    stateless: bool = False


class Bucket:
    """A token bucket: ``rate`` a second, as many at once as in one second (at least one)."""

    __slots__ = ("_at", "_level", "_most", "_rate")

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._most = max(1.0, rate)
        self._level = self._most
        self._at = now

    def take(self, now: float) -> float:
        """Take one; return 0, or how many seconds to wait for the next."""
        self._level = min(self._most, self._level + (now - self._at) * self._rate)
        self._at = now
        if self._level >= 1.0:
            self._level -= 1.0
            return 0.0
        return (1.0 - self._level) / self._rate


def shown_to_nobody(name: str) -> bool:
    """Tell whether a header (canonical name) is kept from the application unless its trunk is trusted."""
    return name in _IDENTITY_HEADERS or name[:2] in ("P-", "p-", "x-", "X-")


class Gatekeeper:
    """Judges requests out of dialogs, counts calls per trunk, keeps untrusted claims from the application."""

    def __init__(
        self,
        table: TrunkTable,
        *,
        secret: bytes,
        realm: str,
        nonce_life_s: float,
        refuse_unknown: bool,
        dice: Callable[[int], int],
        identities: Callable[[Address], tuple[str, ...]] = lambda source: (),
    ) -> None:
        """``identities`` tells which names the verified certificate of a connection proves, in lower case."""
        self.table = table
        self.guard = DigestGuard(table.users, realm=realm, secret=secret, life_s=nonce_life_s)
        self.calls: Counter[str] = Counter()
        """Live calls by trunk, both ways."""
        self._refuse_unknown = refuse_unknown
        self._dice = dice
        self._identities = identities
        self._rates: dict[str, Bucket] = {}
        self._challenges: OrderedDict[str, Bucket] = OrderedDict()

    # Who is there.

    def candidates(self, source: Address) -> Candidates:
        """Return which trunks ``source`` may be."""
        return self.table.candidates(source.host, frozenset(self._identities(source)))

    def hears(self, source: Address) -> bool:
        """Tell whether any trunk may be at ``source``; others are not worth a parse."""
        found = self.candidates(source)
        return found.proven is not None or bool(found.by_digest)

    def at_home(self, source: Address) -> bool:
        """Tell whether ``source`` is a trunk by its address or certificate alone."""
        return self.candidates(source).proven is not None

    # What it may do.

    def judge(self, request: Request, source: Address, now: float) -> Gate:
        """Judge a new request out of a dialog (not ACK, not CANCEL)."""
        found = self.candidates(source)
        if found.proven is not None:
            return self._by_rules(found.proven, request, now)
        if not found.by_digest:
            return Gate("", "unknown_source", 403 if self._refuse_unknown else None, stateless=True)
        proof, user = self.guard.verify(
            request.headers.get_all("Authorization"),
            method=request.method,
            body=request.body,
            source=source.host,
            now=now,
            listed=found.listed,
        )
        if proof is Proof.RIGHT:
            trunk = self.table.by_name[self.guard.trunk_of(user)]
            if trunk in found.by_digest:
                return self._by_rules(trunk, request, now)
            proof = Proof.WRONG  # the right password, from where its trunk is not
        if proof is Proof.HELD:
            return Gate(self._trunk_name(user), "held", 403, stateless=True)
        if not found.listed and self._too_many_challenges(source.host, now):
            return Gate("", "challenge_flood", None)
        known = {algorithm for one in found.by_digest for algorithm in one.algorithms}
        offered = tuple(one for one in ("SHA-256", "MD5") if one in known)
        lines = self.guard.challenge(source.host, now, offered, stale=proof is Proof.STALE)
        what = "auth_failed" if proof is Proof.WRONG else "challenged"
        headers = tuple(("WWW-Authenticate", line) for line in lines)
        return Gate(self._trunk_name(user), what, 401, headers, stateless=True)

    def _trunk_name(self, user: str) -> str:
        known = self.table.users.get(user)
        return known.trunk if known is not None else ""

    def _by_rules(self, trunk: Trunk, request: Request, now: float) -> Gate:
        name = trunk.name
        if trunk.methods and request.method not in trunk.methods:
            return Gate(name, "method", 405)
        if request.method != "INVITE":
            return Gate(name, "passed")
        try:
            called = request.request_uri.user
        except SipError:
            return Gate(name, "passed")  # malformed: that has a refusal of its own, further in
        if not any_matches(trunk.numbers_in, called):
            return Gate(name, "number", 404)
        if trunk.max_calls and self.calls[name] >= trunk.max_calls:
            return Gate(name, "max_calls", 503, (("Retry-After", str(5 + self._dice(11))),))
        if trunk.calls_per_second:
            bucket = self._rates.get(name)
            if bucket is None:
                bucket = self._rates[name] = Bucket(trunk.calls_per_second, now)
            wait = bucket.take(now)
            if wait:
                return Gate(name, "rate", 503, (("Retry-After", str(math.ceil(wait) + self._dice(5))),))
        return Gate(name, "passed")

    def _too_many_challenges(self, host: str, now: float) -> bool:
        sources = self._challenges
        bucket = sources.pop(host, None) or Bucket(CHALLENGES_PER_SECOND, now)
        sources[host] = bucket
        while len(sources) > _SOURCES:
            sources.popitem(last=False)
        return bucket.take(now) > 0

    def may_use(self, trunk: str, method: str) -> bool:
        """Tell whether a request within a dialog of ``trunk`` may be of this method."""
        rules = self.table.get(trunk)
        return rules is None or not rules.methods or method in rules.methods or method in _ALWAYS

    def allowed(self, trunk: str, methods: tuple[str, ...]) -> tuple[str, ...]:
        """Return those of our ``methods`` that a trunk may use, as Allow tells it."""
        rules = self.table.get(trunk)
        return methods if rules is None else tuple(one for one in methods if self.may_use(trunk, one))

    def trusts(self, trunk: str) -> bool:
        """Tell whether the identity headers of a trunk count."""
        rules = self.table.get(trunk)
        return rules is not None and rules.trust_headers

    def clean(self, headers: Headers, trunk: str) -> None:
        """Remove what the application must not see: passwords' hashes, and claims of an untrusted trunk."""
        trusted = self.trusts(trunk)
        for name in {name for name, _ in headers.items()}:
            if name in _NEVER_SHOWN or (not trusted and shown_to_nobody(name)):
                headers.remove(name)

    # How much of it there is.

    def call_began(self, trunk: str) -> None:
        """A leg of this trunk lives."""
        self.calls[trunk] += 1

    def call_ended(self, trunk: str) -> None:
        """It lives no more."""
        self.calls[trunk] -= 1
