"""The prompt of a question: spoken beside the listening, and spoken on where it was cut for nothing."""

from __future__ import annotations

import asyncio

from voiceagent.flags import Flag
from voiceagent.ivr.ports import CallPort, Line
from voiceagent.ivr.resuming import RESUMED, RESUMPTIONS, SpokenOn
from voiceagent.realtime.requests import Outcome


class Prompt:
    """One prompt on its way. Made on the loop's thread, where it begins at once."""

    def __init__(self, port: CallPort, line: Line, *, resume: bool) -> None:
        self._port = port
        self._spoken = SpokenOn(line, limit=RESUMPTIONS if resume else 0)
        self._forgiving = resume
        self._noted = False
        self.audible = Flag()
        """Set once the caller begins to hear it."""
        self.excused = False
        """What the caller did over it meant nothing."""
        self.task = self._begin(line)

    def _begin(self, line: Line) -> asyncio.Task[Outcome]:
        speaking = self._port.speak(line, self.audible.set)
        return asyncio.get_running_loop().create_task(speaking, name="ivr/prompt")

    @property
    def done(self) -> bool:
        """True when it was heard, cut, or failed."""
        return self.task.done()

    @property
    def cut(self) -> bool:
        """True when the caller has cut it and it may be spoken on. Raises CallEnded after the call's end."""
        if not self.done:
            return False
        if not self._noted:
            self._spoken.heard(self.task.result())
            self._noted = True
        return self._spoken.cut

    def excuse(self) -> bool:
        """The caller meant nothing, which is no answer. False where that was not during the prompt."""
        self.excused = self._forgiving and (not self.done or self.cut)
        return self.excused

    def goes_on(self) -> bool:
        """Speak the rest of a prompt that was cut for nothing; False where there is none."""
        if not (self.excused and self.cut):
            return False
        self.excused = False
        rest = self._spoken.rest()
        if rest is None:
            return False
        self._port.note_fact(RESUMED, **self._spoken.facts())
        self._noted = False
        self.task = self._begin(rest)
        return True

    async def close(self) -> None:
        """Withdraw what is not said yet, and stop what is being said."""
        if self.done:
            if not self.task.cancelled():
                self.task.exception()  # the call's end, which is told another way: nobody needs to be warned
        else:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
