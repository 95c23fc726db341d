"""What is wrong at the start is told in one line that names the setting, and the exit status is not 0."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of 127.0.0.1 on which somebody listens, by TCP and UDP."""
    with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        stream.bind(("127.0.0.1", 0))
        stream.listen()
        datagrams.bind(stream.getsockname())
        yield stream.getsockname()[1]


def serve(folder: Path, toml: str, **settings: str | int) -> str:
    """Start the service with what is wrong; return the one line that it says."""
    (folder / "voiceagent.toml").write_text(toml, encoding="utf-8")
    usual = {"sip.port": 0, "console.port": 0, "realtime.url": "ws://127.0.0.1:9/{model}"}
    flags = [word for name, value in {**usual, **settings}.items() for word in ("--set", f"{name}={value}")]
    done = subprocess.run(
        [sys.executable, "-m", "voiceagent", "serve", *flags],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode not in (0, None)
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    assert not done.stdout.strip()
    return lines[0]


def test_a_sip_port_that_is_taken(tmp_path: Path, taken: int) -> None:
    line = serve(tmp_path, "", **{"sip.port": taken})
    assert "sip.port" in line
    assert str(taken) in line


def test_a_console_port_that_is_taken(tmp_path: Path, taken: int) -> None:
    line = serve(tmp_path, "", **{"console.port": taken})
    assert "console.port" in line


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("nonsense", "Could not parse"),
        ("mysterysql://here/x", "mysterysql"),
        ("postgresql+psycopg://me:hidden@127.0.0.1:9/calls", "refused"),
        ("sqlite:////proc/nowhere/x.db", "No such file"),
    ],
)
def test_a_database_that_cannot_be_used(tmp_path: Path, url: str, why: str) -> None:
    line = serve(tmp_path, "", **{"database.url": url})
    assert "database.url" in line
    assert why in line
    assert "hidden" not in line


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    line = serve(tmp_path, 'journal_dir = "/proc/nowhere"')
    assert "journal_dir" in line


def test_a_key_that_there_is_not(tmp_path: Path) -> None:
    assert "call.max_cals: there is no such setting" in serve(tmp_path, "[call]\nmax_cals = 3\n")


def test_a_file_that_is_not_toml(tmp_path: Path) -> None:
    assert "config file" in serve(tmp_path, "call = [")
