"""``voiceagent flow route``: who would answer, and why not the others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from voiceagent.cli.main import app

SETTINGS = """
flows = ["{folder}/desk.py"]
default_flow = "desk"

[[routes]]
flow = "closed"
hours = "17:30-09:00"
timezone = "Europe/Berlin"

[[routes]]
flow = "spring"
header = {{ name = "X-Campaign", equals = "spring" }}
"""
FLOWS = """
from voiceagent.ivr import Call, flow


async def nothing(call: Call) -> None: ...


desk, closed, spring = (flow(name)(nothing) for name in ("desk", "closed", "spring"))
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    (tmp_path / "desk.py").write_text(FLOWS, encoding="utf-8")
    file = tmp_path / "voiceagent.toml"
    file.write_text(SETTINGS.format(folder=tmp_path.as_posix()), encoding="utf-8")
    return str(file)


def route(config: str, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["flow", "route", "100", "-c", config, *words])
    return result.exit_code, result.output


def test_it_says_who_answers_and_who_was_passed_over(config: str) -> None:
    assert route(config, "--at", "2026-12-01T18:00") == (0, "closed answers, by routes.1.\n")
    status, text = route(config, "--at", "2026-12-01T12:00")
    assert (status, text.splitlines()) == (
        0,
        [
            "routes.1 passes it over (closed): hours: 12:00 is outside of 17:30-09:00",
            "routes.2 passes it over (spring): header: there is no X-Campaign",
            "desk answers, as default_flow: no route and no flow names the number.",
        ],
    )


def test_programs_get_the_same(config: str) -> None:
    words = ["--at", "2026-12-01T11:00+00:00", "--header", "x-campaign: spring", "--json"]
    status, text = route(config, *words)
    assert (status, json.loads(text)) == (
        0,
        {
            "number": "100",
            "at": "2026-12-01T11:00:00+00:00",
            "flow": "spring",
            "by": "routes.2",
            "passed": [
                {
                    "route": 1,
                    "flow": "closed",
                    "field": "hours",
                    "why": "12:00 is outside of 17:30-09:00",
                }
            ],
        },
    )


def test_nobody_is_an_exit_status(config: str) -> None:
    status, text = route(config, "--at", "2026-12-01T12:00", "--set", "default_flow=")
    assert (status, text.splitlines()[-1]) == (
        1,
        "Nobody answers (404): no flow names the number, and there is no default_flow.",
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--at", "noon"], "--at noon: must look like"),
        (["--kind", "sip"], "--kind sip: must be one of direct, hosted, browser"),
        (["--header", "X-Campaign"], "--header X-Campaign: must look like"),
        (["--set", "default_flow=dsk"], "default_flow: there is no flow 'dsk'; did you mean 'desk'?"),
    ],
)
def test_what_is_asked_wrongly_is_told(config: str, words: list[str], told: str) -> None:
    status, text = route(config, *words)
    assert status == 2
    assert told in text
