"""PURE. The client side of digest: our account at a trunk, and to whom it answers (RFC 3261 §22.1–22.3).

An account answers only the hosts it is pinned to, in one realm. A challenge of anybody else, whatever realm
it claims, gets no answer: whoever calls us must not get a hash of our password by refusing our BYE.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from voiceagent.errors import SipError
from voiceagent.ids import Tokens
from voiceagent.sip.auth.digest import Challenge, Credentials, known_algorithm, response_hash, secret_hash
from voiceagent.sip.syntax.message import Request, Response

ANSWER_IN: Mapping[str, str] = {
    "WWW-Authenticate": "Authorization",
    "Proxy-Authenticate": "Proxy-Authorization",
}
"""Where the answer to a challenge of each kind goes."""

_KIND = {401: "WWW-Authenticate", 407: "Proxy-Authenticate"}
_MOST_CHALLENGES = 8  # of one response; more are not looked at
_MOST_ANSWERS = 4  # of one request, however often its nonce is called stale
_MOST_COUNT = 0xFFFF_FFFF


@dataclass(slots=True)
class _Known:
    """The challenge that we answer ahead of being asked, and how often we did."""

    challenge: Challenge
    algorithm: str
    count: int = 0


@dataclass(slots=True)
class Chain:
    """One request and its repetitions with credentials: what was tried so far."""

    answered: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    """Kind and nonce of each challenge that this chain has answered after being asked."""
    kinds: set[str] = field(default_factory=set[str])
    """Kinds of challenge that this chain has answered, so that a further one is final unless stale."""


class DigestAccount:
    """User and password at one trunk. ``hosts`` are IP addresses; an empty ``realm`` means the first told."""

    def __init__(
        self, username: str, password: str, *, hosts: frozenset[str], realm: str = "", tokens: Tokens
    ) -> None:
        self.username = username
        self._password = password
        self._hosts = hosts
        self._realm = realm
        self._realms: dict[str, str] = {}
        self._tokens = tokens
        self._known: dict[str, _Known] = {}

    def __repr__(self) -> str:
        return f"DigestAccount({self.username!r})"

    def serves(self, host: str) -> bool:
        """Tell whether ``host`` (an IP address) may be shown what we have of this account."""
        return host in self._hosts

    def pin(self, hosts: frozenset[str], still: AbstractSet[str]) -> None:
        """Answer only ``hosts`` from now on, and those of before that are ``still`` in use."""
        self._hosts = hosts | (self._hosts & still)

    def prepare(self, request: Request, host: str) -> None:
        """Add credentials to a request for ``host`` that would be challenged anyway, with the next count."""
        if not self.serves(host):
            return
        for kind, known in self._known.items():
            request.headers.set(ANSWER_IN[kind], str(self._credentials(known, request)))

    def answer(self, request: Request, response: Response, host: str, chain: Chain) -> bool:
        """Put the answer to a 401 or 407 into ``request``, a copy of the one it refused, not yet sent.

        False when there is nothing to answer: another host or realm, no algorithm of ours, a nonce that this
        chain has answered before, or a refusal of a right nonce, which means that our password is wrong.
        """
        kind = _KIND.get(response.status)
        if kind is None or not self.serves(host):
            return False
        found = self._pick(kind, response)
        if found is None:
            return False
        challenge, algorithm = found
        if kind in chain.kinds and not challenge.stale:
            self._known.pop(kind, None)  # a right nonce refused: do not send what is wrong ahead, too
            return False
        if (kind, challenge.nonce) in chain.answered or len(chain.answered) >= _MOST_ANSWERS:
            return False
        known = self._known.get(kind)
        if known is not None and known.challenge.nonce == challenge.nonce and not challenge.stale:
            if ANSWER_IN[kind] in request.headers:
                return False  # answered ahead with this very nonce, and still refused
            known.challenge, known.algorithm = challenge, algorithm
        else:
            self._known[kind] = _Known(challenge, algorithm)
        chain.answered.add((kind, challenge.nonce))
        chain.kinds.add(kind)
        for header in ANSWER_IN.values():
            request.headers.remove(header)
        self.prepare(request, host)
        return True

    def _pick(self, kind: str, response: Response) -> tuple[Challenge, str] | None:
        """Return the first challenge that we can answer: they come best first (RFC 8760 §2.4)."""
        realm = self._realm or self._realms.get(kind)
        for line in response.headers.get_all(kind)[:_MOST_CHALLENGES]:
            try:
                challenge = Challenge.parse(line)
            except SipError:
                continue
            if challenge is None or (realm and challenge.realm != realm):
                continue
            algorithm = known_algorithm(challenge.algorithm)
            if algorithm is None or not _usable(challenge, algorithm):
                continue
            self._realms.setdefault(kind, challenge.realm)
            return challenge, algorithm
        return None

    def _credentials(self, known: _Known, request: Request) -> Credentials:
        challenge, algorithm = known.challenge, known.algorithm
        qop = "auth" if "auth" in challenge.qops else "auth-int" if "auth-int" in challenge.qops else ""
        known.count = min(known.count + 1, _MOST_COUNT)
        nc = f"{known.count:08x}" if qop else ""
        cnonce = self._tokens() if qop else ""
        response = response_hash(
            algorithm,
            secret_hash(algorithm, self.username, challenge.realm, self._password),
            nonce=challenge.nonce,
            method=request.method,
            uri=request.uri,
            qop=qop,
            nc=nc,
            cnonce=cnonce,
            body=request.body,
        )
        return Credentials(
            self.username,
            challenge.realm,
            challenge.nonce,
            request.uri,
            response,
            challenge.algorithm,
            qop,
            nc,
            cnonce,
            challenge.opaque,
        )


def _usable(challenge: Challenge, algorithm: str) -> bool:
    """Tell whether we can follow its qop; without one there is no cnonce, which ``-sess`` needs."""
    if not challenge.qops:
        return not algorithm.endswith("-sess")
    return "auth" in challenge.qops or "auth-int" in challenge.qops
