"""A help line: a person who is told what it is about before they speak, a queue, or a message.

Run it, call it, and answer at 127.0.0.1:5090 with another phone; or play callers without a call:

    voiceagent serve --config examples/voiceagent.toml
    voiceagent call sip:600@127.0.0.1:5060 --do listen --do digits:2 --do listen --do digits:481516
    voiceagent flow simulate examples/warm_transfer.py -s examples/scenarios/warm_transfer
"""

from voiceagent.ivr import Call, Digits, FetchFailed, flow, option

DESK = "sip:desk@127.0.0.1:5090"
MESSAGES: list[tuple[str, str]] = []
"""Stands for a ticket system: files and what they are about."""


async def open_ticket(file: str, about: str) -> None:
    MESSAGES.append((file, about))


@flow("help-line", numbers=["600"])
async def help_line(call: Call) -> None:
    """You are the help line of a small shop. Be brief, and kind to people who are upset."""
    await call.say("Hello, this is the help line.")
    topic = await call.choose(
        'Ask: "Is it about a delivery, a repair, or a bill?"',
        delivery=option("1", "my parcel"),
        repair=option("2", "it is broken"),
        bill=option("3", "my invoice"),
        attempts=2,
    )
    order = await call.collect(
        'Ask: "Please type or say your six digit order number."', digits=Digits(6), attempts=2
    )
    about = f"{topic or 'something else'}, order {' '.join(order) if order else 'not known'}"
    await call.transfer(
        DESK,
        attended=True,
        announce="I will put you through, and tell them what it is about.",
        whisper=f"A caller about {about}.",
        timeout_s=20,
    )
    await nobody_answers(call, about)  # whoever was put through does not come back here


async def nobody_answers(call: Call, about: str) -> None:
    """Wait in the queue, or leave a message."""
    choice = await call.choose(
        'Ask: "Nobody is free just now. Would you like to wait, or leave a message?"',
        wait=option("1", "I can wait", "I will wait"),
        message=option("2", "a message", "leave a message"),
        attempts=2,
    )
    if choice == "wait":
        await call.queue("desk", whisper=f"A caller about {about}.", timeout_s=300, leave="2")
    if choice is not None:
        await message(call, about)  # for whom the queue had nobody, too
    await call.hangup("Thank you for calling. Goodbye.")


async def message(call: Call, about: str) -> None:
    """Record what the caller says until a key, a long silence, or the end of the call."""
    await call.say("Please leave your message now, and press hash when you are done.")
    recording = await call.record("message")
    try:
        await call.fetch(open_ticket, recording.file if recording else "", about)  # now: many just hang up
    except FetchFailed:
        call.step("no ticket")
    await call.listen(seconds=180, silence_s=6)
    await call.stop_recording()
    await call.say("Thank you. We will call you back.")
