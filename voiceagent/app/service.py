"""Start, drain, stop: the service in one piece.

Order of start: settings and flows → journals → files and names of the settings (any mistake so far is told
before a port is opened) → embedded provider → console → SIP. Order of stop: no new calls → the running ones
to their end → SIP → console → provider → journals.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

import voiceagent
from voiceagent.app.aftercare import look_after, open_aftercare
from voiceagent.app.alarms import Alarms
from voiceagent.app.archive import Archive
from voiceagent.app.browser_phone import BrowserDesk
from voiceagent.app.call_limits import call_config
from voiceagent.app.console_start import start_console
from voiceagent.app.directory import NodeDirectory
from voiceagent.app.draining import Drainer
from voiceagent.app.embedded import Embedded
from voiceagent.app.events import EventHub
from voiceagent.app.fleet_node import FleetNode, NodeLost
from voiceagent.app.gauges import Totals, guard_against_overload, keep_figures, watch_stores
from voiceagent.app.incoming import Reception
from voiceagent.app.intake import Intake
from voiceagent.app.losses import Losses
from voiceagent.app.outgoing import Outgoing
from voiceagent.app.provider import SessionFactory
from voiceagent.app.reload import FlowDesk
from voiceagent.app.retention import retention_of
from voiceagent.app.routes import Routes
from voiceagent.app.second_leg import SecondLegs
from voiceagent.app.sip_listeners import families_of, tls_of
from voiceagent.app.telephony import hold_music, open_telephony
from voiceagent.app.tracing import Tracing
from voiceagent.app.trunking import TrunkDesk, trunk_table, trunk_views
from voiceagent.call.admission import Admission
from voiceagent.call.config import AdmissionConfig
from voiceagent.call.leg import Leg
from voiceagent.call.local_lines import check_prompts
from voiceagent.call.overload import OverloadConfig
from voiceagent.call.queue_room import QueueRoom
from voiceagent.call.sip_gateway import SipGateway
from voiceagent.errors import ConfigError
from voiceagent.ids import Tokens, random_token
from voiceagent.ivr.flow import FlowBook
from voiceagent.loops import quiet_collector
from voiceagent.media.music import HoldMusic
from voiceagent.media.wheel import MediaWheel
from voiceagent.observe.metrics import Metrics
from voiceagent.records.journal import JournalWriter
from voiceagent.records.recording import RecordingWriter
from voiceagent.settings import Settings
from voiceagent.settings.alerts import alert_config
from voiceagent.settings.queues import queue_configs
from voiceagent.settings.webhooks import webhook_endpoints
from voiceagent.sip.effects import Dropped, Retransmitted, SipEvent, TrunkJudged, TrunkState
from voiceagent.sip.net.resolver import Resolver
from voiceagent.sip.net.tls import check_files
from voiceagent.sip.net.transport import SipTransport
from voiceagent.sip.syntax.uri import host_text
from voiceagent.store import Database
from voiceagent.tasks import TaskNest

if TYPE_CHECKING:
    from voiceagent.app.hosted import HostedDesk
    from voiceagent.console.server import ConsoleServer

_log = structlog.get_logger("voiceagent.service")


END_LIMIT_S = 5.0
"""How long a stopping node waits for its calls to end."""
WARM_IN_S = 2
"""When to ask a node again whose provider is not warm yet."""
ARCHIVE_LIMIT_S = 5.0
"""How long a stopping node waits for the database to take the last calls."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running service can be reached."""

    sip: str
    """host:port of the first UDP listener (of the first of all, where there is none)."""
    console: str | None
    """Base URL of the console."""
    console_token: str | None
    provider: str
    engine: str | None
    hosted_sip: str | None = None
    """host:port where the embedded provider takes calls by itself and offers them to us."""
    listeners: tuple[str, ...] = ()
    """Every SIP listener, as ``tls:127.0.0.1:5061``."""


class Service:
    """One node. ``async with Service(settings) as service`` starts and stops it."""

    def __init__(
        self,
        settings: Settings,
        *,
        tokens: Tokens = random_token,
        journal_tap: Callable[[Mapping[str, Any]], None] | None = None,
        reread: Callable[[], Settings] | None = None,
    ) -> None:
        """``journal_tap`` is called with every entry of every call's journal.

        ``reread`` returns the settings as they stand now, for a reload of the flows.
        """
        self.settings = settings
        self._journal_tap = journal_tap
        self.metrics = Metrics(version=voiceagent.__version__)
        self.totals = Totals()
        self.tracing = Tracing(settings, self.metrics)
        self.desk = FlowDesk(settings, self.metrics, reread)
        self.hub = EventHub()
        self.admission = Admission(
            AdmissionConfig(
                settings.call.max_calls,
                settings.call.retry_after_s,
                OverloadConfig(settings.call.overload_lag_ms / 1000),
            ),
            dice=secrets.randbelow,
        )
        self.alarms = Alarms(
            alert_config(settings.alerts), self.hub, self.metrics, tokens, provider=settings.provider
        )
        self.directory = NodeDirectory(
            self.hub,
            self.metrics,
            tokens,
            provider=settings.provider,
            readiness=self._readiness,
            trunks=self._trunks,
            flows=self.desk,
            journal_dir=Path(settings.journal_dir),
            alarms=self.alarms,
            node=settings.cluster.name,
        )
        self.on_node_lost: NodeLost
        self.fleet = FleetNode(self)
        self._tokens = tokens
        self.phones = BrowserDesk(
            flows=lambda: self.flows,
            hub=self.hub,
            metrics=self.metrics,
            tokens=tokens,
            per_user=settings.console.phone_calls_per_user,
        )
        self.nest = TaskNest("service")
        self._journals: JournalWriter | None = None
        self.queues = QueueRoom(queue_configs(settings.queues))
        self._recordings = RecordingWriter(Path(settings.recordings_dir))
        self.database = Database(settings.database_url)
        self.archive = Archive(self.database, provider=settings.provider, node=settings.cluster.name)
        self.directory.ended = self.archive.keep
        self.directory.recorded = self.archive.keep_recording
        self.aftercare = open_aftercare(settings, self.archive, self.metrics)
        self.outgoing = Outgoing(
            webhook_endpoints(settings.webhooks),
            self.database,
            self.archive,
            self.metrics,
            tokens,
            masked=self.directory.masked,
            node=settings.cluster.name,
        )
        self.hub.listen(self.outgoing.on_event, self.outgoing.kinds)
        self.archive.announce = lambda call: self.outgoing.ended(call.id, self.directory.summary(call))
        self.intake = Intake(
            Path(settings.journal_dir),
            self.database,
            self.archive,
            announce=self.outgoing.ended_before,
            oldest_live=lambda: min((call.started_at for call in self.directory.live), default=None),
            holder=f"node {settings.cluster.name}, process {os.getpid()}",
        )
        self.on_node_lost = Losses(self.archive, self.outgoing).on_node_lost
        self.embedded = Embedded(settings, self.metrics, self.nest)
        self.drainer = Drainer(self)
        self._console: ConsoleServer | None = None
        self._reception: Reception | None = None
        self.hosted: HostedDesk | None = None
        self.gateway: SipGateway | None = None
        self.wheel: MediaWheel | None = None
        self.sip: SipTransport | None = None
        self.resolver = Resolver(families=families_of(settings.sip))
        """Finds the servers of SIP URIs, by the addresses that our listeners can speak to."""
        self.trunks: TrunkDesk | None = None
        self.routes: Routes | None = None
        self.music = HoldMusic()
        self.addresses: Addresses | None = None
        self.console_url: str | None = None
        """Base URL of the console, once it listens: before the fleet hears of this node, and before SIP."""

    async def __aenter__(self) -> Service:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def flows(self) -> FlowBook:
        """The flows in force. Another book may take its place; running calls keep what they have."""
        return self.desk.book

    @flows.setter
    def flows(self, book: FlowBook) -> None:
        self.desk.book = book

    # ── start ───────────────────────────────────────────────────────────────────────────────────
    async def start(self) -> Addresses:
        """Open everything. Raises ConfigError naming the setting; nothing is left open then."""
        try:
            return await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> Addresses:
        settings = self.settings
        await asyncio.to_thread(self.intake.open)
        try:
            self._journals = JournalWriter(
                Path(settings.journal_dir), self._journal_tap, reserve_mb=settings.journal.reserve_mb
            )
        except OSError as error:
            raise ConfigError(
                "journal_dir", f"cannot use {settings.journal_dir!r}: {error.strerror}"
            ) from None
        watch_stores(
            self.metrics,
            self.totals,
            journals=self._journals,
            recordings=self._recordings,
            database=self.database,
            archive=self.archive,
        )
        self.tracing.open()
        await self.database.open(patient=self.intake.knows_database)
        self.nest.start("archive", self.archive.run())
        self.nest.start("intake", self.intake.run())
        self.nest.start("recordings", look_after(self.aftercare, self.database))
        self.nest.start("retention", retention_of(self))
        self.outgoing.open(self.nest)
        # Files and names first: a mistake in them is told before a port is opened.
        check_files(tls_of(settings.sip))
        self.music = hold_music(settings.call.hold_music)
        check_prompts(settings.call.prompts_dir)
        table = await trunk_table(settings, self.resolver)
        engine_url = await self.embedded.start()
        sessions = SessionFactory(settings, engine_url, self.metrics.provider_connected)
        if settings.hosted.webhook_secrets:
            from voiceagent.app.hosted import HostedDesk

            self.hosted = HostedDesk(
                settings,
                sessions,
                flows=lambda: self.flows,
                admission=self.admission,
                metrics=self.metrics,
                engine_url=engine_url,
                claim=self.fleet.cluster.claim if self.fleet.cluster.shared else None,
            )
        token = None
        started = await start_console(self)
        if started is not None:
            self._console, self.console_url, token = started
        self._reception = Reception(
            dial=self._dial,
            flows=lambda: self.flows,
            admission=self.admission,
            directory=self.directory,
            metrics=self.metrics,
            journals=self._journals,
            recordings=self._recordings,
            queues=self.queues,
            open_session=sessions.open,
            open_second=sessions.second,
            transcription=sessions.transcription,
            config=call_config(settings),
            tokens=self._tokens,
            on_idle=self.drainer.none_left,
            record_inputs=settings.journal.inputs,
            tracing=self.tracing,
            kept_as=self.archive.kept_as,
        )
        await self.fleet.join()
        bound, media = await open_telephony(self, table)
        self.phones.open(self._reception, media)
        self._open_dialling(self._reception)
        if self.hosted is not None:
            self.hosted.open(self._reception)
            self.embedded.offer_calls_to(f"{self.console_url}/webhooks/realtime")
        self.nest.start("figures", keep_figures(self))
        self.alarms.disks = self._disks
        self.nest.start("alerts", self.alarms.run(lambda: self.directory.live, self.admission, self._trunks))
        self.nest.start("overload guard", guard_against_overload(self))
        quiet_collector()
        first = next((one for one in bound if one.transport == "udp"), bound[0])
        listeners = tuple(f"{one.transport}:{host_text(one.host, one.port)}" for one in bound)
        self.addresses = Addresses(
            host_text(first.host, first.port),
            self.console_url,
            token,
            settings.provider,
            engine_url,
            self.embedded.sip,
            listeners,
        )
        self.fleet.cluster.facts_changed()
        _log.info("listening", sip=listeners, console=self.console_url, provider=settings.provider)
        return self.addresses

    def _open_dialling(self, reception: Reception) -> None:
        from voiceagent.app.outbound import Dialler

        assert self.gateway is not None
        assert self.routes is not None
        dialler = Dialler(
            self.settings.outbound,
            flows=lambda: self.flows,
            gateway=self.gateway,
            reception=reception,
            metrics=self.metrics,
            routes=self.routes,
        )
        self.directory.place = dialler.place

    async def ready(self) -> None:
        """Wait until the first call would be answered without delay (the embedded provider is warm)."""
        await self.embedded.ready()

    # ── stop ────────────────────────────────────────────────────────────────────────────────────
    async def drain(self, limit_s: float | None = None) -> bool:
        """Take no new calls and wait for the running ones; False when the limit came first."""
        self.drainer.begin("drain()", limit_s)
        return await self.drainer.wait()

    async def stop(self) -> None:
        """End running calls (each gets its BYE and its record) and close everything."""
        await self.drainer.end_calls(END_LIMIT_S)
        if self._reception is not None:
            await self._reception.close()
        if self.hosted is not None:
            await self.hosted.close()
        self.hub.close()
        await self.fleet.leave()
        await self.archive.flush(ARCHIVE_LIMIT_S)
        await self.tracing.close()
        await self.nest.close()
        await self.resolver.close()
        if self.trunks is not None:
            await self.trunks.close()
            self.trunks = None
        if self.sip is not None:
            await self.sip.close()
        if self.wheel is not None:
            self.wheel.close()
        if self._console is not None:
            await self._console.close()
        await self.embedded.close()
        await self.database.close()
        if self._journals is not None:
            await asyncio.to_thread(self._recordings.close)
            await asyncio.to_thread(self._journals.close)
            self._journals = None
        self.intake.close()
        if self.addresses is not None:
            _log.info("stopped")

    # ── inner workings ──────────────────────────────────────────────────────────────────────────
    def _dial(self, target: str, headers: Sequence[tuple[str, str]], for_leg: Leg) -> Leg:
        assert self.gateway is not None
        assert self.routes is not None
        return SecondLegs(self.gateway, self.routes).dial(target, headers, for_leg)

    def offered(self, leg: Any) -> None:
        assert self._reception is not None
        self._reception.offered(leg)

    def sip_event(self, event: SipEvent) -> None:
        if isinstance(event, Dropped):
            self.metrics.sip_dropped(event.why)
        elif isinstance(event, TrunkJudged | TrunkState):
            if self.trunks is not None:
                self.trunks.on_event(event)
        elif isinstance(event, Retransmitted):
            self.metrics.sip_retransmitted("response" if event.what.isdigit() else "request")

    def _trunks(self) -> Sequence[Mapping[str, Any]]:
        return () if self.trunks is None else trunk_views(self.trunks.status())

    def again_in_s(self) -> int | None:
        """Return how long whoever asks should wait before offering a call; None while calls are taken."""
        again_s = self.admission.again_in_s()
        return WARM_IN_S if again_s is None and self.embedded.warmth != "ok" else again_s

    def _disks(self) -> Mapping[str, str]:
        journals = None if self._journals is None else self._journals.failed
        return {"journals": journals or "", "recordings": self._recordings.failed or ""}

    def _readiness(self) -> tuple[bool, Mapping[str, Any]]:
        again_s = self.again_in_s()
        parts = {
            "sip": self.sip is not None and self.addresses is not None,
            "draining": self.admission.draining,
            "calls": self.admission.live,
            "max_calls": self.admission.config.max_calls,
            "provider": self.settings.provider,
            "provider_state": self.embedded.warmth,
            "trunks": {one["name"]: "up" if one["up"] else one["detail"] or "down" for one in self._trunks()},
            "recordings": self._recordings.failed or "ok",
            "database": self.database.down or "ok",
            "journal": (self._journals.failed or "ok") if self._journals is not None else "closed",
        }
        if again_s is not None:
            parts["retry_after_s"] = again_s
        return bool(parts["sip"]) and again_s is None, parts
