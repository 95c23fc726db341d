"""``voiceagent bench conversation``: how long a caller waits for an answer, over real SIP and RTP.

One call to a service of our own with the embedded provider. A synthetic caller (flite ``rms``) says menu
phrases; measured is the time from the end of its last audible frame to the agent's first audible frame, both
at the phone. The silence that ends a turn (``realtime.silence_ms``) is part of it.
"""

from __future__ import annotations

import tempfile
from typing import Any

from voiceagent.app.service import Service
from voiceagent.bench.stats import percentile
from voiceagent.ivr.answers import option
from voiceagent.ivr.flow import Flow, FlowBook, flow
from voiceagent.ivr.verbs import Call
from voiceagent.loops import run_loop
from voiceagent.media.levels import is_silent
from voiceagent.observe.logs import configure_logs
from voiceagent.phone.ear import FRAME
from voiceagent.phone.phone import Phone, PhoneCall
from voiceagent.phone.words import spoken
from voiceagent.settings import bare_settings

PHRASES = ("billing please", "opening hours", "agent", "main menu", "billing", "speak to an operator")
"""From the list that every synthetic caller is understood with."""


def run_conversation_bench(*, turns: int = 20) -> dict[str, Any]:
    """Hold the conversation and return the figures; see the module."""
    return run_loop(lambda: _bench(turns))


def _menu(heard: list[str | None]) -> Flow:
    @flow("bench", numbers=["*"])
    async def bench(call: Call) -> None:
        while True:
            heard.append(
                await call.choose(
                    'Ask: "Yes?"',
                    attempts=1,
                    no_input_s=30,
                    billing=option("1", "billing please"),
                    hours=option("2", "opening hours"),
                    agent=option("3", "speak to an operator"),
                    menu=option("4", "main menu"),
                )
            )

    return bench


async def _bench(turns: int) -> dict[str, Any]:
    configure_logs(level="error")
    heard: list[str | None] = []
    with tempfile.TemporaryDirectory(prefix="voiceagent-bench-") as folder:
        settings = bare_settings(
            {
                "journal_dir": folder,
                "sip.port": 0,
                "console.enabled": False,
                "realtime.provider": "embedded",
                "log.level": "error",
            },
        )
        service = Service(settings)
        service.flows = FlowBook([_menu(heard)])
        async with service, Phone() as phone:
            await service.ready()
            assert service.addresses is not None
            call = phone.dial(f"sip:bench@{service.addresses.sip}")
            phrases = [await spoken(call, phrase) for phrase in PHRASES]
            await call.answered()
            await call.until_answered_in_words(quiet_s=0.6)
            waits = [await _turn(call, phrases[turn % len(phrases)]) for turn in range(turns)]
    understood = sum(one is not None for one in heard)
    return {
        "turns": turns,
        "understood": understood,
        "silence_ms": settings.realtime.silence_ms,
        "end_of_speech_to_audio_ms": {
            "p50": round(percentile(waits, 0.5) * 1000, 1),
            "p95": round(percentile(waits, 0.95) * 1000, 1),
            "max": round(max(waits) * 1000, 1),
        },
    }


async def _turn(call: PhoneCall, audio: bytes) -> float:
    """Say ``audio``; return the seconds from its last audible frame to the agent's first one."""
    began = await call.play(audio)
    last = max(
        at for at in range(0, len(audio), FRAME) if not is_silent(audio[at : at + FRAME], "ulaw", -45.0)
    )
    ended = began + (last + FRAME) / 8000
    answered = await call.ear.until_speaking(15.0)
    await call.ear.until_quiet(0.6, 15.0)
    return answered - ended
