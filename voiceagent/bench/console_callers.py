"""The callers of ``voiceagent bench console``: phones of the load bench, dialled in over SIP."""

from __future__ import annotations

import asyncio

from voiceagent.bench.load_phones import Phone
from voiceagent.media.sdp import Abilities, make_offer, parse_sdp
from voiceagent.sip.address import Address
from voiceagent.sip.config import EndpointConfig
from voiceagent.sip.effects import Answered, Ended, SipEvent
from voiceagent.sip.net.transport import SipTransport

AT_ONCE = 10
ANSWER_S = 30.0


class Callers:
    """Dials for every phone, and lets it talk to where the answer says."""

    def __init__(self) -> None:
        self._transport = SipTransport(EndpointConfig(max_legs=10_000), self._on_event)
        self._dialled: dict[str, tuple[Phone, asyncio.Future[None]]] = {}
        self.lost = 0
        """Calls that ended although nobody hung up."""
        self._closing = False

    async def dial(self, port: int, phones: list[tuple[Phone, str]]) -> None:
        """Call ``sip:<number>@127.0.0.1:port`` for each (phone, number); return when all talk.

        Raises RuntimeError where one is refused.
        """
        bound = await self._transport.start("127.0.0.1", 0)
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(phone: Phone, number: str) -> None:
            async with gate, asyncio.timeout(ANSWER_S):
                talking = asyncio.get_running_loop().create_future()
                leg = self._transport.invite(
                    f"sip:{number}@127.0.0.1:{port}",
                    from_uri=f"sip:bench@127.0.0.1:{bound[1]}",
                    sdp=make_offer(Abilities(address="127.0.0.1", port=phone.port)).to_bytes(),
                    destination=Address("127.0.0.1", port, "udp"),
                )
                self._dialled[leg] = phone, talking
                await talking

        async with asyncio.TaskGroup() as group:
            for phone, number in phones:
                group.create_task(one(phone, number))

    async def close(self) -> None:
        """Hang up everywhere."""
        self._closing = True
        for leg, (phone, _) in self._dialled.items():
            phone.close()
            self._transport.hang_up(leg)
        await asyncio.sleep(0.2)  # the BYEs leave, and are answered
        await self._transport.close()

    def _on_event(self, event: SipEvent) -> None:
        if isinstance(event, Answered) and event.sdp is not None:
            phone, talking = self._dialled[event.leg]
            phone.start(parse_sdp(event.sdp).media[0].port)
            talking.set_result(None)
        elif isinstance(event, Ended) and event.leg in self._dialled and not self._closing:
            phone, talking = self._dialled.pop(event.leg)
            if talking.done():
                self.lost += 1
                phone.close()
            else:
                talking.set_exception(RuntimeError(f"a call was not answered: {event}"))
