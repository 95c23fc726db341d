"""Simulated calls replay without a difference, whatever their flows do; from Python and from TOML."""

from __future__ import annotations

import hashlib
import json
import wave
from pathlib import Path
from typing import Any

import pytest

from voiceagent.app.reload import FlowDesk
from voiceagent.call.recorded_call import source_of
from voiceagent.ivr.loading import load_flows
from voiceagent.observe.metrics import Metrics
from voiceagent.replay.replay import in_words, replay_journal
from voiceagent.settings import bare_settings
from voiceagent.simulate.engine import pick_flow, simulate
from voiceagent.simulate.scenario_file import parse_scenario

DESK = Path(__file__).parents[1] / "simulate" / "desk.toml"
FLOWS = '''
from voiceagent.ivr import Call, flow

@flow("many", numbers=["1"])
async def many(call: Call) -> None:
    """You know about parcels."""
    await call.record(announce="This call is recorded.")
    await call.play("chime.wav")
    await call.hold()
    await call.resume()
    await call.send_digits("12")
    await call.queue("desk", timeout_s=30)
    await call.stop_recording()
    await call.hangup("Bye.")

@flow("recorded", numbers=["2"])
async def recorded(call: Call) -> None:
    """You record to the end."""
    await call.record()
    got = await call.transfer("sip:desk@example.com")
    await call.say(f"That was {got.status}.")

@flow("asks", numbers=["3"])
async def asks(call: Call) -> None:
    """You ask somebody first."""
    got = await call.transfer("sip:desk@example.com", attended=True, whisper="A caller.")
    await call.say(f"That was {got.status}.")

@flow("waits", numbers=["4"])
async def waits(call: Call) -> None:
    """You let callers wait."""
    waited = await call.queue("desk", whisper="A caller.", timeout_s=20)
    await call.say(f"That was {waited.reason}.")
'''


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    with wave.open(str(tmp_path / "chime.wav"), "wb") as chime:
        chime.setparams((1, 2, 8000, 0, "NONE", ""))
        chime.writeframes(bytes(2 * 8000))
    path = tmp_path / "flows.py"
    path.write_text(FLOWS, encoding="utf-8")
    return path


def journal_of(file: Path, text: str, folder: Path) -> Path:
    scenario = parse_scenario(text)
    flow = pick_flow(load_flows([file], None), scenario)
    result = simulate(flow, scenario, text=text, inputs=True)
    assert result.ok, result.failures
    result.write_journal(folder / "call.jsonl")
    return folder / "call.jsonl"


def replays(journal: Path) -> None:
    report = replay_journal(journal)
    assert report.same, in_words(report)
    assert report.notes == []
    assert report.verdict.compared > 20


@pytest.mark.parametrize("status", [200, 480, 486])
@pytest.mark.parametrize("after_ms", [0, 1000, 40_000])
@pytest.mark.parametrize("called", ["1", "2", "3", "4"])
def test_transfers_and_queues_go_as_they_went(
    flows: Path, tmp_path: Path, called: str, status: int, after_ms: int
) -> None:
    text = f"called = '{called}'\n[transfer]\nstatus = {status}\nafter_ms = {after_ms}"
    replays(journal_of(flows, text, tmp_path))


@pytest.mark.parametrize(
    "turns",
    [
        "[[turn]]\nholds_ms = 2000",
        "[[turn]]\nholds_ms = 2000\n[[turn]]\nsilence_ms = 40000",
        "[[turn]]\nhangup = true\nbarge_in_at_ms = 400",
        "[[turn]]\nwait_for = 'queue'\nafter_ms = 4000\ndigits = '*'",
    ],
)
def test_whatever_the_caller_does_goes_as_it_went(flows: Path, tmp_path: Path, turns: str) -> None:
    replays(journal_of(flows, f"called = '1'\n[transfer]\nstatus = 486\n{turns}", tmp_path))


STORY = """
[fetch.lookup]
result = "42 euros"
[[turn]]
says = "my balance"
[[turn]]
digits = "4711#"
"""


def test_a_flow_in_toml_is_found_again(tmp_path: Path) -> None:
    journal = journal_of(DESK, STORY, tmp_path)
    made = json.loads(journal.read_text(encoding="utf-8").partition("\n")[0])["flow"]
    digest = hashlib.sha256(DESK.read_bytes()).hexdigest()[:16]
    assert made == {"name": "desk", "file": str(DESK.resolve()), "sha256": digest}
    replays(journal)


def test_a_flow_in_toml_that_is_another_now_differs(tmp_path: Path) -> None:
    file = tmp_path / "desk.toml"
    text = DESK.read_text(encoding="utf-8")
    file.write_text(text, encoding="utf-8")
    journal = journal_of(file, STORY, tmp_path)
    file.write_text(text.replace("Goodbye.", "Farewell."), encoding="utf-8")
    report = replay_journal(journal)
    assert not report.same
    assert any("desk.toml has changed since the call" in note for note in report.notes)
    assert replay_journal(journal, flows=[DESK]).same


async def test_a_call_after_a_reload_has_the_digest_of_what_it_runs(tmp_path: Path) -> None:
    toml, python = tmp_path / "desk.toml", tmp_path / "flows.py"
    toml.write_text(DESK.read_text(encoding="utf-8"), encoding="utf-8")
    python.write_text(FLOWS, encoding="utf-8")
    desk = FlowDesk(
        bare_settings({"flows": [str(toml), str(python)], "call.http_hosts": ["shop.invalid"]}),
        Metrics(version="test"),
    )

    def digests() -> list[Any]:
        found = [desk.book.get("desk"), desk.book.get("many")]
        return [source_of(one)["sha256"] for one in found if one is not None]

    def of_files() -> list[str]:
        return [hashlib.sha256(one.read_bytes()).hexdigest()[:16] for one in (toml, python)]

    first = of_files()
    assert digests() == first
    for file in (toml, python):
        file.write_text(file.read_text(encoding="utf-8").replace("Bye.", "So long."), encoding="utf-8")
        file.write_text(f"{file.read_text(encoding='utf-8')}# newer\n", encoding="utf-8")
    assert digests() == first, "the old ones still run"
    await desk.reload("test")
    assert digests() == of_files() != first
