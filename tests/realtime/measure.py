"""What one frame costs in our own code: ``python -m tests.realtime.measure``.

Everything between the socket and the listeners, without the socket. Microseconds of CPU, best of several
rounds; the first line, a plain ``json.loads`` of the same delta, tells how fast the machine is right now.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import Callable

from tests.kit.scripted_provider import ScriptedProvider
from tests.realtime.kit import open_room
from voiceagent.realtime.config import RealtimeSessionConfig
from voiceagent.realtime.model_events import RealtimeModelEvent
from voiceagent.realtime.requests import ResponseRequest
from voiceagent.realtime.wire import decode
from voiceagent.realtime.wire_frames import append_frame, create_frame


def cost(work: Callable[[], object], times: int = 20_000) -> float:
    """Return the best average of one call, in microseconds."""
    best = 1.0
    for _ in range(9):
        start = time.process_time()
        for _ in range(times):
            work()
        best = min(best, (time.process_time() - start) / times)
    return best * 1e6


def event(kind: str, **fields: object) -> bytes:
    place = {"response_id": "resp_ABCDEFGHIJKLMN", "item_id": "item_ABCDEFGHIJKLMN"}
    whole = {
        "type": kind,
        "event_id": "event_ABCDEFGHIJ",
        **place,
        "output_index": 0,
        "content_index": 0,
        **fields,
    }
    return json.dumps(whole, separators=(",", ":")).encode()


async def main() -> None:
    """Print the table."""
    delta = event("response.output_audio.delta", delta=base64.b64encode(bytes(1600)).decode())
    words = event("response.output_audio_transcript.delta", delta=" hello")
    loop_frame, big_frame = b"\xff" * 160, b"\xff" * 320
    request = ResponseRequest(id="req_1", instructions="Greet the caller.", metadata={"turn": "greeting"})

    async with open_room(provider=ScriptedProvider(), config=RealtimeSessionConfig(playout=True)) as room:
        room.quiet()
        heard: list[int] = [0]

        def listener(each: RealtimeModelEvent) -> None:
            heard[0] += 1

        room.session.add_listener(listener)
        link, session = room.model.link, room.session
        room.transport.mute()
        rows: list[tuple[str, Callable[[], object]]] = [
            ("json.loads of a 200 ms delta, for scale", lambda: json.loads(delta)),
            ("decode a 200 ms G.711 delta", lambda: decode(delta)),
            ("the same through link, session and one listener", lambda: link.inbound.frame_received(delta)),
            ("a transcript delta through the same", lambda: link.inbound.frame_received(words)),
            ("append frame of 40 ms", lambda: append_frame(big_frame)),
            ("send_audio of 40 ms", lambda: session.send_audio(big_frame)),
            ("send_audio of 20 ms, two make an append", lambda: session.send_audio(loop_frame)),
            ("create frame", lambda: create_frame(request, "evt_1", 1)),
        ]
        for name, work in rows:
            print(f"{cost(work):8.2f} µs  {name}")
        assert heard[0] > 0


if __name__ == "__main__":
    asyncio.run(main())
