"""``voiceagent init``: what it makes is checked, simulated, tested and called, as its README says."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.loopback.test_process import QUIET, clean_environment
from voiceagent.cli.init import FILES, NEXT
from voiceagent.cli.main import app
from voiceagent.cli.run import own_command
from voiceagent.phone.phone import Phone
from voiceagent.records.journal import read_journal

Run = Callable[..., Any]


def run(*words: str, status: int = 0) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == status, result.output
    return result.output


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new project, and we are in it."""
    for name in [name for name in os.environ if name.startswith("VOICEAGENT_")] + ["OPENAI_API_KEY"]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    run("init", "shop")
    monkeypatch.chdir(tmp_path / "shop")
    return tmp_path / "shop"


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_makes_the_files_and_says_what_to_do_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    told = run("init", "my shop")
    assert set(files_in(tmp_path / "my shop")) == set(FILES)
    assert [line.strip() for line in told.partition("Next:\n")[2].splitlines()] == ["cd 'my shop'", *NEXT]
    readme = (tmp_path / "my shop" / "README.md").read_text(encoding="utf-8")
    assert readme.split("```")[1].strip().splitlines() == list(NEXT)


def test_who_has_not_activated_the_environment_is_told_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "an env" / "bin"
    place.mkdir(parents=True)
    (place / "activate").touch()
    monkeypatch.setattr(sys, "executable", str(place / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    told = json.loads(run("init", str(tmp_path / "shop"), "--json"))
    assert told["next"] == [f"cd {tmp_path / 'shop'}", f"source '{place / 'activate'}'", *NEXT]
    assert own_command() == f"'{place / 'python'}' -m voiceagent"

    (place / "voiceagent").touch(mode=0o755)
    assert own_command() == f"'{place / 'voiceagent'}'"
    monkeypatch.chdir(place.parent)
    assert own_command() == "bin/voiceagent"
    monkeypatch.setenv("PATH", str(place))
    assert own_command() == "voiceagent"


def test_nothing_is_overwritten_and_what_is_in_the_way_is_listed(project: Path) -> None:
    (project / "voiceagent.toml").write_text("mine", encoding="utf-8")
    (project / "flows" / "front_desk.py").unlink()
    before = files_in(project)
    told = run("init", status=1)
    assert "in the way in .: voiceagent.toml; nothing was written" in told
    assert files_in(project) == before
    error = json.loads(run("init", "--json", status=1))["error"]
    assert (error["code"], error["files"]) == ("in_the_way", ["voiceagent.toml"])


def test_force_overwrites_its_own_files_alone(project: Path) -> None:
    (project / "voiceagent.toml").write_text("mine", encoding="utf-8")
    (project / "flows" / "other.py").write_text("mine", encoding="utf-8")
    told = json.loads(run("init", "--force", "--json"))
    assert (told["made"], told["overwritten"]) == (["voiceagent.toml"], ["voiceagent.toml"])
    assert len(told["kept"]) == len(FILES) - 1
    assert (project / "flows" / "other.py").read_text(encoding="utf-8") == "mine"
    assert b"[sip]" in (project / "voiceagent.toml").read_bytes()


def test_a_file_where_a_folder_must_be_and_a_link_to_elsewhere_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "flows").write_text("mine", encoding="utf-8")
    (tmp_path / "README.md").symlink_to(tmp_path / "elsewhere")
    error = json.loads(run("init", str(tmp_path), "--force", "--json", status=1))["error"]
    assert error["files"] == ["flows", "README.md"]
    assert set(files_in(tmp_path)) == {"flows"}


def test_it_is_clean_and_its_scenarios_hold(project: Path) -> None:
    flows = ("flows/front_desk.py", "flows/opening_hours.toml")
    assert run("flow", "check", *flows, "--strict").startswith("nothing found in 2 flows")
    for flow, scenario in zip(flows, ("order", "opening_hours"), strict=True):
        run("flow", "simulate", flow, "--scenario", f"scenarios/{scenario}.toml")
    assert "opening-hours answers, by its own number" in run("flow", "route", "200")
    assert "front-desk answers, as default_flow" in run("flow", "route", "300")


def test_its_tests_pass(project: Path) -> None:
    words = ("-m", "pytest", "-q", "-p", "voiceagent.simulate.pytest_plugin", "-p", "no:cacheprovider")
    path = os.pathsep.join(one for one in sys.path if one)
    done = subprocess.run(
        [sys.executable, *words],
        cwd=project,
        # Whatever else is installed beside pytest is not asked for, and takes its time.
        env={**clean_environment(), "PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert "3 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.loopback
async def test_it_answers_a_call_as_the_scenario_says(project: Path) -> None:
    pairs = ("sip.port=0", "console.port=0", *QUIET)
    chosen = [part for pair in pairs for part in ("--set", pair)]
    path = os.pathsep.join(one for one in sys.path if one)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "voiceagent", "serve", "--json", *chosen),
        cwd=project,
        env={**clean_environment(), "PYTHONPATH": path},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        listening = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
        async with Phone() as phone:
            call = phone.dial(f"sip:200@{listening['sip']}")
            await call.answered(45)
            await call.until_speaking(45)
            await call.press("1")
            await call.over(45)
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
    (journal,) = (project / "journals").glob("*.jsonl")
    entries = list(read_journal(journal))
    assert [entry["step"] for entry in entries if entry["type"] == "flow.step"] == [
        "greet",
        "menu",
        "hours",
        "bye",
    ]
    ended = next(entry for entry in entries if entry["type"] == "call.ended")
    assert (ended["outcome"], ended["reason"]) == ("success", "completed")
