"""From a wish to a response request: composition, call metadata, tools, and the outcome at the end.

Everything that makes the model speak on a call goes through here into the one sequencer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voiceagent.call.ledger import Ledger
from voiceagent.call.outside import Outside, directly
from voiceagent.call.tool_runs import NAME_CHARS, NO_TOOLS, ToolRuns, Toolset, Write, cancelled
from voiceagent.call.working import STALE_S, WorkingLine
from voiceagent.errors import CallEnded
from voiceagent.ids import Tokens
from voiceagent.ivr.ports import Line
from voiceagent.ivr.verbs.wording import verbatim
from voiceagent.log_context import about
from voiceagent.realtime.handles import ResponseHandle
from voiceagent.realtime.model_events import RealtimeModelToolCallEvent
from voiceagent.realtime.requests import (
    METADATA_PAIRS,
    RESERVED_KEYS,
    BargePolicy,
    Origin,
    Outcome,
    Progress,
    ResponseRequest,
    When,
)
from voiceagent.realtime.session import RealtimeSession

STUBBORN_S = 5.0
"""How much longer than its time a tool may take to end."""
FOLLOW_UP_ROUNDS = 8
"""How often the model may call tools before one line must come to its end."""


@dataclass(frozen=True, slots=True)
class _AtWork:
    """One tool call that is being answered."""

    task: asyncio.Task[ResponseHandle | None]
    event: RealtimeModelToolCallEvent
    request_id: str
    limit_s: float


class CallSpeech:
    """The speaking side of one call."""

    def __init__(
        self,
        call_id: str,
        session: RealtimeSession,
        ledger: Ledger,
        tokens: Tokens,
        *,
        settled: Callable[[str, Outcome], None],
        tool_ended: Callable[[str, bool, float], None],
        run: Callable[[str, Coroutine[Any, Any, Any]], asyncio.Task[Any]],
        standing: Mapping[str, str] | None = None,
        outside: Outside = directly,
        write: Write | None = None,
        mask: Callable[[str], str] = str,
        quiet: Callable[[], bool] = lambda: True,
    ) -> None:
        """``standing`` is metadata for every response, where it fits. ``outside`` runs the tools' functions.

        ``write`` writes entries of the journal, ``mask`` hides in them what was typed in secret; ``quiet()``
        tells that nobody speaks and nobody is on hold.
        """
        self._call_id = call_id
        self._session = session
        self._ledger = ledger
        self._tokens = tokens
        self._settled = settled
        self._tool_ended = tool_ended
        self._run = run
        self._standing = dict(standing or {})
        self._turn = 0
        self._tools: dict[str, Toolset] = {}
        self._rounds: dict[str, int] = {}
        """Of follow-ups, by request: how many follow-ups led to it."""
        self.working = WorkingLine(self._say_working, quiet, session.withdraw, run)
        self._runs = ToolRuns(
            call_id, outside=outside, write=write, working=self.working.while_working, mask=mask
        )
        self._at_work: dict[str, list[_AtWork]] = {}
        """Tools by the response that called them, until the line that waits for them has taken them."""
        self.closed = False
        """Set when the call is over for whoever wants to speak."""

    async def speak(self, line: Line, audible: Callable[[], None] | None = None) -> Outcome:
        """Have ``line`` spoken; wait for its outcome and that of the follow-ups of its tool calls."""
        # Give way once: a flow that tries again and again must still be cancellable, and starve nobody.
        await asyncio.sleep(0)
        handle = self.submit(
            self._session.compose(line.instructions, "replace" if line.replace else "append")
            if line.instructions
            else None,
            line=line.instructions or None,
            origin=line.origin,
            metadata=line.metadata,
            when=line.when,
            interruptible=line.interruptible,
            deadline_s=line.deadline_s,
            tools=Toolset(line.tools, line.step, line.ran),
            barge_policy=line.barge_policy,
        )
        if audible is not None:
            handle.on_change(lambda one: audible() if one.progress is Progress.AUDIBLE else None)
        at_work: list[_AtWork] = []
        try:
            outcome = await handle.outcome()
            for _ in range(FOLLOW_UP_ROUNDS):
                at_work = self._at_work.pop(outcome.response_id or "", [])
                if not at_work:
                    break
                follow_ups = await self._follow_ups(at_work)
                if not follow_ups:
                    break
                handle = follow_ups[-1]
                outcome = await handle.outcome()
            return outcome
        except asyncio.CancelledError:
            self._session.withdraw(handle.id)
            for one in at_work:
                task = one.task
                task.cancel()
                follow_up = task.result() if task.done() and not task.cancelled() else None
                if follow_up is not None:
                    self._session.withdraw(follow_up.id)
            raise

    async def _follow_ups(self, at_work: Sequence[_AtWork]) -> list[ResponseHandle]:
        """Wait until every tool has its output; return what is spoken then.

        A tool that does not end when it is told to is not waited for: the model hears of a time-out.
        """
        limit_s = max(one.limit_s for one in at_work) + STUBBORN_S
        await asyncio.wait({one.task for one in at_work}, timeout=limit_s)
        handles = [one.task.result() if one.task.done() else self._given_up(one) for one in at_work]
        return [one for one in handles if one is not None]

    def _given_up(self, one: _AtWork) -> ResponseHandle | None:
        self._tool_ended(one.event.name, False, one.limit_s)
        return self._answer(one.event, one.request_id, self._runs.stuck(one.event.name, one.event.call_id))

    def submit(
        self,
        instructions: str | None,
        *,
        line: str | None,
        origin: Origin,
        metadata: Mapping[str, str],
        tools: Toolset = NO_TOOLS,
        request_id: str | None = None,
        **options: Any,
    ) -> ResponseHandle:
        """Put a request into the sequencer. Raises CallEnded, or RequestRefused naming the field."""
        if self.closed:
            raise CallEnded
        self._turn += 1
        extra = _declared(tools)
        request = ResponseRequest(
            id=request_id or f"req_{self._tokens()}",
            origin=origin,
            instructions=instructions,
            metadata=self._metadata(metadata, origin),
            extra=extra,
            **options,
        )
        self._ledger.submitted(request, line, metadata, self._now())
        if tools.tools:
            self._tools[request.id] = tools
            self._runs.given(tools)
        return self._follow(self._session.submit(request))

    def unfinished(self) -> list[Coroutine[Any, Any, object]]:
        """Return something to wait for, for every request that has not ended and every tool at work."""
        handles = [self._session.handle(entry.request.id) for entry in self._ledger.open()]
        waits: list[Coroutine[Any, Any, object]] = [
            one.outcome() for one in handles if one is not None and not one.done
        ]
        for at_work in self._at_work.values():
            waits.extend(_finished(one.task) for one in at_work if not one.task.done())
        return waits

    def _follow(self, handle: ResponseHandle) -> ResponseHandle:
        """Tell how the request ends, whoever ends it: sequencer, session or a link that is gone."""

        def look(one: ResponseHandle) -> None:
            if one.result is not None:
                self._settled(one.id, one.result)

        if handle.done:
            look(handle)
        else:
            handle.on_change(look)
        return handle

    def tool_called(self, event: RealtimeModelToolCallEvent, request_id: str | None) -> None:
        """The model calls a tool: run it, send its output, and let the follow-up come."""
        name = event.name[:NAME_CHARS]
        if not self._runs.first_time(event.call_id, name):
            return
        refusal = self._refusal(event)
        if refusal is not None:
            # Nobody is there to hear of it, or others of the same response bring the follow-up.
            tools = self._tools.get(request_id or "", NO_TOOLS)
            output = self._runs.refused(tools, name, event.arguments, event.call_id, *refusal)
            self._tool_ended(name, False, 0.0)
            self._session.send_tool_output(event.call_id, output, False)
            return
        limit_s = self._tools.get(request_id or "", NO_TOOLS).limit_s(name)
        task = self._run(f"tool {name}", self._answer_tool(event, request_id or ""))
        self._at_work.setdefault(event.response_id, []).append(
            _AtWork(task, event, request_id or "", limit_s)
        )

    def _refusal(self, event: RealtimeModelToolCallEvent) -> tuple[str, str] | None:
        """Return code and message for a tool call that is refused whatever the tool."""
        if self.closed:
            return "call_ending", "the call is ending"
        if event.taken_back:
            return "cancelled", "this response is over: nobody waits for the tool"
        if self._runs.too_many(event.response_id, event.call_id):
            return "too_many", "too many tools were called"
        return None

    async def _answer_tool(self, event: RealtimeModelToolCallEvent, request_id: str) -> ResponseHandle | None:
        tools = self._tools.get(request_id, NO_TOOLS)
        name = event.name[:NAME_CHARS]
        started = self._now()
        try:
            with about(response_id=request_id):
                output, ok = await self._runs.run(tools, event.name, event.arguments, event.call_id)
        except asyncio.CancelledError:
            # The model must not wait for ever for an output that nobody makes any more.
            self._tool_ended(name, False, self._now() - started)
            self._session.send_tool_output(event.call_id, cancelled(), False)
            raise
        self._tool_ended(name, ok, self._now() - started)
        return self._answer(event, request_id, output, silent=ok and tools.silent(event.name))

    def _answer(
        self, event: RealtimeModelToolCallEvent, request_id: str, output: str, *, silent: bool = False
    ) -> ResponseHandle | None:
        """Send a tool's output; return what is spoken about it, which may call tools again."""
        rounds = self._rounds.get(request_id, 0) + 1
        # A model that only ever calls tools comes to an end: the last round has none, and nothing follows.
        speaks = rounds <= FOLLOW_UP_ROUNDS and not silent
        tools = NO_TOOLS if rounds >= FOLLOW_UP_ROUNDS else self._tools.get(request_id, NO_TOOLS)
        handle = self._session.send_tool_output(event.call_id, output, speaks, extra=_declared(tools))
        if handle is not None and self._ledger.get(handle.id) is None:
            self._ledger.submitted(handle.request, None, {}, self._now())
            self._follow(handle)
            self._rounds[handle.id] = rounds
            if tools.tools:
                self._tools[handle.id] = tools
        return handle

    def _say_working(self, text: str) -> ResponseHandle:
        return self.submit(
            self._session.compose(verbatim(text)),
            line=text,
            origin=Origin.IDLE,
            metadata={"purpose": "working"},
            when=When.AFTER_PLAYBACK,
            deadline_s=STALE_S,
            barge_policy=BargePolicy.DROP,
        )

    def _metadata(self, given: Mapping[str, str], origin: Origin) -> dict[str, str]:
        """Add the call's own keys where they fit; what the asker gave is never displaced."""
        merged = dict(given)
        own = {"call_id": self._call_id, "turn": str(self._turn), "origin": origin.value}
        for key, value in (*own.items(), *self._standing.items()):
            if len(merged) < METADATA_PAIRS - RESERVED_KEYS:
                merged.setdefault(key, value)
        return merged

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _declared(tools: Toolset) -> dict[str, Any]:
    """Return the part of a request that tells the model of its tools."""
    return {"tools": [tool.declaration() for tool in tools.allowed]} if tools.allowed else {}


async def _finished(task: asyncio.Task[Any]) -> None:
    await asyncio.wait({task})
