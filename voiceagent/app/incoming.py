"""From a leg, offered or to be placed, to a running call, or to a refusal that says why."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

from voiceagent.app.directory import NodeDirectory
from voiceagent.app.flow_books import arrival_of
from voiceagent.app.tracing import Tracing
from voiceagent.call.admission import Admission, Refusal
from voiceagent.call.call import Call, OpenSession
from voiceagent.call.config import CallConfig
from voiceagent.call.inputs import Inputs
from voiceagent.call.leg import Leg
from voiceagent.call.queue_room import QueueRoom
from voiceagent.call.transfers import Dial
from voiceagent.ids import Tokens
from voiceagent.ivr.flow import Flow, FlowBook, Picked
from voiceagent.log_context import about
from voiceagent.observe.metrics import Metrics
from voiceagent.records.journal import JournalWriter
from voiceagent.records.recording import Recordings
from voiceagent.tasks import TaskNest

_log = structlog.get_logger("voiceagent.calls")


class Reception:
    """Takes offered legs: picks the flow, asks admission, runs the call."""

    def __init__(
        self,
        *,
        flows: Callable[[], FlowBook],
        admission: Admission,
        directory: NodeDirectory,
        metrics: Metrics,
        journals: JournalWriter,
        recordings: Recordings | None = None,
        queues: QueueRoom | None = None,
        open_session: OpenSession,
        open_second: OpenSession | None = None,
        transcription: Mapping[str, Any] | None,
        config: CallConfig,
        tokens: Tokens,
        on_idle: Callable[[], None],
        dial: Dial | None = None,
        wall: Callable[[], float] = time.time,
        record_inputs: bool = True,
        tracing: Tracing | None = None,
        kept_as: Mapping[str, str] | None = None,
    ) -> None:
        """``flows`` gives the book that is in force; a call keeps the flow it began with.

        ``record_inputs``: journals hold what a replay needs. ``kept_as``: what the records of all calls
        say of this node (``node``, ``provider``).
        """
        self._kept_as = dict(kept_as or {})
        self._record_inputs = record_inputs
        self._tracing = tracing
        self._flows = flows
        self._admission = admission
        self._directory = directory
        self._metrics = metrics
        self._journals = journals
        self._recordings = recordings
        self._queues = queues
        self._open_session = open_session
        self._open_second = open_second
        self._transcription = transcription
        self._config = config
        self._tokens = tokens
        self._on_idle = on_idle
        self._dial = dial
        self._wall = wall
        self._nest = TaskNest("reception")

    def offered(self, leg: Leg) -> None:
        """A call is offered; take it or refuse it."""
        self.take(leg, self._flows().pick(arrival_of(leg.info, self._wall())))

    def take(self, leg: Leg, picked: Picked | None, open_session: OpenSession | None = None) -> None:
        """Take an offered call whose flow is picked, or refuse it; without a flow it gets 404.

        ``open_session`` is given where it is not that of every call.
        """
        if picked is None:
            self._refuse(leg, 404, "Not Found", "unknown_number")
            return
        refusal = self._admission.enter()
        if refusal is not None:
            self._refuse(leg, refusal.status, refusal.reason, refusal.code, refusal.retry_after_s)
            return
        with self._place_kept():
            self._start(leg, picked.flow, open_session, picked=picked)

    def place(
        self,
        make_leg: Callable[[], Leg],
        flow: Flow,
        *,
        metadata: Mapping[str, str],
        over: Callable[[], None],
    ) -> Call | Refusal:
        """Start a call of ours, if there is a place for it; ``over`` is called when it has ended.

        Whoever asked counts a refusal.
        """
        refusal = self._admission.enter()
        if refusal is not None:
            return refusal
        with self._place_kept():
            return self._start(make_leg(), flow, None, metadata=metadata, over=over)

    def accept(self, leg: Leg, picked: Picked, *, over: Callable[[], None]) -> Call | Refusal:
        """Start a call whose caller waits for our word elsewhere than on the leg, if there is a place for it.

        ``over`` is called when it has ended. Whoever asked tells, and counts, a refusal.
        """
        refusal = self._admission.enter()
        if refusal is not None:
            return refusal
        with self._place_kept():
            return self._start(leg, picked.flow, None, picked=picked, over=over)

    @contextmanager
    def _place_kept(self) -> Generator[None]:
        """A call that does not come about gives its place back."""
        try:
            yield
        except BaseException:
            self._left()
            raise

    def _left(self) -> None:
        self._admission.leave()
        if self._admission.live == 0:
            self._on_idle()

    def _start(
        self,
        leg: Leg,
        flow: Flow,
        open_session: OpenSession | None,
        *,
        picked: Picked | None = None,
        metadata: Mapping[str, str] | None = None,
        over: Callable[[], None] = lambda: None,
    ) -> Call:
        book = self._flows() if picked is None else picked.book
        call_id = f"call_{time.strftime('%y%m%d', time.gmtime())}_{self._tokens()}"
        trace_id = self._tracing.trace_id(call_id) if self._tracing is not None else ""
        with about(call_id=call_id, trace_id=trace_id):  # every line of the call's tasks bears them
            journal = self._journals.open(call_id, monotonic=asyncio.get_running_loop().time)
            if self._tracing is not None:
                self._tracing.follow(call_id, journal)
            inputs = Inputs(journal, self._tokens()) if self._record_inputs else None
            call = Call(
                call_id,
                leg,
                flow,
                open_session=open_session or self._open_session,
                open_second=self._open_second,
                config=self._config,
                journal=journal,
                observer=self._directory,
                tokens=self._tokens if inputs is None else inputs.tokens("call"),
                transcription=self._transcription,
                dial=self._dial,
                metadata=metadata,
                recordings=self._recordings,
                queues=self._queues,
                origin={
                    **({} if picked is None else {"route": picked.by}),
                    "flows_version": book.version,
                    **({"trace_id": trace_id} if trace_id else {}),
                    **self._kept_as,
                },
            )
            self._directory.add(call)
            self._nest.start(f"call {call_id}", self._run(call, over, book))
            return call

    async def _run(self, call: Call, over: Callable[[], None], _book: FlowBook) -> None:
        """Run the call to its end. The flow's book is held until then, whichever is in force by now."""
        log = _log.bind(direction=call.info.direction)
        log.info("call started", caller=call.info.caller, called=call.info.called, flow=call.flow.name)
        try:
            outcome = await call.run()
            log.info(
                "call ended",
                outcome=outcome.kind.value,
                reason=outcome.reason,
                seconds=round(call.seconds, 1),
            )
        except asyncio.CancelledError:
            raise
        except Exception:
            # One call's fault ends that call; the record says "ours", the others go on.
            log.exception("call failed")
        finally:
            over()
            self._left()

    def _refuse(
        self, leg: Leg, status: int, reason: str, code: str, retry_after_s: int | None = None
    ) -> None:
        self._metrics.call_refused(code)
        _log.info("call refused", status=status, code=code, called=leg.info.called)
        self._nest.start("refuse", leg.reject(status, reason, retry_after_s=retry_after_s))

    async def close(self) -> None:
        """End what still runs."""
        await self._nest.close()
