"""Worker processes: order, cancelling, crashes, bounds, and a sure end."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from voiceagent.engine.workers import JobFailed, WorkerDied, Workers, WorkersBusy

SOURCE = """
import os, sys, time
from voiceagent.engine.workers import serve

def handle(head, body):
    print("not a frame")
    if head["job"] == "crash" or (head["job"] == "crash once" and not os.path.exists(head["mark"])):
        open(head.get("mark", os.devnull), "w").close()
        os._exit(3)
    if head["job"] == "fail":
        raise ValueError("no such thing")
    if head["job"] == "gate":
        with open(head["gate"]) as gate:  # a named pipe: opens when the test opens it
            gate.read()
    return {"pid": os.getpid(), "job": head["job"]}, body[::-1]

serve(handle)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "echo_worker_for_tests.py").write_text(SOURCE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "echo_worker_for_tests"


@pytest.fixture
async def workers(module: str) -> AsyncIterator[Workers]:
    made = Workers(module, queue=2, patience=60)
    yield made
    await made.close()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_job_goes_and_comes(workers: Workers) -> None:
    head, body = await workers.run({"job": "turn"}, b"abc" * 100_000)
    assert head["job"] == "turn"
    assert body == b"cba" * 100_000


async def test_what_the_worker_prints_does_not_disturb(
    workers: Workers, capfd: pytest.CaptureFixture[str]
) -> None:
    await workers.run({"job": "turn"})
    await workers.close()
    assert "not a frame" in capfd.readouterr().err


async def test_a_failed_job_leaves_the_worker_well(workers: Workers) -> None:
    with pytest.raises(JobFailed, match="no such thing"):
        await workers.run({"job": "fail"})
    before = workers.pids
    await workers.run({"job": "turn"})
    assert workers.pids == before


async def test_a_crash_is_survived_once(workers: Workers, tmp_path: Path) -> None:
    head, _ = await workers.run({"job": "crash once", "mark": str(tmp_path / "mark")})
    assert head["job"] == "crash once"


async def test_a_job_that_always_crashes_is_an_error_and_the_next_job_is_fine(workers: Workers) -> None:
    with pytest.raises(WorkerDied):
        await workers.run({"job": "crash"})
    assert (await workers.run({"job": "turn"}))[0]["job"] == "turn"


@pytest.mark.skipif(sys.platform == "win32", reason="needs named pipes")
async def test_a_cancelled_job_does_not_answer_the_next_one(workers: Workers, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    await workers.start()
    slow = asyncio.create_task(workers.run({"job": "gate", "gate": str(gate)}))
    opened = await asyncio.to_thread(open, gate, "w")  # returns once the worker waits at the gate
    slow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await slow
    opened.close()
    head, body = await workers.run({"job": "turn"}, b"ab")
    assert (head["job"], body) == ("turn", b"ba")


@pytest.mark.skipif(sys.platform == "win32", reason="needs named pipes")
async def test_the_queue_is_bounded(workers: Workers, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    slow = asyncio.create_task(workers.run({"job": "gate", "gate": str(gate)}))
    opened = await asyncio.to_thread(open, gate, "w")
    waiting = [asyncio.create_task(workers.run({"job": "turn"})) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(WorkersBusy):
        await workers.run({"job": "turn"})
    opened.close()
    heads = [head["job"] for head, _ in await asyncio.gather(slow, *waiting)]
    assert heads == ["gate", "turn", "turn"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs named pipes")
async def test_a_stuck_job_is_given_up(module: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    workers = Workers(module, patience=0.05)
    with pytest.raises(WorkerDied):
        await workers.run({"job": "gate", "gate": str(gate)})
    assert workers.pids == []
    await workers.close()


async def test_close_ends_every_process(module: str) -> None:
    workers = Workers(module, count=2)
    await workers.start({"job": "turn"})
    pids = workers.pids
    assert len(pids) == 2
    await workers.close()
    assert not any(alive(pid) for pid in pids)
    with pytest.raises(WorkerDied):
        await workers.run({"job": "turn"})
    await workers.close()


async def test_a_worker_ends_when_its_parent_is_gone(module: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([os.environ["PYTHONPATH"], os.getcwd()])},
    )  # fmt: skip
    _, _ = await process.communicate(b"")
    assert process.returncode == 0
