"""How a running node drains: what :mod:`voiceagent.app.drain_plan` decides is done here.

Not ready and no new calls → running calls to their end → at ``call.drain_limit_s`` a spoken goodbye → whoever
waits in :meth:`Drainer.wait` closes the service, which flushes what is to be kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import structlog

from voiceagent.app.drain_plan import DrainPlan, Phase, Step
from voiceagent.call.farewell import dismiss
from voiceagent.call.outcome import OutcomeClass

if TYPE_CHECKING:
    from voiceagent.app.service import Service

_log = structlog.get_logger("voiceagent.service")

GOODBYE_LIMIT_S = 30.0
"""Longer than one goodbye takes with its BYE; then nobody is waited for."""


class Drainer:
    """One node's way out. On the loop's thread. Fulfils ``console.ports_drain.Drain``."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._plan = DrainPlan(service.settings.call.drain_limit_s, GOODBYE_LIMIT_S)
        self._timer: asyncio.TimerHandle | None = None
        self._leaving: asyncio.Task[None] | None = None
        """Takes the registrations back."""
        self._leave = asyncio.Event()
        self._idle = asyncio.Event()
        self.told: Callable[[], None] = lambda: None
        """Called when the drain has come further, or was taken back."""

    # ── wishes ──────────────────────────────────────────────────────────────────────────────────
    def begin(self, by: str, limit_s: float | None = None) -> None:
        """Take no new calls from now on, and end when the running ones have, or ``limit_s`` is over."""
        fresh = self._plan.phase is Phase.SERVING
        calls = self._service.admission.live
        steps = self._plan.begin(self._now(), calls, limit_s)
        if fresh:
            _log.info("draining", by=by, calls=calls)
        self._do(steps)

    def resume(self, by: str) -> bool:
        """Take calls again; False when it is too late for that."""
        steps = self._plan.resume()
        if steps:
            _log.info("drain taken back", by=by)
        self._do(steps)
        return self._plan.phase is Phase.SERVING

    def hurry(self) -> None:
        """Wait for nobody any more."""
        self._do(self._plan.hurry())

    def view(self) -> Mapping[str, Any]:
        """How it stands: state, calls, limit_in_s (until the goodbyes; None: no limit), epoch of this run."""
        plan = self._plan
        ends = plan.wake_at if plan.phase is Phase.DRAINING else None
        return {
            "state": plan.phase.value,
            "calls": self._service.admission.live,
            "limit_in_s": None if ends is None else round(max(0.0, ends - self._now()), 1),
            "epoch": self._service.fleet.cluster.epoch,
        }

    async def wait(self) -> bool:
        """Wait until the node is to end; True when every call had ended by itself."""
        await self._leave.wait()
        if self._leaving is not None:
            await asyncio.wait({self._leaving})
        return not self._plan.outlasted and not self._service.admission.live

    # ── calls ───────────────────────────────────────────────────────────────────────────────────
    def none_left(self) -> None:
        """The last call has ended."""
        self._idle.set()
        self._do(self._plan.calls_left(self._service.admission.live))

    async def end_calls(self, limit_s: float) -> None:
        """End what still runs, at once; each call gets its BYE and its record."""
        service = self._service
        service.admission.draining = True
        if self._timer is not None:
            self._timer.cancel()
        for call in service.directory.live:
            call.end("shut_down", kind=OutcomeClass.OURS)
        if service.admission.live:
            self._idle.clear()
            try:
                async with asyncio.timeout(limit_s):
                    await self._idle.wait()
            except TimeoutError:
                _log.warning("calls did not end in time", calls=service.admission.live)

    # ── inner workings ──────────────────────────────────────────────────────────────────────────
    def _do(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            if step is Step.CLOSE_DOORS:
                self._close_doors()
            elif step is Step.OPEN_DOORS:
                self._open_doors()
            elif step is Step.SAY_GOODBYE:
                _log.warning("drain limit: calls are said goodbye to", calls=self._service.admission.live)
                for call in self._service.directory.live:
                    dismiss(call)
            else:
                self._leave.set()
        if steps:
            self.told()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._plan.wake_at is not None:
            self._timer = asyncio.get_running_loop().call_at(self._plan.wake_at, self._wake)

    def _wake(self) -> None:
        due = self._plan.wake_at or 0.0
        self._do(self._plan.wake(max(due, self._now()), self._service.admission.live))

    def _close_doors(self) -> None:
        service = self._service
        service.admission.draining = True
        service.metrics.draining(True)
        service.fleet.cluster.facts_changed()
        service.queues.close()
        if service.trunks is not None:
            self._leaving = service.nest.start("registrations back", service.trunks.retreat())

    def _open_doors(self) -> None:
        service = self._service
        service.admission.draining = False
        service.metrics.draining(False)
        service.fleet.cluster.facts_changed()
        service.queues.open()
        if self._leaving is not None:
            self._leaving.add_done_callback(self._register_again)
            self._leaving = None

    def _register_again(self, _retreated: object) -> None:
        """The registrations are taken back by now; one after the other, or the servers mistake the order."""
        trunks = self._service.trunks
        if trunks is not None and self._plan.phase is Phase.SERVING:
            trunks.open()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
