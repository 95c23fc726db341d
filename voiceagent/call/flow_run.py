"""Runs a call's flow, and says what its end means for the call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import structlog

from voiceagent.call.config import CallConfig
from voiceagent.call.flow_failure import failure_of
from voiceagent.call.flow_port import FlowPort
from voiceagent.call.observer import CallObserver
from voiceagent.call.outcome import FLOW_FAILED, CallOutcome, OutcomeClass
from voiceagent.errors import CallEnded
from voiceagent.ivr.verbs import Call as FlowCall

if TYPE_CHECKING:
    from voiceagent.call.call import Call

_log = structlog.get_logger("voiceagent.flows")


async def run_flow(
    call: Call,
    port: FlowPort,
    config: CallConfig,
    finish: Callable[[CallOutcome], None],
    observer: CallObserver,
) -> None:
    """Run the flow to its end, and end the call with it. Whatever the flow raises costs only this call."""
    verbs = FlowCall(
        port,
        no_input_s=config.no_input_s,
        transfer_timeout_s=config.transfer_timeout_s,
        options=call.flow.options,
    )
    try:
        await call.flow(verbs)
    except CallEnded as error:
        if call.speech is None or call.speech.closed:
            return
        _failed(call, error, finish, observer)  # raised by the flow itself, while the call goes on
    except KeyboardInterrupt:
        raise
    except asyncio.CancelledError as error:
        if _told_to_stop():
            raise
        _failed(call, error, finish, observer)  # from a task that the flow itself has cancelled
    except BaseException as error:  # also SystemExit, which would take the whole node with it
        _failed(call, error, finish, observer)
    else:
        await call.take_over.until_back()
        finish(CallOutcome(OutcomeClass.SUCCESS, "completed", "the flow ended"))


def _told_to_stop() -> bool:
    """Return whether somebody cancels this task. No frame of the error may hold the task, which holds it."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _failed(
    call: Call, error: BaseException, finish: Callable[[CallOutcome], None], observer: CallObserver
) -> None:
    failure = failure_of(error, call.secrecy.masked)
    kept = {name: value for name, value in asdict(failure).items() if value != ()}
    call.journal.write("flow.failed", error=failure.about, flow=call.flow.name, step=call.step, **kept)
    about = {"error": failure.about, "at": failure.place}
    _log.error("flow failed", call_id=call.id, flow=call.flow.name, step=call.step, **about)
    observer.happened(call, "flow.failed", about)
    finish(CallOutcome(OutcomeClass.OURS, FLOW_FAILED, failure.about))
