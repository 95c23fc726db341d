"""PURE. Trunks: the peers that may call us or that we call through, and the rules each of them has.

A trunk names proofs: addresses, certificate names, digest users. All that it names must hold. Where several
trunks fit a source, a certificate counts before an address, and an address before a password.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from voiceagent.sip.address import Address
from voiceagent.sip.auth.digest_guard import DigestUser
from voiceagent.sip.syntax.uri import host_text, user_text
from voiceagent.sip.trunk.numbers import NumberRule, any_matches

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
SrtpMode = Literal["off", "optional", "required"]


_KNOWN_HOSTS = 4096  # hosts whose trunks are remembered, so that a flood does not parse addresses anew


@dataclass(frozen=True, slots=True)
class Trunk:
    """One peer. Empty rules allow everything but a call without any proof."""

    name: str
    networks: tuple[Network, ...] = ()
    """Where it may call from."""
    has_networks: bool = False
    """Whether its settings say from where, even where that is not known: then from nowhere."""
    identities: frozenset[str] = frozenset()
    """Names of its TLS certificate, in lower case; one of them must be proven by the connection."""
    digest_users: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Users and passwords with which it may call."""
    algorithms: tuple[str, ...] = ("SHA-256",)
    """With which its users may prove themselves: SHA-256, MD5."""
    methods: tuple[str, ...] = ()
    """Methods it may use, outside of dialogs and within; empty: all of ours."""
    numbers_in: tuple[NumberRule, ...] = ()
    numbers_out: tuple[NumberRule, ...] = ()
    trust_headers: bool = False
    """Are its identity and X- headers shown to the application?"""
    max_calls: int = 0
    """Calls at once, both ways; 0: no cap of its own."""
    calls_per_second: float = 0.0
    """New calls that it may offer; 0: no cap."""
    codecs: tuple[str, ...] = ()
    srtp: SrtpMode | None = None
    """None: as ``media.srtp`` says."""
    learn_media: bool | None = None
    """None: as ``media.learn_source`` says."""
    servers: tuple[Address, ...] = ()
    """Where we send to, in order of preference."""
    has_servers: bool = False
    """Whether its settings name servers, even where their addresses are not known."""
    domain: str = ""
    """Host part of the URIs that we use towards it."""
    from_user: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    realm: str = ""
    """The only realm our password is used in; empty: the first one it tells."""
    register: bool = False
    expires_s: int = 600
    keepalive_s: float = 0.0
    """How often each server is asked whether it lives (OPTIONS); 0: never."""
    trouble: str = ""
    """Why its servers are not known now; empty where they are, or where it has none."""

    @property
    def takes_calls(self) -> bool:
        """Whether anybody could call us over this trunk."""
        elsewhere = not self.has_networks and (self.identities or self.digest_users)
        return bool(self.networks or elsewhere)

    @property
    def hosts(self) -> frozenset[str]:
        """IP addresses of its servers: whom our password may be used with."""
        return frozenset(server.host for server in self.servers)

    def uri(self, user: str = "") -> str:
        """Return a SIP URI at this trunk: a number to call, or without ``user`` the trunk itself."""
        first = self.servers[0] if self.servers else None
        host = self.domain or (host_text(first.host, first.port) if first else "invalid")
        transport = f";transport={first.transport}" if first is not None and first.transport != "udp" else ""
        return f"sip:{user_text(user)}@{host}{transport}" if user else f"sip:{host}{transport}"

    def from_uri(self, user: str = "") -> str:
        """Return who we are in its eyes: ``user``, else ``from_user``, else our user name there."""
        name = user or self.from_user or self.username
        host = self.uri().removeprefix("sip:").partition(";")[0]
        return f"sip:{user_text(name)}@{host}" if name else f"sip:{host}"

    @property
    def calls_out(self) -> bool:
        """Whether calls of ours go over it: it has servers, or had some if they could be found."""
        return bool(self.servers or self.has_servers)

    def may_dial(self, user: str) -> bool:
        """Tell whether its rules let ``user`` be called through it."""
        return any_matches(self.numbers_out, user)

    def dials(self, user: str) -> bool:
        """Tell whether ``user`` can be called through this trunk now."""
        return bool(self.servers) and self.may_dial(user)


class Candidates(NamedTuple):
    """Who a source may be."""

    proven: Trunk | None
    """The trunk whose proofs all hold already."""
    by_digest: tuple[Trunk, ...]
    """Trunks that lack only a password."""
    listed: bool
    """Whether the address stands on any trunk's list."""


_NOBODY = Candidates(None, (), listed=False)


class TrunkTable:
    """All trunks. Raises ValueError for a name or a digest user that stands twice."""

    def __init__(self, trunks: Iterable[Trunk]) -> None:
        self.by_name: dict[str, Trunk] = {}
        self.users: dict[str, DigestUser] = {}
        for trunk in trunks:
            if trunk.name in self.by_name:
                raise ValueError(f"there are two trunks {trunk.name!r}")
            self.by_name[trunk.name] = trunk
            for name, password in trunk.digest_users.items():
                if name in self.users:
                    raise ValueError(f"the user {name!r} belongs to {self.users[name].trunk!r} already")
                self.users[name] = DigestUser(trunk.name, password, trunk.algorithms)
        self._at: dict[str, tuple[frozenset[str], bool]] = {}
        self._open = self._takers()

    def _takers(self) -> tuple[Trunk, ...]:
        return tuple(one for one in self.by_name.values() if one.takes_calls)

    def __len__(self) -> int:
        return len(self.by_name)

    def get(self, name: str) -> Trunk | None:
        """Return the trunk of this name."""
        return self.by_name.get(name)

    def renew(self, trunk: Trunk) -> None:
        """Put ``trunk`` in the place of the one of its name: other addresses, everything else as it was."""
        if trunk.digest_users != self.by_name[trunk.name].digest_users:
            raise ValueError(f"the users of {trunk.name!r} cannot change")
        self.by_name[trunk.name] = trunk
        self._open = self._takers()
        self._at.clear()

    def candidates(self, host: str, identities: frozenset[str] = frozenset()) -> Candidates:
        """Return which trunks a peer at ``host`` (an IP address) may be.

        ``identities`` are the names that its connection's certificate proves.
        """
        names, listed = self._places(host)
        if not names:
            return _NOBODY
        proven: Trunk | None = None
        by_digest: list[Trunk] = []
        for trunk in self._open:
            if trunk.name not in names or (trunk.identities and not trunk.identities & identities):
                continue
            if trunk.digest_users:
                by_digest.append(trunk)
            elif proven is None or (trunk.identities and not proven.identities):
                proven = trunk
        return Candidates(proven, tuple(by_digest), listed)

    def _places(self, host: str) -> tuple[frozenset[str], bool]:
        """Names of the trunks whose addresses hold for ``host``, and whether one of them lists it."""
        found = self._at.get(host)
        if found is not None:
            return found
        address = _ip(host)
        listed = {
            one.name
            for one in self._open
            if address is not None and any(address in net for net in one.networks)
        }
        anywhere = {one.name for one in self._open if not one.networks}
        if len(self._at) >= _KNOWN_HOSTS:
            self._at.clear()
        found = self._at[host] = frozenset(listed | anywhere), bool(listed)
        return found


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
