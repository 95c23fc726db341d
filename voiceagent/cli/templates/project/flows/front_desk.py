"""The front desk: where is my order, or a person. Quoted words are said as they stand."""

from __future__ import annotations

from voiceagent.ivr import Call, Digits, FetchFailed, flow, option

ORDERS = {"481516": "on its way, and arrives tomorrow", "234200": "still being packed"}
"""Stands for your own system; see :func:`order_state`."""


async def order_state(order: str) -> str:
    """Return where an order is. Ask your own system here."""
    return ORDERS.get(order, "not known to us")


@flow("front-desk", numbers=["100"])
async def front_desk(call: Call) -> None:
    """You are the friendly voice of a small shop. Be brief and polite."""
    await call.say("Hello, this is the shop. Thank you for calling.")
    topic = await call.choose(
        'Ask: "Is it about an order, or would you like to speak to a person?"',
        order=option("1", "my order", "where is my order"),
        person=option("0", "a person", "an agent"),
    )
    if topic == "order":
        await order(call)
    await person(call)  # also for those whom nobody could help so far


async def order(call: Call) -> None:
    """Say where an order is, and goodbye; returns when that was not to be had."""
    number = await call.collect(
        'Ask: "Please type your six digit order number."', digits=Digits(6), confirm=True
    )
    if number is None:
        return
    try:
        state = await call.fetch(order_state, number, working="One moment, I am looking.")
    except FetchFailed:
        return
    await call.say(f"Your order is {state}.")
    await call.hangup("Thank you for calling. Goodbye.")


async def person(call: Call) -> None:
    """Hand the caller to a person, where one can be had."""
    await call.transfer("sip:desk@example.com", announce="One moment, I will put you through.")
    await call.hangup("I am sorry, nobody is there right now. Please call again later. Goodbye.")
