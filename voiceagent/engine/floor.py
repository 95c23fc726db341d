"""Who has the floor: the running responses of one session, their tasks, and what is still being heard."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Protocol

from voiceagent.tasks import TaskNest

from .config import EngineConfig
from .faults import FaultPlan
from .items import Conversation, Item
from .outbox import EventSink
from .parts_pool import PartsPool
from .ports import BrainTurn
from .protocol_errors import Refusal
from .protocol_usage import RateMeter
from .responses import Player, ResponseOrder, ResponseRun, Status
from .speaking import Doomed, OutOfRoom, Performance

_log = logging.getLogger("voiceagent.engine")
MOST_PARALLEL = 32
"""Out-of-band responses at the same time."""


class Listening(Protocol):
    """What the floor needs of the input side."""

    async def settled(self) -> None:
        """Wait until the caller's turns are recognised."""
        ...

    def with_words(self, item: Item) -> Item:
        """Return an item with the words heard in it."""
        ...

    def now_ms(self) -> float:
        """Offset of appended audio."""
        ...

    def response_began(self) -> None:
        """A response in the conversation began."""
        ...

    def response_ended(self) -> None:
        """A response in the conversation ended."""
        ...


@dataclass(slots=True)
class _Speaker:
    performance: Performance
    task: asyncio.Task[None] | None = None


class Floor:
    """Starts and ends responses; at most one at a time writes to the conversation."""

    def __init__(
        self,
        config: EngineConfig,
        pool: PartsPool,
        conversation: Conversation,
        outbox: EventSink,
        plan: FaultPlan,
        nest: TaskNest,
        player: Player | None = None,
    ) -> None:
        self.has_spoken = False
        """Audio was sent: the voice is frozen."""
        self._config = config
        self._pool = pool
        self._conversation = conversation
        self._outbox = outbox
        self._plan = plan
        self._nest = nest
        self._player = player
        self._meter = RateMeter()
        self._input: Listening | None = None
        self._running: dict[str, _Speaker] = {}
        self._default: str | None = None
        self._heard_until_ms = 0.0
        self._heard_until = 0.0

    def listen_to(self, listening: Listening) -> None:
        """Meet the input side."""
        self._input = listening

    @property
    def active_id(self) -> str | None:
        """The response that has the conversation."""
        return self._default

    def start(self, order: ResponseOrder) -> str:
        """Begin a response and return its id; refuses a second one in the conversation."""
        if order.in_conversation and self._default is not None:
            raise Refusal(
                "conversation_already_has_active_response",
                f"Conversation already has an active response in progress: {self._default}. "
                "Wait until the response is finished before creating a new one.",
            )
        if len(self._running) >= MOST_PARALLEL:
            raise Refusal("rate_limit_exceeded", f"More than {MOST_PARALLEL} responses in progress.")
        run = ResponseRun(self._outbox, self._conversation, order, self._meter, self._player)
        fate = self._plan.response()
        sever = self._sever if self._player is not None else None
        performance = Performance(run, fate, self._config.pace, self._config.chunk_ms, self._sounded, sever)
        speaker = _Speaker(performance)
        self._running[run.id] = speaker
        if order.in_conversation:
            self._default = run.id
            self._listening.response_began()
        run.begin()
        speaker.task = self._nest.start(run.id, self._perform(speaker))
        return run.id

    def cancel(self, response_id: str | None, *, reason: str) -> bool:
        """End a response as cancelled; without an id, the one in the conversation."""
        speaker = self._running.get(response_id or self._default or "")
        if speaker is None:
            return False
        run, fate = speaker.performance.run, speaker.performance.fate
        self._release(run)
        run.finish("cancelled", reason=reason)
        if run.order.in_conversation:
            self.hush()
        run.late(fate.late_deltas)
        if speaker.task is not None:
            speaker.task.cancel()
        self._after(run)
        return True

    def abandon(self) -> None:
        """The session is over: stop without a word."""
        for speaker in self._running.values():
            speaker.performance.run.live = False
        self._running.clear()

    # -- what the caller hears -------------------------------------------------------------------------

    def _sounded(self, ms: float) -> None:
        self.has_spoken = True
        now, offset = asyncio.get_running_loop().time(), self._listening.now_ms()
        self._heard_until = max(self._heard_until, now) + ms / 1000
        self._heard_until_ms = max(self._heard_until_ms, offset) + ms

    def agent_until_ms(self) -> float:
        """Offset of appended audio up to which the agent seems to be heard; 0 when the clock says not."""
        if asyncio.get_running_loop().time() >= self._heard_until:
            return 0.0
        return self._heard_until_ms

    def interrupt(self) -> None:
        """The caller speaks over the agent: end the response; where we play ourselves, fall silent."""
        self.cancel(None, reason="turn_detected")
        self._silence()

    def clear_output(self) -> None:
        """The client wants silence: drop what has not sounded, and end the response it belongs to."""
        if self._player is not None and self._default is not None and self._player.holds(self._default):
            self.cancel(None, reason="client_cancelled")
        self._silence()

    def hush(self) -> None:
        """The client stopped its playback, if the playback is the client's."""
        if self._player is None:
            self._silence()

    def _silence(self) -> None:
        if self._player is not None:
            self._player.cut()
        self._heard_until = 0.0
        self._heard_until_ms = 0.0

    def _sever(self, code: int) -> None:
        self._outbox.close(code, "cut by the fault script")

    # -- performing ------------------------------------------------------------------------------------

    @property
    def _listening(self) -> Listening:
        assert self._input is not None
        return self._input

    async def _perform(self, speaker: _Speaker) -> None:
        performance = speaker.performance
        run, fate = performance.run, performance.fate
        try:
            parts = await self._pool.ready()
            await self._listening.settled()
            await performance.play(parts.brain, self._turn(run), parts.voice)
        except OutOfRoom:
            self._end(run, "incomplete", reason="max_output_tokens")
        except Doomed:
            if fate.fail_code is not None:
                error = {
                    "type": "invalid_request_error",
                    "code": fate.fail_code,
                    "message": fate.fail_message,
                }
                self._end(run, "failed", error=error)
            elif fate.cut_close is not None:
                self._outbox.close(fate.cut_close, "cut by the fault script")
        except Exception as problem:
            _log.exception("response %s failed", run.id)
            error = {"type": "server_error", "code": "server_error", "message": str(problem) or "unknown"}
            self._end(run, "failed", error=error)
        else:
            self._end(run, "completed")
        finally:
            speaker.task = None  # where it was cancelled, it leads back here by its traceback

    def _turn(self, run: ResponseRun) -> BrainTurn:
        order = run.order
        context = order.context if order.context is not None else list(self._conversation)
        items = [self._listening.with_words(item) for item in context]
        return BrainTurn(
            session_instructions=order.standing,
            instructions=order.instructions,
            items=items,
            tools=order.tools,
            tool_choice=order.tool_choice,
            metadata=order.metadata or {},
        )

    def _end(
        self,
        run: ResponseRun,
        status: Status,
        *,
        reason: str | None = None,
        error: dict[str, str] | None = None,
    ) -> None:
        self._release(run)
        if run.finish(status, reason=reason, error=error):
            self._after(run)

    def _release(self, run: ResponseRun) -> None:
        self._running.pop(run.id, None)
        if self._default == run.id:
            self._default = None

    def _after(self, run: ResponseRun) -> None:
        if self._player is not None:
            self._player.generated(run.id)
        if run.order.in_conversation:
            self._listening.response_ended()
