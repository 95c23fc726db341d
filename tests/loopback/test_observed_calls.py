"""Two real calls at once, as whoever runs the node sees them: log lines, metrics, traces."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")

from tests.kit.service import operator, service, until
from tests.observe.test_trace_export import collector
from voiceagent.observe.logs import CHATTY, configure_logs
from voiceagent.observe.metrics import Metrics
from voiceagent.observe.trace_spans import trace_id_of
from voiceagent.phone.phone import Phone

pytestmark = pytest.mark.loopback

FLOW = """
import asyncio
import logging
import structlog
from voiceagent.ivr import Call, flow, tool

library = logging.getLogger("some.library")

@tool(timeout_s=5)
async def account_balance(account: str) -> dict[str, str]:
    \"\"\"Look up the balance of a customer's account by its six digit number.\"\"\"
    library.warning("tool")
    return {"balance": "42"}

@flow("bank", numbers=["100"])
async def bank(call: Call) -> None:
    library.warning("flow")
    await asyncio.to_thread(library.warning, "thread")
    await call.choose("Say: press one.", go="1")
    structlog.get_logger("other.library").warning("after a key")
    await call.respond("Look up the balance of account 481516 and tell the caller.", tools=[account_balance])
    await call.hangup("Goodbye.")
"""


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    out = io.StringIO()
    configure_logs(format="json", stream=out, node="west-1")
    yield out
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.NOTSET)


async def test_two_calls_can_be_told_apart_in_logs_and_traces(tmp_path: Path, log: io.StringIO) -> None:
    (tmp_path / "flows.py").write_text(FLOW, encoding="utf-8")
    flows = [str(tmp_path / "flows.py")]
    async with collector() as server:
        endpoint = f"http://127.0.0.1:{server.server_port}"
        async with (
            service(tmp_path, flows=flows, traces__endpoint=endpoint) as running,
            Phone() as one,
            Phone() as two,
            operator(running) as console,
        ):
            assert running.addresses is not None
            calls = [phone.dial(f"sip:100@{running.addresses.sip}") for phone in (one, two)]
            await asyncio.gather(*(call.answered() for call in calls))
            for call in calls:
                await call.until_speaking()
                await call.press("1")
            for call in calls:
                await call.over(45)
            await until(lambda: not running.directory.live)
            ids = {view.id for view in running.directory.calls()}
            shown = (await console.get("/v1/calls")).json()["calls"]
            served = (await console.get("/metrics")).text
        assert {call["trace_id"] for call in shown} == {trace_id_of(call_id) for call_id in ids}

    lines: list[dict[str, Any]] = [json.loads(line) for line in log.getvalue().splitlines()]
    assert {line["node"] for line in lines} == {"west-1"}
    of_calls = [line for line in lines if line["logger"] in ("some.library", "other.library")]
    assert len(of_calls) == 8
    for call_id in ids:
        mine = [line for line in lines if line.get("call_id") == call_id]
        told = [line["event"] for line in mine if line in of_calls]
        assert told == ["flow", "thread", "after a key", "tool"]
        assert {line["trace_id"] for line in mine} == {trace_id_of(call_id)}
        assert [line["event"] for line in mine if line.get("response_id")] == ["tool"]
        assert {"call started", "call ended"} <= {line["event"] for line in mine}
    assert not any("call_id" in line for line in lines if line["event"] in ("listening", "stopped"))

    by_trace: dict[str, list[str]] = {}
    for name, trace_id, _ in server.spans:
        by_trace.setdefault(trace_id.hex(), []).append(name)
    assert set(by_trace) == {trace_id_of(call_id) for call_id in ids}
    for names in by_trace.values():
        assert names.count("call") == 1
        assert "execute_tool account_balance" in names

    _check_metrics(served)


def _check_metrics(served: str) -> None:
    """What a node that was at work serves is all there, and Prometheus finds nothing wrong with it."""
    value: dict[str, float] = {}
    for line in served.splitlines():
        if not line.startswith("#"):
            name, _, number = line.rpartition(" ")
            value[name] = float(number)
    assert value['voiceagent_calls_offered_total{direction="inbound"}'] == 2
    assert value['voiceagent_call_setup_seconds_count{direction="inbound"}'] == 2
    assert value['voiceagent_tools_total{outcome="done",tool="account_balance"}'] == 2
    assert value['voiceagent_engine_step_seconds_count{step="speak"}'] > 2
    assert value['voiceagent_provider_connect_seconds_count{outcome="done"}'] == 2
    assert value['voiceagent_provider_tokens_total{kind="output_audio"}'] > 0
    assert value['voiceagent_limit{name="call.max_calls"}'] == 100
    assert value['voiceagent_wheel_lateness_seconds_bucket{le="+Inf"}'] > 50
    assert value["voiceagent_event_loop_lag_seconds_count"] > 5
    assert (value["voiceagent_journal_up"], value["voiceagent_database_up"]) == (1, 1)
    assert value["voiceagent_engine_steps_active"] == 0
    names = {one.name for one in Metrics().names}
    assert names == {line.split()[2] for line in served.splitlines() if line.startswith("# HELP")}
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("promtool is not here (Debian: prometheus): what is served was not checked by it")
    done = subprocess.run(
        [tool, "check", "metrics"], input=served, capture_output=True, text=True, timeout=200, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
