"""PURE. What SDP says about DTLS (RFC 8122, RFC 5763): certificate fingerprints and who begins."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

DtlsRole = Literal["client", "server"]
"""``client`` sends the ClientHello (``a=setup:active``), ``server`` waits for it (``passive``)."""
DIGESTS = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
"""Hash functions that we believe (RFC 8122 §5), with their length; SHA-1 and MD5 are not among them."""
MAX_FINGERPRINTS = 8
_HEX = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2})*\Z")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The digest of a certificate, as ``a=fingerprint`` tells it."""

    algorithm: str
    digest: bytes

    def __str__(self) -> str:
        return f"{self.algorithm} {self.digest.hex(':').upper()}"


@dataclass(frozen=True, slots=True)
class DtlsParameters:
    """What offer and answer agreed on: our role, and the certificates that the peer may show."""

    role: DtlsRole
    fingerprints: tuple[Fingerprint, ...]


def parse_fingerprints(values: Iterable[str]) -> tuple[Fingerprint, ...]:
    """Those of the attribute's values that we can check, in their order; malformed ones are passed over."""
    found: list[Fingerprint] = []
    for value in list(values)[:MAX_FINGERPRINTS]:
        algorithm, _, text = value.strip().partition(" ")
        size = DIGESTS.get(algorithm.lower())
        text = text.strip()
        if size is not None and len(text) == 3 * size - 1 and _HEX.match(text):
            found.append(Fingerprint(algorithm.lower(), bytes.fromhex(text.replace(":", ""))))
    return tuple(found)


def role_for_offer(setup: str) -> DtlsRole | None:
    """Our role as the answerer to ``a=setup`` of an offer (RFC 5763 §5); None when it cannot be answered.

    To ``actpass`` we are active, as the RFC advises: then only the address of the SDP can begin anything.
    """
    roles: dict[str, DtlsRole] = {"actpass": "client", "passive": "client", "active": "server"}
    return roles.get(setup.strip().lower())


def role_for_answer(setup: str) -> DtlsRole | None:
    """Our role as the offerer of ``actpass`` by ``a=setup`` of the answer; None when it says neither."""
    roles: dict[str, DtlsRole] = {"active": "server", "passive": "client"}
    return roles.get(setup.strip().lower())


def setup_of(role: DtlsRole) -> str:
    """The answer's ``a=setup`` for our role."""
    return "active" if role == "client" else "passive"
