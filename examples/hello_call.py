"""The smallest flow: greet, ask one question, say goodbye.

Run it:

    voiceagent serve --flow examples/hello_call.py
    voiceagent call sip:200@127.0.0.1:5060 --do listen --do "say:yes please"
"""

from voiceagent.ivr import Call, flow


@flow("hello", numbers=["200"], instructions="You are a cheerful receptionist. Be brief.")
async def hello(call: Call) -> None:
    await call.say("Hello! This is the smallest voice agent there is.")
    if await call.confirm('Ask: "Would you like to hear a secret?"'):
        await call.say("Responses never overlap here, however hard you interrupt me.")
    await call.hangup("Goodbye.")
