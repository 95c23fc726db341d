"""pipecat under our load: its pipeline and realtime service, as its telephony examples put them together.

The transport is ours, for it has none for RTP: its base classes with a socket, paced as its WebSocket
transport is. No voice activity detection of its own: the provider tells who speaks. Its realtime service
takes 24 kHz PCM only, so it resamples both ways with its own resampler.
"""

# pyright: reportUnknownMemberType=false
# The base classes are another environment's.
from __future__ import annotations

import asyncio
import time
from importlib import import_module
from importlib.metadata import version
from typing import Any

from voiceagent.bench.peers.line import FRAME, RtpLine
from voiceagent.bench.peers.work import main

RATE = 8000


def _quiet() -> None:
    """pipecat logs every step at debug level by default; that is nothing it should pay for here."""
    logger = import_module("loguru").logger
    logger.remove()


_quiet()
_frames: Any = import_module("pipecat.frames.frames")
_utils: Any = import_module("pipecat.audio.utils")
_base: Any = import_module("pipecat.transports.base_transport")
_input: Any = import_module("pipecat.transports.base_input")
_output: Any = import_module("pipecat.transports.base_output")
_service: Any = import_module("pipecat.services.openai.realtime.llm")
_events: Any = import_module("pipecat.services.openai.realtime.events")
_context: Any = import_module("pipecat.processors.aggregators.llm_context")
_aggregators: Any = import_module("pipecat.processors.aggregators.llm_response_universal")
_pipeline: Any = import_module("pipecat.pipeline.pipeline")
_worker: Any = import_module("pipecat.pipeline.worker")
_runner: Any = import_module("pipecat.workers.runner")


class RtpInput(_input.BaseInputTransport):
    """The caller's packets, as 16-bit PCM of 8 kHz."""

    def __init__(self, line: RtpLine, params: Any) -> None:
        super().__init__(params)
        self._line = line
        self._packets: asyncio.Queue[bytes] = asyncio.Queue()
        self._reading: Any = None
        self._resampler = _utils.create_stream_resampler()

    async def start(self, frame: Any) -> None:
        await super().start(frame)
        self._line.heard = self._packets.put_nowait
        self._reading = self.create_task(self._read())
        await self.set_transport_ready(frame)

    async def _read(self) -> None:
        while True:
            payload = await self._packets.get()
            audio = await _utils.ulaw_to_pcm(payload, RATE, RATE, self._resampler)
            await self.push_audio_frame(
                _frames.InputAudioRawFrame(audio=audio, sample_rate=RATE, num_channels=1)
            )


class RtpOutput(_output.BaseOutputTransport):
    """The agent's audio: one packet for each 20 ms, on a clock of its own."""

    def __init__(self, line: RtpLine, params: Any) -> None:
        super().__init__(params)
        self._line = line
        self._next = 0.0
        self._resampler = _utils.create_stream_resampler()

    async def start(self, frame: Any) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def process_frame(self, frame: Any, direction: Any) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, _frames.InterruptionFrame):
            self._next = 0.0

    async def write_audio_frame(self, frame: Any) -> bool:
        audio = await _utils.pcm_to_ulaw(frame.audio, frame.sample_rate, RATE, self._resampler)
        for at in range(0, len(audio) - FRAME + 1, FRAME):
            now = time.monotonic()
            if self._next > now:
                await asyncio.sleep(self._next - now)
                self._next += 0.02
            else:
                self._next = now + 0.02
            self._line.send(audio[at : at + FRAME])
        return True


class RtpTransport(_base.BaseTransport):
    """Both of them."""

    def __init__(self, line: RtpLine) -> None:
        super().__init__()
        params = _base.TransportParams(audio_in_enabled=True, audio_out_enabled=True, audio_out_10ms_chunks=2)
        self._input, self._output = RtpInput(line, params), RtpOutput(line, params)

    def input(self) -> Any:
        return self._input

    def output(self) -> Any:
        return self._output


class PipecatCall:
    """One pipeline."""

    def __init__(self, port: int, running: Any) -> None:
        self.port = port
        self._running = running


async def compose(url: str, number: int, phone: int) -> PipecatCall:
    """Open one call and wait until its pipeline runs."""
    line = RtpLine(phone)
    port = await line.open()
    transport = RtpTransport(line)
    pcm = _events.PCMAudioFormat()
    service = _service.OpenAIRealtimeLLMService(
        api_key="bench",
        base_url=url.partition("?")[0],
        settings=_service.OpenAIRealtimeLLMService.Settings(
            model=f"call-{number}",
            session_properties=_events.SessionProperties(
                audio=_events.AudioConfiguration(
                    input=_events.AudioInput(format=pcm, turn_detection=_events.TurnDetection()),
                    output=_events.AudioOutput(format=pcm),
                )
            ),
        ),
    )
    pair = _aggregators.LLMContextAggregatorPair(_context.LLMContext())
    pipeline = _pipeline.Pipeline(
        [transport.input(), pair.user(), service, transport.output(), pair.assistant()]
    )
    worker = _worker.PipelineWorker(
        pipeline,
        params=_worker.PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE),
        cancel_on_idle_timeout=False,
        idle_timeout_secs=None,
        enable_rtvi=False,
    )
    started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def on_pipeline_started(*_: Any) -> None:
        started.set()

    runner = _runner.WorkerRunner(handle_sigint=False, handle_sigterm=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    async with asyncio.timeout(30):
        await started.wait()
    return PipecatCall(port, (runner, running))


if __name__ == "__main__":
    main(f"pipecat {version('pipecat-ai')}", compose)
