"""PURE. Where we listen: ``udp:127.0.0.1:5060``, ``tls:[::1]:5061``, ``tcp:0.0.0.0:5060=203.0.113.9``."""

from __future__ import annotations

from dataclasses import dataclass

from voiceagent.errors import SipError
from voiceagent.sip.address import Address, Transport
from voiceagent.sip.flows import DEFAULT_PORTS
from voiceagent.sip.syntax.uri import host_text, is_ip, parse_hostport

_KINDS: dict[str, Transport] = {"udp": "udp", "tcp": "tcp", "tls": "tls"}


@dataclass(frozen=True, slots=True)
class Listen:
    """One listener as wished for; ``told_host`` and ``told_port`` are what peers are told where that differs.

    Port 0 takes a free one; UDP and TCP on one host that both ask for 0 get the same.
    """

    transport: Transport
    host: str
    port: int
    told_host: str | None = None
    told_port: int | None = None

    def told(self, port: int, advertised_host: str | None = None) -> Address:
        """Return the address to tell others when bound to ``port``; ``advertised_host`` is the node's.

        An advertised address of the other family is not meant for this listener.
        """
        if advertised_host is not None and (":" in advertised_host) != (":" in self.host):
            advertised_host = None
        host = self.told_host or advertised_host or self.host
        return Address(host, self.told_port or port, self.transport)

    def __str__(self) -> str:
        return f"{self.transport}:{host_text(self.host, self.port)}"


def parse_listen(text: str) -> Listen:
    """Read ``transport:host[:port][=advertised[:port]]``. Raises ValueError saying what is wrong."""
    where, _, told = text.partition("=")
    kind, colon, rest = where.partition(":")
    transport = _KINDS.get(kind.strip().lower())
    if transport is None or not colon:
        raise ValueError("must look like udp:127.0.0.1:5060, tcp:[::1]:5060 or tls:0.0.0.0:5061=203.0.113.9")
    host, port = _host_port(rest)
    told_host, told_port = _host_port(told) if told else (None, None)
    return Listen(transport, host, DEFAULT_PORTS[transport] if port is None else port, told_host, told_port)


def _host_port(text: str) -> tuple[str, int | None]:
    text = text.strip()
    free = text.endswith(":0")
    try:
        host, port = parse_hostport(text[:-2] if free else text)
    except SipError as error:
        raise ValueError(f"{text}: {error}") from None
    if not is_ip(host):
        raise ValueError(f"{text}: {host} is not an IP address")
    return host, 0 if free else port
