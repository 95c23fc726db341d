"""Flows: call logic as plain coroutines over few verbs.

from voiceagent.ivr import Call, Digits, flow, option, tool

@flow("front-desk", numbers=["100"])
async def front_desk(call: Call) -> None:
    await call.respond("Greet the caller in one sentence.")
"""

from voiceagent.errors import CallEnded, FetchFailed, FetchTimedOut
from voiceagent.ivr.answers import Digits, Option, option
from voiceagent.ivr.caller_text import CallerText, quoted
from voiceagent.ivr.conversation import Conversation, Turn, goal
from voiceagent.ivr.flow import Flow, FlowBook, flow
from voiceagent.ivr.loading import load_flows
from voiceagent.ivr.ports import Answering, Tool, ToolContext, TransferOutcome
from voiceagent.ivr.tool_run import ToolRun
from voiceagent.ivr.tools import tool
from voiceagent.ivr.verbs import Call
from voiceagent.ivr.verbs.listening import Listened
from voiceagent.realtime.requests import Outcome, OutcomeKind

__all__ = [
    "Answering",
    "Call",
    "CallEnded",
    "CallerText",
    "Conversation",
    "Digits",
    "FetchFailed",
    "FetchTimedOut",
    "Flow",
    "FlowBook",
    "Listened",
    "Option",
    "Outcome",
    "OutcomeKind",
    "Tool",
    "ToolContext",
    "ToolRun",
    "TransferOutcome",
    "Turn",
    "flow",
    "goal",
    "load_flows",
    "option",
    "quoted",
    "tool",
]
