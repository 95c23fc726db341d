"""What the service manager hears, on real datagram sockets."""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.virtual_loop import virtual
from voiceagent.app.sd_notify import STATUS_S, Notifier


class Manager:
    """The other end."""

    def __init__(self, address: str) -> None:
        self.name = "@" + address[1:] if address.startswith("\0") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        """All that has come, a datagram each."""
        found: list[str] = []
        while True:
            try:
                found.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    abstract = request.param == "abstract"
    one = Manager("\0voiceagent-" + secrets.token_hex(8) if abstract else str(tmp_path / "notify"))
    yield one
    one.close()


def test_it_is_told_what_happens(manager: Manager) -> None:
    notifier = Notifier.of_process({"NOTIFY_SOCKET": manager.name})
    assert notifier.heard
    notifier.ready()
    notifier.status("3 calls")
    notifier.status("3 calls")
    notifier.status("two\nlines READY=1")
    notifier.stopping("draining")
    assert manager.heard() == [
        "READY=1",
        "STATUS=3 calls",
        "STATUS=two lines READY=1",
        "STOPPING=1\nSTATUS=draining",
    ]
    notifier.close()
    notifier.ready()
    assert manager.heard() == []


@pytest.mark.parametrize("path", [None, "", "@", "relative", "vsock:2:1234"])
def test_nobody_there_means_nothing_is_done(path: str | None) -> None:
    notifier = Notifier.of_process(
        {} if path is None else {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "1000000"}
    )
    assert not notifier.heard
    assert notifier.watchdog_s is None
    assert not notifier.tell("READY=1")
    asyncio.run(asyncio.wait_for(notifier.keep_alive(lambda: "ok"), 45))


def test_a_manager_that_has_gone_disturbs_nobody(manager: Manager) -> None:
    notifier = Notifier(manager.name)
    manager.close()
    assert not notifier.tell("READY=1")
    notifier.status("ok")
    notifier.close()


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_whose_it_says(environment: dict[str, str], seconds: float | None) -> None:
    notifier = Notifier.of_process({"NOTIFY_SOCKET": "/nowhere", **environment}, pid=7)
    assert notifier.watchdog_s == seconds
    notifier.close()


@virtual
async def test_the_beat_comes_twice_in_the_watchdogs_time_while_all_is_well(tmp_path: Path) -> None:
    manager, well, calls = Manager(str(tmp_path / "notify")), True, 0
    notifier = Notifier(manager.name, 30.0)
    beating = asyncio.ensure_future(notifier.keep_alive(lambda: f"{calls} calls", lambda: well))
    await asyncio.sleep(46)
    assert manager.heard() == ["WATCHDOG=1", "STATUS=0 calls", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]
    well, calls = False, 2
    await asyncio.sleep(60)
    assert manager.heard() == ["STATUS=2 calls"], "no beat: the manager ends the process"
    beating.cancel()
    notifier.close()
    manager.close()


@virtual
async def test_without_a_watchdog_only_the_status_is_told(tmp_path: Path) -> None:
    manager, calls = Manager(str(tmp_path / "notify")), 0
    notifier = Notifier(manager.name)
    telling = asyncio.ensure_future(notifier.keep_alive(lambda: f"{calls} calls"))
    for calls in range(3):  # noqa: B007 - told by the lambda
        await asyncio.sleep(STATUS_S)
    assert manager.heard() == ["STATUS=0 calls", "STATUS=1 calls", "STATUS=2 calls"]
    telling.cancel()
    notifier.close()
    manager.close()
