"""A shop's line: a choice, digits typed or spoken, a tool that the model calls, a transfer.

Run it:

    voiceagent serve --flow examples/order_status.py --set 'call.transfer_targets=["sip:desk@127.0.0.1:5090"]'
    voiceagent call sip:300@127.0.0.1:5060 --do listen --do digits:1 --do listen --do digits:123456#
"""

from voiceagent.ivr import Call, Digits, flow, option, tool

ORDERS = {"123456": "on its way; it arrives tomorrow", "654321": "waiting for payment"}


@tool(timeout_s=3)
async def order_status(number: str) -> dict[str, str]:
    """Look up the status of an order by its six digit number."""
    return {"status": ORDERS.get(number, "not known to us")}


@flow("order-line", numbers=["300", "+442079460018"])
async def order_line(call: Call) -> None:
    """You are the order line of a small shop. Never invent an order."""
    await call.respond('Greet the caller: "Welcome to the order line."')
    match await call.choose(
        'Ask: "Say order to hear about an order, or person to talk to someone."',
        order=option("1", "my order", "order status"),
        person=option("0", "operator", "agent"),
    ):
        case "order":
            number = await call.collect(
                'Ask: "Please type or say your six digit order number."',
                digits=Digits(6, end="#"),
                confirm=True,
            )
            if number is not None:
                told = await call.respond(
                    f"Look up the status of order {number} and tell the caller.", tools=[order_status]
                )
                if told.interrupted:
                    await call.respond("Repeat the status, briefly.", interruptible=False)
        case "person":
            handed = await call.transfer("sip:desk@127.0.0.1:5090", announce="One moment, please.")
            if not handed.accepted:
                await call.say("I am sorry, nobody is free right now.")
        case _:
            await call.say("I could not understand you.")
    await call.hangup("Goodbye.")
