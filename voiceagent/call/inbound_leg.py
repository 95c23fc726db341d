"""The direct leg of a call that somebody places to us."""

from __future__ import annotations

from collections.abc import Callable

from voiceagent.call.direct_audio import DirectMedia
from voiceagent.call.leg import G711, LegInfo
from voiceagent.call.sip_leg import SipLeg
from voiceagent.sip import effects as sip
from voiceagent.sip.net.transport import SipTransport
from voiceagent.sip.syntax.identity import claims_of


class InboundLeg(SipLeg):
    """One INVITE that was offered to us. Fulfils :class:`voiceagent.call.leg.Leg`."""

    def __init__(
        self,
        invite: sip.InviteReceived,
        transport: SipTransport,
        media: DirectMedia,
        gone: Callable[[str], None],
        *,
        line: G711 | None = None,
    ) -> None:
        """``line``: the format of our side of the line, where the model's session stands already."""
        info = LegInfo(
            id=invite.leg,
            kind="direct",
            caller=invite.caller_user or invite.caller_uri,
            called=invite.called_user,
            caller_name=invite.caller_name,
            protocol_call_id=invite.call_id,
            source=f"{invite.source[0]}:{invite.source[1]}",
            headers=invite.headers,
            trunk=invite.trunk,
            claims=claims_of(invite.headers, trusted=invite.trusted),
        )
        super().__init__(info, transport, media, gone, None)
        if line is not None:
            self._audio.settle(line)
        self._audio.tls_signalling = invite.source.transport == "tls"
        self._invite = invite
        self._answer: bytes | None = None

    async def prepare(self) -> None:
        """Bind RTP, answer the offer (or make one, when the INVITE came without), and let it ring."""
        self._open()
        offer = self._invite.offer
        self._answer = self._audio.answer(offer) if offer is not None else self._audio.offer()
        await self._audio.load()
        if self._over:
            return  # the caller has given up meanwhile
        self._transport.ring(self.info.id)  # the provider may take a moment: the caller hears that it rings

    async def answer(self) -> None:
        """Send 200 with our SDP. Media starts at once; a caller who never sends ACK is told as ``NO_ACK``."""
        if self._over:
            return
        assert self._answer is not None
        self._transport.accept(self.info.id, self._answer)
        if self._invite.offer is not None:
            self._audio.start()

    async def reject(self, status: int, reason: str, *, retry_after_s: int | None = None) -> None:
        if self._over:
            return
        headers = [("Retry-After", str(retry_after_s))] if retry_after_s is not None else []
        self._transport.reject(self.info.id, status, reason, headers)

    @property
    def _owed_answer(self) -> bool:
        return self._invite.offer is None and not self._audio.running
