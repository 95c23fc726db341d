"""One call's RTP socket: the caller's audio and digits in, the agent's audio out.

    port = MediaPort(wheel, events)                 # events: what the owner wants to hear
    port.open("127.0.0.1", ports)                   # binds; port.address goes into our SDP
    port.connect(MediaPath(("192.0.2.7", 4000)))    # what the SDPs agreed on; packets flow from here
    port.play(audio, response_id, item_id); port.play_end(response_id); port.stop_playing()
    port.close()

While the direction lets us send, a packet leaves in every slot: agent audio, a digit, or silence. Audio
that comes after silence does not wait for its slot: the grid is moved so that the first packet leaves at
the next tick (with the marker bit), and moved back by as much in the silence that follows, so timestamps
never overlap and stay true in the long run. Everything here is called on the event loop's thread, and all
callbacks are plain and synchronous.
"""

from __future__ import annotations

import secrets
import socket
import struct

from voiceagent.errors import MediaError
from voiceagent.media import g711, rtp
from voiceagent.media.figures import PortFigures
from voiceagent.media.jitter import JitterBuffer
from voiceagent.media.path import Direction, MediaPath, PortEvents
from voiceagent.media.playout import FRAME, Heard, Playout, Started
from voiceagent.media.ports import PortRange
from voiceagent.media.source_lock import Address, SourceLock
from voiceagent.media.telephone_event import DigitReceiver, DigitSender
from voiceagent.media.tones import DtmfDetector, dtmf_g711
from voiceagent.media.udp import dissolve, free_port, udp_socket
from voiceagent.media.wheel import MediaWheel

__all__ = ["Direction", "MediaPath", "MediaPort", "PortEvents"]

_BIND_TRIES = 8
_PLAIN = rtp.HEADER + FRAME
_SEQ_TS_SSRC = struct.Struct("!HII")
_READS = 16
"""Packets read from one socket in one tick at most, so that a flood cannot hold the wheel up."""
_CHECK_FRAMES = 25
"""The slower checks (lost media, dead lock) come every 0.5 s."""


class MediaPort:
    """See the module. ``media_timeout_s`` is the silence after which ``on_media_lost`` is called."""

    def __init__(self, wheel: MediaWheel, events: PortEvents, *, media_timeout_s: float = 20.0) -> None:
        self.due = 0
        self.turning = False
        self._wheel = wheel
        self._events = events
        self._on_audio = events.on_audio
        self._media_timeout_s = media_timeout_s
        self._socket: socket.socket | None = None
        self._fd = -1
        self._ports: PortRange | None = None
        self._local: Address | None = None
        self._path = MediaPath(None)
        self._plain_start = b"\x80\x00"
        self._sends = False
        self._receives = True
        self._lock = SourceLock(None, frozenset())
        self._connected = False
        self._writer = rtp.RtpWriter(
            0, ssrc=secrets.randbits(32), sequence=secrets.randbits(16), timestamp=secrets.randbits(32)
        )
        self._playout = Playout()
        self._silence = bytes((g711.ULAW_SILENCE,)) * FRAME
        self._talking = False
        self._lead = 0
        """Ticks by which this talk spurt was sent ahead of the grid."""
        self._fresh = True
        self._digits = DigitSender()
        self._tones: list[bytes] = []
        self._detector: DtmfDetector | None = None
        self._dialling = False
        """Digits wait or are being sent, by either way."""
        self._jitter = JitterBuffer()
        self._digit_receiver = DigitReceiver()
        self._last_heard = 0.0
        """When any packet of the caller came; ``_last_audio`` counts only audio."""
        self._last_audio = 0.0
        self._lost_told = False
        self._frames = 0
        self._received = 0
        self._sent = 0
        self._refused = 0
        self._skipped = 0
        self._malformed = 0

    # --- set-up and end ---

    def open(self, host: str = "127.0.0.1", ports: PortRange | None = None) -> Address:
        """Bind a UDP socket on ``host`` and return its address, to be named in our SDP.

        The port comes from ``ports``; without a range the system picks one. Raises :class:`MediaError` with
        code ``no_port`` when none can be had.
        """
        if self._socket is not None:
            raise MediaError("the port is open already", code="port_open")
        sock = self._bind(host, ports)
        self._socket = sock
        self._fd = sock.fileno()
        self._ports = ports
        name = sock.getsockname()
        local: Address = (str(name[0]), int(name[1]))
        self._local = local
        return local

    def _bind(self, host: str, ports: PortRange | None) -> socket.socket:
        now = self._wheel.clock()
        for _ in range(_BIND_TRIES):
            number = free_port(host) if ports is None else ports.take(now)
            try:
                return udp_socket(host, number)
            except OSError:
                # Someone else on this machine has it: let it rest, like a port of ours.
                if ports is not None:
                    ports.give_back(number, now)
        where = "" if ports is None else f" of {ports.low}-{ports.high}"
        raise MediaError(f"no RTP port{where} can be bound on {host}", code="no_port")

    @property
    def address(self) -> Address:
        """Host and port that we are bound to. Raises :class:`MediaError` before :meth:`open`."""
        if self._local is None:
            raise MediaError("the port is not open", code="port_closed")
        return self._local

    @property
    def path(self) -> MediaPath:
        """What is agreed on now."""
        return self._path

    @property
    def remote(self) -> Address | None:
        """Where our packets go now: the locked source, before that the SDP's address."""
        return self._lock.send_to

    def connect(self, path: MediaPath) -> None:
        """Start the media as ``path`` says."""
        self.update(path)
        if not self.turning:
            self._last_heard = self._wheel.clock()
            self._wheel.attach(self)

    def update(self, path: MediaPath) -> None:
        """Go on as ``path`` says (re-INVITE, UPDATE). What plays keeps its place; on hold it waits."""
        sock = self._open_socket()
        law: g711.Law = "ulaw" if path.codec == "PCMU" else "alaw"
        if path.codec != self._path.codec:
            self._jitter.set_law(law)
        silence = g711.silence_byte(law)
        self._silence = bytes((silence,)) * FRAME
        self._playout.silence = silence
        self._writer.set_payload_type(path.payload_type)
        self._plain_start = bytes((0x80, path.payload_type))
        held_before = not self._sends
        self._sends = path.direction in ("sendrecv", "sendonly")
        deaf_before = not self._receives
        self._receives = path.direction in ("sendrecv", "recvonly")
        if self._receives and deaf_before:
            self._jitter.restart()
        self._detector = DtmfDetector(law) if path.inband_digits else None
        self._on_audio = self._events.on_audio if self._detector is None else self._audio_with_tones
        if self._sends and held_before:
            self._fresh = True
            self._talking = False
        self._last_heard = self._wheel.clock()
        self._lost_told = False
        types = frozenset(
            {path.payload_type}
            if path.event_payload_type is None
            else {path.payload_type, path.event_payload_type}
        )
        if path.learn != self._lock.learning:
            foreign = self._lock.foreign
            self._lock = SourceLock(path.remote, types, learn=path.learn)
            self._lock.foreign = foreign
            self._disconnect(sock)
        elif self._lock.expect(path.remote, types):
            self._disconnect(sock)
        self._path = path
        if not path.learn and path.remote is not None:
            self._follow(sock, path.remote)

    def close(self) -> None:
        """Close the socket; its port rests in its range. Harmless when closed already."""
        sock = self._socket
        if sock is None:
            return
        self._wheel.detach(self)
        self._socket = None
        sock.close()
        if self._ports is not None and self._local is not None:
            self._ports.give_back(self._local[1], self._wheel.clock())

    # --- the agent's audio ---

    def play(self, audio: bytes, response_id: str, item_id: str) -> None:
        """Queue agent audio (G.711 of the agreed law, any length)."""
        self._playout.write(audio, response_id, item_id)
        if not self._talking:
            self._hasten()

    def play_end(self, response_id: str) -> None:
        """No more audio of this response will come."""
        self._playout.end(response_id)
        if not self._talking:
            self._hasten()

    def stop_playing(self) -> list[Heard]:
        """Silence from the next packet on; return what was heard of every item that was not finished.

        Audio of the cut responses that comes later is dropped. Items returned here are not told through
        ``on_playback_ended``.
        """
        return self._playout.flush()

    @property
    def playing(self) -> bool:
        """True while an item is unfinished."""
        return self._playout.busy

    def send_digits(self, digits: str) -> None:
        """Send ``digits`` (0-9, *, #, A-D): as telephone-events where agreed on, else as tones.

        Agent audio waits meanwhile. Raises :class:`ValueError` for any other character.
        """
        if self._path.event_payload_type is not None:
            self._digits.queue(digits)
            self._dialling = self._digits.busy
            return
        law: g711.Law = "ulaw" if self._path.codec == "PCMU" else "alaw"
        tones = [dtmf_g711(digit, 100, law) for digit in digits]
        for tone in tones:
            self._tones.extend([tone[at : at + FRAME] for at in range(0, len(tone), FRAME)])
            self._tones.extend([self._silence] * 4)
            self._dialling = True

    def figures(self) -> PortFigures:
        """The counters so far."""
        jitter = self._jitter
        return PortFigures(
            received=self._received,
            sent=self._sent,
            lost=jitter.lost,
            late=jitter.late,
            duplicates=jitter.duplicates,
            reordered=jitter.reordered,
            foreign=self._lock.foreign,
            resyncs=jitter.resyncs,
            refused=self._refused,
            skipped=self._skipped,
            details={
                "concealed_ms": jitter.concealed / 8,
                "filled_ms": jitter.filled / 8,
                "discarded_ms": jitter.discarded / 8,
                "malformed": self._malformed,
            },
        )

    # --- driven by the wheel ---

    def fileno(self) -> int:
        return self._fd

    def frame(self, now: float, skipped: int) -> int:
        writer = self._writer
        if skipped:
            self._skipped += skipped
            writer.skip(skipped)
        self._frames += 1
        if self._frames % _CHECK_FRAMES == 0:
            self._check(now)
            if not self.turning:
                return 0
        if self._receives and now - self._last_audio > 0.030:
            audio = self._jitter.idle(now)
            if audio:
                self._on_audio(audio)
        if not self._sends:
            writer.skip(1)
            return 0
        if self._dialling:
            return self._digit_frame()
        payload = self._playout.take()
        if payload is None:
            self._talking = False
            if self._playout.facts:
                self._tell()
            if self._lead:
                # The talk spurt was sent ahead of the grid: let its silence begin on the grid again.
                shift = self._lead - self._wheel.slots
                self._lead = 0
                return shift
            self._send(writer.audio(self._silence, self._fresh))
            self._fresh = False
            return 0
        if self._talking:
            self._send(writer.audio(payload))
        else:
            self._talking = True
            self._fresh = False
            self._send(writer.audio(payload, True))
        if self._playout.facts:
            self._tell()
        return 0

    def readable(self, now: float) -> None:
        sock = self._socket
        if sock is None:
            return
        for _ in range(_READS):
            try:
                if self._connected:
                    data = sock.recv(rtp.MAX_PACKET)
                    if len(data) == _PLAIN and data.startswith(self._plain_start):
                        # Nearly all packets: 20 ms of the agreed codec with nothing extra in the header.
                        sequence, timestamp, ssrc = _SEQ_TS_SSRC.unpack_from(data, 2)
                        self._received += 1
                        self._last_heard = self._last_audio = now
                        self._lost_told = False
                        if self._receives:
                            audio = self._jitter.push(sequence, timestamp, ssrc, data[rtp.HEADER :], now)
                            if audio:
                                self._on_audio(audio)
                        if not self._jitter.waiting:
                            return
                    elif self._packet(data, None, now):
                        return
                else:
                    data, source = sock.recvfrom(rtp.MAX_PACKET)
                    self._packet(data, source[:2], now)
            except BlockingIOError:
                return
            except OSError:
                # ICMP "port unreachable" of an earlier send shows up here: the phone is not listening yet.
                self._refused += 1
            if self._socket is None:
                return

    def _packet(self, data: bytes, source: Address | None, now: float) -> bool:
        """Handle one datagram; return True when the socket may wait for the next tick."""
        if rtp.is_rtcp(data):
            return False
        try:
            packet = rtp.parse(data)
        except rtp.RtpFormatError:
            self._malformed += 1
            return False
        payload_type, marker, sequence, timestamp, ssrc, payload, _, _ = packet
        if source is None:
            pass  # the system lets only the lock through
        elif not self._lock.accept(source, payload_type, sequence, ssrc, now):
            return False
        elif not self._connected and self._socket is not None:
            self._follow(self._socket, source)
        self._received += 1
        self._last_heard = now
        self._lost_told = False
        path = self._path
        if payload_type == path.payload_type:
            if not payload or not self._receives:
                return True
            self._last_audio = now
            audio = self._jitter.push(sequence, timestamp, ssrc, payload, now)
        else:
            audio = self._jitter.skip(sequence, timestamp, ssrc, now)
            if payload_type == path.event_payload_type:
                digit = self._digit_receiver.feed(
                    payload, sequence=sequence, timestamp=timestamp, ssrc=ssrc, marker=marker, now=now
                )
                if digit is not None:
                    self._events.on_digit(digit)
        if audio and self._receives:
            self._on_audio(audio)
        return not self._jitter.waiting

    # --- inside ---

    def _audio_with_tones(self, audio: bytes) -> None:
        detector = self._detector
        if detector is not None:
            for digit in detector.feed(audio):
                self._events.on_digit(digit)
        self._events.on_audio(audio)

    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise MediaError("the port is not open", code="port_closed")
        return self._socket

    def _hasten(self) -> None:
        if self.turning and self._sends and not self._dialling and self._playout.ready:
            self._lead += self._wheel.hasten(self)

    def _digit_frame(self) -> int:
        writer = self._writer
        event_type = self._path.event_payload_type
        if self._tones:
            self._send(writer.audio(self._tones.pop(0)))
            self._dialling = bool(self._tones) or self._digits.busy
            return 0
        event = self._digits.next(writer.timestamp)
        if event is None or event_type is None:
            self._send(writer.audio(self._silence))
        else:
            self._send(writer.event(event_type, event.payload, event.timestamp, event.marker))
        self._dialling = self._digits.busy
        return 0

    def _send(self, packet: bytearray) -> None:
        sock = self._socket
        if sock is None:
            return
        try:
            if self._connected:
                sock.send(packet)
            else:
                target = self._lock.send_to
                if target is None or target[1] == 0:
                    return
                sock.sendto(packet, target)
            self._sent += 1
        except OSError:
            self._refused += 1

    def _tell(self) -> None:
        facts = self._playout.facts
        self._playout.facts = []
        for fact in facts:
            if isinstance(fact, Started):
                self._events.on_playback_started(fact.response_id, fact.item_id)
            else:
                self._events.on_playback_ended(fact.response_id, fact.item_id, fact.heard_ms, fact.cut)

    def _check(self, now: float) -> None:
        if self._connected:
            self._lock.touch(self._last_heard)
        if self._connected and self._lock.learning and self._lock.silent(now):
            # A source that moved must be able to prove itself; the filter of the connected socket would
            # hide it.
            self._disconnect(self._open_socket())
        silence = now - self._last_heard
        if self._receives and not self._lost_told and silence >= self._media_timeout_s:
            self._lost_told = True
            self._events.on_media_lost(silence)

    def _follow(self, sock: socket.socket, source: Address) -> None:
        """Let the system filter: from now on only ``source`` is received from and sent to."""
        try:
            sock.connect(source)
        except OSError:
            self._refused += 1
        else:
            self._connected = True

    def _disconnect(self, sock: socket.socket) -> None:
        if not self._connected:
            return
        if not dissolve(sock):
            return
        self._connected = False
