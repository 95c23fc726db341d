"""Flows of the calls that are recorded to be replayed: between them they do what flows can do."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from voiceagent.ivr import Call, Digits, flow, option, tool

LONG = (
    "Here is a rather long explanation, so that somebody has the time to interrupt it. It goes on for a "
    "while, says one thing after another, and comes to no end that anybody would wait for."
)


@dataclass
class Order:
    """What is known of an order."""

    number: str
    state: str


@tool
async def order_state(number: str) -> dict[str, str]:
    """Look up the state of an order by its four digit number."""
    await asyncio.sleep(0.3)
    return {"number": number, "state": "shipped this morning"}


@flow("shop", numbers=["100"])
async def shop(call: Call) -> None:
    """You are the friendly voice of a small shop. Be brief."""
    await call.respond('Greet the caller: "Hello, this is the shop."')
    for _ in range(4):
        topic = await call.choose(
            'Ask: "You can say opening hours or main menu, or press three for an order."',
            attempts=2,
            no_input_s=3.0,
            hours=option("1", "opening hours", "opening hours please"),
            menu=option("2", "main menu", "no thanks"),
            order=option("3", "my order"),
            long=option("4", "billing please"),
            desk=option("0", "speak to an operator"),
        )
        if topic == "hours":
            await call.say("We are open from nine to five, Monday to Friday.")
        elif topic == "order":
            number = await call.collect(
                'Ask: "Type your four digit order number."', digits=Digits(4, end="#")
            )
            if number is not None:
                await call.respond(f"Look up order {number} and tell the caller.", tools=[order_state])
        elif topic == "long":
            heard = await call.say(LONG)
            if heard.interrupted:
                await call.respond('Say: "All right, no more of that."', interruptible=False)
        elif topic == "desk":
            await call.transfer("sip:desk@127.0.0.1:9", announce="One moment.")
            await call.say("Nobody is at the desk.")
        else:
            break
    await call.hangup("Thank you for calling. Goodbye.")


@flow("talker", numbers=["200"])
async def talker(call: Call) -> None:
    """You talk and talk."""
    while True:
        await call.say("One two three four five six seven eight nine ten.")
        await asyncio.sleep(0.4)


@flow("desk", numbers=["*"])
async def desk(call: Call) -> None:
    """You hand callers over. The number that was called is the port of whom they get."""
    await call.say("I will put you through.")
    await call.transfer(
        f"sip:desk@127.0.0.1:{str.__str__(call.called)}", attended=True, whisper="Somebody calls you."
    )
    await call.hangup("Nobody is there. Goodbye.")


@flow("caller")
async def caller(call: Call) -> None:
    """You call somebody."""
    who = await call.answered_by(timeout_s=4.0)
    await call.say(f"Hello, this is the shop, you are a {who.kind}.")
    await call.confirm('Ask: "Is this a good moment?"')
    await call.hangup("Goodbye.")
