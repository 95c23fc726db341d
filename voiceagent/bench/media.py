"""``voiceagent bench media``: what codecs cost, and what the audio road makes of bad lines.

All but the codecs' costs is virtual time over seeded lines, so the figures are the same on every machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from voiceagent.bench.media_lines import Line, digits_wrong, jitter_run, jumps
from voiceagent.media import g711
from voiceagent.media.codecs import available, decoder_for, encoder_for
from voiceagent.media.concealment import conceal
from voiceagent.media.path import MediaPath
from voiceagent.media.playout import FRAME
from voiceagent.media.tones import DtmfDetector, sine

BAD = Line(loss=0.05, jitter_s=0.030, double=0.02)
"""Row B5 of the fault table: 5 % loss, 30 ms jitter, 2 % copies."""
KEYS = Line(loss=0.10, jitter_s=0.030, double=0.02)
PATHS = {
    8000: MediaPath(None),
    48000: MediaPath(None, "opus", 96, 102, event_rate=48_000),
}
"""Where digits are sent: beside G.711 and beside Opus."""


def run_media_bench(
    *, frames: int = 2000, seeds: int = 1000, minutes: float = 30.0, cases: int = 100_000, hours: float = 1.0
) -> dict[str, Any]:
    """Run everything.

    Stable keys: ``codecs``, ``concealment_us``, ``jitter_buffer``, ``jumps``, ``drift``,
    ``digits`` and ``inband``.
    """
    leap = jumps(cases)
    return {
        "codecs": {name: codec_cost(name, frames) for name in available()},
        "concealment_us": _concealment_us(),
        "jitter_buffer": {
            f"ptime_{ptime}": jitter_run(BAD, ptime=ptime)._asdict() for ptime in (10, 20, 30, 40, 60)
        }
        | {"opus_20": jitter_run(BAD, ptime=20, scale=6)._asdict()},
        "jumps": {"cases": cases} | leap._asdict(),
        "drift": {
            f"{ppm:+d}_ppm": jitter_run(Line(jitter_s=0.005, ppm=ppm), seconds=3600 * hours)._asdict()
            for ppm in (-300, 300)
        },
        "digits": {
            f"{who}_{rate}": _digits(seeds if rate == 8000 else max(1, seeds // 10), who == "ours", path)
            for rate, path in PATHS.items()
            if path.codec in available()
            for who in ("ours", "phone")
        },
        "inband": inband(minutes),
    }


def _digits(seeds: int, ours: bool, path: MediaPath) -> dict[str, int]:
    """Sixteen digits for each seed; beside Opus only a tenth of the seeds, because its audio is decoded."""
    wrong = digits_wrong(range(seeds), KEYS, path, ours=ours)
    return {"digits": 16 * seeds, "seeds_wrong": len(wrong)}


def codec_cost(name: str, frames: int = 2000) -> dict[str, float]:
    """Return µs of CPU for a 20 ms frame there and back, and its delay. PCMU stands for untouched."""
    encoder, decoder = encoder_for(name, "ulaw", 20), decoder_for(name, "ulaw")
    tone = g711.encode(sine(440, 1000))
    line = [tone[at : at + FRAME] for at in range(0, len(tone), FRAME)]
    packets: list[bytes] = []

    def encode() -> None:
        for number in range(frames):
            frame = line[number % len(line)]
            packets.extend((frame,) if encoder is None else encoder.put(frame))

    out: list[bytes] = []

    def decode() -> None:
        out.extend([packet if decoder is None else decoder.decode(packet) for packet in packets])

    encode_us, decode_us = _us(encode, frames), _us(decode, frames)
    return {
        "encode_us": encode_us,
        "decode_us": decode_us,
        "pair_us": round(encode_us + decode_us, 2),
        "core_percent_per_call": round((encode_us + decode_us) / 200, 3),
        "bytes_per_packet": round(sum(map(len, packets)) / len(packets), 1),
        "delay_ms": delay_ms(name),
    }


def delay_ms(name: str) -> float:
    """How much later a sound comes out of encoder and decoder than out of nothing, packet time apart."""
    encoder, decoder = encoder_for(name, "ulaw", 20), decoder_for(name, "ulaw")
    silence = g711.encode(bytes(2 * 20 * FRAME))
    line = silence + g711.encode(sine(1000, 200)) + silence
    out = b""
    for at in range(0, len(line), FRAME):
        for packet in (line[at : at + FRAME],) if encoder is None else encoder.put(line[at : at + FRAME]):
            out += packet if decoder is None else decoder.decode(packet)
    return round((_onset(out) - _onset(line)) / 8, 2)


def _onset(audio: bytes) -> int:
    return next(index for index, sample in enumerate(g711.linear(audio)) if abs(sample) > 2000)


def _us(work: Callable[[], None], frames: int) -> float:
    before = time.process_time()
    work()
    return round((time.process_time() - before) / frames * 1e6, 2)


def _concealment_us() -> float:
    voice = g711.encode(
        b"".join(int(9000 * math.sin(at / 9)).to_bytes(2, "little", signed=True) for at in range(2 * FRAME))
    )

    def work() -> None:
        for _ in range(200):
            conceal(voice, FRAME, "ulaw")

    return _us(work, 200)


def inband(minutes: float, seed: int = 1) -> dict[str, Any]:
    """False hits of the in-band detector in speech-like audio; None where numpy is not installed."""
    try:
        from voiceagent.bench.media_voice import speech_like
    except ImportError:
        return {"minutes": 0, "false_hits": None}
    hits = ""
    for minute in range(math.ceil(minutes)):
        detector = DtmfDetector()
        audio = speech_like(min(60.0, 60 * (minutes - minute)), seed + minute)
        for at in range(0, len(audio), FRAME):
            hits += detector.feed(audio[at : at + FRAME])
    return {"minutes": minutes, "false_hits": len(hits)}
