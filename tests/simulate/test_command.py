"""``voiceagent flow simulate`` and ``flow scenario``: what they print, write, and exit with."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner, Result

from voiceagent.cli.main import app
from voiceagent.replay.check import check_journal
from voiceagent.replay.explain import explain_journal

HERE = Path(__file__).parent
SHOP = str(HERE / "shop.py")
GOOD = """
name = "hours by speech"
flow = "shop"
[[turn]]
says = "hours"
expect = { said = "nine" }
"""
BAD = """
name = "a <holiday> & \\u0001"
flow = "shop"
[[turn]]
expect = { said = "holiday" }
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["flow", *arguments])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "good.toml").write_text(GOOD, encoding="utf-8")
    return tmp_path


def test_all_as_expected_is_status_0(folder: Path) -> None:
    done = run("simulate", SHOP, "--scenario", "s")
    assert done.exit_code == 0
    assert "✓ hours by speech" in done.output
    assert "caller    hours" in done.output


def test_one_failure_is_status_1_and_shows_its_transcript(folder: Path) -> None:
    (folder / "s" / "bad.toml").write_text(BAD, encoding="utf-8")
    done = run("simulate", SHOP, "--scenario", "s", "--junit", "out.xml")
    assert done.exit_code == 1
    assert "s/bad.toml: turn 1 (line 5): expected to hear 'holiday'" in done.output
    assert "2 scenarios, 1 failed" in done.output
    assert "caller    hours" not in done.output, "what went well is one line"
    assert "caller    hours" in run("simulate", SHOP, "--scenario", "s", "--verbose").output
    root = ElementTree.parse(folder / "out.xml").getroot()
    (suite,) = root.findall("testsuite")
    assert (suite.get("name"), suite.get("tests"), suite.get("failures")) == ("shop", "2", "1")
    bad, good = suite.findall("testcase")
    assert good.find("failure") is None
    assert bad.get("name") == "a <holiday> & \ufffd"
    failure = bad.find("failure")
    assert failure is not None
    assert "expected to hear 'holiday'" in (failure.text or "")
    assert float(good.get("time", "0")) > 5


def test_json_has_everything(folder: Path) -> None:
    done = run("simulate", SHOP, "--scenario", "s/good.toml", "--json", "--verbose")
    told = json.loads(done.output)
    assert told["ok"] is True
    (one,) = told["scenarios"]
    assert (one["name"], one["reason"], one["failures"]) == ("hours by speech", "completed", [])
    assert [event["text"] for event in one["events"] if event["kind"] == "caller"] == ["hours"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.py", "--scenario", "s"], "no such file: none.py"),
        ([SHOP, "--scenario", "none.toml"], "none.toml: no such file"),
        ([SHOP, "--scenario", "s", "--set", "call.no_input_s=x"], "call.no_input_s"),
        ([SHOP, "--scenario", "s", "--junit", "no/such/folder.xml"], "--junit: cannot write"),
    ],
)
def test_what_cannot_be_used_is_status_2(folder: Path, arguments: list[str], message: str) -> None:
    done = run("simulate", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr


def test_settings_say_what_calls_may_do(folder: Path) -> None:
    text = (
        'flow = "front-desk"\n[[turn]]\ndigits = "0"\n[expect]\ntransferred_to = "sip:operator@127.0.0.1"\n'
    )
    (folder / "s" / "good.toml").write_text(text, encoding="utf-8")
    desk = str(HERE.parents[1] / "voiceagent" / "ivr" / "front_desk.py")
    assert run("simulate", desk, "--scenario", "s").exit_code == 0
    (folder / "voiceagent.toml").write_text('realtime.provider = "openai"\n', encoding="utf-8")
    refused = run("simulate", desk, "--scenario", "s")
    assert refused.exit_code == 1
    assert "transfer  sip:operator@127.0.0.1: refused" in refused.output


LOUD = """
from voiceagent.ivr import Call, flow

print("imported")

@flow("loud")
async def loud(call: Call) -> None:
    print("hello")
    await call.say("Hello.")
"""


@pytest.mark.parametrize("arguments", [["simulate", "--json"], ["check", "--json"], ["simulate"]])
def test_what_a_flow_prints_goes_to_standard_error(folder: Path, arguments: list[str]) -> None:
    (folder / "loud.py").write_text(LOUD, encoding="utf-8")
    (folder / "s" / "good.toml").write_text("", encoding="utf-8")
    done = run(*arguments, "loud.py", "--scenario", "s")
    assert done.exit_code == 0
    assert "imported" in done.stderr
    assert "hello" in done.stderr
    assert "imported" not in done.stdout
    if "--json" in arguments:
        assert json.loads(done.stdout)["ok"] is True


def test_a_flow_that_raises_is_status_1_and_names_its_line(folder: Path) -> None:
    text = LOUD.replace('await call.say("Hello.")', 'raise ValueError("no fruit")')
    (folder / "loud.py").write_text(text, encoding="utf-8")
    (folder / "s" / "good.toml").write_text("", encoding="utf-8")
    done = run("simulate", "loud.py", "--scenario", "s")
    assert done.exit_code == 1
    assert "at the end: the flow failed: ValueError: no fruit (loud.py:9)" in done.stdout


def test_journals_are_as_those_of_real_calls(folder: Path) -> None:
    assert run("simulate", SHOP, "--scenario", "s", "--journal", "j").exit_code == 0
    (journal,) = (folder / "j").iterdir()
    assert journal.name == "hours-by-speech.jsonl"
    assert check_journal(journal).ok
    assert any("the caller said “hours”" in one.text for one in explain_journal(journal))
    made = run("scenario", str(journal), "--out", "again.toml", "--name", "again")
    assert made.output.strip() == "again.toml: 2 turns"
    assert run("simulate", SHOP, "--scenario", "again.toml").exit_code == 0
    printed = run("scenario", str(journal))
    assert 'says = "hours"' in printed.output
    assert json.loads(run("scenario", str(journal), "--json").output)["out"] is None


def test_a_journal_without_a_call_is_status_1(folder: Path) -> None:
    (folder / "empty.jsonl").touch()
    done = run("scenario", "empty.jsonl")
    assert done.exit_code == 1
    assert "no call that was answered" in done.stderr


@pytest.mark.parametrize("name", ["front_desk", "front_desk_busy", "front_desk_silence"])
def test_a_simulated_journal_replays_without_a_difference(folder: Path, name: str) -> None:
    desk = str(HERE.parents[1] / "voiceagent" / "ivr" / "front_desk.py")
    scenario = str(HERE / "scenarios" / f"{name}.toml")
    assert run("simulate", desk, "--scenario", scenario, "--journal", "j").exit_code == 0
    (journal,) = (folder / "j").iterdir()
    replayed = CliRunner().invoke(app, ["replay", str(journal)])
    assert replayed.exit_code == 0, replayed.output
    assert "all as they were" in replayed.output
