"""A played file is heard in a simulation like anything that the agent says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from voiceagent.media.wav import WavWriter

FLOW = """
from voiceagent.ivr import Call, flow

@flow("legal", numbers=["100"])
async def legal(call: Call) -> None:
    await call.play("legal.wav", text="This call may be recorded for training. You may object at any time.")
    await call.say("How can I help you?")
    await call.choose('Ask: "Billing or hours?"', billing="1", hours="2")
"""


def test_a_file_is_heard_before_what_follows(call_sim: Any, tmp_path: Path) -> None:
    (tmp_path / "legal.py").write_text(FLOW)
    with WavWriter(tmp_path / "legal.wav") as file:
        file.write(b"\x10\x27" * 8000 * 6)
    call = call_sim(tmp_path / "legal.py")
    assert 0 <= call.heard.index("You may object") < call.heard.index("How can I help you?")
    call.says("billing")
    assert call.over
