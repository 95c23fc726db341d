"""A garden shop's front desk: opening hours, advice by the model, or a person.

Run it, and call it; or play callers without a call:

    voiceagent serve --config examples/voiceagent.toml
    voiceagent call sip:100@127.0.0.1:5060 --do listen --do "say:opening hours" --do listen --do "say:no"
    voiceagent flow simulate examples/front_desk.py -c examples/voiceagent.toml -s examples/scenarios/front_desk
"""  # noqa: E501

from voiceagent.ivr import Call, flow, option


@flow("front-desk", numbers=["100"], idle=("Are you still there?", "I can tell you our opening hours."))
async def front_desk(call: Call) -> None:
    """You are the friendly voice of a small garden shop. Be brief. Never invent a price."""
    await call.respond(
        'Greet the caller: "Hello, this is the garden shop."', metadata={"purpose": "greeting"}
    )
    topic = await call.choose(
        'Ask: "Opening hours, advice, or a person: what would you like?"',
        hours=option("1", "opening hours", "when are you open"),
        advice=option("2", "a question", "my plants"),
        person=option("0", "a person", "operator"),
        no_match="I can help with opening hours, advice, or a person.",
    )
    match topic:
        case "hours":
            await call.say("We are open from nine to five, Monday to Saturday.")
        case "advice":
            await advice(call)
        case _:
            await person(call)
    if await call.confirm('Ask: "Is there anything else?"'):
        await person(call)
    await call.hangup("Thank you for calling. Goodbye.")


async def advice(call: Call) -> None:
    """Let the model talk, until the caller has had enough."""
    talk = await call.converse(
        'Ask: "What would you like to know about your plants? Say that is all when you are done."',
        until=["that is all", "thank you", "goodbye"],
        turns=12,
    )
    if talk.reason == "digit":
        await person(call)


async def person(call: Call) -> None:
    """Wait for a person; who gets through does not come back here."""
    await call.say("I will find somebody for you. Press star to stop waiting.")
    waited = await call.queue("desk", whisper="A caller from the front desk.", timeout_s=120)
    if waited.reason != "left":
        await call.say("I am sorry, all of us are busy right now.")
