"""The spans of a finished call, from its journal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from voiceagent.cli.main import app
from voiceagent.observe.trace_spans import trace_id_of

REQUEST = {"id": "r1", "origin": "ivr", "instructions": "Say that the balance is 42 pounds."}


def e(t: float, kind: str, **fields: Any) -> dict[str, Any]:
    return {"v": 1, "seq": 0, "t": t, "at": 1000.0 + t, "type": kind, **fields}


def s(t: float, event: str, **body: Any) -> dict[str, Any]:
    return e(t, "sequencer", event=event, body=body)


ENTRIES = [
    e(0.0, "call.offered", call_id="call_7", direction="inbound", flow="bank", caller="+447700900123"),
    e(1.0, "caller.speech_started"),
    e(2.0, "caller.speech_stopped"),
    e(2.2, "caller.said", text="My balance."),
    s(2.3, "Submitted", request=REQUEST),
    s(2.3, "SendCreate", request=REQUEST),
    s(2.4, "Progressed", request_id="r1", progress="started", response_id="p1"),
    e(2.5, "tool.called", tool="look_up", arguments="{}", about={"response_id": "p1", "tool_call_id": "t1"}),
    e(2.7, "tool.ended", tool="look_up", ok=True, seconds=0.2),
    s(3.0, "Progressed", request_id="r1", progress="audible"),
    s(4.0, "Settled", request_id="r1", outcome={"kind": "completed", "heard_text": "It is 42 pounds."}),
    e(5.0, "call.ended", outcome="success", reason="completed", duration_s=5.0),
]


def shown(tmp_path: Path, *options: str, entries: list[dict[str, Any]] = ENTRIES) -> str:
    path = tmp_path / "call_7.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    done = CliRunner().invoke(app, ["explain", str(path), "--trace", *options])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_tree_is_drawn_with_times_and_without_words(tmp_path: Path) -> None:
    told = shown(tmp_path)
    head, titles, *spans = told.splitlines()
    assert head == f"trace {trace_id_of('call_7')}"
    assert titles.split() == ["start", "s", "length", "s"]
    assert [line.split()[:3] for line in spans] == [
        ["0.000", "5.000", "call"],
        ["1.000", "3.000", "turn"],
        ["2.300", "1.700", "generate_content"],
        ["2.500", "0.200", "execute_tool"],
    ]
    depths = [len(line[20:]) - len(line[20:].lstrip()) for line in spans]
    assert depths == [0, 2, 4, 6]
    assert "latency_s=1.0" in told
    assert "outcome=completed" in told
    assert not any(word in told for word in ("pounds", "balance", "+4477"))


def test_as_data_it_is_every_span(tmp_path: Path) -> None:
    spans = json.loads(shown(tmp_path, "--json"))["spans"]
    assert [one["name"] for one in spans] == ["execute_tool look_up", "generate_content", "turn", "call"]
    assert {one["trace_id"] for one in spans} == {trace_id_of("call_7")}


def test_a_journal_without_a_call_says_so(tmp_path: Path) -> None:
    assert "no call was offered" in shown(tmp_path, entries=[e(0.0, "notice")])
