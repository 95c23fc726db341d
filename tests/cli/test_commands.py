"""The command line: help that teaches, errors in one line, exit codes, JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from voiceagent.cli.demo import _clear  # pyright: ignore[reportPrivateUsage]
from voiceagent.errors import ConfigError


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "voiceagent", *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("command", ["serve", "demo", "call", "engine", "doctor", "bench"])
def test_every_command_explains_itself(command: str, tmp_path: Path) -> None:
    done = run(command, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert len(done.stdout) > 200


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys, voiceagent.cli.main as m\n"
        "heavy = {'fastapi', 'numpy', 'pydantic', 'websockets', 'httpx', 'aiortc', 'prometheus_client'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serve", "--set", "sip.port=abc"], "sip.port"),
        (["serve", "--provider", "openai"], "realtime.api_key"),
        (["serve", "--flow", "none.py"], "no such file: none.py"),
        (["serve", "--config", "none.toml"], "config file: none.toml: no such file"),
        (["serve", "--set", "nonsense"], "must look like section.name=value"),
        (["call", "sip:1@127.0.0.1", "--do", "dance"], "unknown step 'dance'"),
        (["call", "sip:1@127.0.0.1", "--do", "digits:12x"], "digits are 0-9"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_errors_are_json_when_asked_for(tmp_path: Path) -> None:
    done = run("serve", "--set", "sip.port=abc", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["error"]["code"] == "config"
    assert done.returncode == 2


def test_the_demo_removes_only_what_it_wrote(tmp_path: Path) -> None:
    mine = tmp_path / "thesis.txt"
    mine.write_text("years of work", encoding="utf-8")
    (tmp_path / "summary.json").write_text("old", encoding="utf-8")
    _clear(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["thesis.txt"]
    with pytest.raises(ConfigError, match="cannot use"):
        _clear(mine)


def test_nobody_there_is_told_and_fails(tmp_path: Path) -> None:
    done = run("call", "not a uri", "--json", cwd=tmp_path)
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"]


def test_the_version_is_shown(tmp_path: Path) -> None:
    assert run("--version", cwd=tmp_path).stdout.startswith("voiceagent ")
