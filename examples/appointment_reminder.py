"""A call that we place: it speaks with a person, or leaves a message after a machine's beep.

Run it, with a phone that takes calls at 127.0.0.1:5070:

    voiceagent call --agent reminder --flow examples/appointment_reminder.py sip:100@127.0.0.1:5070
"""

from voiceagent.ivr import Call, flow, option


@flow("reminder")
async def reminder(call: Call) -> None:
    """You remind patients of appointments at a dentist's. Be brief. Never give medical advice."""
    when = call.metadata.get("when", "tomorrow")
    answering = await call.answered_by(timeout_s=6)
    if answering.kind == "machine":
        if answering.beep_at_ms is None:
            await call.until_beep(timeout_s=30)
        await call.say(f"This is the dentist's practice. Your appointment is {when}. Goodbye.")
        return
    await call.say(f"Hello. This is the automatic assistant of your dentist. Your appointment is {when}.")
    answer = await call.choose(
        'Ask: "Will you come? Please say yes, or say no."',
        yes=option("1", "I will come"),
        no=option("2", "I cannot come"),
        attempts=2,
    )
    call.step(f"answered {answer}")
    if answer == "no":
        await call.say("Thank you. We will call you about another day.")
    await call.hangup("Goodbye.")
