"""What both foreign phones need: a short flow, the caller's words, and ears for what comes back."""

from __future__ import annotations

import asyncio
import math
import struct
from pathlib import Path

import numpy as np

from voiceagent.engine.parts import build_parts
from voiceagent.engine.ports import Expectation, ExpectKind
from voiceagent.engine.tts.caller import synthesize
from voiceagent.media import g711
from voiceagent.records.journal import read_journal

RATE = 8000
QUESTION = "would you like billing or opening hours"
ANSWER = "our office is open from nine to five"
REAL = {
    "engine__voice": "auto",
    "engine__recogniser": "auto",
    "engine__vad": "auto",
}
"""Settings of a call in words."""
OTHER_LINES = ("please type your account number", "thank you for calling the weather service", "goodbye")
"""What the service does not say: the ear must choose between all of them."""

FLOW = f"""
from voiceagent.ivr import Call, Digits, flow, option

@flow("desk", numbers=["100"])
async def desk(call: Call) -> None:
    topic = await call.choose(
        'Ask: "{QUESTION.capitalize()}?"',
        no_input_s=30,
        billing=option("1", "billing please"),
        hours=option("2", "opening hours"),
    )
    if topic == "billing":
        await call.say("{ANSWER.capitalize()}.")
    await call.hangup()

@flow("keys", numbers=["200"])
async def keys(call: Call) -> None:
    code = await call.collect("Ask for the code.", digits=Digits(4), no_input_s=30)
    await call.hangup("Thank you." if code == "4711" else "That is wrong.")

@flow("moved", numbers=["*"])
async def moved(call: Call) -> None:
    await call.transfer(f"sip:200@127.0.0.1:{{call.called.raw[1:]}}")
"""


def flow_file(folder: Path) -> list[str]:
    """Write the flow; return the ``flows`` setting."""
    path = folder / "flows.py"
    path.write_text(FLOW, encoding="utf-8")
    return [str(path)]


def silence(seconds: float) -> bytes:
    """Silent PCM."""
    return bytes(2 * round(seconds * RATE))


async def words(text: str, *, before_s: float) -> bytes:
    """The caller's words as 8 kHz PCM, with silence before and (longer than the call) after them."""
    return silence(before_s) + await synthesize(text, voice="rms", rate=RATE) + silence(30)


def from_8k(pcm: bytes, rate: int, channels: int) -> bytes:
    """8 kHz mono PCM at a multiple of that rate, the same on every channel (linear interpolation)."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    times = rate // RATE
    at = np.arange(len(samples) * times) / times
    wide = np.interp(at, np.arange(len(samples)), samples)
    return np.repeat(wide.round().astype("<i2"), channels).tobytes()


def to_8k(pcm: bytes, rate: int) -> bytes:
    """PCM of a multiple of 8 kHz at 8 kHz: each sample the mean of those it stands for."""
    times = rate // RATE
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    samples = samples[: len(samples) // times * times].reshape(-1, times)
    return samples.mean(axis=1).round().astype("<i2").tobytes()


def level_dbfs(pcm: bytes) -> float:
    """The loudest half second of ``pcm``, in dB below full scale."""
    samples = struct.unpack(f"<{len(pcm) // 2}h", pcm[: len(pcm) // 2 * 2])
    window = RATE // 2
    loudest = max(
        (
            sum(s * s for s in samples[at : at + window]) / window
            for at in range(0, max(1, len(samples) - window), window // 2)
        ),
        default=0.0,
    )
    return 10 * math.log10(loudest / 32768**2) if loudest else -120.0


def utterances(pcm: bytes, *, gap_s: float = 0.7) -> list[bytes]:
    """The stretches of sound in ``pcm``, each with a little line around it."""
    frame = 320
    loud = [at for at in range(0, len(pcm) - frame, frame) if max(_samples(pcm, at, frame), default=0) > 500]
    found: list[tuple[int, int]] = []
    for at in loud:
        if found and at - found[-1][1] < gap_s * 2 * RATE:
            found[-1] = (found[-1][0], at + frame)
        else:
            found.append((at, at + frame))
    margin = 2 * RATE // 4
    return [pcm[max(0, start - margin) : end + margin] for start, end in found if end - start > RATE // 2]


def _samples(pcm: bytes, at: int, size: int) -> list[int]:
    return [abs(sample) for sample in struct.unpack(f"<{size // 2}h", pcm[at : at + size])]


async def understood(pcm: bytes) -> list[str]:
    """Which of the possible lines each utterance in ``pcm`` is, by our own recogniser."""
    parts = build_parts()
    closed = Expectation(ExpectKind.PHRASES, phrases=(QUESTION, ANSWER, *OTHER_LINES))
    try:
        return [(await parts.recogniser.transcribe(one, RATE, closed)).text for one in utterances(pcm)]
    finally:
        await parts.close()


def from_ulaw(audio: bytes) -> bytes:
    """G.711 µ-law as PCM."""
    return g711.decode(audio, "ulaw")


def entries(folder: Path) -> list[dict[str, object]]:
    """All journal entries of the only call so far."""
    (path,) = (folder / "journals").glob("*.jsonl")
    return list(read_journal(path))


def said(folder: Path) -> list[object]:
    """What the service's journal says the caller said."""
    return [entry["text"] for entry in entries(folder) if entry["type"] == "caller.said"]


async def reached(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to ``port`` as soon as somebody listens there."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)


async def ended(process: asyncio.subprocess.Process, within_s: float = 60.0) -> str:
    """Wait for a process of ours to end; what it said. Kills it when it does not."""
    try:
        async with asyncio.timeout(within_s):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return output.decode("utf-8", "replace") if output else ""
