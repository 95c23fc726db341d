"""Queues in simulated calls: those of the settings, who waits before the caller, who answers in the end."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from voiceagent.call.config import CallConfig
from voiceagent.call.queueing import QueueConfig
from voiceagent.cli.main import app
from voiceagent.errors import ConfigError
from voiceagent.ivr import Call, flow
from voiceagent.replay.replay import in_words, replay_journal
from voiceagent.simulate.call_sim import CallSims
from voiceagent.simulate.engine import SimResult, simulate
from voiceagent.simulate.scenario_file import parse_scenario
from voiceagent.simulate.surroundings import Surroundings

DESK, NIGHT = "sip:desk@pbx.example.com", "sip:night@pbx.example.com"
SETTINGS = f"""
call.transfer_targets = ["{DESK}", "{NIGHT}"]

[[queues]]
name = "desk"
targets = ["{DESK}", "{NIGHT}"]
max_waiting = 3
"""
AROUND = Surroundings(
    CallConfig(transfer_targets=(DESK, NIGHT)),
    queues={"desk": QueueConfig((DESK, NIGHT), max_waiting=3)},
)


@flow("waits", numbers=["100"])
async def waits(call: Call) -> None:
    waited = await call.queue("desk", timeout_s=120)
    await call.say(f"That was {waited.reason}.")


FILE = """
from voiceagent.ivr import Call, flow

@flow("waits")
async def waits(call: Call) -> None:
    waited = await call.queue("desk", timeout_s=60)
    await call.say(f"That was {waited.reason}.")
"""


PATIENCE = "\n[[turn]]\nwait_for = 'queue'\n[[turn]]\nsilence_ms = 130000\n"


def played(text: str, around: Surroundings = AROUND) -> SimResult:
    return simulate(waits, parse_scenario(text), text=text, around=around)


def tried(result: SimResult) -> list[tuple[str, int]]:
    return [(one["target"], one["status"]) for one in result.record.journal if one["type"] == "queue.offered"]


def test_the_first_target_that_answers_has_the_caller() -> None:
    result = played("[queues.desk]\nanswers = [{ status = 486 }, { status = 200, after_ms = 4000 }]")
    assert tried(result) == [(DESK, 486), (NIGHT, 200)]
    assert (result.transferred_to, result.reason) == (NIGHT, "transferred")


def test_the_last_answer_stays_and_transfers_have_their_own() -> None:
    result = played(f"transfer.status = 200\n[queues.desk]\nanswers = [{{ status = 486 }}]{PATIENCE}")
    assert {status for _, status in tried(result)} == {486}
    assert "That was timed_out." in result.heard


def test_without_answers_it_goes_as_with_transfers() -> None:
    assert {status for _, status in tried(played("transfer.status = 486"))} == {486}
    assert tried(played("transfer.status = 200")) == [(DESK, 200)]


def test_who_came_before_is_served_before() -> None:
    result = played(f"[queues.desk]\nwaiting = 2\nserved_every_ms = 20000{PATIENCE}")
    told = [(round(one.t), one.details["told"]) for one in result.events if one.kind == "queue"]
    assert [where for _, where in told[:3]] == ["number 3 of 3", "number 2 of 2", "number 1 of 1"]
    assert [at - told[0][0] for at, _ in told[:3]] == [0, 20, 40]
    assert "You are number 3 in the queue." in result.heard
    assert result.transferred_to == DESK


def test_a_full_queue_is_full() -> None:
    result = played("queues.desk.waiting = 3")
    assert result.heard == ["That was full."]


def test_a_queue_that_the_settings_do_not_have_is_refused_as_in_a_real_call() -> None:
    (failure,) = played("", Surroundings(AROUND.config, queues={})).failures
    assert "there is none named 'desk'" in failure.message
    with pytest.raises(ConfigError, match=r"queues.night: the settings have no such queue; there is desk"):
        played("queues.night.waiting = 3")


def test_without_settings_every_queue_is_there() -> None:
    assert played("", Surroundings()).reason == "transferred"
    limited = played("", Surroundings(AROUND.config))
    assert (limited.transferred_to, limited.reason) == (DESK, "transferred")


@pytest.mark.parametrize(
    ("story", "turns"),
    [
        ("answers = [{ status = 486 }, { status = 200, after_ms = 4000 }]", ""),
        ("waiting = 2\nserved_every_ms = 20000", PATIENCE),
        ("waiting = 3", ""),
        ("waiting = 2\nserved_every_ms = 0\nanswers = [{ status = 480 }]", PATIENCE),
    ],
)
def test_the_command_has_the_queues_of_the_settings_and_its_journals_replay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, story: str, turns: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "voiceagent.toml").write_text(SETTINGS, encoding="utf-8")
    (tmp_path / "waits.py").write_text(FILE, encoding="utf-8")
    (tmp_path / "s.toml").write_text(f"[queues.desk]\n{story}{turns}", encoding="utf-8")
    command = ["flow", "simulate", "waits.py", "--scenario", "s.toml", "--journal", "j"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "sip:desk@pbx.example.com" in done.output or "full" in done.output
    report = replay_journal(tmp_path / "j" / "s.jsonl")
    assert report.same, in_words(report)


def test_tests_have_the_queues_of_the_settings(call_sim: CallSims, tmp_path: Path) -> None:
    settings, scenario = tmp_path / "service.toml", tmp_path / "s.toml"
    settings.write_text(SETTINGS, encoding="utf-8")
    scenario.write_text("[queues.desk]\nanswers = [{ status = 486 }, { status = 200 }]", encoding="utf-8")
    assert call_sim(waits, settings=settings).result.transferred_to == DESK
    assert call_sim.plays(waits, scenario, settings=settings).transferred_to == NIGHT
    full = call_sim(waits, settings=settings, queues={"desk": {"waiting": 3}})
    assert full.heard == "That was full."
    with pytest.raises(ConfigError, match="the settings have no such queue"):
        call_sim(waits, settings=settings, queues={"night": {"waiting": 3}})
