"""This node's place in its fleet: taken before the first call can come, given back after the last one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import structlog

import voiceagent
from voiceagent.app.erasure_desk import ErasureDesk
from voiceagent.app.fleet import FleetDirectory
from voiceagent.app.fleet_erasure import FleetErasure
from voiceagent.app.fleet_news import FleetNews
from voiceagent.cluster.making import make_cluster
from voiceagent.cluster.ports import CallEntry, Cluster, Command, NodeFacts, NodeView
from voiceagent.cluster.tickets import TicketDesk
from voiceagent.ids import random_token

if TYPE_CHECKING:
    from voiceagent.app.service import Service
    from voiceagent.settings import Settings

_log = structlog.get_logger("voiceagent.fleet")

NodeLost = Callable[[NodeView, Sequence[CallEntry]], None]
"""Takes the calls of a node that has vanished; called on one survivor only."""
ANYWHERE = frozenset({"0.0.0.0", "::"})


def cluster_of(settings: Settings) -> Cluster:
    """Return the membership that the settings mean, not yet joined. Raises ConfigError."""
    fleet = settings.cluster
    return make_cluster(
        node=fleet.name,
        url=None if fleet.url is None else fleet.url.get_secret_value(),
        prefix=fleet.prefix,
        lease_s=fleet.lease_s,
    )


class FleetNode:
    """Joins, tells, obeys and leaves, for one service."""

    def __init__(self, service: Service, cluster: Cluster | None = None) -> None:
        settings = service.settings
        self._service = service
        secret = settings.cluster.secret
        self._secret = None if secret is None else secret.get_secret_value()
        self.cluster = cluster_of(settings) if cluster is None else cluster
        self.directory = FleetDirectory(
            service.directory,
            self.cluster,
            within_s=settings.cluster.command_timeout_s,
            secret=self._secret,
        )
        others = FleetErasure(self.cluster, random_token) if self.cluster.shared else None
        self.erasures = ErasureDesk(service, others)
        self.cluster.stood = self._stood
        self.cluster.commanded = service.metrics.cluster_commanded
        self.cluster.lost = self._lost
        self.cluster.outlived = self._outlived

    @property
    def tickets(self) -> TicketDesk | None:
        """Who lets other nodes hear our calls; None where they may not."""
        if self._secret is None or not self.cluster.shared:
            return None
        return TicketDesk(self._secret, self.cluster.name)

    async def join(self) -> None:
        """Take the place. Raises ConfigError naming ``cluster.…``."""
        await self.cluster.join(self.facts, self._obey)
        if self.cluster.shared:
            self._service.hub.listen(FleetNews(self.cluster, asyncio.get_running_loop()).on_event)
            if self._secret is None:
                _log.warning("without cluster.secret this node's calls are heard here only")
            _log.info("joined", node=self.cluster.name, nodes=len(await self.cluster.nodes()))

    async def leave(self) -> None:
        """Give it back. Harmless when repeated, or before :meth:`join`."""
        await self.directory.close()
        await self.cluster.leave()

    def facts(self) -> NodeFacts:
        """Return what this node tells with each beat."""
        service = self._service
        admission, addresses = service.admission, service.addresses
        return NodeFacts(
            state="draining" if admission.draining else "up",
            calls=admission.live,
            max_calls=admission.config.max_calls,
            console=self._console(),
            sip="" if addresses is None else addresses.sip,
            version=voiceagent.__version__,
        )

    def _console(self) -> str:
        advertised = self._service.settings.cluster.advertised_console
        console = self._service.console_url
        if advertised or console is None:
            return advertised.rstrip("/")
        return "" if urlsplit(console).hostname in ANYWHERE else console

    async def _obey(self, command: Command) -> Mapping[str, Any]:
        if command.op in ("erase", "forget"):
            return await self.erasures.obey(command)
        return await self.directory.obey(command)

    def _stood(self, up: bool, nodes: int) -> None:
        self._service.metrics.cluster_stood(up, nodes)
        self.directory.stood(up)

    def _lost(self, node: NodeView, entries: Sequence[CallEntry]) -> None:
        _log.error("a node has vanished", node=node.name, calls=len(entries))
        for entry in entries:
            self.cluster.publish("call.ended", entry.call_id, lost_call(entry))
        self._service.on_node_lost(node, entries)

    def _outlived(self, ids: Sequence[str]) -> None:
        _log.warning("this node was taken for dead, and is not", calls=len(ids))
        directory = self._service.directory
        for call in directory.live:
            if call.id in ids:
                told = directory.summary(call)
                self.cluster.publish("call.changed", call.id, told)
                self._service.hub.publish("call.found_again", call.id, told)
        for call in directory.lately_ended:
            if call.id in ids:
                self._service.outgoing.ended_unheard(call.id, directory.summary(call))


def lost_call(entry: CallEntry) -> dict[str, Any]:
    """Return how a call stands whose node has vanished."""
    outcome = {"kind": "ours", "reason": "node_lost", "detail": f"node {entry.node} has vanished"}
    return {**entry.data, "state": "ended", "floor": "nobody", "outcome": outcome, "abilities": []}
