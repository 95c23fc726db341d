"""``serve --workers`` with real processes: announced, watched over, replaced, drained together."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.deploy.front import Callers
from tests.deploy.serving import Serving, serving
from tests.kit.redis_server import redis_server
from tests.kit.service import until
from voiceagent.cli.main import app
from voiceagent.cli.workers import WorkersWish, command_of
from voiceagent.sip.address import Address


def test_a_workers_command_can_be_read_and_typed() -> None:
    wish = WorkersWish(2, Path("va.toml"), {"sip.port": 5060, "flows": ["a.py"]}, as_json=True)
    command = command_of(wish, {"sip.port": 5061, "cluster.node": "here-1"})
    assert command[3:] == [
        *("serve", "--supervised", "--config", "va.toml", "--json"),
        *("--set", "sip.port=5061", "--set", 'flows=["a.py"]', "--set", 'cluster.node="here-1"'),
    ]


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):  # before it is opened, or while it is read
        return False


def pids_of(serving: Serving) -> list[int]:
    children = Path(f"/proc/{serving.process.pid}/task/{serving.process.pid}/children").read_text()
    return [int(pid) for pid in children.split()]


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode()


def sip_of(line: dict[str, Any]) -> Address:
    host, _, port = str(line["sip"]).rpartition(":")
    return Address(host, int(port))


@pytest.mark.fleet
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="REDIS MISSING: install redis-server")
async def test_two_workers_from_their_start_to_their_end(tmp_path: Path) -> None:
    with redis_server() as redis, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        told: list[str] = []

        def hear() -> list[str]:
            while True:
                try:
                    told.extend(manager.recv(4096).decode().splitlines())
                except BlockingIOError:
                    return told

        settings = {
            "cluster.url": redis.url,
            "cluster.node": "here",
            "media.port_low": 34000,
            "media.port_high": 35999,
        }
        watch = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "60000000"}
        async with serving(tmp_path, settings, "--workers", "2", environment=watch) as parent:
            assert (await parent.says("ready"))[0]["workers"] == 2
            lines = {one["node"]: one for one in await parent.says("listening", 2)}
            assert set(lines) == {"here-0", "here-1"}
            await until(lambda: "READY=1" in hear())
            assert (tmp_path / "journals" / "here-1").is_dir()

            # One dies: it is replaced, the other's call goes on.
            async with Callers(sip_of(lines["here-1"])) as callers:
                call = callers.dial()
                assert await callers.settled([call]) == {"up": 1}
                pids = pids_of(parent)
                first = next(pid for pid in pids if '"here-0"' in command_line(pid))
                os.kill(first, signal.SIGKILL)
                (ended,) = await parent.says("worker ended")
                assert (ended["node"], ended["status"]) == ("here-0", -signal.SIGKILL)
                again = (await parent.says("listening", 3))[-1]
                assert again["node"] == "here-0"
                assert first not in pids_of(parent)

                # All drain: the call goes on, no other is taken, and with its end all end.
                parent.process.send_signal(signal.SIGTERM)
                await until(lambda: "STOPPING=1" in hear())

                async def refused() -> bool:
                    one = callers.dial()
                    (how,) = await callers.settled([one])
                    if how == "up":
                        callers.hang_up([one])
                    return how == "503"

                while not await refused():
                    pass
                assert call in callers.up
                callers.hang_up([call])
                assert await parent.status() == 0


@pytest.mark.fleet
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="REDIS MISSING: install redis-server")
async def test_a_worker_does_not_outlive_its_parent(tmp_path: Path) -> None:
    with redis_server() as redis:
        settings = {"cluster.url": redis.url, "media.port_low": 34000, "media.port_high": 35999}
        async with serving(tmp_path, settings, "--workers", "1") as parent:
            await parent.says("ready")
            (worker,) = pids_of(parent)
            parent.process.kill()
            await parent.status()
            await until(lambda: not alive(worker))


def test_what_cannot_be_split_is_one_line_and_status_2(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["serve", "--workers", "2", "--set", f"journal_dir={tmp_path}"])
    assert done.exit_code == 2
    assert done.stderr.startswith("voiceagent: cluster.url: is needed by --workers")


def test_the_dispatcher_list_names_the_workers(tmp_path: Path) -> None:
    given = ["--set", "cluster.url=redis://127.0.0.1/0", "--set", "sip.advertised_host=192.0.2.5"]
    done = CliRunner().invoke(app, ["kamailio", "--workers", "3", *given])
    lines = [line for line in done.stdout.splitlines() if not line.startswith("#")]
    assert lines == [f"1 sip:192.0.2.5:{port} 0 0" for port in (5060, 5061, 5062)]
    done = CliRunner().invoke(app, ["kamailio", "--node", "a:1", "--node", "b:2", "--json"])
    assert json.loads(done.stdout) == {"dispatcher": ["sip:a:1", "sip:b:2"]}
    done = CliRunner().invoke(app, ["kamailio", "--set", "sip.port=0"])
    assert done.exit_code == 2
    assert "sip.port" in done.stderr
