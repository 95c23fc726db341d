"""A bank's line: an account, then a PIN that neither the model nor any record learns.

Run it, and call it; or play callers without a call:

    voiceagent serve --config examples/voiceagent.toml
    voiceagent call sip:400@127.0.0.1:5060 --do listen --do digits:481516 --do listen --do digits:2580
    voiceagent flow simulate examples/pin_entry.py -s examples/scenarios/pin_entry
"""

from pydantic import SecretStr

from voiceagent.ivr import Call, Digits, FetchFailed, flow

PINS = {"481516": SecretStr("2580"), "234200": SecretStr("1379")}
BALANCES = {"481516": "42 euros and 50 cents", "234200": "zero"}
"""Stand for the bank's own system. Ask yours in the two functions below."""


async def pin_is_right(account: str, pin: SecretStr) -> bool:
    return PINS.get(account) == pin


async def balance_of(account: str) -> str:
    return BALANCES[account]


@flow("bank", numbers=["400"])
async def bank(call: Call) -> None:
    """You are the telephone line of a bank. Be brief and polite."""
    await call.say("Welcome to the bank.")
    account = await call.collect(
        'Ask: "Please type or say your six digit account number."', digits=Digits(6), confirm=True
    )
    try:
        if account is None or not await knows_the_pin(call, account):
            await call.hangup("I am sorry, I cannot go on without it. Goodbye.")
        balance = await call.fetch(balance_of, account, timeout_s=5, working="One moment, I am looking.")
        await call.say(f"Your balance is {balance}.")
        await call.hangup("Thank you for calling. Goodbye.")
    except FetchFailed:
        await call.hangup("I am sorry, our system cannot be reached. Please call again later.")


async def knows_the_pin(call: Call, account: str) -> bool:
    """Ask for the PIN, three times at most."""
    for _ in range(3):
        pin = await call.collect('Ask: "Now type your four digit PIN."', secret=True, digits=Digits(4))
        if pin is None:
            return False
        if await call.fetch(pin_is_right, account, pin):
            return True
        await call.say("That is not right.")
    return False
