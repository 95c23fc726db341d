"""Runs a call's flow, and says what its end means for the call."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from voiceagent.call.config import CallConfig
from voiceagent.call.flow_port import FlowPort
from voiceagent.call.outcome import CallOutcome, OutcomeClass
from voiceagent.errors import CallEnded
from voiceagent.ivr.verbs import Call as FlowCall

if TYPE_CHECKING:
    from voiceagent.call.call import Call


async def run_flow(
    call: Call, port: FlowPort, config: CallConfig, finish: Callable[[CallOutcome], None]
) -> None:
    """Run the flow to its end, and end the call with it."""
    verbs = FlowCall(
        port,
        no_input_s=config.no_input_s,
        transfer_timeout_s=config.transfer_timeout_s,
        options=call.flow.options,
    )
    try:
        await call.flow(verbs)
    except CallEnded:
        return
    except Exception as error:
        about = f"{type(error).__name__}: {error}"
        call.journal.write("flow.failed", error=about)
        finish(CallOutcome(OutcomeClass.OURS, "flow_failed", about))
    else:
        finish(CallOutcome(OutcomeClass.SUCCESS, "completed", "the flow ended"))
