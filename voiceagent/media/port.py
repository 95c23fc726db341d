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

import logging
import random
import secrets
import socket
import struct
import time
from dataclasses import replace

from voiceagent.errors import MediaError
from voiceagent.media import rtp
from voiceagent.media.control import RtcpChannel
from voiceagent.media.dtls import is_dtls
from voiceagent.media.figures import PortFigures
from voiceagent.media.path import NOBODY, Direction, MediaPath, PortEvents
from voiceagent.media.playout import FRAME
from voiceagent.media.plays_out import PlaysOut
from voiceagent.media.ports import PortRange
from voiceagent.media.rtcp_session import NTP_OFFSET_S, RtcpSession, Sent, quality_details
from voiceagent.media.secure import MediaGuard
from voiceagent.media.source_lock import Address, SourceLock
from voiceagent.media.stream_in import QUIET_S, StreamIn
from voiceagent.media.stream_out import StreamOut
from voiceagent.media.udp import dissolve, free_port, udp_socket
from voiceagent.media.wheel import MediaWheel

__all__ = ["Direction", "MediaPath", "MediaPort", "PortEvents"]

_BIND_TRIES = 8
_HEADER = rtp.HEADER
_PLAIN = _HEADER + FRAME
_MAX_PACKET = rtp.MAX_PACKET
_HEAD = struct.Struct("!HHII")
"""The begin of an RTP packet (version, flags and payload type), its sequence, timestamp and SSRC."""
_NEVER = -1
"""The begin of no RTP packet …"""
_NO_HEAD = (-2, 0, 0, 0)
"""… and what is no such packet begins with."""
_READS = 16
"""Packets read from one socket in one tick at most, so that a flood cannot hold the wheel up."""
_GUARDED_READS = 40
"""The same with SRTP: forged packets are thrown away cheaply, and must not crowd out those of the caller."""
_REFUSED_LOG_S = 10.0
"""One line of log for refused packets in so many seconds, however many there are."""
_CHECK_FRAMES = 25
"""The slower checks (lost media, dead lock) come every 0.5 s."""
_log = logging.getLogger("voiceagent.media")


class MediaPort(PlaysOut):
    """See the module. ``media_timeout_s`` is the silence after which ``on_media_lost`` is called, each time
    that it has passed; ``first_timeout_s`` the same before the first packet."""

    # More attributes than a class can share the keys of, and a dictionary for each is slow to look into.
    __slots__ = (
        "_connected",
        "_control",
        "_events",
        "_fd",
        "_first_timeout_s",
        "_flowing",
        "_frames",
        "_guard",
        "_in",
        "_last_heard",
        "_local",
        "_lock",
        "_losses_told",
        "_malformed",
        "_media_timeout_s",
        "_octets",
        "_out",
        "_path",
        "_plain_start",
        "_ports",
        "_received",
        "_refused",
        "_refused_logged",
        "_refused_told",
        "_sent",
        "_sifted",
        "_skipped",
        "_socket",
        "_wheel",
        "due",
        "turning",
    )

    def __init__(
        self,
        wheel: MediaWheel,
        events: PortEvents,
        *,
        media_timeout_s: float = 20.0,
        first_timeout_s: float | None = None,
        rtcp: bool = False,
    ) -> None:
        """``rtcp`` also binds the port above, and sends and takes reports."""
        self.due = 0
        self.turning = False
        self._wheel = wheel
        self._events = events
        self._media_timeout_s = media_timeout_s
        self._first_timeout_s = media_timeout_s if first_timeout_s is None else first_timeout_s
        self._socket: socket.socket | None = None
        self._fd = -1
        self._ports: PortRange | None = None
        self._local: Address | None = None
        self._path = MediaPath(None)
        self._plain_start = 0x8000
        self._lock = SourceLock(None, frozenset())
        self._connected = False
        """The system lets only one source through."""
        self._sifted = False
        """The same, and nothing waits any more that came before: the source need not be looked at."""
        writer = rtp.RtpWriter(
            0, ssrc=secrets.randbits(32), sequence=secrets.randbits(16), timestamp=secrets.randbits(32)
        )
        self._in = StreamIn(events)
        self._out = StreamOut(events, self._send, writer, wheel.slots)
        self._guard: MediaGuard | None = None
        self._flowing = True
        """False while there are no keys yet: then nothing is sent."""
        self._control: RtcpChannel | None = None
        if rtcp:
            session = RtcpSession(
                ssrc=writer.ssrc,
                name=secrets.token_hex(12),
                dice=random.random,
                epoch=time.time() - wheel.clock() + NTP_OFFSET_S,
            )
            self._control = RtcpChannel(session, wheel, self._peer, self._unseal_rtcp)
        self._last_heard = 0.0
        """When any packet of the caller came."""
        self._losses_told = 0
        self._frames = 0
        self._received = 0
        self._sent = 0
        self._refused = 0
        self._skipped = 0
        self._malformed = 0
        self._octets = 0
        self._refused_told = 0
        self._refused_logged = float("-inf")

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
            sock = None
            try:
                sock = udp_socket(host, number)
                if self._control is not None:
                    self._control.open(host, number + 1)
                return sock
            except (OSError, OverflowError):
                if sock is not None:
                    sock.close()
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
            if self._control is not None:
                self._control.watch()
                self._control.session.start(self._last_heard)

    def update(self, path: MediaPath) -> None:
        """Go on as ``path`` says (re-INVITE, UPDATE). What plays keeps its place; on hold it waits.

        Raises :class:`MediaError` (``srtp_missing``) for an encrypted path without the packages it needs.
        """
        sock = self._open_socket()
        self._in.follow(path)
        plain = self._in.plain_type
        self._plain_start = _NEVER if plain is None else 0x8000 | plain
        self._last_heard = self._wheel.clock()
        self._losses_told = 0
        types = path.payload_types
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
        if self._control is not None:
            self._control.follow(None if path.rtcp_mux else path.rtcp)
        self._secure(path)

    def _secure(self, path: MediaPath) -> None:
        """Encrypt as agreed. The agent's audio waits until there are keys."""
        if path.security is None:
            self._guard = None
        else:
            if self._guard is None:
                self._guard = MediaGuard(self._send_raw)
            if not self._sent:
                self._out.writer.restart_low()
            self._guard.follow(path.security, path.remote, self._wheel.clock())
        self._flowing = self._guard is None or self._guard.ready
        self._out.follow(path if self._flowing else replace(path, direction="inactive"))

    def _try_keys(self, now: float) -> None:
        """Begin to send once the keys are there; tell when they will never come."""
        guard = self._guard
        if guard is None:
            return
        if guard.wakes(now):
            guard.wake(now)
        if guard.ready and not self._flowing:
            self._flowing = True
            self._last_heard = now
            self._out.follow(self._path)
            self._hasten()
        elif guard.error is not None and self._path.security is not None:
            error, guard.error = guard.error, None
            self._events.on_media_failed(error)

    def close(self) -> None:
        """Close the socket; its port rests in its range. Harmless when it is closed, or was never open.

        From now on nobody is told anything, and nobody is held.
        """
        sock = self._socket
        if self._control is not None:
            if self.turning:
                self._report(self._wheel.clock(), leaving=True)
            self._control.close()
        if sock is not None:
            self._wheel.detach(self)
        self._events = NOBODY
        self._in.close()
        self._out.close()
        if self._guard is not None:
            self._guard.close()
        if sock is None:
            return
        self._socket = None
        sock.close()
        if self._ports is not None and self._local is not None:
            self._ports.give_back(self._local[1], self._wheel.clock())

    # --- the agent's audio ---

    @property
    def playing(self) -> bool:
        """True while an item is unfinished."""
        return self._out.playing

    def send_digits(self, digits: str, *, inband: bool = False) -> None:
        """Send ``digits`` (0-9, *, #, A-D): as telephone-events where agreed on, else (``inband``) as tones.

        Agent audio waits meanwhile. Raises :class:`ValueError` for any other character.
        """
        self._out.send_digits(digits, inband=inband)

    def figures(self) -> PortFigures:
        """The counters so far."""
        jitter = self._in.jitter
        guard, control = self._guard, self._control
        reception = self._in.reception
        reception.settle()
        details = {
            "concealed_ms": jitter.concealed / 8,
            "filled_ms": jitter.filled / 8,
            "discarded_ms": jitter.discarded / 8,
            "malformed": float(self._malformed),
            "skipped_frames": float(self._skipped),
            "undecodable": float(jitter.undecodable),
        }
        if guard is not None:
            details["srtp_refused"] = float(guard.refused)
            details["srtp_replayed"] = float(guard.replayed)
        session = control.session if control is not None else None
        details.update(quality_details(reception, session, self._path.codec, self._path.ptime))
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
            details=details,
        )

    @property
    def srtp_profile(self) -> str:
        """The SRTP profile in force, or an empty text."""
        return "" if self._guard is None else self._guard.profile

    # --- driven by the wheel ---

    def fileno(self) -> int:
        return self._fd

    def frame(self, now: float, skipped: int) -> int:
        if skipped:
            self._skipped += skipped
            self._out.writer.skip(skipped)
        self._frames += 1
        if self._frames % _CHECK_FRAMES == 0:
            self._check(now)
            if not self.turning:
                return 0
        if not self._flowing:
            self._try_keys(now)
            if not self.turning:
                return 0
        if now - self._in.last_audio > QUIET_S:
            self._in.idle(now)
        return self._out.frame()

    def readable(self, now: float) -> None:
        sock = self._socket
        if sock is None:
            return
        stream = self._in
        jitter = stream.jitter
        guard = self._guard
        for _ in range(_READS if guard is None else _GUARDED_READS):
            try:
                if self._sifted:
                    data = sock.recv(_MAX_PACKET)
                    if guard is not None:
                        plain = guard.open(data, now)
                        if plain is None:
                            if not self._flowing:
                                self._try_keys(now)
                                if self._socket is None:
                                    return
                            continue
                        data = plain
                    head = _HEAD.unpack_from(data) if len(data) == _PLAIN else _NO_HEAD
                    if head[0] == self._plain_start:
                        # Nearly all packets: 20 ms of the agreed codec with nothing extra in the header.
                        _, sequence, timestamp, ssrc = head
                        self._received += 1
                        stream.reception.note((sequence, timestamp, ssrc, now))
                        self._last_heard = stream.last_audio = now
                        self._losses_told = 0
                        if stream.hears:
                            audio = jitter.push_frame(sequence, timestamp, ssrc, data[_HEADER:], now)
                            if audio:
                                stream.on_audio(audio)
                        if not jitter.held:
                            return
                    elif self._packet(data, None, now):
                        return
                else:
                    data, source = sock.recvfrom(_MAX_PACKET)
                    self._from_anyone(data, source[:2], now)
            except BlockingIOError:
                self._sifted = self._connected
                return
            except OSError:
                # ICMP "port unreachable" of an earlier send shows up here: the phone is not listening yet.
                self._refused += 1
            if self._socket is None:
                return

    def _from_anyone(self, data: bytes, source: Address, now: float) -> None:
        """A datagram that the system has not sifted: authenticated first where keys are agreed on."""
        guard = self._guard
        if guard is not None:
            if is_dtls(data) and source not in (self._lock.expected, self._lock.locked):
                self._lock.foreign += 1
                return
            plain = guard.open(data, now)
            if plain is None:
                if not self._flowing:
                    self._try_keys(now)
                return
            data = plain
        self._packet(data, source, now)

    def _packet(self, data: bytes, source: Address | None, now: float) -> bool:
        """Handle one datagram; return True when the socket may wait for the next tick."""
        if rtp.is_rtcp(data):
            shared = self._control is not None and self._path.rtcp_mux
            if self._control is not None and shared and (source is None or source == self._lock.locked):
                self._control.session.receive(data, now)
            return False
        try:
            packet = rtp.parse(data)
        except rtp.RtpFormatError:
            self._malformed += 1
            return False
        if source is None:
            pass  # the system has let only the lock through
        elif not self._lock.accept(source, packet.payload_type, packet.sequence, packet.ssrc, now):
            return False
        elif not self._connected and self._socket is not None:
            self._follow(self._socket, source)
        self._received += 1
        self._last_heard = now
        self._losses_told = 0
        self._in.packet(packet, now)
        return not self._in.jitter.held

    # --- inside ---

    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise MediaError("the port is not open", code="port_closed")
        return self._socket

    def _send(self, packet: bytearray) -> None:
        sock = self._socket
        if sock is None:
            return
        data: bytes | bytearray = packet
        if self._guard is not None:
            sealed = self._guard.seal(packet)
            if sealed is None:
                return
            data = sealed
        if self._connected:
            try:
                sock.send(data)
            except OSError:
                self._refused += 1
                return
        elif not self._send_raw(data):
            return
        self._sent += 1
        self._octets += len(packet)

    def _send_raw(self, data: bytes | bytearray) -> bool:
        """Put a datagram on the wire; True when the system took it."""
        sock = self._socket
        if sock is None:
            return False
        try:
            if self._connected:
                sock.send(data)
            else:
                target = self._lock.send_to
                if target is None or target[1] == 0:
                    return False
                sock.sendto(data, target)
        except OSError:
            self._refused += 1
            return False
        return True

    def _peer(self) -> Address | None:
        return self._lock.send_to

    def _unseal_rtcp(self, data: bytes) -> bytes | None:
        return data if self._guard is None else self._guard.open_rtcp(data)

    def _seal_rtcp(self, data: bytes) -> bytes | None:
        return data if self._guard is None else self._guard.seal_rtcp(data)

    def _report(self, now: float, *, leaving: bool = False) -> None:
        control = self._control
        if control is None or (self._path.rtcp is None and not self._path.rtcp_mux):
            return
        reception = self._in.reception
        reception.settle()
        octets = self._octets - self._sent * rtp.HEADER
        writer = self._out.writer
        sent = Sent(self._sent, octets, writer.timestamp, writer.sequence)
        control.report(sent, reception, now, seal=self._seal_rtcp, mux=self._send_raw, leaving=leaving)

    def _check(self, now: float) -> None:
        self._in.reception.settle()
        if self._control is not None and now >= self._control.session.wake_at():
            self._report(now)
        if self._guard is not None:
            self._check_guard(self._guard, now)
            if self._socket is None:
                return
        if self._connected:
            self._lock.touch(self._last_heard)
        if self._connected and self._lock.learning and self._lock.silent(now):
            # A source that moved must be able to prove itself; the filter of the connected socket would
            # hide it.
            self._disconnect(self._open_socket())
        silence = now - self._last_heard
        limit = self._media_timeout_s if self._received else self._first_timeout_s
        # Whoever is held, or holds, need not send anything.
        if self._path.direction == "sendrecv" and silence >= limit * (self._losses_told + 1):
            self._losses_told += 1
            self._events.on_media_lost(silence)

    def _check_guard(self, guard: MediaGuard, now: float) -> None:
        fresh = guard.refused - self._refused_told
        if fresh and now - self._refused_logged >= _REFUSED_LOG_S:
            self._refused_told = guard.refused
            self._refused_logged = now
            _log.warning("SRTP: %d packets were not authentic and are ignored", fresh)
        if guard.error is not None:
            self._try_keys(now)

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
        self._connected = self._sifted = False
