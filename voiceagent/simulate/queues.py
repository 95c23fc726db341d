"""The queues of a simulated call: who waits there before the caller, and how the tries for somebody end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from voiceagent.call.queue_room import QueueRoom
from voiceagent.call.queueing import QueueConfig
from voiceagent.errors import ConfigError
from voiceagent.simulate.scenario import Queue, Transfer


class EveryQueue(Mapping[str, QueueConfig]):
    """Without settings: every queue exists, and has one target, which calls may be handed to if any."""

    def __init__(self, allowed: Sequence[str]) -> None:
        """``allowed``: patterns, as ``call.transfer_targets``."""
        self._target = next((one for one in allowed if "*" not in one), None)

    def __getitem__(self, name: str) -> QueueConfig:
        return QueueConfig((self._target or f"sip:{name}@queue.invalid",))

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


class SimQueues:
    """Made on the simulation's loop."""

    def __init__(
        self, configs: Mapping[str, QueueConfig] | None, stories: Mapping[str, Queue], allowed: Sequence[str]
    ) -> None:
        """``configs``: those of the settings; None: there are no settings.

        Raises ConfigError for a queue that the scenario speaks of and the settings do not have.
        """
        for name in stories:
            if configs is not None and name not in configs:
                there = ", ".join(configs) or "none"
                raise ConfigError(f"queues.{name}", f"the settings have no such queue; there is {there}")
        self.room = QueueRoom(EveryQueue(allowed) if configs is None else configs)
        self._stories = stories
        self._tries: Counter[str] = Counter()
        self._now = ""
        """In which the caller waits."""
        self._entered: set[str] = set()

    async def fill(self) -> None:
        """Let those enter who are there before the caller."""
        for name, story in self._stories.items():
            for number in range(story.waiting):
                await self.room.enter(name, _ticket(name, number))

    def entered(self, queue: str) -> None:
        """The caller waits; who came before is served in turn from here on."""
        self._now = queue
        story = self._stories.get(queue)
        if story is None or queue in self._entered:
            return
        self._entered.add(queue)
        loop = asyncio.get_running_loop()
        for number in range(story.waiting):
            pause_s = (number + 1) * story.served_every_ms / 1000
            loop.call_later(pause_s, self.room.leave, _ticket(queue, number))

    def left(self) -> None:
        """The caller waits no more."""
        self._now = ""

    def answer(self) -> Transfer | None:
        """Return what becomes of the try that is made now; None where the scenario does not say."""
        story = self._stories.get(self._now)
        if story is None or not story.answers:
            return None
        count = self._tries[self._now]
        self._tries[self._now] += 1
        return story.answers[min(count, len(story.answers) - 1)]


def _ticket(queue: str, number: int) -> str:
    return f"{queue} before {number}"
