"""The console's twin in a shell: against a console on a real socket, with calls that a test moves by hand."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from typer.testing import CliRunner, Result

from tests.console.fake_directory import FakeDirectory, a_call, seen_by_the_console
from tests.store.kit import record
from voiceagent.cli.main import app
from voiceagent.cli.top import Floor, picture
from voiceagent.console.app import create_app
from voiceagent.console.config import ConsoleConfig
from voiceagent.console.ports import TranscriptLine
from voiceagent.console.server import ConsoleServer
from voiceagent.store import Database, history, users
from voiceagent.store.history import LineRecord

TOKEN = "operator-token-for-tests"
Made = TypeVar("Made")


class Desk:
    """A console in a thread of its own, as another process would be."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.directory = self.do(self._directory)
        self.database = Database("sqlite://")
        self.url = asyncio.run_coroutine_threadsafe(self._start(), self.loop).result(30)

    async def _start(self) -> str:
        await self.database.open()
        config = ConsoleConfig(port=0, token=TOKEN, stream_tick_s=0.0)
        self.server = ConsoleServer(
            create_app(seen_by_the_console(self.directory), config, database=self.database), "127.0.0.1", 0
        )
        return await self.server.start()

    def do(self, work: Callable[[], Made]) -> Made:
        """Do something on the console's loop."""

        async def on_loop() -> Made:
            return work()

        return asyncio.run_coroutine_threadsafe(on_loop(), self.loop).result(30)

    def _directory(self) -> FakeDirectory:
        return FakeDirectory()

    def close(self) -> None:
        async def stop() -> None:
            await self.server.close()
            await self.database.close()

        asyncio.run_coroutine_threadsafe(stop(), self.loop).result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(30)
        self.loop.close()

    def run(self, *arguments: str, token: str = TOKEN) -> Result:
        return CliRunner().invoke(app, [*arguments, "--url", self.url, "--token", token])

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def standing() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.close()


@pytest.fixture
def desk(standing: Desk) -> Desk:
    def anew() -> None:
        standing.directory.__init__()
        lines = (
            TranscriptLine(0.5, "agent", "Your parcel", "Your parcel is late.", "i1", cut=True),
            TranscriptLine(4.0, "caller", "Which \x1b[31mparcel?", item_id="i2"),
        )
        standing.directory.put_call(a_call("call_abc1", transcript=lines))

    standing.do(anew)
    return standing


def test_calls_are_listed_for_people_and_for_programs(desk: Desk) -> None:
    told = desk.run("calls", "list").stdout
    assert "call_abc1" in told
    assert "← +447700900123" in told
    assert "agent speaks" in told
    assert [call["id"] for call in desk.json("calls", "list")["calls"]] == ["call_abc1"]
    desk.do(lambda: desk.directory.end_call("call_abc1", "caller_hung_up"))
    assert desk.run("calls", "list").stdout == "No live calls.\n"
    assert "call_abc1" in desk.run("calls", "list", "--state", "ended").stdout


def test_a_call_is_shown_with_what_was_not_heard_and_nothing_a_terminal_obeys(desk: Desk) -> None:
    told = desk.run("calls", "show", "call_a").stdout
    assert "Your parcel ✂ [is late.]" in told
    assert "\x1b" not in told
    assert desk.json("calls", "show")["id"] == "call_abc1", "the newest live one"


def test_an_unknown_or_ambiguous_call_is_told(desk: Desk) -> None:
    done = desk.run("calls", "show", "call_x")
    assert (done.exit_code, "There is no call 'call_x'" in done.output) == (1, True)
    desk.do(lambda: desk.directory.put_call(a_call("call_abc2")))
    done = desk.run("calls", "show", "call_abc")
    assert (done.exit_code, "begins the ids of several calls" in done.output) == (1, True)
    done = desk.run("calls", "show", "call_x", "--json")
    assert json.loads(done.stdout)["error"]["code"] == "unknown_call"


def test_the_agent_is_made_to_speak(desk: Desk) -> None:
    found = desk.json(
        "calls",
        "respond",
        "last",
        "Say hello.",
        "-m",
        "purpose=test",
        "--when",
        "now",
        "--deadline-ms",
        "500",
    )
    assert found["state"] == "queued"
    (call_id, trigger, operator) = desk.directory.spoken[0]
    assert (call_id, trigger.instructions, dict(trigger.metadata)) == (
        "call_abc1",
        "Say hello.",
        {"purpose": "test"},
    )
    assert (trigger.when, trigger.deadline_ms, operator) == ("now", 500, "console.token via api")
    assert desk.run("calls", "say", "call_abc1", "Good day.").exit_code == 0
    assert "Good day." in (desk.directory.spoken[1][1].instructions or "")
    assert desk.run("calls", "withdraw", "last", found["id"]).exit_code == 0
    assert desk.json("calls", "show")["responses"][0]["outcome"]["kind"] == "withdrawn"


def test_waiting_ends_with_the_outcome(desk: Desk) -> None:
    done: list[Result] = []
    waiter = threading.Thread(
        target=lambda: done.append(desk.run("calls", "respond", "last", "Hi", "--wait"))
    )
    waiter.start()
    while not desk.do(lambda: list(desk.directory.spoken)):
        time.sleep(0.01)
    desk.do(lambda: desk.directory.settle("call_abc1", "req1", "interrupted", heard_text="H"))
    waiter.join(30)
    assert done[0].exit_code == 1, "it was not heard to its end"
    assert "interrupted" in done[0].stdout


def test_bad_metadata_and_refusals_are_one_line(desk: Desk) -> None:
    done = desk.run("calls", "respond", "last", "Hi", "-m", "nonsense")
    assert (done.exit_code, "must look like key=value" in done.output) == (2, True)
    done = desk.run("calls", "respond", "last", "Hi", "-m", "va.x=1")
    assert (done.exit_code, done.output.count("\n")) == (1, 1)
    assert "metadata" in done.output
    done = desk.run("calls", "list", token="wrong")
    assert (done.exit_code, "needs a key" in done.output) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["hold"], "hold"),
        (["resume"], "resume"),
        (["transfer", "sip:desk@pbx.example.com", "--attended"], "transfer"),
        (["digits", "12#"], "send_digits"),
    ],
)
def test_acts(desk: Desk, arguments: list[str], what: str) -> None:
    command, *rest = arguments
    done = desk.run("calls", command, "last", *rest)
    assert done.exit_code == 0, done.output
    (call_id, act, _) = desk.directory.acts[0]
    assert (call_id, act.what) == ("call_abc1", what)
    if what == "transfer":
        assert (act.target, act.attended) == ("sip:desk@pbx.example.com", True)


def test_hanging_up_an_ended_call_says_so(desk: Desk) -> None:
    assert desk.run("calls", "hangup", "call_abc1").exit_code == 0
    done = desk.run("calls", "hangup", "call_abc1")
    assert (done.exit_code, "is over" in done.output) == (1, True)


def test_tail_follows_a_call_to_its_end(desk: Desk) -> None:
    done: list[Result] = []
    reader = threading.Thread(target=lambda: done.append(desk.run("calls", "tail", "call_abc1")))
    reader.start()
    while not desk.do(lambda: len(desk.directory._readers)):
        time.sleep(0.01)
    desk.do(
        lambda: desk.directory.say("call_abc1", TranscriptLine(9.0, "caller", "Thank you.", item_id="i9"))
    )
    desk.do(lambda: desk.directory.end_call("call_abc1", "caller_hung_up"))
    reader.join(30)
    assert not reader.is_alive()
    assert "Thank you." in done[0].stdout
    assert "caller_hung_up" in done[0].stdout


def test_ended_calls_are_searched_and_exported(desk: Desk) -> None:
    said = [LineRecord(0.0, "caller", "my parcel", "my parcel", False)]

    def work(connection: Any) -> None:
        history.write(connection, record("call_old", caller="=cmd()"), said)

    asyncio.run_coroutine_threadsafe(desk.database.run(work), desk.loop).result(30)
    assert "call_old" in desk.run("calls", "history", "parcel").stdout
    assert desk.run("calls", "history", "nothing").stdout == "No calls found.\n"
    assert [call["id"] for call in desk.json("calls", "history", "--number", "cmd")["calls"]] == ["call_old"]
    rows = list(csv.DictReader(io.StringIO(desk.run("calls", "history", "--export", "csv").stdout)))
    assert rows[0]["id"] == "call_old"
    assert not rows[0]["caller"].startswith("="), "spreadsheets run what begins so"


def test_the_floor_is_one_picture_where_nobody_looks(desk: Desk) -> None:
    found = json.loads(desk.run("top").stdout)
    assert (found["live"], found["calls"][0]["id"]) == (1, "call_abc1")


def test_an_unreachable_service_is_told() -> None:
    done = CliRunner().invoke(app, ["calls", "list", "--url", "http://127.0.0.1:1", "--token", "x"])
    assert (done.exit_code, "http://127.0.0.1:1" in done.output) == (1, True)


def test_the_floor_keeps_up_with_the_stream() -> None:
    from rich.console import Console

    from voiceagent.console.views import call_data

    floor = Floor()
    floor.take("snapshot", {"calls": [call_data(a_call("c1"))]}, 100.0)
    queued = {"id": "r1", "ended": False, "state": "queued", "reason": "caller_speaking"}
    floor.take("response.state", {"call_id": "c1", "data": queued}, 101.0)
    floor.take("call.started", {"call_id": "c2", "data": call_data(a_call("c2", caller="\x1b]0;x"))}, 101.0)
    assert [call["id"] for call in floor.live()] == ["c1", "c2"]
    assert floor.queue(floor.calls["c1"]) == "queued: caller_speaking"
    assert floor.seconds(floor.calls["c1"], 103.0) == 15.5
    floor.take("response.state", {"call_id": "c1", "data": {**queued, "ended": True}}, 102.0)
    assert floor.queue(floor.calls["c1"]) == ""
    ended = call_data(a_call("c1", state="ended", outcome={"kind": "success", "reason": "completed"}))
    floor.take("call.ended", {"call_id": "c1", "data": ended}, 103.0)
    assert [call["id"] for call in floor.ended()] == ["c1"]
    out = io.StringIO()
    Console(file=out, width=160, force_terminal=False).print(picture(floor, "http://x", "live", 104.0))
    assert "success: completed" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_which_node_has_a_call_is_told_where_there_are_several() -> None:
    from rich.console import Console

    from voiceagent.cli.calls_text import call_rows
    from voiceagent.console.views import call_data

    one, two = call_data(a_call("c1", node="a")), call_data(a_call("c2", node="b", stale=True))
    assert not any("NODE" in line for line in call_rows([one]))
    head, first, second = call_rows([one, two])
    assert head.split()[:2] == ["CALL", "NODE"]
    assert (first.split()[1], second.split()[1]) == ("a", "b?")
    floor = Floor()
    floor.take("snapshot", {"calls": [one, two], "cluster": {"stale": "cluster_down: \x1b[31mgone"}}, 100.0)
    out = io.StringIO()
    Console(file=out, width=160, force_terminal=False).print(picture(floor, "http://x", "live", 104.0))
    assert "NODE" in out.getvalue()
    assert "registry stale: cluster_down" in out.getvalue()
    assert "\x1b" not in out.getvalue()


# ── users, keys, audit ───────────────────────────────────────────────────────────────────────────
@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOICEAGENT_PASSWORD", "correct horse battery")
    monkeypatch.setattr(users, "COST", {"time_cost": 1, "memory_cost": 64, "parallelism": 1})
    url = f"database.url=sqlite:///{tmp_path}/voiceagent.db"
    return lambda *arguments: CliRunner().invoke(app, [*arguments, "--set", url])


def test_users_are_made_and_shut_out(shell: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    assert shell("user", "add", "ann", "--role", "admin").stdout == "ann may sign in as admin.\n"
    again = shell("user", "add", "ann")
    assert (again.exit_code, "already" in again.output) == (1, True)
    last = shell("user", "disable", "ann")
    assert (last.exit_code, "last admin" in last.output) == (1, True)
    assert shell("user", "add", "ben").exit_code == 0
    assert shell("user", "role", "ben", "supervisor").exit_code == 0
    assert shell("user", "password", "ben").exit_code == 0
    assert shell("user", "disable", "ben").exit_code == 0
    found = json.loads(shell("user", "list", "--json").stdout)["users"]
    assert [(user["name"], user["role"], user["disabled"]) for user in found] == [
        ("ann", "admin", False),
        ("ben", "supervisor", True),
    ]
    assert shell("user", "enable", "nobody").exit_code == 1
    monkeypatch.setenv("VOICEAGENT_PASSWORD", "short")
    short = shell("user", "add", "cat")
    assert (short.exit_code, "12 to 256" in short.output) == (1, True)


def test_keys_and_the_log(shell: Callable[..., Result], tmp_path: Path) -> None:
    made = json.loads(shell("key", "add", "dashboard", "--role", "viewer", "--days", "7", "--json").stdout)
    assert made["key"].startswith("va_")
    assert made["key"] not in shell("key", "list", "--json").stdout
    assert shell("key", "revoke", made["id"]).exit_code == 0
    assert shell("key", "revoke", "key_none").exit_code == 1
    assert "revoked" in shell("key", "list").stdout
    lines = [json.loads(line) for line in shell("audit", "export").stdout.splitlines()]
    assert [line["action"] for line in lines] == ["key.add", "key.revoke"]
    verdict = json.loads(shell("audit", "verify", "--json").stdout)
    assert (verdict["whole"], verdict["last_hash"]) == (True, lines[-1]["hash"])

    import sqlite3

    with sqlite3.connect(tmp_path / "voiceagent.db") as connection:
        connection.execute("UPDATE audit SET actor = 'nobody' WHERE n = 1")
    broken = shell("audit", "verify")
    assert (broken.exit_code, "line 1 has been changed" in broken.stdout) == (1, True)
