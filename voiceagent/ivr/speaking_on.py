"""Speaks a line, and speaks it on where the caller has cut it for nothing."""

from __future__ import annotations

import asyncio

from voiceagent.ivr.languages import Language
from voiceagent.ivr.ports import CallPort
from voiceagent.ivr.resuming import RESUMED, SpokenOn, judged, last_turn
from voiceagent.realtime.requests import Outcome


async def speak_on(port: CallPort, spoken: SpokenOn, language: Language) -> Outcome:
    """Speak the line of ``spoken`` to its end, until the caller means it, or as often as it may be.

    What the caller meant stays unread, for the next question; what meant nothing is dropped.
    """
    line = spoken.line
    while True:
        spoken.heard(await port.speak(line))
        if not spoken.cut or not await false_alarm(port, language):
            return spoken.outcome()
        rest = spoken.rest()
        if rest is None:
            return spoken.all_heard()
        line = rest
        port.note_fact(RESUMED, **spoken.facts())


async def false_alarm(port: CallPort, language: Language) -> bool:
    """Wait until it is known what the caller said over the line; True when it was nothing."""
    if not port.transcribes:
        return False
    now = asyncio.get_running_loop().time
    begun = last_turn(port.unread_inputs())
    if not begun:
        return False
    while True:
        unread = port.unread_inputs()
        first = next((at for at, entry in enumerate(unread) if entry[1] is begun[0][1]), None)
        if first is None:
            return False  # somebody else has read it
        verdict = judged(unread[first:], language, now())
        if verdict is True:
            port.drop_input(item for _, item in unread[first:])
            return True
        if verdict is False:
            return False
        await port.input_came(max(0.0, verdict - now()))
