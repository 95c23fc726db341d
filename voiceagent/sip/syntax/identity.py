"""PURE. Caller data from the headers of an INVITE. Linear, bounded, and never an error: junk is left out.

Nothing is verified and nothing is fetched: an Identity header (RFC 8224) is only read, its ``info`` URI never
opened. Undecodable bytes become U+FFFD and control characters spaces, so that the values can be shown.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any, cast

from voiceagent.claims import Attestation, CallerClaims, Diverted, Person
from voiceagent.errors import SipError
from voiceagent.sip.syntax.grammar_addr import NameAddr
from voiceagent.sip.syntax.grammar_scan import split_commas
from voiceagent.sip.syntax.headers import canonical_name

MOST_VALUES = 16
"""So many values of one kind are read."""
MOST_TEXT = 512
"""Longer texts are cut."""
_MOST_TOKEN = 8192
_CAUSES = {
    "302": "unconditional",
    "404": "unknown",
    "408": "no-answer",
    "480": "deflection",
    "486": "user-busy",
    "503": "unavailable",
}
"""Reasons of History-Info in the words of Diversion (RFC 7544 §5)."""
_READ = frozenset(
    {
        "P-Asserted-Identity",
        "Remote-Party-ID",
        "Privacy",
        "Diversion",
        "History-Info",
        "Identity",
        "User-to-User",
    }
)


def plain(text: str) -> str:
    """Return header text that can be shown: no control characters, no halves of characters, not too long."""
    cut = text[:MOST_TEXT].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return "".join(char if char.isprintable() else " " for char in cut).strip()


def claims_of(headers: Iterable[tuple[str, str]], *, trusted: bool = False) -> CallerClaims:
    """Return what the headers say about the caller. Never raises."""
    found: dict[str, list[str]] = {}
    for name, value in headers:
        known = canonical_name(name)
        if known in _READ:
            found.setdefault(known, []).append(value)
    if not found:
        return CallerClaims(trusted=trusted)
    asserted = [person for value in _values(found, "P-Asserted-Identity") if (person := _person(value))]
    remote = next((person for value in _values(found, "Remote-Party-ID") if (person := _person(value))), None)
    diversions = [one for value in _values(found, "Diversion") if (one := _diverted(value))]
    if not diversions:
        history = [one for value in _values(found, "History-Info") if (one := _retargeted(value))]
        diversions = history[::-1]
    return CallerClaims(
        trusted=trusted,
        asserted=tuple(asserted),
        remote_party=remote,
        privacy=_privacy(found.get("Privacy", [])),
        diversions=tuple(diversions),
        attestation=_attestation(found.get("Identity", [])),
        user_to_user=plain(next(iter(found.get("User-to-User", [])), "")),
    )


def _values(found: dict[str, list[str]], name: str) -> list[str]:
    values: list[str] = []
    for line in found.get(name, [])[:MOST_VALUES]:
        try:
            values += split_commas(line, MOST_VALUES)
        except SipError:
            continue
    return values[:MOST_VALUES]


def _address(value: str) -> NameAddr | None:
    try:
        return NameAddr.parse(value)
    except SipError:
        return None


def _person_of(address: NameAddr) -> Person:
    try:
        user = address.uri.user
    except SipError:
        user = ""
    uri = address.uri_text.partition("?")[0]
    return Person(plain(uri), plain(user), plain(address.display))


def _person(value: str) -> Person | None:
    address = _address(value)
    return None if address is None else _person_of(address)


def _diverted(value: str) -> Diverted | None:
    address = _address(value)
    if address is None:
        return None
    counter = address.params.get("counter") or "1"
    number = int(counter) if counter.isascii() and counter.isdigit() and len(counter) <= 3 else 1
    return Diverted(_person_of(address), plain(address.params.get("reason") or ""), number)


def _retargeted(value: str) -> Diverted | None:
    """Return an entry of History-Info that says why the call went on from there, else None."""
    address = _address(value)
    if address is None:
        return None
    try:
        reason = address.uri.headers.get("Reason")
    except SipError:
        return None
    if not reason:
        return None
    cause = next(
        (part.partition("=")[2] for part in reason.split(";") if part.strip().lower().startswith("cause=")),
        "",
    ).strip()
    return Diverted(_person_of(address), _CAUSES.get(cause, f"cause {plain(cause)}" if cause else ""))


def _privacy(lines: list[str]) -> tuple[str, ...]:
    words: list[str] = []
    for line in lines[:MOST_VALUES]:
        for word in line[:MOST_TEXT].replace(",", ";").split(";")[:MOST_VALUES]:
            word = plain(word).lower()
            if word and word != "none" and word not in words:
                words.append(word)
    return tuple(words)


def _attestation(lines: list[str]) -> Attestation:
    """Return the weakest level that is claimed; ``none`` when one of the headers says nothing readable."""
    levels = [_level(line) for line in lines[:MOST_VALUES]]
    if not levels or "none" in levels:
        return "none"
    return cast("Attestation", max(levels))


def _level(line: str) -> str:
    """Read ``attest`` of a PASSporT (RFC 8225: header.payload.signature in base64url, then parameters)."""
    token = line.partition(";")[0].strip()
    parts = token.split(".")
    if len(parts) != 3 or len(token) > _MOST_TOKEN:
        return "none"
    try:
        payload = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        told: Any = json.loads(payload)
    except (ValueError, RecursionError):
        return "none"
    level = cast("dict[str, Any]", told).get("attest") if isinstance(told, dict) else None
    return level if level in ("A", "B", "C") else "none"
