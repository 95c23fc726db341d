"""Start, drain, stop: the service in one piece.

Order of start: settings and flows → journals → files and names of the settings (any mistake so far is told
before a port is opened) → embedded provider → console → SIP. Order of stop: no new calls → the running ones
to their end → SIP → console → provider → journals.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

import voiceagent
from voiceagent.app.alarms import Alarms
from voiceagent.app.archive import Archive
from voiceagent.app.browser_phone import BrowserDesk
from voiceagent.app.call_limits import call_config
from voiceagent.app.directory import NodeDirectory
from voiceagent.app.events import EventHub
from voiceagent.app.gauges import guard_against_overload, keep_figures
from voiceagent.app.incoming import Reception
from voiceagent.app.outgoing import Outgoing
from voiceagent.app.provider import SessionFactory
from voiceagent.app.reload import FlowDesk
from voiceagent.app.routes import Routes
from voiceagent.app.second_leg import SecondLegs
from voiceagent.app.sip_listeners import families_of, listeners_of, setting_of, stream_limits_of, tls_of
from voiceagent.app.trunking import TrunkDesk, media_of, trunk_table, trunk_views
from voiceagent.call.admission import Admission
from voiceagent.call.config import AdmissionConfig
from voiceagent.call.direct_audio import DirectMedia
from voiceagent.call.leg import Leg
from voiceagent.call.local_lines import check_prompts
from voiceagent.call.outcome import OutcomeClass
from voiceagent.call.overload import OverloadConfig
from voiceagent.call.queue_room import QueueRoom
from voiceagent.call.recorded_sip import RecordedEndpoint
from voiceagent.call.sip_gateway import SipGateway
from voiceagent.errors import ConfigError, MediaError
from voiceagent.ids import Tokens, random_token
from voiceagent.ivr.flow import FlowBook
from voiceagent.loops import quiet_collector
from voiceagent.media.codecs import available, load
from voiceagent.media.dtls import process_identity
from voiceagent.media.music import HoldMusic, pcm_of
from voiceagent.media.party_security import SecurityPolicy
from voiceagent.media.ports import PortRange
from voiceagent.media.srtp import srtp_available
from voiceagent.media.wav import read_wav
from voiceagent.media.wheel import MediaWheel
from voiceagent.observe.metrics import Metrics
from voiceagent.realtime.webhook_signature import PREFIX
from voiceagent.records.journal import JournalWriter
from voiceagent.records.recording import RecordingWriter
from voiceagent.settings import MediaSettings, Settings
from voiceagent.settings.alerts import alert_config
from voiceagent.settings.queues import queue_configs
from voiceagent.settings.webhooks import webhook_endpoints
from voiceagent.sip.address import Address
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.effects import Dropped, Retransmitted, SipEvent, TrunkJudged, TrunkState
from voiceagent.sip.endpoint import SipEndpoint
from voiceagent.sip.net.resolver import Resolver
from voiceagent.sip.net.tls import check_files
from voiceagent.sip.net.transport import SipTransport
from voiceagent.sip.syntax.uri import host_text
from voiceagent.sip.trunk.trunks import SrtpMode, TrunkTable
from voiceagent.store import Database
from voiceagent.store.users import any_admin
from voiceagent.tasks import TaskNest

if TYPE_CHECKING:
    from voiceagent.app.hosted import HostedDesk
    from voiceagent.console.server import ConsoleServer
    from voiceagent.engine.config import HostedConfig as EngineHostedConfig
    from voiceagent.engine.run import RunningEngine

_log = structlog.get_logger("voiceagent.service")


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
        )
        self._tokens = tokens
        self.phones = BrowserDesk(
            flows=lambda: self.flows,
            hub=self.hub,
            metrics=self.metrics,
            tokens=tokens,
            per_user=settings.console.phone_calls_per_user,
        )
        self._nest = TaskNest("service")
        self._idle = asyncio.Event()
        self._idle.set()
        self._journals: JournalWriter | None = None
        self.queues = QueueRoom(queue_configs(settings.queues))
        self._recordings = RecordingWriter(Path(settings.recordings_dir))
        self.database = Database(settings.database_url)
        self.archive = Archive(self.database, provider=settings.provider, node="local")
        self.directory.ended = self.archive.keep
        self.outgoing = Outgoing(
            webhook_endpoints(settings.webhooks),
            self.database,
            self.archive,
            self.metrics,
            tokens,
            masked=self.directory.masked,
        )
        self.hub.listeners.append(self.outgoing.on_event)
        self.archive.announce = lambda call: self.outgoing.ended(call.id, self.directory.summary(call))
        self._engine: RunningEngine | None = None
        self._warmth = "ok"
        """Of the embedded provider: warming up, ok, or why it failed."""
        self._console: ConsoleServer | None = None
        self._reception: Reception | None = None
        self.hosted: HostedDesk | None = None
        self._gateway: SipGateway | None = None
        self.wheel: MediaWheel | None = None
        self.sip: SipTransport | None = None
        self.resolver = Resolver(families=families_of(settings.sip))
        """Finds the servers of SIP URIs, by the addresses that our listeners can speak to."""
        self.trunks: TrunkDesk | None = None
        self._routes: Routes | None = None
        self._music = HoldMusic()
        self.addresses: Addresses | None = None

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
        try:
            self._journals = JournalWriter(Path(settings.journal_dir), self._journal_tap)
        except OSError as error:
            raise ConfigError(
                "journal_dir", f"cannot use {settings.journal_dir!r}: {error.strerror}"
            ) from None
        await self.database.open()
        self._nest.start("archive", self.archive.run())
        self.outgoing.open(self._nest)
        # Files and names first: a mistake in them is told before a port is opened.
        check_files(tls_of(settings.sip))
        self._music = hold_music(settings.call.hold_music)
        check_prompts(settings.call.prompts_dir)
        table = await trunk_table(settings, self.resolver)
        own_engine = settings.provider == "embedded" and settings.realtime.url is None
        engine_url = await self._start_engine() if own_engine else None
        sessions = SessionFactory(settings, engine_url)
        if settings.hosted.webhook_secrets:
            from voiceagent.app.hosted import HostedDesk

            self.hosted = HostedDesk(
                settings,
                sessions,
                flows=lambda: self.flows,
                admission=self.admission,
                metrics=self.metrics,
                engine_url=engine_url,
            )
        console_url, token = await self._start_console()
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
            on_idle=self._idle.set,
            record_inputs=settings.journal.inputs,
        )
        bound, media = await self._start_sip(table)
        self.phones.open(self._reception, media)
        self._open_dialling(self._reception)
        if self.hosted is not None:
            self.hosted.open(self._reception)
            if self._engine is not None:
                self._engine.offer_calls_to(f"{console_url}/webhooks/realtime")
        self._nest.start("figures", keep_figures(self))
        self._nest.start("alerts", self.alarms.run(lambda: self.directory.live, self.admission, self._trunks))
        self._nest.start("overload guard", guard_against_overload(self))
        quiet_collector()
        hosted_sip = (self._engine.sip if self._engine is not None else "") or None
        first = next((one for one in bound if one.transport == "udp"), bound[0])
        listeners = tuple(f"{one.transport}:{host_text(one.host, one.port)}" for one in bound)
        self.addresses = Addresses(
            host_text(first.host, first.port),
            console_url,
            token,
            settings.provider,
            engine_url,
            hosted_sip,
            listeners,
        )
        _log.info("listening", sip=listeners, console=console_url, provider=settings.provider)
        return self.addresses

    async def _start_engine(self) -> str:
        from voiceagent.engine.config import EngineConfig
        from voiceagent.engine.run import start_engine

        settings = self.settings.engine
        config = EngineConfig(
            host=settings.host,
            port=settings.port,
            voice=settings.voice,
            recogniser=settings.recogniser,
            vad=settings.vad,
            chat_url=settings.chat_url,
            chat_model=settings.chat_model,
            hosted=self._engine_takes_calls(),
        )
        try:
            self._engine = await start_engine(config)
        except OSError as error:
            raise ConfigError("engine.port", f"cannot listen: {error.strerror}") from None
        self._warmth = "warming up"
        self._nest.start("warm-up", self._watch_warm_up(self._engine))
        return self._engine.url

    async def _watch_warm_up(self, engine: RunningEngine) -> None:
        try:
            await engine.ready()
        except Exception as error:
            # Calls are still taken (the caller hears an apology); readiness and the log say why.
            self._warmth = f"failed: {type(error).__name__}: {error}"
            _log.error("the embedded provider did not get ready", error=str(error))
        else:
            self._warmth = "ok"
            self.metrics.provider_up(self.settings.provider, True)

    def _engine_takes_calls(self) -> EngineHostedConfig | None:
        """The embedded provider's own SIP side, where calls are to be offered to us."""
        secrets = self.settings.hosted.webhook_secrets
        if not secrets:
            return None
        from voiceagent.engine.config import HostedConfig as EngineHostedConfig

        sip = self.settings.sip
        return EngineHostedConfig(
            webhook_secret=PREFIX + secrets[0].get_secret_value().strip().removeprefix(PREFIX),
            sip_host=sip.host,
            sip_port=self.settings.engine.sip_port,
            advertised_host=sip.advertised_host,
            allowed_sources=sip.allowed_sources,
            max_calls=self.settings.call.max_calls,
        )

    async def _start_console(self) -> tuple[str | None, str | None]:
        settings = self.settings.console
        if not settings.enabled:
            return None, None
        from voiceagent.console.app import create_app
        from voiceagent.console.config import ConsoleConfig
        from voiceagent.console.server import ConsoleServer

        token = settings.token.get_secret_value() if settings.token else None
        first_run = token is None and not await self.database.run(any_admin)
        if first_run:
            token = secrets.token_urlsafe(24)
        config = ConsoleConfig(
            host=settings.host,
            port=settings.port,
            token=token,
            token_is_first_run=first_run,
            allowed_hosts=settings.allowed_hosts,
            metrics_open=settings.metrics_open,
            secure_cookie=settings.tls_in_front,
            trusted_proxies=settings.trusted_proxies,
            max_connections=settings.max_connections,
            max_streams=settings.max_streams,
            max_listeners=settings.max_listeners,
            recordings_dir=self.settings.recordings_dir,
            journal_dir=self.settings.journal_dir,
        )
        app = create_app(
            self.directory,
            config,
            metrics=self.metrics.render,
            webhooks=self.hosted,
            phones=self.phones,
            database=self.database,
            outgoing=self.outgoing,
        )
        if settings.plain_http:
            _log.warning(
                "console.plain_http: passwords, keys and calls can be read on the way",
                host=settings.host,
                port=settings.port,
            )
        self.metrics.watch_streams(lambda: len(app.state.parts.streams))
        self._console = ConsoleServer(app, settings.host, settings.port)
        return await self._console.start(), token

    async def _start_sip(self, table: TrunkTable) -> tuple[tuple[Address, ...], DirectMedia]:
        settings, media = self.settings.sip, self.settings.media
        media_host = media.host or settings.first_host
        advertised = self.settings.media_told
        if ipaddress.ip_address(advertised).is_unspecified:
            raise ConfigError(
                "media.advertised_host", f"{advertised} cannot be told to others; name an address"
            )
        self.wheel = MediaWheel(asyncio.get_running_loop())
        direct = DirectMedia(
            wheel=self.wheel,
            ports=PortRange(media.port_low, media.port_high, start=secrets.randbits(16)),
            host=media_host,
            advertised_host=advertised,
            learn_source=media.learn_source,
            silence_limit_s=media.silence_limit_s,
            first_packet_limit_s=media.first_packet_limit_s,
            silence_probes=media.silence_probes,
            hold_probe_s=media.hold_probe_s,
            codecs=media.codecs or available(),
            preference=media.codec_preference,
            comfort_noise=media.comfort_noise,
            security=_security_policy(media),
            rtcp=media.rtcp,
            music=self._music,
            digits=media.digits,
        )
        codecs = {*direct.codecs, *(codec for trunk in table.by_name.values() for codec in trunk.codecs)}
        self._nest.start("codecs and music", _load_media(codecs, direct.music))
        policy = partial(_security_policy, media)
        self._gateway = SipGateway(direct, self._offered, self._sip_event, media_of(table, direct, policy))
        config = EndpointConfig(
            user_agent=f"voiceagent/{voiceagent.__version__}",
            trunks=table,
            digest_realm=settings.realm,
            nonce_life=settings.nonce_life_s,
            udp_limit=settings.udp_limit,
            refuse_unknown_sources=settings.refuse_unknown_sources,
            reliable_provisionals=settings.reliable_provisionals,
            session_expires=settings.session_expires_s,
            min_se=settings.min_se_s,
            session_refresher=settings.session_refresher,
            supported=("replaces", "norefersub"),
            allow_refer=settings.accept_refer,
        )
        advertised_sip = Address(settings.advertised_host, 0) if settings.advertised_host else None
        self.sip = SipTransport(
            config,
            self._gateway.on_event,
            advertised=advertised_sip,
            tls=tls_of(settings),
            stream_limits=stream_limits_of(settings),
            make_endpoint=RecordedEndpoint if self.settings.journal.inputs else SipEndpoint,
        )
        self._gateway.transport = self.sip
        bound = await self.sip.listen(listeners_of(settings), setting_of(settings))
        self.trunks = TrunkDesk(self.sip, self.metrics, self.hub, table, self.settings.trunks)
        self.trunks.open()
        self._nest.start("trunk names", self.trunks.keep_found(self.resolver))
        self._routes = Routes(table, self.resolver, self.trunks.status)
        return bound, direct

    def _open_dialling(self, reception: Reception) -> None:
        from voiceagent.app.outbound import Dialler

        assert self._gateway is not None
        assert self._routes is not None
        dialler = Dialler(
            self.settings.outbound,
            flows=lambda: self.flows,
            gateway=self._gateway,
            reception=reception,
            metrics=self.metrics,
            routes=self._routes,
        )
        self.directory.place = dialler.place

    async def ready(self) -> None:
        """Wait until the first call would be answered without delay (the embedded provider is warm)."""
        if self._engine is not None:
            await self._engine.ready()

    # ── stop ────────────────────────────────────────────────────────────────────────────────────
    async def drain(self, limit_s: float | None = None) -> bool:
        """Take no new calls and wait for the running ones; False when the limit came first."""
        self.admission.draining = True
        self.metrics.draining(True)
        _log.info("draining", calls=self.admission.live)
        self.queues.close()
        if self.trunks is not None:
            await self.trunks.close()
        if self.admission.live == 0:
            return True
        self._idle.clear()
        try:
            async with asyncio.timeout(self.settings.call.drain_limit_s if limit_s is None else limit_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """End running calls (each gets its BYE and its record) and close everything."""
        self.admission.draining = True
        for call in self.directory.live:
            call.end("shut_down", kind=OutcomeClass.OURS)
        if self.admission.live:
            self._idle.clear()
            try:
                async with asyncio.timeout(5.0):
                    await self._idle.wait()
            except TimeoutError:
                _log.warning("calls did not end in time", calls=self.admission.live)
        if self._reception is not None:
            await self._reception.close()
        if self.hosted is not None:
            await self.hosted.close()
        self.hub.close()
        await self.archive.flush(ARCHIVE_LIMIT_S)
        await self._nest.close()
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
        if self._engine is not None:
            await self._engine.close()
        await self.database.close()
        if self._journals is not None:
            await asyncio.to_thread(self._recordings.close)
            await asyncio.to_thread(self._journals.close)
            self._journals = None
        if self.addresses is not None:
            _log.info("stopped")

    # ── inner workings ──────────────────────────────────────────────────────────────────────────
    def _dial(self, target: str, headers: Sequence[tuple[str, str]], for_leg: Leg) -> Leg:
        assert self._gateway is not None
        assert self._routes is not None
        return SecondLegs(self._gateway, self._routes).dial(target, headers, for_leg)

    def _offered(self, leg: Any) -> None:
        assert self._reception is not None
        self._reception.offered(leg)

    def _sip_event(self, event: SipEvent) -> None:
        if isinstance(event, Dropped):
            self.metrics.sip_dropped(event.why)
        elif isinstance(event, TrunkJudged | TrunkState):
            if self.trunks is not None:
                self.trunks.on_event(event)
        elif isinstance(event, Retransmitted):
            self.metrics.sip_retransmitted("response" if event.what.isdigit() else "request")

    def _trunks(self) -> Sequence[Mapping[str, Any]]:
        return () if self.trunks is None else trunk_views(self.trunks.status())

    def _readiness(self) -> tuple[bool, Mapping[str, Any]]:
        full = self.admission.live >= self.admission.config.max_calls
        parts = {
            "sip": self.sip is not None and self.addresses is not None,
            "draining": self.admission.draining,
            "calls": self.admission.live,
            "max_calls": self.admission.config.max_calls,
            "provider": self.settings.provider,
            "provider_state": self._warmth,
            "trunks": {one["name"]: "up" if one["up"] else one["detail"] or "down" for one in self._trunks()},
            "recordings": self._recordings.failed or "ok",
            "database": self.database.down or "ok",
            "journal": (self._journals.failed or "ok") if self._journals is not None else "closed",
        }
        ready = bool(parts["sip"]) and self._warmth == "ok" and not self.admission.draining and not full
        return ready, parts


def _security_policy(media: MediaSettings, mode: SrtpMode | None = None) -> SecurityPolicy:
    """What the settings (or ``mode`` instead) allow and the installed packages make possible."""
    mode = mode or media.srtp
    if mode == "off" or not srtp_available():
        return SecurityPolicy()
    if "dtls" in media.srtp_keying:
        process_identity()  # a tenth of a second, which no call should wait for
    return SecurityPolicy(mode, media.srtp_keying, media.sdes_over)


async def _load_media(codecs: Iterable[str], music: HoldMusic) -> None:
    """Load and make what a call would have to wait for, and every other call with it."""
    await load(codecs)
    await asyncio.to_thread(music.prepare)


def hold_music(path: str | None) -> HoldMusic:
    """Read the file at the start, so that a mistake in it is told then."""
    if path is None:
        return HoldMusic()
    try:
        return HoldMusic(pcm_of(read_wav(path)))
    except OSError as error:
        raise ConfigError("call.hold_music", f"cannot read {path!r}: {error.strerror}") from None
    except MediaError as error:
        raise ConfigError("call.hold_music", f"{path!r}: {error}") from None
