"""The built-in flow: a small front desk that shows every verb. It answers any number.

Quoted text is said word for word by the embedded voice and by hosted models alike; the rest is guidance.
"""

from __future__ import annotations

from voiceagent.ivr.answers import Digits, option
from voiceagent.ivr.flow import flow
from voiceagent.ivr.tools import tool
from voiceagent.ivr.verbs import Call

BALANCES = {"481516": "42 euros and 50 cents", "234200": "zero"}
"""The demonstration's accounts."""

BILLING = (
    "Your bill has three parts. First, the monthly fee, which is due on the first day of every month. "
    "Second, the calls that you made, which are charged by the second, at the end of each month. "
    "Third, any equipment that you rent from us, such as a telephone or a router. "
    "All three are added up and sent to you by letter or by electronic mail, as you prefer."
)


@tool
async def account_balance(account: str) -> dict[str, str]:
    """Look up the balance of a customer's account by its six digit number."""
    balance = BALANCES.get(account)
    if balance is None:
        return {"error": f"there is no account {' '.join(account)}"}
    return {"balance": balance}


@flow("front-desk", numbers=["*"])
async def front_desk(call: Call) -> None:
    """You are the friendly voice of a small company's front desk. Be brief and polite."""
    await call.respond('Greet the caller: "Hello, this is the front desk. Thank you for calling."')
    while True:
        topic = await call.choose(
            'Ask: "You can say billing, opening hours, or operator. What would you like?"',
            billing=option("1", "billing please", "my bill"),
            hours=option("2", "opening hours", "opening hours please"),
            operator=option("0", "agent", "speak to an operator", "representative"),
            nothing=option("9", "no thanks", "no thank you", "goodbye"),
        )
        match topic:
            case "billing":
                await billing(call)
            case "hours":
                await call.say("We are open from nine to five, Monday to Friday.")
            case "operator":
                await operator(call)
            case _:
                break
        if not await call.confirm('Ask: "Is there anything else I can do for you?"'):
            break
    await call.hangup("Thank you for calling. Goodbye.")


async def billing(call: Call) -> None:
    """Explain the bill, then look up the balance."""
    await call.respond(f'Explain the bill: "{BILLING}"', metadata={"topic": "billing"})
    account = await call.collect(
        'Ask: "Please type your six digit account number, then hash."',
        digits=Digits(6, end="#"),
        confirm=True,
    )
    if account is None:
        await call.say("That is all right. You can find your balance on the bill.")
        return
    await call.respond(
        f"Look up the balance of account {account} and tell the caller.", tools=[account_balance]
    )


async def operator(call: Call) -> None:
    """Hand over to a person where that is allowed, else say so."""
    handed = await call.transfer("sip:operator@127.0.0.1", announce="One moment, I will put you through.")
    if not handed.accepted:
        await call.say("I am sorry, nobody is at the desk right now.")
