"""Calls that the provider terminates: from a webhook to a call of the same kind as any other.

Order for one webhook: signature → event → age → claim → flow → reception. Nothing here waits: the accept
leaves in the call's own task while the webhook is being answered, and what was not claimed never acts.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from voiceagent.app.claims import KEEP_S, Claims
from voiceagent.app.flow_books import arrival_of
from voiceagent.app.incoming import Reception
from voiceagent.app.provider import SessionFactory
from voiceagent.call.admission import Admission
from voiceagent.call.call import OpenSession
from voiceagent.call.hosted_leg import HostedLeg, hosted_info
from voiceagent.call.inputs import chance_of
from voiceagent.call.leg import G711
from voiceagent.call.session_opening import opened, watched
from voiceagent.cluster.ports import ClusterDown
from voiceagent.console.ports import WebhookTaken
from voiceagent.ivr.flow import Flow, FlowBook
from voiceagent.observe.metrics import Metrics
from voiceagent.realtime.calls_rest import CallsRest
from voiceagent.realtime.providers import provider, rest_base, socket_url
from voiceagent.realtime.session import RealtimeSession
from voiceagent.realtime.sip_attach import OpenAIRealtimeSIPModel
from voiceagent.realtime.webhook_event import CALL_INCOMING, CallOffer, WebhookEvent, read_event, read_offer
from voiceagent.realtime.webhook_signature import TOLERANCE_S, WebhookRefused, WebhookVerifier
from voiceagent.records.journal import Journal
from voiceagent.settings import Settings
from voiceagent.tasks import TaskNest

if TYPE_CHECKING:
    import httpx

    from voiceagent.realtime.websocket import OpenTransport, TransportName

_log = structlog.get_logger("voiceagent.hosted")

MOST_AGE_S = 60.0
"""A call offered longer ago has stopped ringing: the offer is answered, but nobody acts on it."""
CLAIMS = "webhooks.claims"
"""Where acted-on ids are kept, in the folder of the journals."""
_TIMED = 1000


class HostedDesk:
    """Takes the provider's webhooks. Fulfils :class:`voiceagent.console.ports.Webhooks`.

    Raises :class:`~voiceagent.errors.ConfigError` for a useless secret, or no address.
    """

    def __init__(
        self,
        settings: Settings,
        sessions: SessionFactory,
        *,
        flows: Callable[[], FlowBook],
        admission: Admission,
        metrics: Metrics,
        engine_url: str | None = None,
        claim: Callable[[str, float], Awaitable[bool]] | None = None,
        rest_transport: httpx.AsyncBaseTransport | None = None,
        socket_transport: OpenTransport | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """``claim``: of a fleet, so that an offer which comes to two nodes is taken by one."""
        hosted, realtime = settings.hosted, settings.realtime
        self._claim = claim
        self._nest = TaskNest("hosted offers")
        self._verifier = WebhookVerifier([each.get_secret_value() for each in hosted.webhook_secrets])
        self._sessions = sessions
        self._flows = flows
        self._admission = admission
        self._metrics = metrics
        self._wall = wall
        self._model_name = realtime.model
        self._profile = provider(sessions.name)
        self._api_key = realtime.api_key.get_secret_value() if realtime.api_key else None
        socket = realtime.url or engine_url
        self._socket = socket or (socket_url(hosted.api_base) if hosted.api_base else None)
        self._transport: TransportName | OpenTransport = socket_transport or realtime.transport
        self.rest = CallsRest(
            self._profile,
            api_key=self._api_key,
            base=hosted.api_base or (rest_base(socket) if socket else None),
            transport=rest_transport,
            sent=self._sent,
        )
        self._claims = Claims(Path(settings.journal_dir) / CLAIMS, wall=wall)
        self._retry_after_s = settings.call.retry_after_s
        self._verified: OrderedDict[str, float] = OrderedDict()
        self._reception: Reception | None = None

    def open(self, reception: Reception) -> None:
        """Take calls from now on; until then webhooks are told to come again."""
        self._reception = reception

    async def close(self) -> None:
        """Let go of connections and files."""
        self._reception = None
        await self._nest.close()
        await self.rest.close()
        self._claims.close()

    # ── webhooks ─────────────────────────────────────────────────────────────────────────────────
    def take(self, webhook_id: str, timestamp: str, signature: str, body: bytes) -> WebhookTaken:
        """Verify a webhook and act on it, once; see :class:`voiceagent.console.ports.Webhooks`."""
        now = self._wall()
        try:
            self._verifier.verify(webhook_id, timestamp, signature, body, now)
            taken = self._act(read_event(body), now)
        except WebhookRefused as error:
            self._metrics.webhook(error.code)
            raise
        self._metrics.webhook(taken.outcome)
        return taken

    def _act(self, event: WebhookEvent, now: float) -> WebhookTaken:
        verified = asyncio.get_running_loop().time()
        if event.type != CALL_INCOMING:
            return WebhookTaken("ignored")
        offer = read_offer(event)
        if not -TOLERANCE_S <= now - event.created_at <= MOST_AGE_S:
            _log.info("offer refused", why="stale", age_s=round(now - event.created_at, 1))
            return WebhookTaken("stale")
        if self._reception is None or self._admission.draining:
            return WebhookTaken("not_taking_calls", self._retry_after_s)
        if not self._claims.claim(f"event {event.id}", f"call {offer.call_id}"):
            return WebhookTaken("duplicate")
        self._verified[offer.call_id] = verified
        if len(self._verified) > _TIMED:
            self._verified.popitem(last=False)
        if self._claim is None:
            self._offer(offer, self._reception)
        else:
            self._nest.start(f"offer {offer.call_id}", self._offer_if_ours(offer, self._claim))
        return WebhookTaken("taken")

    async def _offer_if_ours(self, offer: CallOffer, claim: Callable[[str, float], Awaitable[bool]]) -> None:
        try:
            ours = await claim(f"offer:{offer.call_id}", KEEP_S)
        except ClusterDown as down:
            # The provider lets a call be accepted once: two nodes that try harm less than none.
            _log.warning("an offer is taken without asking the fleet", call=offer.call_id, why=str(down))
            ours = True
        if not ours:
            self._metrics.webhook("duplicate")
            _log.info("offer left to another node", call=offer.call_id)
        elif self._reception is not None:
            self._offer(offer, self._reception)

    def _sent(self, call_id: str, verb: str) -> None:
        verified = self._verified.pop(call_id, None) if verb == "accept" else None
        if verified is not None:
            self._metrics.webhook_accepted(asyncio.get_running_loop().time() - verified)

    # ── calls ────────────────────────────────────────────────────────────────────────────────────
    def _offer(self, offer: CallOffer, reception: Reception) -> None:
        picked = self._flows().pick(arrival_of(hosted_info(offer), self._wall()))
        session = None
        if picked is not None and self._profile.accept == "rest":
            config = self._sessions.config(picked.flow, "audio/pcmu", playout=False)
            model = picked.flow.options.model or self._model_name
            session = config.to_accept(model=model, layout=self._profile.config_layout)
        leg = HostedLeg(offer, self.rest, session=session)
        reception.take(leg, picked, self._opener(leg))

    def _opener(self, leg: HostedLeg) -> OpenSession:
        async def attach(flow: Flow, audio_format: G711, journal: Journal) -> RealtimeSession:
            config = self._sessions.config(flow, audio_format, playout=False)
            model = OpenAIRealtimeSIPModel(
                call_id=leg.call_id,
                provider=self._profile,
                url=self._socket,
                api_key=self._api_key,
                transport=self._transport,
                **watched(
                    journal,
                    self._sessions.defaults,
                    place="hosted",
                    provider=self._sessions.name,
                    model=self._model_name,
                ),
                accepted=leg.session,
                over=leg.call_over,
                digits_end_prompts=False,
                chance=chance_of(journal, "attach"),
            )
            model.add_listener(leg.model_event)
            return await opened(model, config, journal)

        return attach
