"""A browser's audio on the wheel, in virtual time: every slot, jitter, silence, and an account of it all."""

from __future__ import annotations

from voiceagent.errors import MediaError
from voiceagent.media import rtp
from voiceagent.media.path import MediaPath
from voiceagent.media.webrtc_port import WebrtcPort
from voiceagent.media.wheel import MediaWheel

SILENCE = b"\xff" * 160


class Events:
    def __init__(self) -> None:
        self.audio = b""
        self.log: list[tuple] = []

    def on_audio(self, audio: bytes) -> None:
        self.audio += audio

    def on_digit(self, digit: str) -> None:
        self.log.append(("digit", digit))

    def on_playback_started(self, response_id: str, item_id: str) -> None:
        self.log.append(("started", item_id))

    def on_playback_ended(self, response_id: str, item_id: str, heard_ms: int, cut: bool) -> None:
        self.log.append(("ended", item_id, heard_ms, cut))

    def on_media_lost(self, silence_s: float) -> None:
        self.log.append(("lost", round(silence_s)))

    def on_media_failed(self, error: MediaError) -> None:
        self.log.append(("failed", error.code))


class Bench:
    """A wheel in virtual time; what leaves is kept with its moment."""

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.port.close()
        self.wheel.close()

    def __init__(self, **options: float) -> None:
        self.now = 50.0
        self.wheel = MediaWheel(tick_ms=2, timer="none", clock=lambda: self.now)
        self.events = Events()
        self.sent: list[tuple[float, bytes, int]] = []
        self.port = WebrtcPort(self.wheel, self.events, self._sent, **options)
        self.sequence = 65530

    def _sent(self, payload: bytes, timestamp: int) -> None:
        self.sent.append((round(self.now - 50, 3), payload, timestamp))

    def start(self, codec: str = "PCMU", number: int = 0) -> None:
        self.port.start(MediaPath(None, codec=codec, payload_type=number, event_payload_type=None))

    def hear(self, payload: bytes = b"\x21" * 160, number: int = 0) -> None:
        timestamp = (self.sequence * 160) & 0xFFFFFFFF
        self.port.packet(rtp.RtpPacket(number, False, self.sequence & 0xFFFF, timestamp, 7, payload))
        self.sequence += 1

    def run(self, ms: int, *, talk: bool = False) -> None:
        for step in range(ms // 2):
            if talk and step % 10 == 0:
                self.hear()
            self.now += 0.002
            self.wheel.tick()


def test_every_slot_has_its_packet_and_timestamps_stay_true() -> None:
    with Bench() as bench:
        bench.run(100)
        assert bench.sent == []
        bench.start()
        bench.run(200)
        assert len(bench.sent) == 10
        assert {payload for _, payload, _ in bench.sent} == {SILENCE}
        assert [stamp for _, _, stamp in bench.sent] == [160 * n for n in range(10)]
        bench.port.play(b"\x11" * 480, "r", "i")
        bench.port.play_end("r")
        before = bench.now
        bench.run(2)
        assert bench.sent[-1][1] == b"\x11" * 160
        assert bench.sent[-1][0] <= before - 50 + 0.0021
        bench.run(198)
        assert bench.events.log == [("started", "i"), ("ended", "i", 60, False)]
        assert [stamp for _, _, stamp in bench.sent] == [160 * n for n in range(len(bench.sent))]
        bench.now += 0.1
        bench.wheel.tick()
        bench.run(20)
        gaps = {b - a for (_, _, a), (_, _, b) in zip(bench.sent, bench.sent[1:], strict=False)}
        assert gaps > {160}
        assert bench.port.figures().skipped > 0


def test_a_gap_is_filled_and_the_other_law_is_brought_to_the_line() -> None:
    with Bench() as bench:
        bench.start()
        bench.run(200, talk=True)
        bench.sequence += 1
        bench.run(200, talk=True)
        figures = bench.port.figures()
        assert figures.received == 20
        assert figures.lost == 1
        assert len(bench.events.audio) >= 19 * 160


def test_silence_is_told_each_time_that_the_limit_has_passed_and_never_without_one() -> None:
    with Bench(silence_limit_s=2.0) as bench:
        bench.start()
        bench.run(1000, talk=True)
        bench.run(5000)
        assert bench.events.log == [("lost", 2), ("lost", 4)]
    with Bench(silence_limit_s=0.0) as patient:
        patient.start()
        patient.run(5000)
        assert patient.events.log == []


def test_a_closed_port_is_quiet_and_cannot_be_started_again() -> None:
    with Bench() as bench:
        bench.start()
        bench.port.close()
        bench.port.close()
        bench.start()
        bench.hear()
        bench.run(100)
        bench.port.play(b"\x11" * 160, "r", "i")
        assert (bench.sent, bench.events.audio, len(bench.wheel)) == ([], b"", 0)
