"""A survey: questions with a number from one to five, recorded when the caller agrees.

Run it, and call it; or play callers without a call:

    voiceagent serve --config examples/voiceagent.toml
    voiceagent call sip:500@127.0.0.1:5060 --do listen --do digits:2 --do listen --do digits:4
    voiceagent flow simulate examples/survey.py -s examples/scenarios/survey
"""

from typing import Annotated

from pydantic import Field

from voiceagent.ivr import Call, Digits, FetchFailed, flow

Rating = Annotated[int, Field(ge=1, le=5)]

QUESTIONS = {
    "waiting": "How content are you with the time you waited?",
    "advice": "How good was our advice?",
    "again": "How likely will you call us again?",
}
ANSWERS: dict[str, dict[str, int]] = {}
"""Stands for a database: ratings by call and question."""


async def keep(call_id: str, name: str, rating: int) -> None:
    """Keep one answer; the same one again changes nothing."""
    ANSWERS.setdefault(call_id, {})[name] = rating


@flow("survey", numbers=["500"], idle_s=8)
async def survey(call: Call) -> None:
    """You ask callers how content they are. Be brief, thank them, and never comment on an answer."""
    await call.say("Thank you for taking part in our survey. There are three questions.")
    if await call.confirm('Ask: "May we record your answers?"'):
        await call.record("survey", announce="The recording begins now.")
    for name, question in QUESTIONS.items():
        rating = await call.collect(
            f'Ask: "{question} Please say or type a number from one to five, five is best."',
            Rating,
            digits=Digits(1),
            invalid="It takes a number from one to five.",
            attempts=2,
        )
        if rating is not None:
            await kept(call, name, rating)
    await call.stop_recording()
    await call.hangup("That was all. Thank you for your help. Goodbye.")


async def kept(call: Call, name: str, rating: int) -> None:
    """Keep an answer at once: it counts when the caller hangs up. A broken database ends no survey."""
    try:
        await call.fetch(keep, call.id, name, rating, timeout_s=2)
    except FetchFailed as failed:
        call.step(f"not kept: {failed.code}")
