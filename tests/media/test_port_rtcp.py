"""RTCP between two ports, and from strangers: figures come of it, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.media.secure_kit import Pair, keys, pair, stranger
from voiceagent.media import rtcp
from voiceagent.media.path import MediaPath
from voiceagent.media.srtp_profile import SrtpProfile

pytestmark = pytest.mark.loopback

KEYS = keys(SrtpProfile.AES_CM_128_HMAC_SHA1_80)


@pytest.mark.parametrize("mux", [False, True])
@pytest.mark.parametrize("security", [(None, None), KEYS], ids=["plain", "srtp"])
def test_reports_go_both_ways_and_bring_figures(mux: bool, security: tuple) -> None:
    with pair(rtcp=True) as both:
        both.connect(*security, mux=mux)
        both.run(21_000)
        for port in (both.here, both.there):
            details = port.figures().details
            assert 2 <= details["rtcp_sent"] <= 14
            assert details["rtcp_received"] >= 2
            assert details["rtcp_malformed"] == 0
            assert details["loss_percent"] == details["remote_loss_percent"] == 0
            assert 0 <= details["round_trip_ms"] < 10
            assert details["jitter_ms"] < 2
            assert details["mos"] > 4.3
            assert details["remote_mos"] > 4.3
            assert port.figures().foreign == 0


class LossySocket:
    """Loses every tenth datagram that is sent."""

    def __init__(self, real: Any) -> None:
        self._real = real
        self._count = 0

    def send(self, data: bytes) -> int:
        self._count += 1
        return len(data) if self._count % 10 == 0 else self._real.send(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def test_loss_on_the_way_is_known_at_both_ends() -> None:
    with pair(rtcp=True) as both:
        both.connect(None, None)
        both.here._socket = LossySocket(both.here._socket)  # type: ignore[assignment]
        both.run(30_000)
        assert both.there.figures().details["loss_percent"] == pytest.approx(10, abs=1)
        assert both.here.figures().details["remote_loss_percent"] == pytest.approx(10, abs=2)
        assert both.there.figures().details["mos"] < 3.7
        assert both.here.figures().details["mos"] > 4.3


def test_a_good_bye_is_sent_at_the_end() -> None:
    with pair(rtcp=True) as both, stranger() as phone, stranger() as phone_rtcp:
        both.here.connect(MediaPath(phone.getsockname(), rtcp=phone_rtcp.getsockname()))
        both.run(100)
        both.here.close()
        packets = rtcp.parse_compound(phone_rtcp.recv(2048))
        assert isinstance(packets[0], rtcp.Report)
        assert packets[0].sender is not None
        assert packets[0].sender.packets == 5
        assert packets[0].sender.octets == 5 * 160
        assert isinstance(packets[-1], rtcp.Bye)


def test_without_an_agreed_way_nothing_is_sent() -> None:
    with pair(rtcp=True) as both, stranger() as phone:
        both.here.connect(MediaPath(phone.getsockname(), direction="inactive"))
        both.run(20_000)
        both.here.close()
        with pytest.raises(BlockingIOError):
            phone.recv(2048)


def test_reports_of_another_host_or_in_the_clear_count_for_nothing() -> None:
    report = rtcp.build_report(rtcp.Report(5)) + rtcp.build_name(5, "x")
    with pair(rtcp=True) as both, stranger() as thief:
        both.connect(*KEYS)
        both.run(100)
        host, number = both.here.address
        for _ in range(50):
            thief.sendto(report, (host, number + 1))
            both.run(2)
        assert both.here.figures().details["rtcp_received"] == 0
        assert both.here.figures().details["srtp_refused"] == 50
    with pair(rtcp=True) as both, stranger() as thief:
        both.here.connect(MediaPath(("127.0.0.9", 4000), rtcp=("127.0.0.9", 4001)))
        both.run(20)
        host, number = both.here.address
        thief.sendto(report, (host, number + 1))
        both.run(20)
        assert both.here.figures().details["rtcp_received"] == 0


def test_a_bye_or_a_lie_ends_no_call_and_moves_no_media() -> None:
    with pair(rtcp=True, timeout_s=3.0) as both:
        both.connect(None, None)
        both.run(100)
        ssrc = both.here._out.writer.ssrc
        lie = rtcp.ReportBlock(ssrc, 255, 0x7FFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 1, 0xFFFFFFFF)
        control = both.there._control
        assert control is not None
        assert control._socket is not None
        host, number = both.here.address
        before = both.here.figures().sent
        for _ in range(100):
            control._socket.sendto(
                rtcp.build_report(rtcp.Report(9, None, (lie,))) + rtcp.build_bye(9), (host, number + 1)
            )
            both.run(20)
        assert both.here.figures().details["rtcp_received"] >= 100
        assert both.here.figures().sent - before == 100
        assert both.events[0].lost == []
        assert both.here.remote == both.there.address


def test_rtcp_feeds_no_silence_timer() -> None:
    with pair(rtcp=True, timeout_s=3.0) as both:
        both.connect(None, None)
        both.run(100)
        both.there.update(
            MediaPath(
                both.here.address,
                direction="inactive",
                rtcp=(*both.here.address[:1], both.here.address[1] + 1),
            )
        )
        control = both.there._control
        assert control is not None
        assert control._socket is not None
        host, number = both.here.address
        for _ in range(200):
            control._socket.sendto(rtcp.build_report(rtcp.Report(9)), (host, number + 1))
            both.run(20)
        assert [round(silence) for silence in both.events[0].lost] == [3]


def test_the_pair_of_ports_is_free_again_after_the_call() -> None:
    both = Pair(rtcp=True)
    fds = [both.here.fileno(), both.there.fileno()]
    both.connect(None, None)
    both.run(40)
    assert len(both.wheel._watched) == 2
    both.close()
    assert both.wheel._watched == {}
    assert fds[0] != fds[1]
