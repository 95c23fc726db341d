"""What others answer in a simulated call: as the scenario says, or for real where it says nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from voiceagent.call.outside import as_kind
from voiceagent.ivr.toml.endpoints import EndpointFailed
from voiceagent.simulate.loop import SimulationLoop, asking
from voiceagent.simulate.scenario import Answer


class ScenarioFault(Exception):
    """What a scenario's ``error`` raises in place of a function."""


class ScenarioOutside:
    """Fulfils :class:`voiceagent.call.outside.Outside`.

    ``changed`` is called whenever something begins or ends.
    """

    def __init__(
        self,
        tools: Mapping[str, Sequence[Answer]],
        fetch: Mapping[str, Sequence[Answer]],
        changed: Callable[[], None],
    ) -> None:
        self._given = {"tool": tools, "fetch": fetch}
        self._changed = changed
        self._asked: Counter[tuple[str, str]] = Counter()
        self.at_work = 0
        """How much is being waited for."""

    async def __call__(self, key: str, work: Callable[[], Awaitable[Any]], *, kind: Any = None) -> Any:
        place, _, rest = key.partition(":")
        name = rest.rpartition(":")[0] or rest
        if place not in self._given:
            return await work()  # of the node itself: nobody is asked
        planned = self._given[place].get(name)
        self.at_work += 1
        mark = asking.set(key)
        try:
            if planned is None:
                return await self._for_real(work)
            return as_kind(await self._answer(place, name, planned), kind)
        finally:
            asking.reset(mark)
            self.at_work -= 1
            self._changed()

    @staticmethod
    async def _for_real(work: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await work()
        except EndpointFailed:
            loop = asyncio.get_running_loop()
            if isinstance(loop, SimulationLoop):
                loop.note_refusal("ask an endpoint")
            raise

    async def _answer(self, kind: str, name: str, planned: Sequence[Answer]) -> Any:
        count = self._asked[kind, name]
        self._asked[kind, name] += 1
        if not planned:
            raise ScenarioFault(f"the scenario gives {name} an empty list of answers")
        answer = planned[min(count, len(planned) - 1)]
        if answer.delay_ms:
            await asyncio.sleep(answer.delay_ms / 1000)
        if answer.error is not None:
            raise ScenarioFault(answer.error)
        return answer.result
