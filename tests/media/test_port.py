"""One call's port: real sockets on the loopback, virtual time, a phone that sees every packet."""

import itertools
import socket
import weakref
from collections.abc import Iterator

import pytest

from tests.kit.ports import free_port
from voiceagent.errors import MediaError
from voiceagent.media import rtp, tones
from voiceagent.media.levels import g711_dbfs
from voiceagent.media.playout import Heard
from voiceagent.media.port import MediaPath, MediaPort
from voiceagent.media.ports import PortRange
from voiceagent.media.telephone_event import EventPayload, build_event, parse_event
from voiceagent.media.wheel import MediaWheel

pytestmark = pytest.mark.loopback


class Events:
    def __init__(self) -> None:
        self.audio = b""
        self.log: list[tuple] = []

    def on_audio(self, audio: bytes) -> None:
        assert len(audio) % 160 == 0
        self.audio += audio

    def on_digit(self, digit: str) -> None:
        self.log.append(("digit", digit))

    def on_playback_started(self, response_id: str, item_id: str) -> None:
        self.log.append(("started", response_id, item_id))

    def on_playback_ended(self, response_id: str, item_id: str, heard_ms: int, cut: bool) -> None:
        self.log.append(("ended", response_id, item_id, heard_ms, cut))

    def on_media_lost(self, silence_s: float) -> None:
        self.log.append(("lost", round(silence_s)))

    def on_media_failed(self, error: MediaError) -> None:
        self.log.append(("failed", error.code))


class Phone:
    """A socket on the loopback with a small RTP sender; starts shortly before both wraps."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.address = self.socket.getsockname()
        self.sequence = 65500
        self.timestamp = 2**32 - 8000
        self.ssrc = 77

    def send(self, to, payload: bytes = b"\x21" * 160, payload_type: int = 0, marker: bool = False) -> None:
        packet = rtp.RtpPacket(payload_type, marker, self.sequence, self.timestamp, self.ssrc, payload)
        self.socket.sendto(rtp.build(packet), to)
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + 160) & 0xFFFFFFFF

    def got(self) -> list[rtp.RtpPacket]:
        packets = []
        while True:
            try:
                packets.append(rtp.parse(self.socket.recv(2048)))
            except BlockingIOError:
                return packets


class Bench:
    """A wheel in virtual time with one port and its phone."""

    def __init__(self) -> None:
        self.now = 50.0
        self.wheel = MediaWheel(tick_ms=2, timer="none", clock=lambda: self.now)
        self.events = Events()
        self.port = MediaPort(self.wheel, self.events, media_timeout_s=10)
        self.phone = Phone()
        self.port.open()

    def connect(self, **changes) -> None:
        self.port.connect(MediaPath(self.phone.address, **changes))

    def run(self, ms: float, *, talk: bool = False) -> list[rtp.RtpPacket]:
        """Turn the wheel; the phone sends every 20 ms when it talks."""
        packets: list[rtp.RtpPacket] = []
        for step in range(round(ms / 2)):
            if talk and step % 10 == 0:
                self.phone.send(self.port.address)
            self.now += 0.002
            self.wheel.tick()
            packets += self.phone.got()
        return packets


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.port.close()
    bench.wheel.close()
    bench.phone.socket.close()


def check_stream(packets: list[rtp.RtpPacket]) -> None:
    """Sequence without holes, timestamps without overlap."""
    for before, after in itertools.pairwise(packets):
        assert rtp.seq_delta(after.sequence, before.sequence) == 1
        assert rtp.ts_delta(after.timestamp, before.timestamp) >= 160
        assert after.ssrc == before.ssrc


def test_silence_flows_from_the_start(bench: Bench):
    bench.connect()
    packets = bench.run(200)
    assert len(packets) == 10
    check_stream(packets)
    assert [packet.marker for packet in packets] == [True] + [False] * 9
    assert {packet.payload for packet in packets} == {b"\xff" * 160}
    assert {packet.payload_type for packet in packets} == {0}


def test_alaw_has_its_own_type_and_silence(bench: Bench):
    bench.connect(codec="PCMA", payload_type=8)
    packets = bench.run(40)
    assert {(packet.payload_type, packet.payload) for packet in packets} == {(8, b"\xd5" * 160)}


@pytest.mark.parametrize("wait_ticks", range(10))
def test_first_audio_leaves_at_the_next_tick_and_the_grid_comes_back(bench: Bench, wait_ticks: int):
    bench.connect()
    silence = bench.run(100 + 2 * wait_ticks)
    bench.port.play(b"\x11" * 800, "r", "i")
    bench.port.play_end("r")
    first = bench.run(2)
    assert [packet.payload for packet in first] == [b"\x11" * 160]
    assert first[0].marker
    rest = bench.run(300)
    packets = silence + first + rest
    check_stream(packets)
    assert [packet.payload[:1] for packet in packets].count(b"\x11") == 5
    assert sum(packet.marker for packet in packets) == 2
    # No packet more or less than time allows, and the timestamps stay true to the clock.
    assert abs(len(packets) - (402 + 2 * wait_ticks) / 20) <= 1
    assert rtp.ts_delta(packets[-1].timestamp, packets[0].timestamp) == 160 * (len(packets) - 1)
    assert bench.events.log == [("started", "r", "i"), ("ended", "r", "i", 100, False)]


def test_many_short_talks_never_run_ahead_of_the_clock(bench: Bench):
    bench.connect()
    packets = bench.run(20)
    for turn in range(100):
        packets += bench.run(46 + 2 * (turn % 10))
        bench.port.play(b"\x11" * 320, f"r{turn}", "i")
        bench.port.play_end(f"r{turn}")
    packets += bench.run(100)
    elapsed = (bench.now - 50) * 1000
    assert abs(len(packets) * 20 - elapsed) <= 40
    check_stream(packets)


def test_stop_playing_silences_the_next_packet_and_says_what_was_heard(bench: Bench):
    bench.connect()
    bench.run(100)
    bench.port.play(b"\x11" * 8000, "r", "i")
    heard_packets = bench.run(333)
    heard = bench.port.stop_playing()
    count = sum(packet.payload[:1] == b"\x11" for packet in heard_packets)
    assert heard == [Heard("r", "i", 20 * count, True, 160 * count)]
    bench.port.play(b"\x11" * 1600, "r", "i")
    after = bench.run(200)
    assert {packet.payload for packet in after} == {b"\xff" * 160}
    assert len(after) in (9, 10, 11)
    assert bench.events.log == [("started", "r", "i")]
    bench.port.play(b"\x12" * 160, "r2", "i2")
    assert [packet.payload for packet in bench.run(2)] == [b"\x12" * 160]


def test_the_caller_is_heard_in_order_and_the_socket_is_then_connected(bench: Bench):
    bench.connect()
    bench.run(400, talk=True)
    assert bench.events.audio == b"\x21" * 160 * 20
    stranger = Phone()
    for _ in range(100):
        stranger.send(bench.port.address, b"\x66" * 160)
    bench.run(40, talk=True)
    assert b"\x66" not in bench.events.audio
    assert stranger.got() == []
    assert bench.port.remote == bench.phone.address
    stranger.socket.close()


def test_a_phone_behind_nat_is_learned_and_answered(bench: Bench):
    bench.port.connect(MediaPath(("127.0.0.1", 9)))
    packets = bench.run(200, talk=True)
    assert bench.port.remote == bench.phone.address
    assert len(bench.events.audio) == 160 * 6
    assert len(packets) >= 5
    assert bench.port.figures().foreign == 4


def test_without_learning_only_the_sdp_address_counts(bench: Bench):
    bench.port.connect(MediaPath(("127.0.0.1", 9), learn=False))
    assert bench.run(500, talk=True) == []
    assert bench.events.audio == b""


def test_a_phone_that_moves_is_found_again(bench: Bench):
    bench.connect()
    bench.run(100, talk=True)
    moved = Phone()
    bench.run(3000)
    old, bench.phone = bench.phone, moved
    packets = bench.run(300, talk=True)
    assert bench.port.remote == moved.address
    assert packets
    old.socket.close()


def test_rtcp_and_rubbish_on_the_port_are_ignored(bench: Bench):
    bench.connect()
    bench.run(100, talk=True)
    for data in (
        b"\x80\xc8" + bytes(26),
        b"\x81\xc9" + bytes(30),
        b"\x00\x01\x00\x00" + bytes(16),
        b"",
        b"\x80",
    ):
        bench.phone.socket.sendto(data, bench.port.address)
    before = bench.port.figures()
    bench.run(20)
    after = bench.port.figures()
    assert after.received == before.received
    assert after.details["malformed"] == 3


def test_digits_are_told_once_while_audio_goes_on(bench: Bench):
    bench.connect()
    bench.run(60, talk=True)
    start = bench.phone.timestamp
    for index, (duration, end) in enumerate(
        [(160, False), (320, False), (480, True), (480, True), (480, True)]
    ):
        packet = rtp.RtpPacket(
            101, index == 0, bench.phone.sequence, start, 77, build_event(EventPayload(11, end, 10, duration))
        )
        bench.phone.socket.sendto(rtp.build(packet), bench.port.address)
        bench.phone.sequence += 1
        bench.phone.timestamp = (bench.phone.timestamp + 160) & 0xFFFFFFFF
        bench.run(20)
    bench.run(60, talk=True)
    assert bench.events.log == [("digit", "#")]
    assert len(bench.events.audio) == 160 * 11
    assert bench.port.figures().lost == 0


def test_tones_in_the_audio_are_digits_where_that_is_wanted(bench: Bench):
    bench.connect(event_payload_type=None, inband_digits=True)
    line = (tones.dtmf_g711("7", 100) + b"\xff" * 800) * 2
    for at in range(0, len(line), 160):
        bench.phone.send(bench.port.address, line[at : at + 160])
        bench.run(20)
    assert bench.events.log == [("digit", "7"), ("digit", "7")]
    assert bench.events.audio == line


def test_a_tone_that_goes_on_over_a_re_invite_is_one_digit(bench: Bench):
    bench.connect(event_payload_type=None, inband_digits=True)
    line = tones.dtmf_g711("7", 300)
    for at in range(0, len(line), 160):
        bench.phone.send(bench.port.address, line[at : at + 160])
        bench.run(20)
        bench.port.update(MediaPath(bench.phone.address, event_payload_type=None, inband_digits=True))
    assert bench.events.log == [("digit", "7")]


def test_comfort_noise_lets_time_flow(bench: Bench):
    bench.connect()
    bench.run(100, talk=True)
    before = len(bench.events.audio)
    for _ in range(20):  # a comfort noise packet every 100 ms, as RFC 3389 senders do
        bench.phone.send(bench.port.address, b"\x40", payload_type=13)
        bench.phone.timestamp = (bench.phone.timestamp + 640) & 0xFFFFFFFF
        bench.run(100)
    assert abs(len(bench.events.audio) - before - 16000) <= 1600
    # Noise of the level told (−64 dBov), from the first packet on.
    assert g711_dbfs(bench.events.audio[before:]) == pytest.approx(-64, abs=2)
    assert not set(bench.events.audio[before : before + 160]) <= {0xFF, 0x7F}
    before = len(bench.events.audio)
    bench.run(200, talk=True)
    assert bench.events.audio[before:].count(b"\x21" * 160) == 10
    assert len(bench.events.audio) - before <= 1600 + 480


def test_after_hold_the_caller_is_heard_at_once(bench: Bench):
    bench.connect()
    bench.run(100, talk=True)
    bench.port.update(MediaPath(bench.phone.address, direction="inactive"))
    bench.run(300, talk=True)
    before = len(bench.events.audio)
    bench.port.update(MediaPath(bench.phone.address))
    bench.run(200, talk=True)
    assert bench.events.audio[before:] == b"\x21" * 1600
    assert bench.port.figures().lost == 0


def test_our_digits_go_out_as_events_and_agent_audio_waits(bench: Bench):
    bench.connect(event_payload_type=96)
    bench.run(40)
    bench.port.play(b"\x11" * 320, "r", "i")
    bench.port.play_end("r")
    bench.port.send_digits("4#")
    packets = bench.run(700)
    check = [packet for packet in packets if packet.payload_type == 96]
    digits = [parse_event(packet.payload).event for packet in check if packet.marker]
    assert digits == [4, 11]
    assert len(check) == 14
    talk = [index for index, packet in enumerate(packets) if packet.payload[:1] == b"\x11"]
    assert len(talk) == 2
    assert talk[0] > packets.index(check[-1])
    for before, after in itertools.pairwise(packets):
        assert rtp.seq_delta(after.sequence, before.sequence) == 1


def test_without_telephone_event_digits_are_tones(bench: Bench):
    bench.connect(event_payload_type=None)
    bench.run(40)
    bench.port.send_digits("42")
    line = b"".join(packet.payload for packet in bench.run(500))
    assert tones.DtmfDetector().feed(line) == "42"
    with pytest.raises(ValueError):
        bench.port.send_digits("4x")
    assert {packet.payload for packet in bench.run(100)} == {b"\xff" * 160}


def test_hold_stops_our_packets_and_keeps_the_audio(bench: Bench):
    bench.connect()
    packets = bench.run(100)
    bench.port.play(b"\x11" * 1600, "r", "i")
    bench.port.play_end("r")
    packets += bench.run(50)
    bench.port.update(MediaPath(bench.phone.address, direction="inactive"))
    assert bench.run(1000, talk=True) == []
    assert bench.events.audio == b""
    bench.port.update(MediaPath(bench.phone.address))
    resumed = bench.run(400)
    assert resumed[0].marker
    # The time on hold is in the timestamp, not in the sequence.
    assert rtp.seq_delta(resumed[0].sequence, packets[-1].sequence) == 1
    assert 7200 <= rtp.ts_delta(resumed[0].timestamp, packets[-1].timestamp) <= 8800
    everything = packets + resumed
    assert sum(packet.payload == b"\x11" * 160 for packet in everything) == 10
    assert bench.events.log[-1] == ("ended", "r", "i", 200, False)


def test_lost_media_is_told_each_time_that_the_limit_has_passed(bench: Bench):
    bench.connect()
    bench.run(100, talk=True)
    bench.run(25_000)
    bench.run(100, talk=True)
    bench.run(11_000)
    assert bench.events.log == [("lost", 10), ("lost", 20), ("lost", 10)]


def test_a_refused_send_does_not_matter(bench: Bench):
    bench.connect(learn=False)
    address = bench.phone.address
    bench.phone.socket.close()
    for _ in range(20):
        bench.now += 0.02
        bench.wheel.tick()
    assert bench.port.figures().refused > 0
    bench.phone = Phone.__new__(Phone)
    bench.phone.__init__()
    bench.port.update(MediaPath(bench.phone.address))
    assert address != bench.phone.address
    assert len(bench.run(100)) == 5


def test_skipped_frames_are_in_the_timestamp(bench: Bench):
    bench.connect()
    before = bench.run(100)
    bench.now += 0.1
    bench.wheel.tick()
    after = bench.phone.got() + bench.run(40)
    assert rtp.seq_delta(after[0].sequence, before[-1].sequence) == 1
    assert rtp.ts_delta(after[-1].timestamp, before[0].timestamp) == pytest.approx(240 * 8 - 160, abs=320)
    assert bench.port.figures().skipped == 4
    assert bench.port.figures().details["skipped_frames"] == 4


def test_ports_come_from_the_range_and_rest_after_use(bench: Bench):
    ports = PortRange(12000, 12007)
    first = MediaPort(bench.wheel, Events())
    number = first.open("127.0.0.1", ports)[1]
    assert number in range(12000, 12008, 2)
    first.close()
    first.close()
    assert ports.in_use == 0
    second = MediaPort(bench.wheel, Events())
    assert second.open("127.0.0.1", ports)[1] != number
    with pytest.raises(MediaError):
        second.open("127.0.0.1", ports)
    second.close()


def test_a_port_that_someone_else_has_is_passed_over(bench: Bench):
    taken = (free_port() + 1) // 2 * 2  # it is free, and so is the next one
    blocker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    blocker.bind(("127.0.0.1", taken))
    port = MediaPort(bench.wheel, Events())
    with pytest.raises(MediaError) as error:
        port.open("127.0.0.1", PortRange(taken, taken))
    assert error.value.code == "no_port"
    blocker.close()


def test_a_closed_port_is_quiet(bench: Bench):
    bench.connect()
    bench.run(40)
    bench.port.close()
    assert bench.run(100) == []
    with pytest.raises(MediaError):
        bench.port.connect(MediaPath(bench.phone.address))
    bench.port.play(b"\x11" * 160, "r", "i")
    assert bench.port.stop_playing() == [Heard("r", "i", 0, True, 0)]


def test_closing_inside_a_callback_is_fine(bench: Bench):
    bench.connect()

    def end(response_id: str, item_id: str, heard_ms: int, cut: bool) -> None:
        bench.port.close()

    bench.events.on_playback_ended = end
    bench.port.play(b"\x11" * 160, "r", "i")
    bench.port.play_end("r")
    bench.run(100)
    assert bench.wheel.errors == 0
    assert len(bench.wheel) == 0


def test_no_foreign_frame_on_ports_that_are_used_again():
    """Calls come and go over few ports while the phones of the old calls keep sending."""
    now = 0.0
    wheel = MediaWheel(tick_ms=2, timer="none", clock=lambda: now)
    ports = PortRange(13000, 13079)
    stale: list[tuple[Phone, tuple[str, int]]] = []
    for call in range(300):
        events = Events()
        phone = Phone()
        phone.ssrc = call
        port = MediaPort(wheel, events)
        address = port.open("127.0.0.1", ports)
        port.connect(MediaPath(phone.address))
        mine = bytes([call % 250]) * 160
        for old, target in stale[-40:]:
            old.send(target, b"\xfe" * 160)
        for _ in range(5):
            phone.send(address, mine)
            now += 0.02
            wheel.tick()
        assert set(events.audio) <= {call % 250, 0xFF}
        assert events.audio.count(mine) >= 4
        port.close()
        stale.append((phone, address))
        now += 31 / 40
    for phone, _ in stale:
        phone.socket.close()
    wheel.close()


def test_a_port_that_was_never_opened_can_be_closed_and_holds_nobody() -> None:
    wheel = MediaWheel(tick_ms=2, timer="none")
    events = Events()
    held = weakref.ref(events)
    port = MediaPort(wheel, events, rtcp=True)
    port.close()
    port.close()
    del events
    assert held() is None
    wheel.close()
