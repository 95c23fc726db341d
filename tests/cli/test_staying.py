"""``serve`` stays while calls run: who asks it to go, how often, and a terminal that is gone."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from voiceagent.app import draining, workforce
from voiceagent.app.draining import Drainer
from voiceagent.app.sd_notify import Notifier
from voiceagent.cli.run import say
from voiceagent.cli.serve import _stay
from voiceagent.cli.workers import _Parent


class Unread(io.StringIO):
    """Where a reader was who has gone, as ``serve | tee log`` after Ctrl-C."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


whoever_reads = pytest.mark.parametrize("read", [True, False], ids=["read", "unread"])


def let_go(monkeypatch: pytest.MonkeyPatch, read: bool) -> None:
    if not read:
        # Where logs are not set up, structlog writes there, too.
        monkeypatch.setattr(draining, "_log", SimpleNamespace(info=lambda *_, **__: None))
        monkeypatch.setattr(sys, "stdout", Unread())


class Node:
    """A service with calls, of which only the way out is real."""

    def __init__(self, calls: int) -> None:
        self.settings = SimpleNamespace(call=SimpleNamespace(drain_limit_s=600.0))
        self.admission = SimpleNamespace(live=calls, draining=False)
        self.metrics = SimpleNamespace(draining=lambda on: None)
        self.queues = SimpleNamespace(close=lambda: None, open=lambda: None)
        self.fleet = SimpleNamespace(cluster=SimpleNamespace(epoch="run1", facts_changed=lambda: None))
        self.directory = SimpleNamespace(live=())
        self.trunks = None
        self.drainer = Drainer(cast("Any", self))
        self.signals: asyncio.Queue[str] = asyncio.Queue()
        self.staying = asyncio.ensure_future(_stay(self, self.signals, Notifier(), as_json=False))

    @property
    def state(self) -> str:
        return str(self.drainer.view()["state"])

    async def signal(self) -> None:
        self.signals.put_nowait("SIGTERM")
        await settled()

    async def call_ends(self) -> None:
        self.admission.live -= 1
        if not self.admission.live:
            self.drainer.none_left()
        await settled()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@whoever_reads
async def test_the_first_signal_waits_for_calls_the_second_for_nobody(
    monkeypatch: pytest.MonkeyPatch, read: bool
) -> None:
    let_go(monkeypatch, read)
    one, two = Node(1), Node(1)
    for node in (one, two):
        await node.signal()
        assert (node.state, node.staying.done()) == ("draining", False)
    await one.call_ends()
    await two.signal()
    for node in (one, two):
        assert node.staying.done()
        node.staying.result()


async def test_after_a_drain_that_was_taken_back_a_signal_waits_for_calls_again() -> None:
    node = Node(1)
    await node.signal()
    assert node.drainer.resume("an operator")
    assert (node.state, node.staying.done()) == ("serving", False)
    await node.signal()
    assert (node.state, node.staying.done()) == ("draining", False), "no call is cut"
    await node.signal()
    assert node.staying.done()


async def test_a_signal_after_the_consoles_drain_is_the_first() -> None:
    node = Node(1)
    node.drainer.begin("an operator", 30.0)
    await node.signal()
    assert not node.staying.done()
    assert node.drainer.view()["limit_in_s"] == pytest.approx(30.0, abs=5.0), (
        "who names no limit changes none"
    )
    await node.call_ends()
    assert node.staying.done()


WORKER = """
import os, signal, socket, sys
lives = sys.argv[1]
first = not os.path.exists(lives)
open(lives, "a").close()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
line.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
if first:
    sys.exit(3)
sys.stdin.read()
"""


@pytest.fixture
async def _no_handlers_left() -> Any:
    yield
    loop = asyncio.get_running_loop()
    for number in (1, 2, 15):
        loop.remove_signal_handler(number)


@whoever_reads
@pytest.mark.usefixtures("_no_handlers_left")
async def test_workers_are_replaced_and_drained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: bool
) -> None:
    let_go(monkeypatch, read)
    monkeypatch.setattr(workforce, "BACKOFF_S", 0.0)
    parent = _Parent([[sys.executable, "-c", WORKER, str(tmp_path / "lives")]], ["a"], as_json=False)
    running = asyncio.ensure_future(parent.run())
    async with asyncio.timeout(60):
        while parent._force._workers[0].died_young == 0 or not parent._force.ready:  # noqa: ASYNC110 - of processes
            await asyncio.sleep(0.01)
        parent._do(parent._stop())
        assert await running == 0


@pytest.mark.usefixtures("_no_handlers_left")
async def test_a_worker_that_cannot_be_started_is_no_worker_that_runs(tmp_path: Path) -> None:
    parent = _Parent([[str(tmp_path / "nothing")]], ["a"], as_json=True)
    async with asyncio.timeout(60):
        assert await parent.run() == 1


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


def test_what_nobody_reads_makes_no_failure_at_the_exit(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = pipe
    os.close(reading)
    with os.fdopen(writing, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        say("one")
        say("two")
        out.flush()
