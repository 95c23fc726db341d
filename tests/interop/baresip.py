"""baresip as a caller: its configuration, and its control port with commands and events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.interop import kit
from tests.kit.ports import free_port
from tests.kit.service import until
from voiceagent.call.call import Call
from voiceagent.media.wav import WavWriter, read_wav

CONFIG = """sip_listen 127.0.0.1:{sip}
net_interface 127.0.0.1
audio_source aufile,{wav}
audio_player aubridge,x
audio_srate {rate}-{rate}
audio_channels {channels}-{channels}
module_path /usr/lib/baresip/modules
{modules}
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
{extra}
"""
ACCOUNT = (
    "<sip:caller@127.0.0.1:{sip}{transport}>;regint=0;audio_codecs={codec}{media}{account};answermode=auto\n"
)


@dataclass(frozen=True, slots=True)
class Codec:
    """A codec as baresip names it, the module that brings it, and the sound it wants to be fed with."""

    name: str
    module: str
    rate: int = 8000
    channels: int = 1


PCMU = Codec("PCMU/8000/1", "g711")
PCMA = Codec("PCMA/8000/1", "g711")
G722 = Codec("G722/16000/1", "g722", 16_000)
OPUS = Codec("opus/48000/2", "opus", 48_000, 2)


@dataclass(frozen=True, slots=True)
class Ways:
    """How a phone is set up: its codec, its transport (udp, tcp, tls) and its media encryption."""

    codec: Codec = PCMU
    transport: str = "udp"
    media_encryption: str = ""
    """Empty, ``srtp`` (offered on RTP/AVP), ``srtp-mand`` (RTP/SAVP) or ``dtls_srtp``."""
    account: str = ""
    """Further parameters of the account, each with its leading semicolon."""
    extra: str = ""
    """Further lines of the configuration."""

    def modules(self) -> str:
        """The modules that these ways need."""
        names = [self.codec.module]
        if self.media_encryption.startswith("srtp"):
            names.append("srtp")
        elif self.media_encryption == "dtls_srtp":
            names += ["dtls_srtp", "srtp"]
        return "\n".join(f"module {name}.so" for name in names)


class Baresip:
    """A running baresip. Commands and events are JSON in netstrings."""

    def __init__(
        self, folder: Path, ways: Ways, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.folder = folder
        self._ways = ways
        self.events: list[dict[str, Any]] = []
        self._reader = reader
        self._writer = writer

    async def command(self, command: str, params: str = "") -> None:
        """Give a command and wait for its answer. Raises AssertionError when it was refused."""
        order = json.dumps({"command": command, "params": params, "token": command}).encode()
        self._writer.write(b"%d:%s," % (len(order), order))
        answer = await self._until(lambda message: message.get("token") == command)
        assert answer.get("ok"), answer

    async def say(self, speech: bytes) -> None:
        """Say ``speech`` (8 kHz PCM) from now on, in place of what the phone was given."""
        codec = self._ways.codec
        path = self.folder / "now.wav"
        with WavWriter(path, rate=codec.rate, channels=codec.channels) as wav:
            wav.write(kit.from_8k(speech, codec.rate, codec.channels))
        await self.command("ausrc", f"aufile,{path}")

    async def event(self, kind: str, within_s: float = 60.0) -> dict[str, Any]:
        """Wait for an event, also one that came before: CALL_ESTABLISHED, CALL_CLOSED …"""
        for seen in self.events:
            if seen.get("type") == kind:
                return seen
        return await self._until(lambda message: message.get("type") == kind, within_s)

    async def _until(self, wanted: Any, within_s: float = 60.0) -> dict[str, Any]:
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
        wav = read_wav(path)
        return kit.to_8k(wav.channel(0), wav.rate)


async def press(phone: Baresip, call: Call, digits: str) -> None:
    """Press keys one by one, each when the service has heard the one before."""
    for digit in digits:
        count = call.digits_pressed
        await phone.command("sndcode", digit)
        await until(lambda count=count: call.digits_pressed > count)


@asynccontextmanager
async def baresip(folder: Path, speech: bytes, ways: Ways | None = None) -> AsyncIterator[Baresip]:
    """A phone that says ``speech`` (8 kHz PCM) in its call. After the block the recording is complete."""
    ways = ways or Ways()
    codec = ways.codec
    folder.mkdir()  # noqa: ASYNC240 - a local folder, once
    with WavWriter(folder / "in.wav", rate=codec.rate, channels=codec.channels) as wav:
        wav.write(kit.from_8k(speech, codec.rate, codec.channels))
    ports = {"sip": free_port(), "control": free_port()}
    (folder / "config").write_text(
        CONFIG.format(
            wav=folder / "in.wav",
            folder=folder,
            rate=codec.rate,
            channels=codec.channels,
            modules=ways.modules(),
            extra=ways.extra,
            **ports,
        )
    )
    (folder / "accounts").write_text(
        ACCOUNT.format(
            codec=codec.name,
            transport="" if ways.transport == "udp" else f";transport={ways.transport}",
            media=f";mediaenc={ways.media_encryption}" if ways.media_encryption else "",
            account=ways.account,
            **ports,
        )
    )
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *("baresip", "-4", "-f", str(folder), "-t", "110"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=asyncio.subprocess.STDOUT,
        )
    try:
        reader, writer = await kit.reached(ports["control"])
        try:
            yield Baresip(folder, ways, reader, writer)
        finally:
            writer.close()
    finally:
        if process.returncode is None:
            process.terminate()
        await kit.ended(process)
