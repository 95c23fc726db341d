"""Real calls over loopback, several at once on a loop with a real clock, are lived again as they were."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.kit.service import operator, service, until
from voiceagent.bench.recorded_calls import SHORT, record_short
from voiceagent.bench.replay import replay_all
from voiceagent.cli.explain import show_sip
from voiceagent.cli.replay import run_replay
from voiceagent.loops import run_loop
from voiceagent.phone.phone import Phone, PhoneCall
from voiceagent.records.journal import read_journal
from voiceagent.replay.sip_story import sip_ladder
from voiceagent.sip.endpoint_core import Core

pytestmark = pytest.mark.loopback

HELD_UP_S = 2.0
"""So long a busy machine may hold a call up within a turn: what is decided is the same, and its order."""

KINDS = """
import asyncio
from voiceagent.ivr import Call, flow

@flow("talk", numbers=["100"])
async def talk(call: Call) -> None:
    await call.say("One two three four five six seven eight nine ten.")
    await asyncio.sleep(60)

@flow("sender", numbers=["200"])
async def sender(call: Call) -> None:
    await call.transfer("sip:desk@127.0.0.1:5999")

@flow("short")
async def short(call: Call) -> None:
    await call.hangup("Bye.")
"""
FLOW = """
from voiceagent.ivr import Call, flow

@flow("short", numbers=["100"])
async def short(call: Call) -> None:
    await call.hangup("Bye.")
"""


def test_recorded_loopback_calls_are_decided_the_same(tmp_path: Path) -> None:
    run_loop(lambda: record_short(tmp_path))
    figures = replay_all(tmp_path, tolerance_s=HELD_UP_S)

    assert figures["differences"] == {}
    assert figures["calls"] == figures["same"] == len(SHORT)
    assert figures["decisions"] > 100
    assert figures["sip_messages"] > 20


def test_a_change_of_the_endpoint_fails_the_replay_of_a_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_loop(lambda: _hung_up(tmp_path))
    journals = [tmp_path / "journals"]
    run_replay(journals, flows=(), tolerance_ms=1000 * HELD_UP_S, as_json=False)
    assert re.search(r"decisions and \d+ SIP messages in .* s, all as they were", capsys.readouterr().out)

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
        run_replay(journals, flows=(), tolerance_ms=1000 * HELD_UP_S, as_json=False)
    assert ended.value.code == 1
    told = capsys.readouterr().out
    assert "sip: we sent 182 Queued (INVITE) where the recording has 180 Ringing (INVITE)" in told
    assert "first difference" not in told, "the call itself decides as it did"


def test_sip_of_calls_of_every_kind_is_the_same_again(tmp_path: Path) -> None:
    run_loop(lambda: _every_kind(tmp_path))
    figures = replay_all(tmp_path / "journals", tolerance_s=HELD_UP_S)
    assert figures["differences"] == {}
    assert figures["calls"] == 5

    [hung_up, cancelled, held, transferred, placed] = (
        [line.split()[2:4] for line in sip_ladder(path)] for path in _in_order(tmp_path / "journals")
    )
    assert ["▶", "BYE"] in hung_up
    assert ["▶", "CANCEL"] in cancelled
    assert ["◀", "487"] in cancelled
    assert held.count(["▶", "INVITE"]) >= 3, "with hold and resume; a busy machine may repeat one"
    assert ["◀", "REFER"] in transferred
    assert ["◀", "INVITE"] in placed


def _in_order(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"), key=lambda path: next(read_journal(path))["at"])


async def _every_kind(folder: Path) -> None:
    """The caller hangs up, gives up, holds; we transfer; we call."""
    flows = folder / "flows.py"
    flows.write_text(KINDS, encoding="utf-8")
    given_up: list[PhoneCall] = []
    settings: dict[str, Any] = {
        "outbound__allowed": ("sip:*@127.0.0.1:*",),
        "call__transfer_targets": ["sip:desk@*"],
    }
    async with (
        service(folder, flows=[str(flows)], **settings) as running,
        Phone(transfer_status=200) as phone,
        Phone(note=lambda _, __, label: given_up[0].hang_up() if label[:3] == "180" else None) as impatient,
        Phone(answer=lambda call: call.pick_up()) as callee,
    ):
        assert running.addresses is not None

        async def rest() -> None:
            await until(lambda: not running.admission.live)

        call = phone.dial(f"sip:100@{running.addresses.sip}")
        await call.answered()
        call.hang_up()
        await rest()
        given_up.append(impatient.dial(f"sip:100@{running.addresses.sip}"))
        await given_up[0].over(45)
        await rest()
        call = phone.dial(f"sip:100@{running.addresses.sip}")
        await call.answered()
        await call.ear.until_speaking(45)
        live = running.directory.live[0]
        call.hold(True)
        await until(lambda: live.held)
        call.hold(False)
        await until(lambda: not live.held)
        call.hang_up()
        await rest()
        call = phone.dial(f"sip:200@{running.addresses.sip}")
        await call.over(45)
        await rest()
        async with operator(running) as client:
            to = f"sip:callee@127.0.0.1:{callee.address.port}"
            placed = await client.post("/v1/calls", json={"to": to, "flow": "short"})
            assert placed.status_code == 202, placed.text
        await until(lambda: len(running.directory.calls()) == 5)
        await rest()


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
        await call.over(45)
        await until(lambda: not running.directory.live)
