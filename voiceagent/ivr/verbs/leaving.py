"""Ends: goodbye, and handing the caller to somebody else."""

from __future__ import annotations

from typing import NoReturn

from voiceagent.ivr.ports import TransferOutcome
from voiceagent.ivr.verbs.base import Verbs


class LeavingVerbs(Verbs):
    """``hangup``, ``transfer``."""

    async def hangup(self, goodbye: str | None = None) -> NoReturn:
        """Say ``goodbye`` word for word if given, wait until it was heard whole, and end the call.

        A caller who speaks or is on hold is waited for, up to two minutes; one whom the flow has put on hold
        is taken back. Nothing after it runs but ``finally`` blocks: the call's end cancels the flow here.
        """
        self._step("hangup")
        if goodbye:
            await self._port.goodbye(self._line(self._exactly(goodbye), None, False, False, ()))
        await self._port.hang_up("flow")

    async def transfer(
        self,
        target: str,
        *,
        announce: str | None = None,
        attended: bool = False,
        whisper: str | None = None,
        timeout_s: float | None = None,
    ) -> TransferOutcome:
        """Hand the caller to ``target`` (``sip:`` or ``tel:`` URI). Accepted means the call ends.

        ``announce`` is said to the caller first. Blind, the caller's side calls the target by itself.
        ``attended``: we call it while the caller hears music, say ``whisper`` to it word for word, and join
        the two; when it does not answer, the caller is taken back and the flow goes on. ``timeout_s`` is for
        each step.
        """
        self._step("transfer")
        if announce:
            await self._port.speak(self._line(self._exactly(announce), None, False, False, ()))
        line = self._line(self._exactly(whisper), None, False, False, ()) if attended and whisper else None
        limit_s = self._transfer_timeout_s if timeout_s is None else timeout_s
        return await self._port.transfer(target, limit_s, attended=attended, whisper=line)
