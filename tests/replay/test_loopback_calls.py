"""Real calls over loopback, several at once on a loop with a real clock, are lived again as they were."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.kit.service import service, until
from voiceagent.bench.recorded_calls import SHORT, record_short
from voiceagent.bench.replay import replay_all
from voiceagent.cli.explain import show_sip
from voiceagent.cli.replay import run_replay
from voiceagent.loops import run_loop
from voiceagent.phone.phone import Phone
from voiceagent.records.journal import read_journal
from voiceagent.sip.endpoint_core import Core

FLOW = """
from voiceagent.ivr import Call, flow

@flow("short", numbers=["100"])
async def short(call: Call) -> None:
    await call.hangup("Bye.")
"""


def test_recorded_loopback_calls_are_decided_the_same(tmp_path: Path) -> None:
    run_loop(lambda: record_short(tmp_path))
    figures = replay_all(tmp_path)

    assert figures["differences"] == {}
    assert figures["calls"] == figures["same"] == len(SHORT)
    assert figures["decisions"] > 100
    assert figures["sip_messages"] > 20


def test_a_change_of_the_endpoint_fails_the_replay_of_a_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_loop(lambda: _hung_up(tmp_path))
    journals = [tmp_path / "journals"]
    run_replay(journals, flows=(), tolerance_ms=100, as_json=False)
    assert re.search(r"decisions and 4 SIP messages in .* s, all as they were", capsys.readouterr().out)

    [journal] = journals[0].glob("*.jsonl")
    show_sip(journal, as_json=False)
    ladder = [line.split()[2:5] for line in capsys.readouterr().out.splitlines()]
    assert [" ".join(words) for words in ladder][:3] == ["▶ INVITE 1", "◀ 100 Trying", "◀ 180 Ringing"]
    assert sum(words[0] == "▶" for words in ladder) >= 2, "with the ACK"

    respond = Core.respond

    def busy(self: Core, transaction: Any, status: int, *args: Any, **given: Any) -> bool:
        return respond(self, transaction, 182 if status == 180 else status, *args, **given)

    monkeypatch.setattr(Core, "respond", busy)
    with pytest.raises(SystemExit) as ended:
        run_replay(journals, flows=(), tolerance_ms=100, as_json=False)
    assert ended.value.code == 1
    told = capsys.readouterr().out
    assert "sip: we sent 182 Queued (INVITE) where the recording has 180 Ringing (INVITE)" in told
    assert "first difference" not in told, "the call itself decides as it did"


def test_journals_without_inputs_hold_no_sip(tmp_path: Path) -> None:
    run_loop(lambda: _hung_up(tmp_path, journal__inputs=False))
    [journal] = (tmp_path / "journals").glob("*.jsonl")
    assert "sip" not in {entry["type"].partition(".")[0] for entry in read_journal(journal)}


async def _hung_up(folder: Path, **settings: Any) -> None:
    """One call that we answer and end."""
    flows = folder / "flows.py"
    flows.write_text(FLOW, encoding="utf-8")
    async with service(folder, flows=[str(flows)], **settings) as running, Phone() as phone:
        assert running.addresses is not None
        call = phone.dial(f"sip:100@{running.addresses.sip}")
        await call.answered()
        await call.over(20)
        await until(lambda: not running.directory.live)
