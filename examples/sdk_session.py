"""A realtime session without a phone: create_response against the embedded provider.

Run it:

    voiceagent engine --port 8765 &
    python examples/sdk_session.py
"""

import asyncio

from voiceagent.realtime import OpenAIRealtimeWebSocketModel, RealtimeSession


async def main() -> None:
    model = OpenAIRealtimeWebSocketModel(url="ws://127.0.0.1:8765/v1/realtime?model=embedded", api_key="none")
    async with RealtimeSession(model=model) as session:
        handle = await session.create_response(
            instructions='Say: "Hello from the sequencer."', metadata={"turn": "greeting"}
        )
        print(await handle.outcome())


asyncio.run(main())
