"""PURE. Locating SIP servers (RFC 3263): what to ask the DNS for a URI, and how to order the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from voiceagent.errors import SipError
from voiceagent.sip.address import Address, Transport
from voiceagent.sip.dialogs.dialog import transport_of
from voiceagent.sip.flows import DEFAULT_PORTS
from voiceagent.sip.syntax.uri import SipUri, is_ip

Dice = Callable[[int], int]
"""``dice(sides)`` is a number from 0 to ``sides`` - 1."""


@dataclass(frozen=True, slots=True)
class Naptr:
    """One NAPTR record, as far as SIP reads it."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


@dataclass(frozen=True, slots=True)
class Srv:
    """One SRV record."""

    priority: int
    weight: int
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class Hop:
    """A host to be looked up by A and AAAA, with what was found out about it."""

    host: str
    port: int
    transport: Transport


@dataclass(frozen=True, slots=True)
class Plan:
    """How to locate the server of one URI.

    ``hop`` is where to go without asking for NAPTR or SRV, or when there are none. ``services`` are the SRV
    names to ask for, with the transport each stands for; ``by_naptr``: only when there is no NAPTR.
    """

    domain: str
    hop: Hop
    services: tuple[tuple[str, Transport], ...] = ()
    by_naptr: bool = False


_NAPTR: dict[str, Transport] = {"SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls"}
_SRV: dict[Transport, str] = {"udp": "_sip._udp", "tcp": "_sip._tcp", "tls": "_sips._tcp"}


def plan(uri: SipUri, transports: Sequence[Transport] = ("udp", "tcp", "tls")) -> Plan:
    """Decide what to ask for ``uri`` (§4.1, §4.2); ``transports`` are those we speak, the preferred first.

    Raises SipError: 416 for a URI that is not sip or sips, 503 for a transport that we do not speak.
    """
    if not uri.is_sip or not uri.host:
        raise SipError(f"{uri} names no SIP server", status=416, code="not_sip")
    transport = transport_of(uri)
    if transport is None or transport not in transports:
        raise SipError(f"{uri}: no such transport here", status=503, code="no_transport")
    hop = Hop(uri.host, uri.port or DEFAULT_PORTS[transport], transport)
    if is_ip(uri.host) or uri.port is not None:
        return Plan(uri.host, hop)
    if "transport" in uri.params:
        return Plan(uri.host, hop, (service(uri.host, transport),))
    open_to: Sequence[Transport] = ("tls",) if uri.scheme == "sips" else transports
    return Plan(uri.host, hop, tuple(service(uri.host, one) for one in open_to), by_naptr=True)


def service(domain: str, transport: Transport) -> tuple[str, Transport]:
    """Return the SRV name of a domain's SIP service."""
    return f"{_SRV[transport]}.{domain}", transport


def choose_naptr(records: Iterable[Naptr], allowed: Iterable[Transport]) -> tuple[tuple[str, Transport], ...]:
    """Return the SRV names that NAPTR records lead to, in their order; unknown services are passed over."""
    may = frozenset(allowed)
    fit: list[tuple[str, Transport]] = []
    for record in sorted(records, key=lambda record: (record.order, record.preference)):
        transport = _NAPTR.get(record.service.upper())
        if transport is not None and transport in may and record.flags.upper() == "S":
            fit.append((record.replacement, transport))
    return tuple(fit)


def order_srv(records: Iterable[Srv], dice: Dice) -> list[Srv]:
    """Return ``records`` in the order to be tried (RFC 2782): by priority, then drawn by weight.

    A target of ``.`` says that there is no such service, and is left out.
    """
    waiting = sorted(
        (record for record in records if record.target.rstrip(".")),
        key=lambda record: (record.priority, record.weight != 0, record.target, record.port),
    )
    ordered: list[Srv] = []
    while waiting:
        group = [record for record in waiting if record.priority == waiting[0].priority]
        drawn = dice(sum(record.weight for record in group) + 1)
        chosen = group[-1]
        for record in group:
            drawn -= record.weight
            if drawn <= 0:
                chosen = record
                break
        waiting.remove(chosen)
        ordered.append(chosen)
    return ordered


def address_of_hop(hop: Hop, host: str, domain: str) -> Address:
    """Return ``hop`` at IP address ``host``; over TLS it must prove the domain asked for (RFC 5922)."""
    return Address(host, hop.port, hop.transport, 0, domain if hop.transport == "tls" else "")
