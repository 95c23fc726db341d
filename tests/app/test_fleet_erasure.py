"""An erasure reaches the folders of all nodes that live, and names those that it did not reach."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from tests.app.kept_calls import keep, shelves
from tests.app.test_erasure import BY, DIGITS, WORDS, run
from tests.kit.fleet import FakeFleet
from tests.kit.virtual_loop import virtual
from voiceagent.app.erasure import Elsewhere, Erasure, Proof
from voiceagent.app.fleet_erasure import WITHIN_S, FleetErasure, Report, deed_of, not_done, order_of, reported
from voiceagent.cli.erase import LIMIT_S, told
from voiceagent.cluster.ports import Command, NodeFacts
from voiceagent.ids import counted_tokens
from voiceagent.records.stub import is_stub
from voiceagent.store.audit import Deed

DONE: Report = {**not_done("done", ""), "calls": ["call_b"], "journals": 1, "audit_line": 3, "sha256": "ab"}


class Nodes:
    """Node ``a`` asks; the others answer as told, and keep the orders they were given."""

    def __init__(self, **answers: Any) -> None:
        self.fleet = FakeFleet()
        self.taken: list[tuple[str, Command]] = []
        self.answers = answers
        self.desk: FleetErasure

    async def join(self) -> Nodes:
        for name in ("a", *self.answers):
            node = self.fleet.node(name)
            await node.join(NodeFacts, lambda command, name=name: self.obey(name, command))
            if name == "a":
                self.desk = FleetErasure(node, counted_tokens())
        return self

    async def obey(self, name: str, command: Command) -> Mapping[str, Any]:
        self.taken.append((name, command))
        if command.op == "forget":
            return {"done": {}}
        answer: Any = self.answers[name]
        return cast("Report", answer) if isinstance(answer, dict) else await answer()

    async def erase(self, **how: Any) -> list[Report]:
        return list(await self.desk.erase("+44 20", {"call_2", "call_1"}, BY, dry_run=False, **how))


@virtual
async def test_every_other_node_is_given_the_order_in_the_name_of_the_admin() -> None:
    nodes = await Nodes(b={"done": DONE}, c={"done": not_done("call_live", "on the line")}).join()
    b, c = await nodes.erase()
    assert b == {"node": "b", **DONE}
    assert (c["node"], c["result"], c["why"]) == ("c", "call_live", "on the line")
    assert [name for name, _ in nodes.taken] == ["b", "c"]
    order = nodes.taken[0][1]
    assert order.args["calls"] == ["call_1", "call_2"]
    assert deed_of(order) == replace(BY, action="")


def _killed(nodes: Nodes) -> Callable[[], Any]:
    async def works_for_ever() -> Any:
        nodes.fleet.kill("b")
        await asyncio.Event().wait()

    return works_for_ever


@virtual
async def test_a_node_that_dies_over_it_is_not_waited_for_and_one_that_is_down_is_named() -> None:
    nodes = await Nodes(b={"done": DONE}, old={}).join()
    nodes.answers["b"] = _killed(nodes)
    nodes.answers["old"] = {"error": "refused", "field": "call", "words": "another version", "code": "no"}
    await nodes.fleet.node("c").join(NodeFacts, lambda command: nodes.obey("c", command))
    nodes.fleet.kill("c")
    before = asyncio.get_running_loop().time()
    found = {one["node"]: (one["result"], one["why"]) for one in await nodes.erase()}
    assert asyncio.get_running_loop().time() - before < 10
    assert found["b"] == ("answer_lost", "it has gone while it was at it")
    assert found["old"] == ("no", "call: another version")
    assert found["c"] == ("node_gone", "it is down, last heard of at 1970-01-01T00:15:00Z")


@virtual
async def test_a_node_that_comes_while_the_others_are_at_it_is_asked_too() -> None:
    nodes = await Nodes(b={}).join()
    late = nodes.fleet.node("c")

    async def comes() -> Mapping[str, Any]:
        await late.join(NodeFacts, lambda command: nodes.obey("c", command))
        return {"done": DONE}

    nodes.answers |= {"b": comes, "c": {"done": not_done("database_down", "away")}}
    reports = await nodes.erase()
    assert [(one["node"], one["result"]) for one in reports] == [("b", "done"), ("c", "database_down")]


@virtual
async def test_while_the_registry_is_away_nobody_can_be_named() -> None:
    nodes = await Nodes(b={"done": DONE}).join()
    nodes.fleet.down = True
    (everybody,) = await nodes.erase()
    assert (everybody["node"], everybody["result"]) == ("*", "cluster_down")
    assert await nodes.desk.forget(["call_1"], []) is None
    assert list(await nodes.desk.on_the_line("4420")) == []


@virtual
async def test_events_go_from_the_registry_and_from_the_memory_of_all() -> None:
    nodes = await Nodes(b={"done": DONE}, c={"done": DONE}).join()
    reports = await nodes.erase()
    nodes.fleet.members["b"].publish("transcript.line", "call_b", {"text": "secret"})
    nodes.fleet.members["b"].publish("transcript.line", "call_9", {"text": "of another"})
    nodes.fleet.mute.add("c")
    assert await nodes.desk.forget({"call_b"}, reports) == 1
    assert [(name, one.args["calls"]) for name, one in nodes.taken if one.op == "forget"] == [
        ("b", ["call_b"]),
        ("c", ["call_b"]),
    ]
    assert [one["result"] for one in reports] == ["done", "incomplete"]


@virtual
async def test_calls_that_go_on_at_other_nodes_are_seen() -> None:
    nodes = await Nodes(b={}).join()
    b = nodes.fleet.members["b"]
    b.call_changed("in", {"direction": "inbound", "caller": "+44 20", "called": "100"})
    b.call_changed("out", {"direction": "outbound", "caller": "100", "called": "sip:+4420@host"})
    b.call_changed("other", {"direction": "inbound", "caller": "+49", "called": "4420"})
    assert sorted(await nodes.desk.on_the_line("4420")) == ["in", "out"]


def test_the_command_waits_for_the_other_nodes_and_then_for_its_own() -> None:
    assert LIMIT_S > 2 * WITHIN_S


def test_an_order_is_json_and_says_who_wants_it() -> None:
    order = order_of("+44", {"c"}, Deed("ann", "admin", "key", "", peer="10.0.0.1"), dry_run=True)
    again = replace(order, args=json.loads(json.dumps(order.args)))
    assert deed_of(again) == Deed("ann", "admin", "key", "", peer="10.0.0.1")


def test_a_node_reports_what_it_has_removed_and_the_first_failure() -> None:
    done = Erasure(1.0, "…58", dry_run=False, audit_line=7)
    done.calls = [
        Proof("call_1", journal_sha256="aa", recordings=[{"at": "folder"}]),
        Proof("call_2"),  # its row only: it lies elsewhere
    ]
    told = reported(done)
    assert (told["result"], told["calls"], told["journals"], told["recordings"]) == ("done", ["call_1"], 1, 1)
    assert (told["audit_line"], told["sha256"]) == (7, done.as_data()["sha256"])
    done.calls.append(Proof("call_3", failed="OSError: no disk"))
    assert (reported(done)["result"], reported(done)["why"]) == ("incomplete", "call_3: OSError: no disk")


def test_a_recording_whose_journal_and_row_are_gone_is_erased_by_the_calls_id(tmp_path: Path) -> None:
    with shelves(tmp_path) as where:
        keep(where, "call_1", 100.0, words=WORDS, caller=f"+{DIGITS}")
        keep(where, "call_2", 100.0, words=WORDS, caller="+4930")
        (where.journals / "call_1.jsonl").unlink()
        where.database.run_now(lambda c: c.exec_driver_sql("DELETE FROM calls WHERE id = 'call_1'"))
        assert run(where).calls == []
        done = run(where, elsewhere=Elsewhere(["call_1", "call_7"], asks=True))
        assert [(one.call_id, len(one.recordings)) for one in done.calls] == [("call_1", 1)]
        assert done.complete
        assert [path.name for path in where.recordings.glob("call_*")] == ["call_2-xylophone-canary.wav"]
        assert not is_stub(where.journals / "call_2.jsonl")


@pytest.mark.parametrize("result", ["done", "node_gone"])
def test_a_call_of_a_node_that_was_not_reached_is_named(tmp_path: Path, result: str) -> None:
    with shelves(tmp_path) as where:
        keep(where, "call_b", 100.0, words=WORDS, caller=f"+{DIGITS}")
        where.database.run_now(lambda c: c.exec_driver_sql("UPDATE calls SET node = 'b'"))
        (where.journals / "call_b.jsonl").unlink()
        part = {"node": "b", **DONE, "result": result}
        done = run(where, elsewhere=Elsewhere(["call_b"], [part], events=4))
        assert [one.node for one in done.calls] == ["" if result == "done" else "b"]
        assert done.complete is (result == "done")
        data = done.as_data()
        assert (data["nodes"], data["events"]) == ([part], 4)
        lines = "\n".join(told(data))
        assert ("NOT erased on node b" in lines) is (result != "done")
        assert replace(done, events=None).complete is False


def test_a_call_of_this_node_whose_journal_has_had_its_time_is_nowhere_else(tmp_path: Path) -> None:
    with shelves(tmp_path) as where:
        keep(where, "call_1", 100.0, words=WORDS, caller=f"+{DIGITS}")
        (where.journals / "call_1.jsonl").unlink()
        assert run(where, elsewhere=Elsewhere(here="a")).complete
