"""baresip as a caller: its configuration, and its control port with commands and events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.interop import kit
from voiceagent.media.wav import WavWriter, read_wav

CONFIG = """sip_listen 127.0.0.1:{sip}
net_interface 127.0.0.1
audio_source aufile,{wav}
audio_player aubridge,x
audio_srate 8000-8000
audio_channels 1-1
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
snd_path {folder}
module_tmp uuid.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
statmode_default off
"""
ACCOUNT = "<sip:caller@127.0.0.1:{sip}>;regint=0;audio_codecs=PCMU/8000/1;answermode=auto\n"


class Baresip:
    """A running baresip. Commands and events are JSON in netstrings."""

    def __init__(self, folder: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.folder = folder
        self.events: list[dict[str, Any]] = []
        self._reader = reader
        self._writer = writer

    async def command(self, command: str, params: str = "") -> None:
        """Give a command and wait for its answer. Raises AssertionError when it was refused."""
        order = json.dumps({"command": command, "params": params, "token": command}).encode()
        self._writer.write(b"%d:%s," % (len(order), order))
        answer = await self._until(lambda message: message.get("token") == command)
        assert answer.get("ok"), answer

    async def event(self, kind: str, within_s: float = 30.0) -> dict[str, Any]:
        """Wait for an event, also one that came before: CALL_ESTABLISHED, CALL_CLOSED …"""
        for seen in self.events:
            if seen.get("type") == kind:
                return seen
        return await self._until(lambda message: message.get("type") == kind, within_s)

    async def _until(self, wanted: Any, within_s: float = 30.0) -> dict[str, Any]:
        async with asyncio.timeout(within_s):
            while True:
                size = int((await self._reader.readuntil(b":"))[:-1])
                message: dict[str, Any] = json.loads(await self._reader.readexactly(size))
                await self._reader.readexactly(1)
                if message.get("event"):
                    self.events.append(message)
                if wanted(message):
                    return message

    def recording(self) -> bytes:
        """What the phone heard, as 8 kHz PCM."""
        (path,) = self.folder.glob("dump-*-dec.wav")
        return read_wav(path).channel(0)


@asynccontextmanager
async def baresip(folder: Path, speech: bytes) -> AsyncIterator[Baresip]:
    """A phone that says ``speech`` (8 kHz PCM) in its call. After the block the recording is complete."""
    folder.mkdir()  # noqa: ASYNC240 - a local folder, once
    with WavWriter(folder / "in.wav", rate=kit.RATE, channels=1) as wav:
        wav.write(speech)
    ports = {"sip": kit.free_port(), "control": kit.free_port()}
    (folder / "config").write_text(CONFIG.format(wav=folder / "in.wav", folder=folder, **ports))
    (folder / "accounts").write_text(ACCOUNT.format(**ports))
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *("baresip", "-4", "-f", str(folder), "-t", "60"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=asyncio.subprocess.STDOUT,
        )
    try:
        reader, writer = await _connect(ports["control"])
        try:
            yield Baresip(folder, reader, writer)
        finally:
            writer.close()
    finally:
        if process.returncode is None:
            process.terminate()
        await kit.ended(process)


async def _connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(20):
        while True:
            try:
                return await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
