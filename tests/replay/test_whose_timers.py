"""Whatever a call's tasks wait for is the call's: its journal says when their timers fired."""

from pathlib import Path

from tests.kit.recorded import RecordedStory, record_story
from voiceagent.records.journal import read_journal

FLOW = """
import asyncio
from voiceagent.ivr import Call, flow

@flow("waits")
async def waits(call: Call) -> None:
    await asyncio.sleep(0.5)
    await call.hangup()
"""


def test_a_timer_of_the_flow_is_an_input(tmp_path: Path) -> None:
    async def act(_story: RecordedStory) -> None:
        """The flow hangs up by itself."""

    entries = list(read_journal(record_story(tmp_path, FLOW, act)))
    fired = [timer for entry in entries if entry["type"] == "in.timers" for timer in entry["fired"]]
    assert "_set_result_unless_cancelled" in [name for _, _, _, name in fired], "what asyncio.sleep waits for"
