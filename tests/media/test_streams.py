"""One stream of ours into another, without sockets: codecs, packet times, changes within a call."""

from __future__ import annotations

import itertools

import pytest

from voiceagent.bench.media_lines import SEQUENCE, TIMESTAMP, Keys
from voiceagent.media import g711, rtp
from voiceagent.media.codecs import WIDE, have_wide
from voiceagent.media.levels import g711_dbfs
from voiceagent.media.path import MediaPath
from voiceagent.media.stream_in import StreamIn
from voiceagent.media.stream_out import StreamOut
from voiceagent.media.telephone_event import parse_event
from voiceagent.media.tones import sine

TONE = g711.encode(sine(500, 400, dbfs=-12))


class Ear(Keys):
    """Keeps the audio."""

    def __init__(self) -> None:
        super().__init__()
        self.line = b""
        self.ended: list[tuple[str, int, bool]] = []

    def on_playback_ended(self, response_id: str, item_id: str, heard_ms: int, cut: bool) -> None:
        self.ended.append((item_id, heard_ms, cut))

    def on_audio(self, audio: bytes) -> None:
        assert len(audio) % 160 == 0
        self.line += audio


class Pair:
    """Two streams and the packets between them; a step is 20 ms."""

    def __init__(self, **path: object) -> None:
        self.ear = Ear()
        self.packets: list[rtp.RtpPacket] = []
        self.now = 0.0
        writer = rtp.RtpWriter(0, ssrc=5, sequence=SEQUENCE, timestamp=TIMESTAMP)
        self.out = StreamOut(self.ear, self._carry, writer, 10)
        self.into = StreamIn(self.ear)
        self.follow(**path)

    def follow(self, **path: object) -> None:
        self.path = MediaPath(None, **path)  # type: ignore[arg-type]
        if any(codec in WIDE for codec in self.path.audio_types.values()) and not have_wide():
            pytest.skip("PyAV is not installed")
        self.out.follow(self.path)
        self.into.follow(self.path)

    def _carry(self, packet: bytearray) -> None:
        parsed = rtp.parse(bytes(packet))
        self.packets.append(parsed)
        self.into.packet(parsed, self.now)

    def run(self, frames: int) -> None:
        for _ in range(frames):
            self.out.frame()
            self.now += 0.02
            self.into.idle(self.now)

    def run_in(self, seconds: float) -> None:
        """Let time pass for the incoming stream only."""
        for _ in range(round(seconds / 0.02)):
            self.now += 0.02
            self.into.idle(self.now)

    def say(self, audio: bytes) -> None:
        self.out.play(audio, "r", "i")
        self.out.play_end("r")


CODECS = {
    "PCMU": {"codec": "PCMU", "payload_type": 0},
    "PCMA": {"codec": "PCMA", "payload_type": 8, "line": "ulaw"},
    "G722": {"codec": "G722", "payload_type": 9},
    "opus": {"codec": "opus", "payload_type": 96, "event_rate": 48_000},
}
TIMES = [
    (codec, ptime) for codec in CODECS for ptime in (10, 20, 30, 40, 60) if (codec, ptime) != ("opus", 30)
]


@pytest.mark.parametrize(("codec", "ptime"), TIMES)
def test_packets_have_the_time_that_was_agreed_on_and_the_words_arrive(codec: str, ptime: int) -> None:
    pair = Pair(**CODECS[codec], ptime=ptime)
    pair.run(9)
    pair.say(TONE)
    pair.run(51)
    ticks = ptime * (48 if codec == "opus" else 8)
    assert len(pair.packets) == 60 * 20 // ptime
    for before, after in itertools.pairwise(pair.packets):
        assert rtp.seq_delta(after.sequence, before.sequence) == 1
        assert rtp.ts_delta(after.timestamp, before.timestamp) == ticks
    # The first packet is marked, and the one that holds the first sound.
    assert [at for at, packet in enumerate(pair.packets) if packet.marker] == [0, 180 // ptime]
    assert len(pair.ear.line) == 60 * 160
    loud = [g711_dbfs(pair.ear.line[at : at + 160]) > -30 for at in range(0, len(pair.ear.line), 160)]
    assert 20 <= sum(loud) <= 21
    assert loud.index(True) in (9, 10)


def test_g711_passes_through_untouched() -> None:
    pair = Pair(codec="PCMA", payload_type=8)
    assert pair.into.plain_type == 8
    frame = bytes(range(160))
    pair.say(frame)
    pair.run(1)
    assert pair.packets[0].payload == pair.ear.line == frame


def test_the_codec_changes_within_a_call_and_the_line_keeps_its_law() -> None:
    pair = Pair(**CODECS["PCMU"], line="ulaw")
    heard = 0
    for codec in ("PCMA", "G722", "opus", "PCMU", "opus", "PCMA", "PCMU"):
        pair.follow(**CODECS[codec] | {"line": "ulaw"})
        pair.say(TONE)
        pair.run(30)
        audio = pair.ear.line[heard:]
        heard = len(pair.ear.line)
        assert abs(len(audio) - 30 * 160) <= 2 * 160, codec
        sound = [at for at in range(0, len(audio), 160) if g711_dbfs(audio[at : at + 160]) > -30]
        assert 18 <= len(sound) <= 21, codec
    assert pair.into.jitter.undecodable == 0


def test_a_peer_may_use_any_codec_of_its_answer_and_mix_packet_times() -> None:
    pair = Pair(codec="PCMU", payload_type=0, receives={0: "PCMU", 8: "PCMA", 9: "G722"})
    stamp, number = TIMESTAMP, SEQUENCE
    for payload_type, size in [
        (0, 160),
        (8, 80),
        (0, 480),
        (9, 160),
        (8, 240),
        (0, 960),
        (0, 80),
        (8, 160),
    ] * 5:
        silence = {0: b"\xff", 8: b"\xd5", 9: b"\xfa"}[payload_type]
        packet = rtp.RtpPacket(payload_type, False, number & 0xFFFF, stamp & 0xFFFFFFFF, 5, silence * size)
        pair.into.packet(packet, pair.now)
        number, stamp = number + 1, stamp + size
        pair.now += size / 8000
    assert 0 <= stamp - TIMESTAMP - len(pair.ear.line) < 160
    assert (pair.into.jitter.lost, pair.into.jitter.resyncs, pair.into.jitter.undecodable) == (0, 0, 0)


def test_payloads_that_are_none_of_their_codec_are_counted_and_the_call_goes_on() -> None:
    pair = Pair(**CODECS["opus"])
    for number, payload in enumerate((b"\x0b", b"\x1b\x3f", b"\x08" * 2000, b"\x08\x00\x00")):
        packet = rtp.RtpPacket(96, False, number, 960 * number, 7, payload)
        pair.into.packet(packet, 0.02 * number)
    assert pair.into.jitter.undecodable >= 2
    pair.run(10)
    assert len(pair.ear.line) >= 9 * 160


@pytest.mark.parametrize(
    ("rate", "durations"), [(8000, [160, 320, 480, 640, 800]), (48_000, [960, 1920, 2880, 3840, 4800])]
)
def test_digits_beside_opus_have_the_clock_that_was_agreed_on(rate: int, durations: list[int]) -> None:
    pair = Pair(codec="opus", payload_type=96, event_payload_type=102, event_rate=rate)
    pair.run(3)
    pair.out.send_digits("5#")
    pair.run(25)
    assert pair.ear.digits == "5#"
    events = [packet for packet in pair.packets if packet.payload_type == 102]
    told = [parse_event(packet.payload) for packet in events[:7]]
    assert [event.duration for event in told if event is not None] == durations + durations[-1:] * 2
    assert len({packet.timestamp for packet in events[:7]}) == 1


def test_the_payload_type_of_digits_may_change_within_a_call() -> None:
    pair = Pair(event_payload_type=101)
    pair.out.send_digits("1")
    pair.run(12)
    pair.follow(event_payload_type=96, receive_event_type=110)
    event = next(packet for packet in pair.packets if packet.payload_type == 101)
    pair.into.packet(event._replace(payload_type=110, sequence=event.sequence + 20, timestamp=5000), pair.now)
    # The old number is no longer agreed on.
    pair.into.packet(event._replace(sequence=event.sequence + 21, timestamp=9000), pair.now)
    assert pair.ear.digits == "11"


def test_a_sender_that_leaves_silence_out_is_heard_with_its_pauses() -> None:
    pair = Pair()
    for spurt in range(5):
        for step in range(10):
            number = spurt * 10 + step
            stamp = (TIMESTAMP + spurt * 8000 + step * 160) & 0xFFFFFFFF
            packet = rtp.RtpPacket(0, step == 0, (SEQUENCE + number) & 0xFFFF, stamp, 5, TONE[:160])
            pair.into.packet(packet, pair.now)
            pair.run_in(0.02)
        pair.run_in(0.8)
    assert abs(len(pair.ear.line) - 5 * 8000) <= 1600
    assert (pair.into.jitter.lost, pair.into.jitter.resyncs) == (0, 0)


# ── packets of several frames ───────────────────────────────────────────────────────────────────
def sound(pair: Pair) -> bytes:
    """What arrived, without our silence."""
    return b"".join(packet.payload for packet in pair.packets if packet.payload_type == 0).replace(
        b"\xff", b""
    )


@pytest.mark.parametrize("ptime", [30, 40, 60])
@pytest.mark.parametrize("frames", range(1, 7))
def test_what_counts_as_heard_has_been_sent_when_a_hold_begins_and_nothing_is_left_for_later(
    ptime: int, frames: int
) -> None:
    pair = Pair(ptime=ptime)
    pair.out.play(b"\x21" * 1600, "r", "i")
    pair.run(frames)
    start = pair.packets[0].timestamp if pair.packets else TIMESTAMP
    pair.follow(ptime=ptime, direction="inactive")
    pair.run(10)
    (heard,) = pair.out.stop_playing()
    assert heard.samples == 160 * frames == len(sound(pair))
    # Time is as if nothing had been sent ahead.
    assert pair.out.writer.timestamp == (start + 160 * (frames + 10)) & 0xFFFFFFFF
    pair.follow(ptime=ptime)
    pair.run(6)
    assert len(sound(pair)) == 160 * frames


@pytest.mark.parametrize("change", [{"ptime": 20}, {"ptime": 60, "codec": "PCMA", "payload_type": 8}])
def test_what_counts_as_heard_has_been_sent_when_the_codec_changes(change: dict[str, object]) -> None:
    pair = Pair(ptime=60, line="ulaw")
    pair.out.play(b"\x21" * 1600, "r", "i")
    pair.run(2)
    pair.follow(line="ulaw", **change)
    assert len(sound(pair)) == 320


@pytest.mark.parametrize("ptime", [20, 30, 40, 60])
def test_an_event_begins_where_a_packet_has_ended(ptime: int) -> None:
    pair = Pair(ptime=ptime)
    pair.out.play(b"\x21" * 1600, "r", "i")
    pair.run(2)
    pair.out.send_digits("12")
    pair.run(40)
    assert pair.ear.digits == "12"
    ends = 0
    for packet in pair.packets:
        stamp = (packet.timestamp - TIMESTAMP) & 0xFFFFFFFF
        if packet.payload_type == 0:
            assert stamp >= ends
            ends = stamp + len(packet.payload)
        else:
            assert stamp >= ends
    assert len(sound(pair)) == 1600


@pytest.mark.parametrize("way", ["hold", "digits"])
def test_an_item_played_to_its_end_has_ended_also_when_nothing_of_the_agent_follows(way: str) -> None:
    pair = Pair()
    pair.out.play(b"\x21" * 320, "r", "i")
    pair.out.play_end("r")
    pair.run(2)
    assert pair.ear.ended == []
    if way == "hold":
        pair.follow(direction="inactive")
    else:
        pair.out.send_digits("1")
    pair.run(1)
    assert pair.ear.ended == [("i", 40, False)]
