"""Examples called for real: the caller speaks, the embedded provider hears it, answers and is heard.

One flow in Python and one in TOML; :mod:`tests.interop.test_baresip_examples` calls a third with a phone that
we did not write.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.kit import REAL, entries, said
from tests.kit.service import service, until
from tests.kit.speaking_caller import SpeakingCaller
from voiceagent.engine.synth_callers import flite_present
from voiceagent.phone.phone import Phone
from voiceagent.phone.words import spoken

pytestmark = [
    pytest.mark.loopback,
    pytest.mark.skipif(not flite_present(), reason="the caller's voice is flite's rms"),
]

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENT = {**REAL, "call__no_input_s": 30.0}


async def test_a_flow_in_python_by_voice(tmp_path: Path) -> None:
    flows = [str(EXAMPLES / "front_desk.py")]
    queues = [{"name": "desk", "targets": ["sip:desk@127.0.0.1:5090"]}]
    targets = ["sip:desk@127.0.0.1:5090"]
    async with (
        service(tmp_path, flows=flows, queues=queues, call__transfer_targets=targets, **PATIENT) as running,
        Phone() as phone,
    ):
        assert running.addresses is not None
        call = phone.dial(f"sip:100@{running.addresses.sip}")
        hours, no = await spoken(call, "opening hours"), await spoken(call, "no thank you")
        await call.answered()
        caller = await SpeakingCaller.of(running)
        await caller.hears("Hello, this is the garden shop.")
        await caller.answers("what would you like?", lambda: call.play(hours), "from nine to five")
        await caller.answers("Is there anything else?", lambda: call.play(no), "Goodbye.")
        assert (await call.over()).by == "peer"
        await until(lambda: not running.directory.live)
    assert said(tmp_path)[0] == "opening hours"
    assert entries(tmp_path)[-1]["reason"] == "completed"


async def test_a_flow_in_toml_by_voice_and_keys(tmp_path: Path) -> None:
    targets = ["sip:desk@127.0.0.1:5090"]
    async with (
        service(
            tmp_path, flows=[str(EXAMPLES / "opening_hours.toml")], call__transfer_targets=targets, **PATIENT
        ) as running,
        Phone() as phone,
    ):
        assert running.addresses is not None
        call = phone.dial(f"sip:800@{running.addresses.sip}")
        renew = await spoken(call, "renew a book")
        await call.answered()
        caller = await SpeakingCaller.of(running)
        await caller.answers("a person?", lambda: call.play(renew), "on your library card")
        await call.press("12345")
        await caller.hears("All books on card 1 2 3 4 5 are renewed")
        assert (await call.over(60)).by == "peer"
        await until(lambda: not running.directory.live)
    steps = [entry["step"] for entry in entries(tmp_path) if entry["type"] == "flow.step"]
    assert steps == ["greet", "menu", "card", "renewed", "bye"]
    assert "renew a book" in said(tmp_path)
    assert entries(tmp_path)[-1]["reason"] == "completed"
