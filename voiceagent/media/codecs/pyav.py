"""PCM in and out of PyAV's codecs and resamplers (FFmpeg), mono, 16 bit.

swresample holds 2 ms back, always the same: the first output of a resampler is filled up with silence, and
from then on as much comes out as went in.
"""

from __future__ import annotations

from typing import Any

from av import AudioFrame, AudioResampler, CodecContext, Packet
from av.audio.codeccontext import AudioCodecContext
from av.error import FFmpegError

__all__ = ["FFmpegError", "Resampler", "audio_codec", "decoded", "encoded", "frame_of"]


def audio_codec(name: str, mode: str, rate: int, options: dict[str, str] | None = None) -> AudioCodecContext:
    """Return an opened mono codec of FFmpeg; ``mode`` is ``r`` to decode, ``w`` to encode."""
    context = CodecContext.create(name, mode)  # type: ignore[call-overload]
    assert isinstance(context, AudioCodecContext)
    context.sample_rate = rate
    context.layout = "mono"
    if mode == "w":
        context.format = "s16"
        if options:
            context.options = options
    return context


def frame_of(pcm: bytes, rate: int) -> AudioFrame:
    """Return 16-bit mono ``pcm`` as a frame of PyAV."""
    frame = AudioFrame(format="s16", layout="mono", samples=len(pcm) // 2)
    frame.sample_rate = rate
    frame.planes[0].update(pcm)
    return frame


def decoded(context: AudioCodecContext, payload: bytes) -> list[AudioFrame]:
    """Decode one payload. ValueError when it cannot be."""
    codec: Any = context  # its types are partly unknown
    try:
        frames: list[AudioFrame] = codec.decode(Packet(payload))
        return frames
    except FFmpegError as error:
        raise ValueError(str(error)) from error


def encoded(context: AudioCodecContext, pcm: bytes, rate: int) -> list[bytes]:
    """Encode ``pcm``, whole frames of the codec."""
    codec: Any = context
    return [bytes(packet) for packet in codec.encode(frame_of(pcm, rate))]


class Resampler:
    """16-bit mono PCM from any rate to ``rate``; out comes exactly what is asked for."""

    __slots__ = ("_resample", "_waiting")

    def __init__(self, rate: int) -> None:
        self._resample = AudioResampler("s16", "mono", rate)
        self._waiting = b""

    def take(self, frames: list[AudioFrame], samples: int) -> bytes:
        """Resample ``frames``; return ``samples`` samples, the first ones silence while there are too few."""
        parts = [self._waiting]
        for frame in frames:
            frame.pts = None
            parts += [bytes(out.planes[0])[: out.samples * 2] for out in self._resample.resample(frame)]
        pcm = b"".join(parts)
        size = samples * 2
        if len(pcm) < size:
            pcm = bytes(size - len(pcm)) + pcm
        self._waiting = pcm[size:]
        return pcm[:size]
