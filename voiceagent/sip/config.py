"""PURE. How one SIP endpoint is set up, and which sources it listens to."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from voiceagent.sip.address import Address
from voiceagent.sip.dialogs.session_timer import Refresher
from voiceagent.sip.timers import TimerValues
from voiceagent.sip.trunk.trunks import TrunkTable

ReliableMode = Literal["off", "supported", "required"]

AcceptSource = Callable[[Address], bool]

DEFAULT_LOCAL = Address("127.0.0.1", 5060)

METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "UPDATE", "NOTIFY")
"""Methods that a new endpoint takes. REFER joins them with ``allow_refer``."""

KNOWN_METHODS = frozenset(
    (*METHODS, "REFER", "REGISTER", "MESSAGE", "SUBSCRIBE", "PUBLISH", "PRACK")
)  # a method outside of this set gets 501, one inside that we do not take gets 405


def is_loopback(source: Address) -> bool:
    """Tell whether ``source`` is this machine."""
    host = source[0]
    return host.startswith(("127.", "::ffff:127.")) or host == "::1"


def from_networks(networks: Iterable[str]) -> AcceptSource:
    """Return an allow-list: ``networks`` are addresses or CIDR blocks, IPv4 or IPv6.

    Raises ValueError for one that cannot be read.
    """
    blocks = tuple(ipaddress.ip_network(network, strict=False) for network in networks)

    def accept(source: Address) -> bool:
        try:
            address = ipaddress.ip_address(source[0].partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in block for block in blocks)

    return accept


def same_host(peer: Address, source: Address) -> bool:
    """Default rule for in-dialog requests: the same IP address, whatever the port."""
    return peer[0] == source[0]


@dataclass(frozen=True, slots=True)
class EndpointConfig:
    """Everything the endpoint needs to know in advance. All times in seconds."""

    local: Address = DEFAULT_LOCAL
    """The address that we tell others (Via sent-by, Contact): the advertised one behind a 1:1 NAT."""

    listeners: tuple[Address, ...] = ()
    """The same for every listener where there are several, ``local`` being the first; empty: only that."""

    udp_limit: int = 1300
    """Requests longer than this many bytes go by TCP instead of UDP where we listen on TCP, too (§18.1.1)."""

    user: str = "voiceagent"
    """User part of our Contact where the called user is unknown (OPTIONS, outbound calls)."""

    user_agent: str = "voiceagent"
    """Value of Server and User-Agent; empty sends neither."""

    allowed: tuple[str, ...] = METHODS
    """Methods we take (the Allow header)."""

    supported: tuple[str, ...] = ()
    """Option tags we understand (Supported; anything else in Require gets 420)."""

    session_expires: int = 0
    """Session interval that we ask for and grant at most (RFC 4028); 0: no session timers."""

    min_se: int = 90
    """Least session interval that we take; less is refused with 422 (§9)."""

    session_refresher: Refresher = "auto"
    """Who refreshes where we may choose. ``auto``: the peer if it can, else we; ``us``; ``peer``: only it."""

    reliable_provisionals: ReliableMode = "off"
    """100rel (RFC 3262). ``supported``: used where the caller requires it, and for early media where it can;
    ``required``: always, in both roles."""

    body_types: tuple[str, ...] = ("application/sdp",)
    """Content types taken in INVITE and UPDATE (the Accept header)."""

    info_types: tuple[str, ...] = ("application/dtmf-relay", "application/dtmf")
    """Content types taken in INFO; others get 415."""

    timers: TimerValues = field(default_factory=TimerValues)

    accept_source: AcceptSource | tuple[str, ...] | None = None
    """Who may talk to us: a test, an allow-list of addresses and CIDR blocks, or None for loopback only.

    A host that we are calling is heard as well, for its responses and within its dialog only.
    """

    trunks: TrunkTable | None = None
    """Who may talk to us, and by which rules. Takes the place of ``accept_source``, which knows no rules."""

    digest_realm: str = "voiceagent"
    """The realm that users of trunks prove themselves in."""

    nonce_life: float = 30.0
    """How long a digest challenge of ours may be answered."""

    refuse_unknown_sources: bool = False
    """Answer requests of others with a stateless 403. The default says nothing, and counts."""

    dialog_peer: Callable[[Address, Address], bool] = same_host
    """``(peer, source)``: may ``source`` speak within a dialog set up with ``peer``?

    ``peer`` is where the dialog's INVITE came from, or went to. The next hop named by the route set or the
    Contact is always taken too. Requests of anybody else in the dialog get 481 and change nothing.
    """

    allow_refer: bool = False
    """Tell REFER within a dialog to the application instead of refusing it (405)."""

    may_replace: Callable[[Address, Address], bool] = same_host
    """``(peer, source)``: may an INVITE of ``source`` replace a dialog with ``peer`` (RFC 3891)? Else 403."""

    max_transactions: int = 100_000
    """New requests beyond this many live transactions get a stateless 503 with Retry-After."""

    max_legs: int = 10_000
    """INVITEs beyond this many live legs get 503 with Retry-After."""

    unavailable: Callable[[], int | None] = lambda: None
    """While no further call would be taken: seconds until it is worth trying again; else None.

    OPTIONS outside of a dialog gets 503 then (§11.2): proxies that probe us pass us over.
    """

    setup_limit: float = 300.0
    """An inbound call neither accepted nor rejected by then is refused with 480 and ends (``timeout``)."""

    ring_refresh: float = 60.0
    """A ringing provisional response is repeated this often, so that proxies keep the call (§13.3.1.1)."""

    refer_limit: float = 180.0
    """A REFER of ours without final NOTIFY by then is told as 408 (final); one of the peer's expires."""

    glare_retries: int = 4
    """How often a re-INVITE of ours refused with 491 is sent again."""

    @property
    def takes_certificates(self) -> bool:
        """Whether a certificate may prove who somebody is whose address we do not know."""
        trunks = () if self.trunks is None else self.trunks.by_name.values()
        return any(one.identities for one in trunks)

    def accepts(self) -> AcceptSource:
        """Return the source test that these settings describe."""
        rule = self.accept_source
        if rule is None:
            return is_loopback
        return rule if callable(rule) else from_networks(rule)
