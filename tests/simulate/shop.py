"""A flow for the tests of the simulator."""

from __future__ import annotations

import asyncio

from voiceagent.ivr import Call, flow


@flow("shop", numbers=["200"])
async def shop(call: Call) -> None:
    """You are the voice of a small shop."""
    await call.say("Welcome to the shop.")
    match await call.choose('Ask: "Hours or orders?"', hours="1", orders="2"):
        case "hours":
            await call.say("We open at nine. We close at five. On Sundays we rest.")
        case "orders":
            await call.say("There are no orders.", interruptible=False)
        case _:
            await call.hangup("Nobody there. Goodbye.")


@flow("waits", numbers=["201"])
async def waits(call: Call) -> None:
    """You wait."""
    await call.say("One moment.")
    await asyncio.Event().wait()


@flow("circles", numbers=["202"])
async def circles(call: Call) -> None:
    """You go round in circles."""
    await call.say("Hello.")
    while True:  # noqa: ASYNC110 - the mistake that is to be noticed
        await asyncio.sleep(0)


@flow("reaches-out", numbers=["203"])
async def reaches_out(call: Call) -> None:
    """You ask the network."""
    await asyncio.open_connection("shop.invalid", 80)
