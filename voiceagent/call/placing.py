"""The set-up of a call that we place: it rings, and is answered or not."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

from voiceagent.call.greeting import Greeting
from voiceagent.call.outcome import CallOutcome
from voiceagent.ivr.ports import Answering

if TYPE_CHECKING:
    from voiceagent.call.call import Call


class Placing:
    """One outbound call on its way to the answer. Synchronous but for :meth:`settled`."""

    def __init__(self, call: Call) -> None:
        self._call = call
        inputs = call.inputs

        def tell(hint: Answering) -> None:
            if inputs is not None:
                inputs.write("answering", hint=hint)

        self.greeting = Greeting(call.leg.audio_format, tell)
        self._answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def answered(self) -> bool:
        """True once the callee has taken the call."""
        return self._answered.done()

    def dialled(self) -> None:
        """The INVITE has left: only now the call has a name at the other side, its Call-ID."""
        call, leg = self._call, self._call.leg.info
        if leg.protocol_call_id:
            call.info = dataclasses.replace(call.info, id=leg.id, protocol_call_id=leg.protocol_call_id)
            call.journal.write("call.dialled", protocol_call_id=leg.protocol_call_id)

    def progress(self, status: int, early_media: bool) -> None:
        """The leg tells that it rings (18x) or was answered (200)."""
        if self.answered:
            return
        if status >= 200:
            self._call.note_answer()
            self._answered.set_result(None)
        else:
            self._call.journal.write("call.progress", status=status, early_media=early_media)
            self._call.rings()

    async def prepared(self, ending: asyncio.Future[CallOutcome]) -> bool:
        """Look the callee up and send the INVITE; False when the call was ended before that was done.

        Nobody is to be called then any more, however long the DNS takes. Raises what the leg raises.
        """
        loop = asyncio.get_running_loop()
        preparing = loop.create_task(self._call.leg.prepare(), name=f"call {self._call.id}/prepare")
        try:
            await asyncio.wait({preparing, ending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not preparing.done():
                preparing.cancel()
                await asyncio.wait({preparing})
        if preparing.cancelled():
            return False
        preparing.result()
        return True

    async def settled(
        self, ending: asyncio.Future[CallOutcome], refusal: CallOutcome | None
    ) -> CallOutcome | None:
        """Wait for the answer; return how the call ends when there is to be none.

        ``refusal``: the provider is not there. Then nobody needs to pick up a call that has nothing to say;
        a callee who has done so already is owed an apology.
        """
        if refusal is None and not self.answered:
            await asyncio.wait({self._answered, ending}, return_when=asyncio.FIRST_COMPLETED)
        if self.answered:
            return None
        return refusal if refusal is not None else ending.result()
