"""``voiceagent drain``: what it asks of whom, and what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from voiceagent.cli import drain
from voiceagent.cli.main import app
from voiceagent.cli.node import Node, Refused
from voiceagent.errors import VoiceAgentError

Asked = tuple[str, str, str]
NODES = [{"name": "a", "console": "http://10.0.0.1:8080"}, {"name": "b", "console": "http://10.0.0.2:8080/"}]


def view(state: str, calls: int = 2, limit: float | None = None, epoch: str = "run1") -> dict[str, Any]:
    return {"state": state, "calls": calls, "limit_in_s": limit, "epoch": epoch}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Asked]]:
    """Have the node give these answers, one after the other; return what it was asked."""

    def answers(*given: Any) -> list[Asked]:
        left, found = list(given), list[Asked]()

        def ask(self: Node, method: str, path: str, body: Any = None, **_: Any) -> Any:
            found.append((method, self.url + path, json.dumps(body)))
            answer = {"nodes": NODES} if path == "/v1/cluster" else left.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(Node, "ask", ask)
        monkeypatch.setattr(drain, "LOOK_S", 0.0)
        return found

    return answers


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["drain", "--url", "http://desk:8080", "--token", "t", *words])


def test_it_says_what_will_happen(asked: Callable[..., list[Asked]]) -> None:
    wishes = asked(view("draining", 2, 60.0))
    said = run("--limit", "60")
    assert wishes == [("POST", "http://desk:8080/v1/drain", '{"limit_s": 60.0}')]
    assert "2 call(s). It takes no new calls" in said.stdout
    assert "At the latest in 60 s." in said.stdout


def test_it_waits_until_the_node_has_gone(asked: Callable[..., list[Asked]]) -> None:
    gone = VoiceAgentError("nobody there", code="unreachable")
    asked(view("draining"), view("draining"), view("draining", 1), view("drained", 0), gone)
    said = run("--wait")
    assert said.exit_code == 0
    lines = said.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["2", "1", "0", "It"], "said once each"
    asked(view("draining"), gone)
    assert json.loads(run("--wait", "--json").stdout)["state"] == "gone"


@pytest.mark.parametrize("state", ["serving", "draining"])
def test_a_node_that_was_started_anew_between_two_looks_has_gone(
    asked: Callable[..., list[Asked]], state: str
) -> None:
    left = asked(view("draining"), view(state, 0, epoch="run2"))
    said = run("--wait", "--json")
    assert (said.exit_code, json.loads(said.stdout)["state"]) == (0, "gone")
    assert [method for method, *_ in left] == ["POST", "GET"]


def test_a_drain_that_was_taken_back_is_not_waited_for(asked: Callable[..., list[Asked]]) -> None:
    asked(view("draining"), view("serving"))
    said = run("--wait")
    assert said.exit_code == 1
    assert "taken back" in said.stderr


def test_it_is_taken_back_or_only_looked_at(asked: Callable[..., list[Asked]]) -> None:
    wishes = asked(view("serving"), view("serving"), Refused(409, {"code": "drained", "detail": "Too late."}))
    assert run("--resume").stdout == "2 call(s). It takes calls.\n"
    assert run("--show", "--wait").exit_code == 0
    late = run("--resume")
    assert (late.exit_code, late.stderr) == (1, "voiceagent: Too late.\n")
    assert [method for method, *_ in wishes] == ["DELETE", "GET", "DELETE"]


def test_another_node_is_asked_where_it_lives(asked: Callable[..., list[Asked]]) -> None:
    wishes = asked(view("draining"))
    assert run("--node", "b").exit_code == 0
    assert [where for _, where, _ in wishes] == [
        "http://desk:8080/v1/cluster",
        "http://10.0.0.2:8080/v1/drain",
    ]
    unknown = run("--node", "c")
    assert unknown.exit_code == 1
    assert "there is no node 'c' in the fleet: a, b" in unknown.stderr
