"""The words for the caller when the provider cannot speak: recorded, so that they need nobody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from voiceagent.call.leg import G711
from voiceagent.call.local_lines import line
from voiceagent.call.outcome import CallOutcome

if TYPE_CHECKING:
    from voiceagent.call.call import Call

RESPONSE_ID = "local-apology"
"""Stands in for a response id in the leg's playback reports."""


def apology(audio_format: G711) -> bytes:
    """Return ours, "We are sorry, … Please call again later.", as G.711 at 8 kHz."""
    return line("apology", audio_format)


async def play_apology(call: Call, outcome: CallOutcome) -> None:
    """Play it to the caller, who must not sit in silence. From now on nobody acts on the call any more."""
    call.begin_to_close()
    if call.leg_gone or not call.leg.capabilities.owns_playout:
        return
    call.journal.write("apology", reason=outcome.reason, detail=outcome.detail)
    call.stop_leg()
    audio = call.watch.line("apology")
    call.watch.play_line(audio, RESPONSE_ID)
    try:
        async with asyncio.timeout(len(audio) / 8000 + 2):
            await call.ear.apology_played.wait()
    except TimeoutError:
        call.journal.write("apology.unheard")
