"""A caller of a running service who speaks when it is time to, and says it again when asked again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.kit.service import until
from voiceagent.app.service import Service
from voiceagent.call.call import Call

Act = Callable[[], Awaitable[object]]

TRIES = 3
"""What the line has garbled, on a busy machine say, is said again, as people do."""
WITHIN_S = 60.0


class SpeakingCaller:
    """Follows the one live call by what its caller has heard to the end: nothing depends on time."""

    def __init__(self, call: Call) -> None:
        self._call = call

    @classmethod
    async def of(cls, running: Service) -> SpeakingCaller:
        """The caller of the one call that ``running`` has, or is about to have."""
        await until(lambda: running.directory.live)
        return cls(running.directory.live[0])

    @property
    def heard(self) -> list[str]:
        """The agent's lines that were heard, in order."""
        outcomes = [entry.outcome for entry in self._call.ledger]
        return [one.heard_text for one in outcomes if one is not None and one.heard_text]

    async def hears(self, text: str, times: int = 1) -> None:
        """Wait until ``text`` was heard to its end, so many times."""
        await self._until(lambda: self._count(text) >= times, text)

    async def answers(self, question: str, act: Act, then: str) -> None:
        """Hear ``question``, answer it by ``act``, and hear ``then``; asked once more, answer once more."""
        for time in range(1, TRIES + 1):
            await self.hears(question, time)
            await act()
            await until(
                lambda time=time: self._count(then) or self._count(question) > time, within_s=WITHIN_S
            )
            if self._count(then):
                return
        raise AssertionError(f"{question!r} was never answered; heard: {self.heard}")

    async def _until(self, condition: Callable[[], object], text: str) -> None:
        try:
            await until(condition, within_s=WITHIN_S)
        except TimeoutError:
            raise AssertionError(f"{text!r} was not heard, but {self.heard}") from None

    def _count(self, text: str) -> int:
        # All in one: a line that a noise has cut is spoken on in a second response.
        return " ".join(self.heard).count(text)
