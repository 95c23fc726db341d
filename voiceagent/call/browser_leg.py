"""The browser leg: a page of the console as one party of a call, over WebRTC.

Audio is on the same wheel as a phone's (:mod:`voiceagent.media.webrtc_port`). Keys, captions and the end
travel over the data channel as JSON objects with a ``type``:

- from the page: ``digit`` (``digit``: one key), ``hangup``;
- to the page: ``ended`` (``reason``), and whatever :meth:`BrowserLeg.tell` is given.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, cast

from voiceagent.call.direct_audio import DirectMedia
from voiceagent.call.leg import (
    G711,
    Heard,
    Leg,
    LegCapabilities,
    LegEnd,
    LegInfo,
    LegListener,
    LegTap,
    MediaFigures,
    Progress,
    TransferResult,
)
from voiceagent.errors import MediaError
from voiceagent.flags import Flag
from voiceagent.media.path import MediaPath
from voiceagent.media.rtp import RtpPacket
from voiceagent.media.telephone_event import DIGITS
from voiceagent.media.webrtc import Peer, PeerEvents
from voiceagent.media.webrtc_port import WebrtcPort
from voiceagent.media.webrtc_sdp import BrowserOffer

CONNECT_LIMIT_S = 15.0
"""From our answer to agreed keys; on one machine it takes 50 to 100 ms."""
PARTING_S = 0.5
"""How long a page that is told the end may take to leave by itself."""
MESSAGE_CHARS = 1024
KEYS_AT_ONCE, KEYS_PER_S = 20, 20
"""Nobody's fingers press more; each is an event of the call and a line of its journal."""
UNTOLD = 200
"""Messages kept for a data channel that is not open yet."""
KEY_S = 0.25


class BrowserLeg:
    """One offer of a browser. Fulfils :class:`voiceagent.call.leg.Leg`.

    First :meth:`negotiate`; then the leg can be given to a call.
    """

    def __init__(
        self,
        info: LegInfo,
        offer: BrowserOffer,
        media: DirectMedia,
        make_peer: Callable[[PeerEvents], Peer],
    ) -> None:
        self.info = info
        self.capabilities = LegCapabilities(can_transfer=False, can_consult=False, can_record=True)
        self.audio_format: G711 = "audio/pcma" if offer.codec == "PCMA" else "audio/pcmu"
        self._offer = offer
        self._music = media.music
        self._port = WebrtcPort(media.wheel, self, self._send, silence_limit_s=media.silence_limit_s)
        self._peer = make_peer(self)
        self._listener: LegListener | None = None
        self._tap: LegTap | None = None
        self._connected = Flag()
        self._left = Flag()
        """The page has gone by itself, or can no longer be reached."""
        self._end: tuple[LegEnd, int | None, str] | None = None
        self._open = False
        self._untold: deque[str] = deque(maxlen=UNTOLD)
        self._holds = self._entertains = False
        self._live: Callable[[], bytes] | None = None
        self._keys = 0.0
        self._keys_at = 0.0

    async def negotiate(self) -> str:
        """Return our SDP. Raises as :meth:`voiceagent.media.webrtc_peer.WebrtcPeer.answer`; closes then."""
        try:
            return await self._peer.answer(self._offer)
        except BaseException:
            self._port.close()
            await self._peer.close()
            raise

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send the page a message with a ``type``, as soon as it listens. A page too slow gets fewer."""
        text = json.dumps(message, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
        if self._open:
            self._peer.tell(text)
        elif self._end is None:
            self._untold.append(text)

    # ── Leg ─────────────────────────────────────────────────────────────────────────────────────
    def listen(self, listener: LegListener) -> None:
        self._listener = listener
        if self._end is not None:
            listener.leg_ended(*self._end)

    async def prepare(self) -> None:
        """Nothing is left to do: what there was to agree on is agreed on."""

    async def answer(self) -> None:
        """Wait until the browser is connected, and let the audio flow."""
        if self._end is not None:
            return
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                await self._connected.wait()
        except TimeoutError:
            self._over(LegEnd.UNREACHABLE, None, "the browser did not connect: is our UDP port open to it?")
        if self._end is None:
            codec, number = self._offer.codec, self._offer.payload_type
            self._port.start(MediaPath(None, codec=codec, payload_type=number, event_payload_type=None))

    async def reject(self, status: int, reason: str, *, retry_after_s: int | None = None) -> None:
        if self._end is None:
            self._over(LegEnd.REJECTED, status, reason)
        await self._part(reason)

    async def hang_up(self, reason: str = "") -> None:
        if self._end is None:
            self._over(LegEnd.WE_HUNG_UP, None, reason)
        await self._part(reason)

    async def transfer(
        self, target: str, *, timeout_s: float, progress: Progress | None = None
    ) -> TransferResult:
        """A browser calls nobody else."""
        return TransferResult(False, 501, "a browser cannot be transferred")

    async def transfer_to(
        self, other: Leg, *, timeout_s: float, progress: Progress | None = None
    ) -> TransferResult:
        """A browser joins no other call."""
        return TransferResult(False, 501, "a browser cannot be transferred")

    async def hold(self, on: bool) -> bool:
        """Play music, or end it. The page is told nothing else: nothing is negotiated for it."""
        self._holds = on
        self._fill_silence()
        return self._end is None

    async def send_digits(self, digits: str) -> None:
        """Play keys as tones. ValueError for what is no key."""
        for digit in digits.upper():
            if digit not in DIGITS:
                raise ValueError(f"{digit!r} is no DTMF digit")
        self._port.send_digits(digits.upper())
        await asyncio.sleep(KEY_S * len(digits))

    def play(self, audio: bytes, *, response_id: str, item_id: str) -> None:
        self._port.play(audio, response_id, item_id)

    def play_end(self, *, response_id: str) -> None:
        self._port.play_end(response_id)

    def stop_playing(self) -> Sequence[Heard]:
        return [
            Heard(one.response_id, one.item_id, one.heard_ms, one.cut) for one in self._port.stop_playing()
        ]

    def play_music(self, on: bool) -> None:
        self._entertains = on
        self._fill_silence()

    def speak_live(self, voice: Callable[[], bytes] | None) -> None:
        self._live = voice
        self._fill_silence()

    def tap(self, tap: LegTap | None) -> None:
        self._tap = tap
        self._port.tap(None if tap is None else tap.agent_audio)

    def figures(self) -> MediaFigures:
        port = self._port.figures()
        srtp = "DTLS-SRTP" if self._connected.is_set() else ""
        return MediaFigures(port.received, port.sent, port.lost, port.late, 0, port.details, srtp)

    # ── the connection tells (PeerEvents) ───────────────────────────────────────────────────────
    def on_connected(self) -> None:
        self._connected.set()

    def on_packet(self, packet: RtpPacket) -> None:
        self._port.packet(packet)

    def on_channel(self) -> None:
        self._open = True
        while self._untold:
            self._peer.tell(self._untold.popleft())

    def on_message(self, text: str) -> None:
        message = read_message(text)
        if message == "hangup":
            self._over(LegEnd.CALLER_HUNG_UP, None, "hung up")
        elif message is not None and self._end is None and self._listener is not None and self._in_time():
            self._listener.leg_digit(message)

    def _in_time(self) -> bool:
        """Count a key; False for one of a flood (a leaky bucket)."""
        now = asyncio.get_running_loop().time()
        self._keys = max(0.0, self._keys - (now - self._keys_at) * KEYS_PER_S)
        self._keys_at = now
        if self._keys >= KEYS_AT_ONCE:
            return False
        self._keys += 1
        return True

    def on_gone(self, lost: bool, reason: str) -> None:
        self._left.set()
        end = LegEnd.LOST if lost and self._connected.is_set() else LegEnd.CALLER_HUNG_UP
        self._over(LegEnd.UNREACHABLE if lost and end is not LegEnd.LOST else end, None, reason)

    # ── the audio tells (PortEvents) ────────────────────────────────────────────────────────────
    def on_audio(self, audio: bytes) -> None:
        if self._tap is not None:
            self._tap.caller_audio(audio)
        if self._listener is not None:
            self._listener.leg_audio(audio)

    def on_digit(self, digit: str) -> None:
        """Keys come over the data channel only."""

    def on_playback_started(self, response_id: str, item_id: str) -> None:
        if self._listener is not None:
            self._listener.leg_playback_started(response_id, item_id)

    def on_playback_ended(self, response_id: str, item_id: str, heard_ms: int, cut: bool) -> None:
        if self._listener is not None:
            self._listener.leg_playback_ended(Heard(response_id, item_id, heard_ms, cut))

    def on_media_lost(self, silence_s: float) -> None:
        """A browser sends always: one that is silent for so long has crashed, or its network is gone."""
        self._over(LegEnd.LOST, None, f"nothing came from the browser for {silence_s:.0f} s")

    def on_media_failed(self, error: MediaError) -> None:
        self._over(LegEnd.NO_MEDIA, None, str(error))

    # ── inner workings ──────────────────────────────────────────────────────────────────────────
    def _send(self, payload: bytes, timestamp: int) -> None:
        self._peer.send(payload, timestamp)

    def _fill_silence(self) -> None:
        """The music of a hold goes before a live voice, other music after it."""
        law = "alaw" if self.audio_format == "audio/pcma" else "ulaw"
        music = self._holds or (self._entertains and self._live is None)
        self._port.play_music(self._music.loop(law) if music else self._live)

    def _over(self, end: LegEnd, status: int | None, reason: str) -> None:
        if self._end is not None:
            return
        self._end = (end, status, reason)
        self._port.close()
        self._connected.set()  # nobody needs to wait for it any more
        if self._listener is not None:
            self._listener.leg_ended(*self._end)

    async def _part(self, reason: str) -> None:
        """Tell the page, let it leave by itself, and close."""
        if not self._left.is_set() and self._open:
            self.tell({"type": "ended", "reason": reason})
            self._open = False
            try:
                async with asyncio.timeout(PARTING_S):
                    await self._left.wait()
            except TimeoutError:
                pass
        await self._peer.close()


def read_message(text: str) -> Literal["hangup"] | str | None:
    """Return the key that a message of the page names, ``hangup``, or None for anything else."""
    if len(text) > MESSAGE_CHARS:
        return None
    try:
        message: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict):
        return None
    found = cast("dict[str, object]", message)
    if found.get("type") == "hangup":
        return "hangup"
    digit = found.get("digit")
    if found.get("type") == "digit" and isinstance(digit, str) and len(digit) == 1:
        return digit.upper() if digit.upper() in DIGITS else None
    return None
