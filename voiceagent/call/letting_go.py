"""An ended call that is looked at no longer is taken apart, so that it is freed at once.

Call and parts hold each other. The garbage collector would find that in time, but a full turn of it stops
every call of the node: 90 ms with 150 of them. Only where a task of the call refuses to end, the collector
has to: that task may still ask for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voiceagent.call.call import Call
    from voiceagent.call.call_tasks import CallTasks

_PARTS = (
    "_keeping",
    "_open_first",
    "_open_second",
    "_settling",
    "_tasks",
    "ear",
    "ending",
    "holding",
    "inputs",
    "ledger",
    "leg",
    "listening",
    "operating",
    "placing",
    "queueing",
    "recorder",
    "secrecy",
    "sounds",
    "succession",
    "take_over",
    "taps",
    "transcript",
    "transfers",
    "watch",
)
"""All of a call that leads back to it."""


def let_go(call: Call) -> None:
    """Part ``call``, which has ended, from its parts: of it, only plain facts are left."""
    tasks: CallTasks | None = vars(call).get("_tasks")
    if tasks is not None and tasks.at_work:
        return
    for part in _PARTS:
        if part in vars(call):
            delattr(call, part)
