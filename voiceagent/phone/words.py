"""The caller's voice: text or a WAV file as the call's G.711."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from voiceagent.engine.tts.caller import synthesize
from voiceagent.errors import MediaError
from voiceagent.media import g711
from voiceagent.media.wav import read_wav

if TYPE_CHECKING:
    from voiceagent.phone.phone import PhoneCall


async def spoken(call: PhoneCall, text: str, voice: str = "rms") -> bytes:
    """Return ``text`` in a synthetic caller's voice."""
    return call.encode(await synthesize(text, voice=voice, rate=8000))


def wav_audio(call: PhoneCall, path: Path) -> bytes:
    """Return a WAV file's first channel. Raises MediaError unless it has 8000 Hz."""
    wav = read_wav(path)
    if wav.rate != 8000:
        raise MediaError(f"{path} has {wav.rate} Hz; the phone needs 8000 Hz", code="wav")
    samples = wav.channel(0)
    if wav.encoding == "ulaw":
        samples = g711.decode(samples, "ulaw")
    elif wav.encoding == "alaw":
        samples = g711.decode(samples, "alaw")
    return call.encode(samples)
