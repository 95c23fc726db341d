"""Calls that both sides hold, with every codec and with encryption, and the music of the settings."""

from __future__ import annotations

import array
import itertools
from pathlib import Path

import pytest

from tests.kit.service import service, until
from voiceagent.media import g711
from voiceagent.media.codecs import WIDE, have_wide
from voiceagent.media.sdp.security import Keying
from voiceagent.media.tones import sine
from voiceagent.media.wav import WavWriter
from voiceagent.phone.phone import Phone, PhoneCall

pytestmark = pytest.mark.loopback

FLOW = """
import asyncio
from voiceagent.ivr import Call, flow

@flow("line", numbers=["100"])
async def line(call: Call) -> None:
    await call.say("Hello.")
    await asyncio.Event().wait()
"""
MUSIC_HZ = 1500


def music_heard_s(call: PhoneCall, since: float) -> float:
    """How many seconds of music the phone has heard since that time: tenths that cross zero as it does."""
    heard = g711.decode(call.timeline.since(1, since), "alaw" if call.law == "PCMA" else "ulaw")
    samples = array.array("h", heard)
    tenths = 0
    for at in range(0, len(samples) - 799, 800):
        part = samples[at : at + 800]
        crossings = sum((a < 0) != (b < 0) for a, b in itertools.pairwise(part))
        tenths += abs(crossings - MUSIC_HZ / 5) <= 6 and max(part) > 1000
    return tenths / 10


@pytest.mark.parametrize(
    ("codec", "srtp"),
    [("PCMU", None), ("PCMA", "dtls"), ("G722", None), ("opus", None), ("opus", "sdes"), ("G722", "dtls")],
)
async def test_held_by_us_with_music_then_by_the_phone_and_the_line_is_as_before(
    tmp_path: Path, codec: str, srtp: Keying | None
) -> None:
    if codec in WIDE and not have_wide():
        pytest.skip("PyAV is not installed")
    (tmp_path / "flows.py").write_text(FLOW, encoding="utf-8")
    with WavWriter(tmp_path / "music.wav", rate=16_000, channels=1) as music:
        music.write(sine(MUSIC_HZ, 1000, rate=16_000))
    settings = {
        "flows": [str(tmp_path / "flows.py")],
        "call__hold_music": str(tmp_path / "music.wav"),
        "media__sdes_over": "any",
    }
    async with service(tmp_path, **settings) as running, Phone(codecs=(codec,), srtp=srtp) as phone:
        assert running.addresses is not None
        call = phone.dial(f"sip:100@{running.addresses.sip}")
        await call.answered()
        await until(lambda: running.directory.live)
        (live,) = running.directory.live
        await until(lambda: any(entry.outcome is not None for entry in live.ledger))
        said = [entry.outcome.heard_ms for entry in live.ledger if entry.outcome is not None]

        before = call._loop.time()
        assert await live.holding.hold()
        assert call.held
        await until(lambda: music_heard_s(call, before) >= 0.5)
        assert await live.holding.resume()
        assert not call.held
        resumed = call._loop.time()

        call.hold(True)
        await until(lambda: live.held)
        sent = live.leg.figures().sent
        heard = live.leg.figures().received
        await until(lambda: live.leg.figures().received >= heard + 10)
        assert live.leg.figures().sent == sent, "who is held sends nothing"
        call.hold(False)
        await until(lambda: not live.held)
        await until(lambda: live.leg.figures().sent >= sent + 10)
        await call.press("42")
        await until(lambda: live.digits_pressed == 2)

        figures = live.leg.figures()
        assert music_heard_s(call, resumed + 0.2) == 0
        assert call.codec == codec
        # A busy machine may keep one back too long; numbers that began anew would make nearly all late.
        assert figures.lost + figures.late <= figures.received / 10
        assert (figures.foreign, figures.details["loss_percent"]) == (0, 0), "none is missing, late or not"
        assert figures.details["undecodable"] == 0
        assert bool(figures.srtp) == (srtp is not None)
        assert figures.details.get("srtp_refused", 0) == 0
        assert [entry.outcome.heard_ms for entry in live.ledger if entry.outcome is not None] == said
        call.hang_up()
