"""The frame port over the ``websockets`` client: always available; a reading and a writing task per link."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.version import version as websockets_version

from voiceagent.errors import ConfigError, ProviderError
from voiceagent.flags import Flag
from voiceagent.realtime.frames import AUDIO_LANE_BYTES, WRITE_LIMIT_BYTES, FrameListener, WriteLanes
from voiceagent.tasks import TaskNest


async def open_websockets(
    url: str,
    headers: Mapping[str, str],
    *,
    timeout_s: float,
    max_bytes: int,
    audio_limit: int = AUDIO_LANE_BYTES,
) -> WebSocketsTransport:
    """Open a socket; a :class:`~voiceagent.errors.ProviderError` tells why not (``http_<status>``, …)."""
    options: dict[str, Any] = {}
    if _is_loopback(url) and int(websockets_version.split(".")[0]) >= 15:
        options["proxy"] = None
    try:
        connection = await connect(
            url,
            additional_headers=dict(headers),
            compression=None,
            open_timeout=timeout_s,
            close_timeout=2.0,
            max_size=max_bytes,
            write_limit=WRITE_LIMIT_BYTES,
            **options,
        )
    except InvalidStatus as error:
        status = error.response.status_code
        raise ProviderError(f"the provider answered HTTP {status}", code=f"http_{status}") from error
    except InvalidURI as error:
        raise ConfigError("url", str(error)) from error
    except TimeoutError as error:
        raise ProviderError("the provider did not answer in time", code="connect_timeout") from error
    except InvalidHandshake as error:
        raise ProviderError(f"no WebSocket there: {error}", code="handshake") from error
    except OSError as error:
        raise ProviderError(f"the provider cannot be reached: {error}", code="unreachable") from error
    return WebSocketsTransport(connection, audio_limit)


class WebSocketsTransport:
    """See :class:`~voiceagent.realtime.frames.FrameTransport`."""

    def __init__(self, connection: ClientConnection, audio_limit: int = AUDIO_LANE_BYTES) -> None:
        self._connection = connection
        self._lanes = WriteLanes(audio_limit)
        self._something = Flag()
        self._listener: FrameListener | None = None
        self._closing = False
        self._told = False
        self._tasks = TaskNest("realtime-link")
        self._gone = Flag()

    def listen(self, listener: FrameListener) -> None:
        """Name the one listener and start reading."""
        self._listener = listener
        self._tasks.start("read", self._read())
        self._tasks.start("write", self._write())

    def send(self, data: bytes) -> None:
        """Send a control frame."""
        if not self._closing:
            self._lanes.put(data)
            self._something.set()

    def send_audio(self, data: bytes, *, keep: bool = False) -> None:
        """Send a frame of the audio lane."""
        if not self._closing:
            self._lanes.put_audio(data, keep)
            self._something.set()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Start closing."""
        if not self._closing:
            self._closing = True
            self._lanes.clear()
            self._tasks.start("close", self._connection.close(code, reason[:100]))

    async def wait_closed(self) -> None:
        """Wait until the socket and its tasks are gone."""
        if self._listener is not None:
            await self._gone.wait()
        else:
            await self._connection.close()
        await self._connection.wait_closed()
        await self._tasks.close()

    @property
    def buffered(self) -> int:
        """Bytes that wait to be written."""
        return self._lanes.size + self._connection.transport.get_write_buffer_size()

    @property
    def dropped(self) -> int:
        """Audio frames lost because the socket could not keep up."""
        return self._lanes.dropped

    async def _read(self) -> None:
        listener = self._listener
        assert listener is not None
        try:
            while True:
                listener.frame_received(await self._connection.recv())
        except ConnectionClosed as error:
            close = error.rcvd or error.sent
            self._tell(close.code if close else 1006, close.reason if close else "")
        except asyncio.CancelledError:
            self._tell(1006, "")
            raise

    def _tell(self, code: int, reason: str) -> None:
        self._closing = True
        self._lanes.clear()
        self._something.set()
        if not self._told and self._listener is not None:
            self._told = True
            self._gone.set()
            self._listener.transport_closed(code, reason)

    async def _write(self) -> None:
        lanes, connection = self._lanes, self._connection
        try:
            while not self._closing:
                data = lanes.take()
                if data is None:
                    self._something.clear()
                    await self._something.wait()
                else:
                    await connection.send(data.decode())
        except ConnectionClosed:
            self._closing = True  # the reader tells why


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
