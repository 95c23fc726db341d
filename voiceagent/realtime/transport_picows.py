"""The frame port over the ``picows`` client: callbacks instead of tasks, frames written as they are sent.

Half the CPU of the ``websockets`` client per message; used by default where it is installed (extra ``fast``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import cast

from picows import (
    WSCloseCode,
    WSError,
    WSFrame,
    WSHandshakeError,
    WSInvalidURL,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,  # pyright: ignore[reportUnknownVariableType]
)

from voiceagent.errors import ConfigError, ProviderError
from voiceagent.flags import Flag
from voiceagent.realtime.frames import AUDIO_LANE_BYTES, WRITE_LIMIT_BYTES, FrameListener, WriteLanes
from voiceagent.realtime.read_portions import ReadPortions

READ_BUFFER_BYTES = 3072
"""Of a new socket; it grows with a frame that it does not hold. Holds a usual delta (200 ms of G.711)."""


async def open_picows(
    url: str,
    headers: Mapping[str, str],
    *,
    timeout_s: float,
    max_bytes: int,
    audio_limit: int = AUDIO_LANE_BYTES,
) -> PicowsTransport:
    """Open a socket; a :class:`~voiceagent.errors.ProviderError` tells why not (``http_<status>``, …)."""
    attempt = _Attempt(max_bytes, audio_limit)
    opening = asyncio.create_task(
        _connected(attempt, url, headers, timeout_s, max_bytes), name="realtime/open"
    )
    opening.add_done_callback(_looked_at)
    opened = False
    try:
        # Not cancelled along: uvloop would leave the protocol of half a connection to its own time-out.
        transport = await asyncio.shield(opening)
        opened = True
    except WSInvalidURL as error:
        raise ConfigError("url", str(error)) from error
    except TimeoutError as error:
        raise ProviderError("the provider did not answer in time", code="connect_timeout") from error
    except WSHandshakeError as error:
        if error.response is not None and int(error.response.status) != 101:
            status = int(error.response.status)
            raise ProviderError(f"the provider answered HTTP {status}", code=f"http_{status}") from error
        raise ProviderError(f"no WebSocket there: {error}", code="handshake") from error
    except WSError as error:
        raise ProviderError(f"no WebSocket there: {error}", code="handshake") from error
    except OSError as error:
        raise ProviderError(f"the provider cannot be reached: {error}", code="unreachable") from error
    finally:
        if not opened:
            attempt.abandon()
    return transport


async def _connected(
    attempt: _Attempt, url: str, headers: Mapping[str, str], timeout_s: float, max_bytes: int
) -> PicowsTransport:
    given = dict(headers)
    async with asyncio.timeout(timeout_s):
        _, listener = await ws_connect(
            attempt.make,
            url,
            websocket_handshake_timeout=timeout_s,
            enable_auto_ping=True,
            auto_ping_idle_timeout=20,
            auto_ping_reply_timeout=20,
            # A little more than we accept, so that our own check is the one that speaks.
            max_frame_size=max_bytes + 1024,
            extra_headers=given,
            max_redirects=0,
            read_buffer_init_size=READ_BUFFER_BYTES,
            # Its TLS is the faster one; without TLS the loop's own transport takes 5 kB less.
            use_aiofastnet=url[:4].lower() == "wss:",
        )
    given.clear()  # picows keeps it with the socket: the key to the provider's account is in it
    assert isinstance(listener, PicowsTransport)
    return listener


def _looked_at(opening: asyncio.Future[PicowsTransport]) -> None:
    """Whoever has stopped waiting for it does not hear why it failed: nor shall the loop's log."""
    if not opening.cancelled():
        opening.exception()


class _Attempt:
    """One opening. It goes on when nobody waits any more: what it opens then must be closed."""

    def __init__(self, max_bytes: int, audio_limit: int) -> None:
        self._limits = max_bytes, audio_limit
        self._made: PicowsTransport | None = None
        self._abandoned = False

    def make(self) -> PicowsTransport:
        """Return the transport of a finished handshake."""
        self._made = PicowsTransport(*self._limits)
        if self._abandoned:
            self._made.close()
        return self._made

    def abandon(self) -> None:
        """Close what is open, and what will be."""
        self._abandoned = True
        if self._made is not None:
            self._made.close()


_TEXT, _BINARY, _CONTINUATION = WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION


class PicowsTransport(WSListener):
    """See :class:`~voiceagent.realtime.frames.FrameTransport`."""

    def __init__(self, max_bytes: int, audio_limit: int = AUDIO_LANE_BYTES) -> None:
        super().__init__()
        self._max_bytes = max_bytes
        self._lanes = WriteLanes(audio_limit)
        self._listener: FrameListener | None = None
        self._early: list[bytes] = []
        self._parts: list[bytes] = []
        self._transport: WSTransport | None = None
        self._paused = False
        self._closing = False
        self._told = False
        self._code: int | None = None
        self._reason = ""
        self._gone = Flag()

    # ── picows calls ────────────────────────────────────────────────────────────────────────────
    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is done."""
        self._transport = transport
        if self._closing:  # before it was open
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
            return
        # Nobody asks for them again: 2 kB and more, with the key among them.
        transport.request.headers.clear()
        transport.response.headers.clear()
        underlying = transport.underlying_transport
        underlying.set_write_buffer_limits(high=WRITE_LIMIT_BYTES)
        underlying.set_protocol(ReadPortions(cast("asyncio.BufferedProtocol", underlying.get_protocol())))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """A frame is here; several make a message when the first ones are not final."""
        kind = frame.msg_type
        if kind is _TEXT or kind is _CONTINUATION or kind is _BINARY:
            data = frame.get_payload_as_bytes()
            if self._parts or not frame.fin:
                self._parts.append(data)
                if not frame.fin and sum(map(len, self._parts)) <= self._max_bytes:
                    return
                data = b"".join(self._parts)  # whole, or refused by its size
                self._parts.clear()
            if self._listener is None:
                self._early.append(data)
            else:
                self._listener.frame_received(data)
        elif kind is WSMsgType.CLOSE:
            try:
                self._code = int(frame.get_close_code().value)
            except (ValueError, AttributeError):
                self._code = 1005
            self._reason = frame.get_close_reason() or ""
            self._closing = True
            if not transport.is_close_frame_sent:
                transport.send_close(WSCloseCode.OK)
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The socket is gone."""
        self._closing = True
        self._lanes.clear()
        self._transport = None
        self._gone.set()
        self._tell()

    def pause_writing(self) -> None:
        """The socket cannot keep up: frames wait in the lanes from now on."""
        self._paused = True

    def resume_writing(self) -> None:
        """The socket has caught up."""
        self._paused = False
        transport = self._transport
        while not self._paused and not self._closing and transport is not None:
            data = self._lanes.take()
            if data is None:
                return
            transport.send(_TEXT, data)

    # ── the port ────────────────────────────────────────────────────────────────────────────────
    def listen(self, listener: FrameListener) -> None:
        """Name the one listener; what came before is delivered first."""
        self._listener = listener
        early, self._early = self._early, []
        for data in early:
            listener.frame_received(data)
        if self._gone.is_set():
            self._tell()

    def send(self, data: bytes) -> None:
        """Send a control frame."""
        if self._closing or self._transport is None:
            return
        if self._paused:
            self._lanes.put(data)
        else:
            self._transport.send(_TEXT, data)

    def send_audio(self, data: bytes, *, keep: bool = False) -> None:
        """Send a frame of the audio lane."""
        if self._closing or self._transport is None:
            return
        if self._paused:
            self._lanes.put_audio(data, keep)
        else:
            self._transport.send(_TEXT, data)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close: our close frame goes out behind what is already written, then the socket ends."""
        if self._closing:
            return
        self._closing = True
        self._code, self._reason = code, reason
        transport = self._transport
        if transport is not None:
            try:
                known = WSCloseCode(code)
            except ValueError:
                known = WSCloseCode.OK
            transport.send_close(known, reason[:100].encode())
            transport.disconnect()

    async def wait_closed(self) -> None:
        """Wait until the socket is gone."""
        if self._listener is None:
            self.close()
        await self._gone.wait()

    @property
    def buffered(self) -> int:
        """Bytes that wait to be written."""
        transport = self._transport
        if transport is None or self._gone.is_set():
            return 0
        return self._lanes.size + transport.underlying_transport.get_write_buffer_size()

    @property
    def dropped(self) -> int:
        """Audio frames lost because the socket could not keep up."""
        return self._lanes.dropped

    def _tell(self) -> None:
        if not self._told and self._listener is not None:
            self._told = True
            listener, self._listener = self._listener, None
            listener.transport_closed(self._code if self._code is not None else 1006, self._reason)
