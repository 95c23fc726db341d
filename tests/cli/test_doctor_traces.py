"""The doctor asks the traces' collector."""

from __future__ import annotations

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")

from tests.observe.test_trace_export import collector
from voiceagent.cli.doctor_traces import trace_findings
from voiceagent.settings import bare_settings


async def test_where_no_traces_are_wanted_nobody_is_asked() -> None:
    assert await trace_findings(bare_settings({})) == []


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (200, "takes spans"),
        (401, "traces.headers: http://127.0.0.1"),
        (404, "traces.endpoint: http://127.0.0.1"),
    ],
)
async def test_what_the_collector_answers_is_told(status: int, told: str) -> None:
    async with collector() as server:
        server.status = status
        settings = {
            "traces.endpoint": f"http://127.0.0.1:{server.server_port}",
            "traces.headers": {"Authorization": "Bearer s3cret"},
        }
        (found,) = await trace_findings(bare_settings(settings))
    assert found.ok is (status == 200)
    assert told in found.detail
    assert "s3cret" not in found.detail
    assert server.headers == ["Bearer s3cret"]
    assert server.spans == []


async def test_a_collector_that_is_away_is_told() -> None:
    async with collector() as server:
        port = server.server_port
    (found,) = await trace_findings(bare_settings({"traces.endpoint": f"http://127.0.0.1:{port}"}))
    assert not found.ok
    assert found.detail.startswith("traces.endpoint: http://127.0.0.1")
