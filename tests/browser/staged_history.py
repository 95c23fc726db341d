"""A history as it is after some days, for pictures and for tests: calls, words, recordings, time lines."""

from __future__ import annotations

import math
import struct
import time
import wave
from pathlib import Path
from typing import Any

from tests.browser.staged import FLOWS, WORDS
from tests.console.fake_directory import FakeDirectory
from tests.store.kit import record
from voiceagent.store import Database, history
from voiceagent.store.history import LineRecord, ResponseRecord

ENDINGS = (
    ("success", "caller_hung_up"),
    ("success", "completed"),
    ("success", "transferred"),
    ("caller", "no_answer"),
    ("provider", "provider_lost"),
    ("ours", "flow_failed"),
)
TAGS = ("refund", "vip", "call back", "complaint")
SAID = (
    LineRecord(1.2, "agent", WORDS[0], WORDS[0], False),
    LineRecord(5.1, "caller", WORDS[1], WORDS[1], False),
    LineRecord(8.4, "agent", WORDS[2][:14], WORDS[2], True),
    LineRecord(10.9, "caller", WORDS[3], WORDS[3], False),
    LineRecord(13.3, "agent", WORDS[4], WORDS[4], False),
    LineRecord(17.8, "operator", "The courier was late; offer free express.", "", False),
    LineRecord(20.2, "agent", "The next express is on us.", "The next express is on us.", False),
    LineRecord(24.0, "caller", WORDS[5], WORDS[5], False),
)
LENGTH_S = 30.0


def a_tone(path: Path, seconds: float, hertz: float = 440.0) -> None:
    """Write a recording as the recorder does: 16-bit stereo at 8 kHz, the caller left."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        frames = (int(6000 * math.sin(hertz * n / 8000 * 2 * math.pi)) for n in range(int(seconds * 8000)))
        file.writeframes(b"".join(struct.pack("<hh", sample, 0) for sample in frames))


def a_timeline() -> dict[str, Any]:
    """Return the time line of the conversation in ``SAID``."""
    heard = [(1.2, 4.4, False), (8.4, 10.2, True), (13.3, 16.9, False), (20.2, 23.1, False)]
    made = [{"from": a, "to": b + (1.6 if cut else 0.0), "response_id": f"r{a}"} for a, b, cut in heard]
    return {
        "duration_s": LENGTH_S,
        "live": False,
        "caller": [[5.0, 7.6], [10.0, 12.4], [24.0, 27.5]],
        "generated": made,
        "heard": [{"from": a, "to": b, "response_id": f"r{a}", "cut": cut} for a, b, cut in heard],
        "marks": [
            {"at": 10.0, "kind": "barge_in", "text": "the caller speaks over the agent"},
            {"at": 12.6, "kind": "tool", "text": "lookup_order"},
            {"at": 17.8, "kind": "operator", "text": "ann whispers to the agent"},
        ],
        "turns": [
            {"at": 7.6, "response_id": "r8.4", "latency_ms": 800.0, "parts": {"model": 640.0, "flow": 60.0}},
            {"at": 12.4, "response_id": "r13.3", "latency_ms": 900.0, "parts": {"model": 700.0}},
        ],
        "latency": {"p50_ms": 850.0, "p95_ms": 900.0},
    }


async def fill_history(database: Database, directory: FakeDirectory, folder: Path, calls: int = 70) -> None:
    """Keep ``calls`` ended calls; ``call_0``, the newest, is recorded, in two parts."""
    now = time.time()
    a_tone(folder / "call_0.wav", 14.0)
    a_tone(folder / "call_0-part2.wav", 10.0, 660.0)
    directory.timelines["call_0"] = a_timeline()
    for n in range(calls):
        outcome, reason = ENDINGS[(n * n) % 6 if n else 0]
        outbound = n % 7 == 3
        first = n == 0
        kept = record(
            f"call_{n}",
            direction="outbound" if outbound else "inbound",
            caller="+442079460018" if outbound else f"+4477009{n * 7919 % 100000:05d}",
            called=f"+4420794{n * 104729 % 100000:05d}" if outbound else "+442079460018",
            flow=FLOWS[n % 3],
            trunk=("carrier-a", "office")[n % 2],
            provider="openai",
            started_at=now - 300 - n * 2900,
            duration_s=LENGTH_S if first else float(20 + (n * 53) % 400),
            outcome=outcome,
            reason=reason,
            fault="The provider closed the session (1011)." if outcome == "provider" else "",
            barge_ins=n % 4,
            first_words_ms=520.0 + n,
            recording="call_0.wav" if first else ("gone.wav" if n % 3 == 1 else ""),
            journal=f"call_{n}.ndjson",
            figures={
                "lost": n % 5,
                "recordings": ["call_0.wav", "call_0-part2.wav"] if first else [],
                "recordings_at": [1.0, 18.0] if first else [],
            },
        )
        lines = SAID if first else SAID[: 2 + n % 4]
        asked = [
            ResponseRecord(
                "q0", "turn", None, {}, 1.0, "completed", "", {"kind": "completed", "heard_ms": 3200}
            ),
            ResponseRecord(
                "q1",
                "operator",
                "Offer free express delivery.",
                {"purpose": "goodwill"},
                2.0,
                "interrupted",
                "barge_in",
                {"kind": "interrupted", "heard_ms": 1800},
            ),
        ]

        def write(c: Any, kept: Any = kept, lines: Any = lines, asked: Any = asked, n: int = n) -> None:
            history.write(c, kept, lines, asked)
            for tag in TAGS[: n % 3] if n % 4 == 0 else ():
                history.tag(c, kept.id, tag, by="ann", at=now)

        await database.run(write)
