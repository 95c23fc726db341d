"""Where trunks live: their host names become addresses at the start, and again when those may be others."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Sequence
from dataclasses import replace

import structlog

from voiceagent.errors import SipError
from voiceagent.settings.trunks import TrunkSettings
from voiceagent.sip.address import Address
from voiceagent.sip.net.resolver import Resolver
from voiceagent.sip.syntax.uri import host_text, is_ip
from voiceagent.sip.trunk.trunks import Network, Trunk

_log = structlog.get_logger("voiceagent.trunks")


def has_names(one: TrunkSettings) -> bool:
    """Tell whether anything of a trunk has to be looked up."""
    hosts = [host for host, _, _ in one.wishes] + [text for text in one.addresses if "/" not in text]
    return not all(is_ip(host) for host in hosts)


async def located(trunk: Trunk, one: TrunkSettings, resolver: Resolver) -> Trunk:
    """Return ``trunk`` with the servers and networks that the names in its settings stand for now.

    Where a name leads nowhere, what was known before is kept, and ``trouble`` says so if there is nothing.
    """
    uris = [
        f"sip:{host_text(host, port or None)};transport={transport}" for host, port, transport in one.wishes
    ]
    names = [text for text in one.addresses if "/" not in text]
    looked = await asyncio.gather(
        *(_resolve(uri, resolver) for uri in uris),
        *(_resolve(f"sip:{host_text(name, 5060)}", resolver) for name in names),
    )
    servers = list(dict.fromkeys(address for found, _ in looked[: len(uris)] for address in found))
    hosts = [address.host for found, _ in looked[len(uris) :] for address in found]
    blocks = [ipaddress.ip_network(text, strict=False) for text in one.addresses if "/" in text]
    networks = list(dict.fromkeys([*blocks, *_networks(hosts)]))
    errors = [error for _, error in looked if error]
    if errors:
        servers += [address for address in trunk.servers if address not in servers]
        networks += [network for network in trunk.networks if network not in networks]
        _log.warning("a name of a trunk leads nowhere", trunk=one.name, detail="; ".join(errors))
    lost = (one.wishes and not servers) or (one.addresses and not networks)
    if one.registers and not (one.addresses or one.identities or one.digest_users):
        networks = list(dict.fromkeys(_networks([server.host for server in servers])))
    return replace(
        trunk, servers=tuple(servers), networks=tuple(networks), trouble="; ".join(errors) if lost else ""
    )


def _networks(hosts: Sequence[str]) -> list[Network]:
    return [ipaddress.ip_network(host) for host in hosts]


async def _resolve(uri: str, resolver: Resolver) -> tuple[Sequence[Address], str]:
    """Return the addresses of ``uri``, or why there are none."""
    try:
        return await resolver.resolve(uri), ""
    except SipError as error:
        return (), str(error)
