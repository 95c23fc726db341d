"""The trace of a call: spans, whose children they are, where a turn's time went, and what is not told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.kit.scripted_provider import Reply
from tests.kit.story import Story
from tests.kit.virtual_loop import virtual
from voiceagent.call.outcome import OutcomeClass
from voiceagent.ivr import Call, flow, tool
from voiceagent.observe import trace_names
from voiceagent.observe.call_trace import CallTrace, spans_of
from voiceagent.observe.trace_spans import Span, sampled, trace_id_of
from voiceagent.records.journal import plain


@tool
async def look_up(account: str) -> str:
    """Look up a balance."""
    await asyncio.sleep(2)
    return "42 pounds"


@flow("teller")
async def teller(call: Call) -> None:
    await call.respond("Greet the caller.")
    heard = await call.listen()
    await call.respond(f"Look it up: {heard}", tools=[look_up])
    await call.listen()
    await call.respond("Tell a long story.")
    await call.listen()
    await call.respond("Say goodbye.")


class Traced:
    """A story whose spans are taken as they end."""

    def __init__(self, text: bool = False) -> None:
        self.story = Story(teller)
        self.spans: list[Span] = []
        options: dict[str, Any] = {"provider": "azure", "model": "gpt-realtime", "text": text}
        self.trace = CallTrace("call_1", self.spans.append, **options)
        self.story.call.journal.tap(self.trace.take)
        self.options = options

    async def live(self) -> None:
        """A greeting; a turn that a tool answers; an operator's words; a reply that is cut; the last."""
        story = self.story
        story.provider.plans += [
            Reply(audio_ms=500),
            Reply(text="", audio_ms=0, calls=[("tool_7", "look_up", '{"account": "481516"}')]),
            Reply(text="You have 42 pounds.", audio_ms=800),
            Reply(audio_ms=3000),
            Reply(audio_ms=20_000),
        ]
        story.start()
        await story.creates(1)
        await story.agent_speaks()
        await story.agent_silent()
        await story.caller_says("My balance please.")
        await story.creates(3)
        await story.agent_speaks()
        await story.agent_silent()
        await asyncio.sleep(2)
        story.call.trigger("Offer help.", {}, request_id="req_op")
        story.call.journal.write("operator.trigger", operator="ann", request_id="req_op", instructions="x")
        await story.creates(4)
        await story.agent_speaks()
        await asyncio.sleep(1)
        story.call.withdraw("req_op")
        await story.agent_silent()
        await story.caller_says("And now?")
        await story.creates(5)
        await story.agent_speaks()
        await asyncio.sleep(2)
        await story.caller_says("Stop.")
        await story.ends()

    def of(self, name: str) -> list[Span]:
        return sorted((one for one in self.spans if one.name.startswith(name)), key=lambda one: one.since)

    def parent(self, span: Span) -> Span:
        return next(one for one in self.spans if one.span_id == span.parent_id)


def shown(span: Span, *wanted: str) -> list[Any]:
    return [span.attributes.get(name) for name in wanted]


@virtual
async def test_the_tree_of_a_call() -> None:
    traced = Traced()
    await traced.live()
    (call,) = traced.of("call")
    turns, responses, tools = traced.of("turn"), traced.of("generate_content"), traced.of("execute_tool")
    assert call.parent_id == ""
    assert call.kind == "server"
    assert len(traced.spans) == 1 + len(turns) + len(responses) + len(tools)
    assert len({one.span_id for one in traced.spans}) == len(traced.spans)
    assert {one.trace_id for one in traced.spans} == {trace_id_of("call_1")}
    assert [traced.parent(one).name for one in turns] == ["call"] * len(turns)

    greeting = responses[0]
    assert traced.parent(greeting) is call, "nobody had asked"
    (by_operator,) = (one for one in responses if one.attributes[trace_names.ORIGIN] == "operator")
    assert traced.parent(by_operator) is call
    (looked_up,) = tools
    asked = traced.parent(looked_up)
    assert asked in responses
    assert traced.parent(asked) is turns[0]
    (told,) = (one for one in responses if one.attributes[trace_names.ORIGIN] == "tool")
    assert traced.parent(told) is turns[0], "what follows the tool's result answers the same turn"
    for one in traced.spans:
        if one is not call:
            assert call.since <= one.since <= one.until <= call.until
    assert looked_up.until - looked_up.since == pytest.approx(2.0, abs=0.01)
    assert shown(looked_up, "gen_ai.tool.name", "gen_ai.tool.call.id") == ["look_up", "tool_7"]
    assert told.until <= turns[0].until


@virtual
async def test_what_spans_tell() -> None:
    traced = Traced()
    await traced.live()
    (call,) = traced.of("call")
    told = call.attributes
    assert told["gen_ai.conversation.id"] == "call_1"
    assert told["voiceagent.call.flow"] == "teller"
    assert told["voiceagent.call.turns"] == len(traced.of("turn"))
    assert told["voiceagent.call.outcome"] == OutcomeClass.SUCCESS.value
    assert "voiceagent.operator.trigger" in [one.name for one in call.events]
    for one in traced.of("generate_content"):
        assert one.name == "generate_content gpt-realtime"
        assert one.kind == "client"
        assert shown(one, "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.usage.input_tokens") in (
            ["azure.ai.openai", "gpt-realtime", 30],
            ["azure.ai.openai", "gpt-realtime", None],  # cut: nobody told what it cost
        )
    cut = [one for one in traced.of("generate_content") if one.attributes.get(trace_names.CUT_BY) == "caller"]
    assert [one.attributes[trace_names.OUTCOME] for one in cut] == ["interrupted"]
    heard_s = cut[0].attributes[trace_names.HEARD]
    assert isinstance(heard_s, int)
    assert 1500 < heard_s < 3000


@virtual
async def test_where_the_time_of_a_turn_went() -> None:
    traced = Traced()
    await traced.live()
    first = traced.of("turn")[0]
    assert first.attributes["voiceagent.turn.answered"] is True
    parts = [first.attributes.get(f"voiceagent.turn.{part}_s", 0.0) for part in
             ("commit", "transcript", "flow", "queue", "model", "playout")]  # fmt: skip
    latency = first.attributes["voiceagent.turn.latency_s"]
    assert sum(float(part) for part in parts) == pytest.approx(latency, abs=0.004)
    assert [one.name for one in first.events] == [
        trace_names.SPEECH_STOPPED,
        trace_names.COMMITTED,
        trace_names.TRANSCRIBED,
    ]
    (told,) = (
        one
        for one in traced.of("generate_content")
        if one.attributes[trace_names.ORIGIN] == "tool" and traced.parent(one) is first
    )
    moments = {one.name: one.at for one in told.events}
    order = [trace_names.CREATED, trace_names.FIRST_DELTA, trace_names.FIRST_SOUND]
    assert [*moments] == order
    assert moments[order[2]] - first.events[0].at == pytest.approx(latency, abs=0.002)


@virtual
async def test_nothing_that_is_said_goes_out_unless_it_is_wanted() -> None:
    quiet, telling = Traced(), Traced(text=True)
    await quiet.live()
    await telling.live()
    words = ("balance", "481516", "pounds", "goodbye", "alice")
    out = json.dumps([(one.name, dict(one.attributes), [dict(e.attributes) for e in one.events])
                      for one in quiet.spans])  # fmt: skip
    assert [word for word in words if word in out.lower()] == []
    assert "pii" not in out
    told = {name: value for one in telling.spans for name, value in one.attributes.items()}
    told_of = {name for name in told if name.startswith("voiceagent.pii.")}
    assert told_of == {
        trace_names.CALLER,
        trace_names.CALLED,
        trace_names.CALLER_TEXT,
        trace_names.AGENT_TEXT,
        trace_names.INSTRUCTIONS,
        trace_names.TOOL_ARGUMENTS,
    }
    for span in telling.spans:
        for name, value in span.attributes.items():
            found = [word for word in ("balance", "481516", "pounds") if word in str(value).lower()]
            assert not found or name.startswith("voiceagent.pii."), name


@virtual
async def test_the_finished_journal_makes_the_same_spans() -> None:
    traced = Traced(text=True)
    await traced.live()
    read = [json.loads(json.dumps(entry, default=plain)) for entry in traced.story.entries]
    assert spans_of(read, "call_1", **traced.options) == traced.spans


@virtual
async def test_a_call_that_breaks_off_leaves_no_span_open() -> None:
    traced = Traced()
    story = traced.story
    story.provider.plans += [Reply(audio_ms=500), Reply(calls=[("t1", "look_up", '{"account": "1"}')])]
    story.start()
    await story.agent_speaks()
    await story.agent_silent()
    await story.caller_says("My balance please.")
    await story.creates(2)
    await asyncio.sleep(1)  # the tool is at work
    story.call.end("operator_hung_up")
    await story.ends()
    (call,) = traced.of("call")
    assert traced.spans[-1] is call
    opened = {one.span_id for one in traced.spans}
    assert all(one.parent_id in opened for one in traced.spans if one is not call)
    assert len(traced.of("turn")) == 1
    assert len(traced.of("execute_tool")) == 1
    assert traced.of("execute_tool")[0].error


def entry(t: float, kind: str, **fields: Any) -> Mapping[str, Any]:
    return {"t": t, "at": 1000.0 + t, "type": kind, **fields}


def test_a_clock_that_jumps_bends_no_span() -> None:
    spans = spans_of(
        [
            entry(0.0, "call.offered", direction="outbound"),
            {**entry(5.0, "caller.speech_started"), "at": 0.0},
            {**entry(9.0, "call.ended", outcome="ours", reason="internal"), "at": -7e9},
        ],
        "c",
    )
    turn, call = spans
    assert (turn.since, call.since, call.until) == (1005.0, 1000.0, 1009.0)
    assert (call.kind, call.error) == ("client", "internal")


@pytest.mark.parametrize(
    "broken",
    [
        {},
        {"type": 7},
        {"type": "sequencer"},
        {"type": "sequencer", "event": "Submitted", "body": {"request": 3}},
        {"type": "sequencer", "event": "Settled", "body": None},
        {"type": "tool.ended"},
        {"type": "provider.usage", "response_id": None},
        {"type": "caller.said", "text": None},
        {"type": "call.ended"},
    ],
)
def test_a_journal_that_is_no_good_makes_fewer_spans_and_no_error(broken: Mapping[str, Any]) -> None:
    ordinary = [entry(0.0, "call.offered"), entry(1.0, "call.ended", outcome="success")]
    assert spans_of([broken, *ordinary], "c")[-1].name == "call"
    assert len(spans_of([ordinary[0], broken, ordinary[1]], "c")) >= 1


def test_which_calls_are_traced_follows_from_their_ids() -> None:
    chosen: Callable[[float], int] = lambda ratio: sum(  # noqa: E731
        sampled(trace_id_of(f"call_{number}"), ratio) for number in range(2000)
    )
    assert (chosen(0.0), chosen(1.0)) == (0, 2000)
    assert 350 < chosen(0.2) < 450


def test_names_of_others_are_those_that_they_publish() -> None:
    semconv = pytest.importorskip("opentelemetry.semconv._incubating.attributes.gen_ai_attributes")
    theirs = {value for value in vars(semconv).values() if isinstance(value, str)}
    used = {
        value
        for value in vars(trace_names).values()
        if isinstance(value, str) and value.startswith("gen_ai.")
    }
    assert len(used) == 11
    assert used <= theirs
    operations = {one.value for one in semconv.GenAiOperationNameValues}
    assert {trace_names.GENERATE, trace_names.EXECUTE_TOOL} <= operations
    providers = {one.value for one in semconv.GenAiProviderNameValues} | {"voiceagent"}
    assert set(trace_names.PROVIDERS.values()) <= providers
