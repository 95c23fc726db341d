"""Turns the events of one SIP transport into legs, and routes each leg's events to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from voiceagent.call.direct_audio import DirectMedia
from voiceagent.call.inbound_leg import InboundLeg
from voiceagent.call.leg import Leg
from voiceagent.call.outbound_leg import DialPlan, OutboundLeg
from voiceagent.call.sip_leg import SipLeg
from voiceagent.sip import effects as sip
from voiceagent.sip.net.transport import SipTransport


class SipGateway:
    """Every leg of one transport. ``offered`` gets inbound legs, ``other`` the events that belong to none."""

    def __init__(
        self,
        media: DirectMedia,
        offered: Callable[[Leg], None],
        other: Callable[[sip.SipEvent], None],
        trunk_media: Mapping[str, DirectMedia] | None = None,
    ) -> None:
        """``trunk_media`` are the places of trunks whose media has rules of its own."""
        self._trunk_media = trunk_media or {}
        self._media = media
        self._offered = offered
        self._other = other
        self._legs: dict[str, SipLeg] = {}
        self._placing: list[sip.SipEvent] | None = None
        """What is told about legs without a name, while one is being placed."""
        self.transport: SipTransport | None = None

    def __len__(self) -> int:
        return len(self._legs)

    @property
    def rtp_ports_in_use(self) -> int:
        """RTP ports that legs hold now."""
        places = (self._media, *self._trunk_media.values())
        ranges = {id(place.ports): place.ports for place in places if place.ports is not None}
        return sum(ports.in_use for ports in ranges.values())

    def dial(self, plan: DialPlan) -> OutboundLeg:
        """Return the leg of a call that we place; its INVITE leaves with ``prepare``."""
        assert self.transport is not None
        return OutboundLeg(plan, self.transport, self._media_of(plan.trunk), self._forget, self._place)

    def on_event(self, event: sip.SipEvent) -> None:
        """Take one event of the transport."""
        if isinstance(event, sip.InviteReceived):
            assert self.transport is not None
            if event.replaces:
                self._replace(event, self.transport)
                return
            offered = InboundLeg(event, self.transport, self._media_of(event.trunk), self._forget)
            self._legs[event.leg] = offered
            try:
                self._offered(offered)
            except Exception:
                self.transport.reject(event.leg, 500, "Server Internal Error")
                raise  # the transport logs it; the caller must not be left ringing
            return
        leg = self._legs.get(getattr(event, "leg", ""))
        if leg is not None:
            leg.on_sip(event)
        elif self._placing is not None:
            self._placing.append(event)
        else:
            self._other(event)

    def _media_of(self, trunk: str) -> DirectMedia:
        return self._trunk_media.get(trunk, self._media)

    def _replace(self, event: sip.InviteReceived, transport: SipTransport) -> None:
        """Offer an INVITE with Replaces to the leg whose place it wants; 486 where that cannot be now."""
        former = self._legs.get(event.replaces)
        if former is None:
            transport.reject(event.leg, 481)
            return
        successor = InboundLeg(
            event, transport, self._media_of(event.trunk), self._forget, line=former.audio_format
        )
        self._legs[event.leg] = successor
        if not former.replaced_by(successor):
            transport.reject(event.leg, 486, "Busy Here")

    def _place(self, leg: OutboundLeg, invite: Callable[[], str]) -> str:
        """Send an INVITE. Its first events may come before its name is known: they are told right after."""
        self._placing = []
        try:
            leg_id = invite()
            self._legs[leg_id] = leg
        finally:
            waiting, self._placing = self._placing, None
        for event in waiting:
            self.on_event(event)
        return leg_id

    def _forget(self, leg_id: str) -> None:
        self._legs.pop(leg_id, None)
