"""PURE. Digest authentication: the header values and the arithmetic (RFC 7616, RFC 8760, RFC 3261 §22).

Who may use it is decided elsewhere: ``digest_guard`` challenges callers, ``digest_account`` answers others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from voiceagent.sip.limits import DEFAULT
from voiceagent.sip.syntax.grammar_scan import WSP, bad, is_token, quote, scan_quoted, split_commas

_HASHES: Mapping[str, str] = {"SHA-256": "sha256", "SHA-512-256": "sha512_256", "MD5": "md5"}
ALGORITHMS = tuple(_HASHES)
"""What we can compute, each also as ``…-sess``; the name on the wire compares without case."""

_NC_DIGITS = 8


def known_algorithm(name: str) -> str | None:
    """Return the canonical name of an algorithm we can compute (``MD5-sess`` → itself), or None."""
    plain = name.upper().removesuffix("-SESS")
    if plain not in _HASHES:
        return None
    return plain if len(plain) == len(name) else f"{plain}-sess"


def _hasher(algorithm: str) -> Callable[[bytes], str]:
    name = _HASHES[algorithm.removesuffix("-sess")]
    return lambda data: hashlib.new(name, data, usedforsecurity=False).hexdigest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def secret_hash(algorithm: str, username: str, realm: str, password: str) -> str:
    """Return H(user:realm:password), what a verifier needs to keep. ``algorithm`` is a canonical name."""
    return _hasher(algorithm)(_bytes(f"{username}:{realm}:{password}"))


def response_hash(
    algorithm: str,
    secret: str,
    *,
    nonce: str,
    method: str,
    uri: str,
    qop: str = "",
    nc: str = "",
    cnonce: str = "",
    body: bytes = b"",
) -> str:
    """Return the ``response`` value (RFC 7616 §3.4.1; without ``qop`` that of RFC 2069).

    ``secret`` is :func:`secret_hash`; ``algorithm`` a canonical name.
    """
    digest = _hasher(algorithm)
    if algorithm.endswith("-sess"):
        secret = digest(_bytes(f"{secret}:{nonce}:{cnonce}"))
    asked = f"{method}:{uri}"
    if qop == "auth-int":
        asked += f":{digest(body)}"
    middle = f"{nonce}:{nc}:{cnonce}:{qop}" if qop else nonce
    return digest(_bytes(f"{secret}:{middle}:{digest(_bytes(asked))}"))


def _parameters(text: str, what: str) -> dict[str, str] | None:
    """Read ``Digest a=b, c="d"``: names in lower case. None for another scheme; SipError 400 if malformed."""
    scheme, _, rest = text.strip(WSP).partition(" ")
    if scheme.lower() != "digest":
        return None
    found: dict[str, str] = {}
    items = split_commas(rest, DEFAULT.params)
    if len(items) > DEFAULT.params:
        raise bad(what, f"more than {DEFAULT.params} parameters")
    for item in items:
        if not item:
            continue
        name, equals, value = item.partition("=")
        name, value = name.strip(WSP).lower(), value.strip(WSP)
        if not equals or not is_token(name) or name in found:
            raise bad(what, "malformed or repeated parameter")
        if value[:1] == '"':
            value, end = scan_quoted(value, 0, what)
            if end != len(item.partition("=")[2].strip(WSP)):
                raise bad(what, "text after a quoted value")
        elif not value or '"' in value or " " in value:
            raise bad(what, "malformed value")
        found[name] = value
    return found


@dataclass(frozen=True, slots=True)
class Challenge:
    """One WWW-Authenticate or Proxy-Authenticate value of the scheme Digest."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    """As it came; :func:`known_algorithm` tells whether we can compute it."""
    qops: tuple[str, ...] = ()
    """In lower case; empty for a challenge of RFC 2069."""
    opaque: str | None = None
    stale: bool = False

    @classmethod
    def parse(cls, text: str) -> Challenge | None:
        """Read one header line. None for another scheme; SipError 400 ``bad_challenge`` when malformed."""
        params = _parameters(text, "challenge")
        if params is None:
            return None
        if "realm" not in params or not params.get("nonce"):
            raise bad("challenge", "needs realm and nonce")
        qops = [one.strip(WSP).lower() for one in params.get("qop", "").split(",")]
        return cls(
            params["realm"],
            params["nonce"],
            params.get("algorithm", "MD5"),
            tuple(one for one in qops if one),
            params.get("opaque"),
            params.get("stale", "").lower() == "true",
        )

    def __str__(self) -> str:
        parts = [f"realm={quote(self.realm)}", f"nonce={quote(self.nonce)}", f"algorithm={self.algorithm}"]
        if self.qops:
            parts.append(f"qop={quote(','.join(self.qops))}")
        if self.opaque is not None:
            parts.append(f"opaque={quote(self.opaque)}")
        if self.stale:
            parts.append("stale=true")
        return "Digest " + ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Credentials:
    """One Authorization or Proxy-Authorization value of the scheme Digest."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: str = "MD5"
    qop: str = ""
    """auth, auth-int, or empty (RFC 2069)."""
    nc: str = ""
    """Eight hex digits, as they go into the hash."""
    cnonce: str = ""
    opaque: str | None = None

    @classmethod
    def parse(cls, text: str) -> Credentials | None:
        """Read one header line. None for another scheme; SipError 400 ``bad_credentials`` when malformed."""
        params = _parameters(text, "credentials")
        if params is None:
            return None
        missing = [name for name in ("username", "realm", "nonce", "uri", "response") if name not in params]
        if missing:
            raise bad("credentials", f"without {missing[0]}")
        qop, nc = params.get("qop", "").lower(), params.get("nc", "")
        if qop and (len(nc) != _NC_DIGITS or not _is_hex(nc) or not params.get("cnonce")):
            raise bad("credentials", "qop needs nc (eight hex digits) and cnonce")
        return cls(
            params["username"],
            params["realm"],
            params["nonce"],
            params["uri"],
            params["response"],
            params.get("algorithm", "MD5"),
            qop,
            nc,
            params.get("cnonce", ""),
            params.get("opaque"),
        )

    @property
    def count(self) -> int:
        """The nonce count; 1 where RFC 2069 knows none."""
        return int(self.nc, 16) if self.qop else 1

    def __str__(self) -> str:
        parts = [
            f"username={quote(self.username)}",
            f"realm={quote(self.realm)}",
            f"nonce={quote(self.nonce)}",
            f"uri={quote(self.uri)}",
            f"response={quote(self.response)}",
            f"algorithm={self.algorithm}",
        ]
        if self.qop:
            parts += [f"qop={self.qop}", f"nc={self.nc}", f"cnonce={quote(self.cnonce)}"]
        if self.opaque is not None:
            parts.append(f"opaque={quote(self.opaque)}")
        return "Digest " + ", ".join(parts)


def _is_hex(text: str) -> bool:
    return all(char in "0123456789abcdefABCDEF" for char in text)
