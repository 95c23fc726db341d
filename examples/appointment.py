"""An appointment at a dentist's: the model looks up and books with tools of ours.

Run it, and call it; or play callers without a call:

    voiceagent serve --config examples/voiceagent.toml
    voiceagent call sip:700@127.0.0.1:5060 --do listen --do digits:1 --do listen --do digits:11052027
    voiceagent flow simulate examples/appointment.py -s examples/scenarios/appointment
"""

from datetime import date
from enum import StrEnum

from voiceagent.ivr import Call, Digits, ToolContext, flow, option, tool


class Visit(StrEnum):
    CHECK_UP = "check_up"
    CLEANING = "cleaning"


class Time(StrEnum):
    MORNING = "morning"
    AFTERNOON = "afternoon"


BOOKED: dict[str, tuple[Visit, date, Time]] = {}
"""Stands for the practice's calendar: appointments by idempotency key."""


@tool(timeout_s=8, working="I am still looking at the calendar.", working_after_s=2)
async def free_times(visit: Visit, day: date) -> dict[str, str]:
    """Look up the free times for a visit on a day."""
    taken = {time for _, when, time in BOOKED.values() if when == day}
    free = [time.value for time in Time if time not in taken and day.weekday() < 5]
    if not free:
        return {"result": "There is no free time on that day."}
    return {"result": f"There is a free time in the {' and in the '.join(free)}."}


@tool(steps=("booking",))
async def book_appointment(visit: Visit, day: date, time: Time, run: ToolContext) -> dict[str, str]:
    """Book an appointment for a visit on a day."""
    BOOKED.setdefault(run.idempotency_key, (visit, day, time))  # asked twice, it is booked once
    return {"result": "Your appointment is booked."}


@flow("appointment", numbers=["700"])
async def appointment(call: Call) -> None:
    """You make appointments for a dentist. Be brief. Never give medical advice."""
    await call.say("Hello, this is the dentist's practice.")
    visit = await call.choose(
        'Ask: "Do you need a check up, or a cleaning?"',
        check_up=option("1", "examination"),
        cleaning=option("2", "clean my teeth"),
    )
    for _ in range(3 if visit else 0):
        day = await call.collect(
            'Ask: "On which day? Please type two digits for the day, two for the month, four for the year."',
            date,
            digits=Digits(8),
            invalid="There is no such day.",
        )
        if day is None:
            break
        await call.respond(f"Look up the free times for a {visit} on {day}, and tell.", tools=[free_times])
        time = await call.choose(
            'Ask: "Shall I book the morning, the afternoon, or look at another day?"',
            morning="1",
            afternoon="2",
            another_day="3",
        )
        if time is None:
            break
        if time != "another_day":
            call.step("booking")  # the only step in which the model may book
            await call.respond(f"Book the {time} of {day} for a {visit}.", tools=[book_appointment])
            await call.hangup("Thank you. Goodbye.")
    await call.hangup("Please call again. Goodbye.")
