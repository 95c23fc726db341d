"""Figures that come from a call's journal: setup, first words, barge-in, tools, tokens, limits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import virtual
from voiceagent.app.journal_figures import JournalFigures
from voiceagent.ivr import Call, flow, tool
from voiceagent.observe.metrics import Metrics


@tool
async def look_up(account: str) -> str:
    """Look up a balance."""
    await asyncio.sleep(2)
    return "42"


@flow("teller")
async def teller(call: Call) -> None:
    await call.respond("Greet the caller.")
    await call.respond("Tell a long story.")
    await call.respond("Look it up.", tools=[look_up])


def figure(metrics: Metrics, name: str, /, **labels: str) -> float:
    found = metrics.registry.get_sample_value(f"voiceagent_{name}", labels)
    assert found is not None, name
    return found


@virtual
async def test_a_whole_call_leaves_its_figures() -> None:
    metrics = Metrics()
    story = Story(teller)
    story.call.journal.tap(JournalFigures(metrics, "inbound").take)
    story.provider.plans += [
        Reply(audio_ms=500),
        Reply(audio_ms=20_000),
        Reply(text="", audio_ms=0, calls=[("c1", "look_up", '{"account": "1"}')]),
    ]
    story.start()
    await story.creates(2)
    await story.agent_speaks()
    await asyncio.sleep(1)
    await story.caller_says("Stop.")
    await story.ends()
    assert figure(metrics, "call_setup_seconds_count", direction="inbound") == 1
    assert figure(metrics, "first_words_seconds_count") == 1
    assert figure(metrics, "barge_in_stop_seconds_count") == 1
    assert figure(metrics, "barge_in_stop_seconds_bucket", le="0.06") == 1
    assert figure(metrics, "tools_total", tool="look_up", outcome="done") == 1
    assert figure(metrics, "tool_seconds_sum", outcome="done") == pytest.approx(2.0)
    asked = len(story.provider.creates())
    assert figure(metrics, "provider_tokens_total", kind="input") == 30 * asked
    assert figure(metrics, "provider_tokens_total", kind="output") == 10 * asked


@pytest.mark.parametrize(
    ("entry", "limit"),
    [
        ({"type": "call.ended", "reason": "max_duration"}, "call.max_duration_s"),
        ({"type": "call.ended", "reason": "no_port"}, "media.ports"),
        (
            {"type": "recording.finished", "reason": "max_minutes", "dropped_s": 1.5},
            "recording.max_minutes",
        ),
        ({"type": "queue.refused", "queue": "sales", "reason": "full"}, "queues.sales.max_waiting"),
    ],
)
def test_a_limit_that_ended_something_is_counted(entry: Mapping[str, Any], limit: str) -> None:
    metrics = Metrics()
    JournalFigures(metrics, "inbound").take(entry)
    assert figure(metrics, "limit_reached_total", name=limit) == 1
    if "dropped_s" in entry:
        assert figure(metrics, "recordings_dropped_seconds_total") == 1.5


@pytest.mark.parametrize(
    "entry",
    [
        {"type": "call.ended", "reason": "completed"},
        {"type": "recording.finished", "reason": "flow"},
        {"type": "queue.refused", "queue": "sales", "reason": "closed"},
    ],
)
def test_what_ends_otherwise_reached_no_limit(entry: Mapping[str, Any]) -> None:
    metrics = Metrics()
    JournalFigures(metrics, "inbound").take(entry)
    assert "limit_reached_total{" not in metrics.render()


def test_an_entry_that_cannot_be_read_ends_nothing() -> None:
    JournalFigures(Metrics(), "inbound").take({"type": "tool.ended"})
