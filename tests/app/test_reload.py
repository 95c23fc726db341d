"""Flows read again: all of them or none, in fresh modules that go when nobody runs them any more."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from voiceagent.app.reload import FlowDesk, changes, in_thread
from voiceagent.console.ports import FlowsRefused
from voiceagent.ivr.modules import PREFIX
from voiceagent.observe.metrics import Metrics
from voiceagent.settings import Settings, bare_settings

DESK = """
from shop import WORD
from voiceagent.ivr import Call, flow


@flow("desk", numbers=["100"])
async def desk(call: Call) -> None:
    await call.say(WORD)
"""


class House:
    """A folder with a flow, the settings as a file would have them, and the desk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("desk.py", DESK)
        self.write("shop.py", "WORD = 'one'")
        self.flags: dict[str, Any] = {"flows": [str(folder / "desk.py")]}
        self.metrics = Metrics(version="test")
        self.reads = 0
        self.desk = FlowDesk(self.settings(), self.metrics, self.reread, wall=lambda: 7.0)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def settings(self) -> Settings:
        return bare_settings(self.flags)

    def reread(self) -> Settings:
        self.reads += 1
        return self.settings()

    @property
    def word(self) -> str:
        flow = self.desk.book.get("desk")
        assert flow is not None
        return flow.function.__globals__["WORD"]  # type: ignore[attr-defined]

    async def refused(self) -> tuple[str, ...]:
        before = self.desk.book
        with pytest.raises(FlowsRefused) as refused:
            await self.desk.reload("test")
        assert self.desk.book is before
        return refused.value.problems


@pytest.fixture
def house(tmp_path: Path) -> House:
    gc.collect()  # sets of earlier tests go with their tracebacks
    return House(tmp_path)


def sets_in_the_process() -> set[str]:
    return {name.partition(".")[0] for name in sys.modules if name.startswith(PREFIX)}


async def until(so: Callable[[], bool]) -> None:
    """The thread that read a set may hold it a moment longer than the loop that took it."""
    async with asyncio.timeout(30):
        while not so():  # noqa: ASYNC110 - what happens is in a thread
            await asyncio.sleep(0.01)


async def test_a_new_set_takes_the_place_of_the_old_one(house: House) -> None:
    house.write("shop.py", "WORD = 'two'")
    house.flags |= {"routes": [{"flow": "desk", "number": "2*"}], "default_flow": "desk"}
    view = await house.desk.reload("ann")
    assert house.word == "two"
    assert view == {
        "version": 2,
        "loaded_at": 7.0,
        "loaded_by": "ann",
        "flows": [{"name": "desk", "numbers": ["100"], "source": str(house.folder / "desk.py")}],
        "routes": [{"place": 1, "flow": "desk", "when": {"number": ["2*"]}}],
        "default_flow": "desk",
        "needs_restart": [],
        "refused": None,
    }
    assert 'voiceagent_flows_reloads_total{result="done"} 1.0' in house.metrics.render()
    assert "voiceagent_flows_version 2.0" in house.metrics.render()


def _no_file(house: House) -> None:
    house.flags["flows"] = [*house.flags["flows"], str(house.folder / "gone.py")]


def _wrong_route(house: House) -> None:
    house.flags["routes"] = [{"flow": "desk", "hours": "9-5"}]


def _unknown_flow(house: House) -> None:
    house.flags["default_flow"] = "dsk"


def _raises(house: House) -> None:
    house.write("shop.py", "\n\nWORD = 1 / 0")


def _exits(house: House) -> None:
    house.write("shop.py", "import sys\nsys.exit(1)")


def _check_fails(house: House) -> None:
    house.write("desk.py", DESK.replace("await call.say", "call.say"))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_no_file, "no such file: {folder}/gone.py"),
        (_wrong_route, "routes.1.hours: '9-5' must look like"),
        (_unknown_flow, "default_flow: there is no flow 'dsk'; did you mean 'desk'?"),
        (_raises, "{folder}/shop.py:3 fails to import: ZeroDivisionError"),
        (_exits, "{folder}/shop.py:2 fails to import: SystemExit"),
        (_check_fails, "{folder}/desk.py:8: error: "),
    ],
)
async def test_a_mistake_anywhere_leaves_the_old_set(
    house: House, spoil: Callable[[House], None], told: str
) -> None:
    before = sets_in_the_process()
    spoil(house)
    (problem,) = await house.refused()
    assert told.format(folder=house.folder) in problem
    assert (house.word, house.desk.book.version) == ("one", 1)
    assert house.desk.view()["refused"] == {"at": 7.0, "by": "test", "problems": [problem]}
    assert sets_in_the_process() == before
    assert 'voiceagent_flows_reloads_total{result="refused"} 1.0' in house.metrics.render()


TOML = """
[flow]
name = "hours"

[steps.tell]
type = "call"
function = "shop:hours"
into = "hours"
next = "bye"
otherwise = "bye"

[steps.bye]
type = "hangup"
say = "{hours} Goodbye."
"""


async def test_flows_in_toml_and_the_functions_they_call_are_read_again(house: House) -> None:
    house.write("hours.toml", TOML.replace("{hours} ", ""))
    house.write("shop.py", "WORD = 'two'\nasync def hours() -> str: return 'nine to five'")
    house.flags["flows"] = [*house.flags["flows"], str(house.folder / "hours.toml")]
    view = await house.desk.reload("test")
    assert [one["name"] for one in view["flows"]] == ["desk", "hours"]
    house.write("shop.py", "WORD = 'three'\ndef hours() -> str: return 'nine to five'")
    (problem,) = await house.refused()
    assert problem.startswith(f"{house.folder}/hours.toml:7: error: ")
    house.write("hours.toml", TOML.replace("bye", "by", 1).replace("tell]", "tall]"))
    problems = await house.refused()
    assert len(problems) > 1
    assert all(one.startswith(f"{house.folder}/hours.toml:") for one in problems)
    assert house.word == "two"


def test_a_start_warns_of_what_a_reload_would_refuse(
    house: House, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    _check_fails(house)
    FlowDesk(house.settings(), house.metrics)
    assert "a reload would refuse it" in capsys.readouterr().out + caplog.text


async def test_the_next_good_set_is_taken_and_the_refusal_forgotten(house: House) -> None:
    _raises(house)
    await house.refused()
    house.write("shop.py", "WORD = 'three'")
    view = await house.desk.reload("test")
    assert (view["version"], view["refused"], house.word) == (2, None, "three")


async def test_what_needs_a_restart_is_told_by_name_and_not_taken(house: House) -> None:
    house.flags |= {"call.max_calls": 7, "sip.port": 5099, "hosted.numbers": {"5": "desk"}}
    view = await house.desk.reload("test")
    assert view["needs_restart"] == ["sip.port", "call.max_calls"]
    assert house.desk.book.router.hosted_numbers == {"5": "desk"}


async def test_a_fallback_target_is_judged_by_the_settings_in_force(house: House) -> None:
    house.write("desk.py", DESK.replace('["100"]', '["100"], fallback_target="sip:desk@pbx.example"'))
    house.flags["call.transfer_targets"] = ["sip:desk@pbx.example"]
    (problem,) = await house.refused()
    assert "call.transfer_targets" in problem


async def test_a_set_leaves_when_the_last_call_that_runs_it_has_ended(house: House) -> None:
    before = sets_in_the_process()
    running_call = house.desk.book
    for _ in range(3):
        await house.desk.reload("test")
    await until(lambda: len(sets_in_the_process() - before) == 1)
    assert before < sets_in_the_process()  # that of the call is still there
    del running_call
    await until(lambda: len(before - sets_in_the_process()) == 1)
    assert len(sets_in_the_process() - before) == 1


async def test_many_reloads_leave_no_module_behind(house: House) -> None:
    await house.desk.reload("test")
    before, modules = len(sets_in_the_process()), len(sys.modules)
    for n in range(30):
        house.write("shop.py", f"WORD = 'turn {n}'")
        await house.desk.reload("test")
        assert house.word == f"turn {n}"
    await until(lambda: (len(sets_in_the_process()), len(sys.modules)) == (before, modules))


async def test_reloads_asked_for_at_once_are_done_one_after_the_other(house: House) -> None:
    views = await asyncio.gather(*(house.desk.reload(f"n{n}") for n in range(4)))
    assert [view["version"] for view in views] == [2, 3, 4, 5]
    assert house.reads == 4


async def test_a_file_that_waits_for_ever_is_given_up() -> None:
    release = threading.Event()
    with pytest.raises(TimeoutError):
        await in_thread("waits", release.wait, limit_s=0.01)
    release.set()
    assert await in_thread("does not", lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await in_thread("fails", lambda: 1 // 0)


def test_changes_are_named_by_their_dotted_names() -> None:
    old, new = bare_settings({}), bare_settings({"call.max_calls": 1, "log.level": "error"})
    assert list(changes(old, new)) == ["call.max_calls", "log.level"]
    assert list(changes(old, bare_settings({}))) == []
