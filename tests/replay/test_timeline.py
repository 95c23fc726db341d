"""The time line of a call: what was generated against what was heard, marks, waits, and its bounds."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from voiceagent.cli.main import app
from voiceagent.realtime import sequencer_io as io
from voiceagent.realtime.requests import Origin, Progress, ResponseRequest
from voiceagent.records.journal import Journal, plain
from voiceagent.replay.explain import account_of
from voiceagent.replay.marks import Marks
from voiceagent.replay.spans import Spans
from voiceagent.replay.timeline import REPLIES_OPEN, Timeline, timeline_of
from voiceagent.replay.trace import read_lines

DEMO = Path(__file__).parents[1] / "simulate" / "demo.jsonl"
SPEAK = "makes the agent speak"
Entry = dict[str, Any]


def e(t: float, kind: str, /, **fields: Any) -> Entry:
    return {"t": t, "type": kind, **fields}


def s(t: float, event: str, **body: Any) -> Entry:
    return {"t": t, "type": "sequencer", "event": event, "body": body}


def reply(name: str, begins: float, *, audio_ms: int, heard: float, cut: bool = False) -> list[Entry]:
    """A reply whose sound arrives at once and is heard for ``heard`` seconds."""
    return [
        s(begins, "OutputStarted", response_id=name, audible=True),
        s(begins + 0.1, "PlaybackStarted", response_id=name),
        s(begins + 0.2, "ResponseDone", response_id=name, status="completed", audio_ms=audio_ms),
        s(
            begins + 0.1 + heard,
            "PlaybackEnded",
            response_id=name,
            heard_ms=round(heard * 1000),
            cut=cut,
        ),
    ]


def lanes(entries: Iterable[Entry], now: float | None = None) -> dict[str, Any]:
    return timeline_of(entries).plain(now)


# ── lanes ────────────────────────────────────────────────────────────────────────────────────────
def test_a_reply_that_is_heard_to_its_end_was_heard_as_far_as_it_was_generated() -> None:
    told = lanes(reply("p1", 1.0, audio_ms=2000, heard=2.05))
    assert told["heard"] == [{"from": 1.1, "to": 3.15, "response_id": "p1", "cut": False}]
    assert told["generated"] == [{"from": 1.1, "to": 3.15, "response_id": "p1"}]


def test_of_a_cut_reply_the_unheard_part_stands_behind_the_heard_one() -> None:
    told = lanes(reply("p1", 1.0, audio_ms=5000, heard=1.5, cut=True))
    assert told["heard"] == [{"from": 1.1, "to": 2.6, "response_id": "p1", "cut": True}]
    assert told["generated"] == [{"from": 1.1, "to": 6.1, "response_id": "p1"}]


def test_the_provider_may_say_after_the_cut_how_much_it_had_made() -> None:
    started, playing, done, ended = reply("p1", 1.0, audio_ms=5000, heard=1.5, cut=True)
    told = lanes([started, playing, ended, {**done, "t": 2.7}])
    assert told["generated"] == [{"from": 1.1, "to": 6.1, "response_id": "p1"}]


def test_a_reply_that_nobody_heard_stands_where_it_arrived() -> None:
    told = lanes(reply("p1", 1.0, audio_ms=800, heard=0)[::2])
    assert told["generated"] == [{"from": 1.0, "to": 1.8, "response_id": "p1"}]
    assert told["heard"] == []


def test_where_the_provider_plays_only_the_heard_part_is_known() -> None:
    ended = s(3.0, "PlaybackEnded", response_id="p1", heard_ms=1800, cut=True)
    told = lanes(
        [s(1.0, "PlaybackStarted", response_id="p1"), ended, s(3.1, "ResponseDone", response_id="p1")]
    )
    assert told["generated"][0]["to"] == told["heard"][0]["to"] == 3.0


def test_text_without_sound_leaves_nothing_on_the_lane() -> None:
    told = lanes([s(1.0, "OutputStarted", response_id="p1", audible=False)])
    assert told["generated"] == []


def test_what_is_open_in_a_live_call_grows_and_ends_with_the_call() -> None:
    entries = [
        *reply("p1", 1.0, audio_ms=2000, heard=0)[:2],
        e(2.0, "caller.speech_started"),
    ]
    timeline = timeline_of(entries)
    told = timeline.plain(2.5)
    assert (told["duration_s"], told["live"]) == (2.5, True)
    assert told["caller"] == [[2.0, 2.5]]
    assert told["heard"][0]["to"] == told["generated"][0]["to"] == 2.5
    assert timeline.plain(2.75)["caller"] == [[2.0, 2.75]]
    timeline.take(e(3.0, "call.ended", outcome="success", reason="caller_hung_up"))
    told = timeline.plain(9.0)
    assert (told["duration_s"], told["live"]) == (3.0, False)
    assert told["caller"] == [[2.0, 3.0]]
    assert told["heard"][0]["to"] == 3.0


def test_who_took_over_stands_there_until_the_call_is_handed_back() -> None:
    taken = [e(2.0, "operator.take_over", operator="kim")]
    assert lanes(taken, 3.0)["operator"] == [[2.0, 3.0]]
    back = e(5.0, "operator.hand_back", operator="kim", reason="voice_lost", seconds=3.0)
    told = lanes([*taken, back, e(9.0, "call.ended")])
    assert told["operator"] == [[2.0, 5.0]]
    assert told["marks"][1]["text"] == "the call goes back to the agent: voice lost"
    assert lanes([*taken, e(9.0, "call.ended")])["operator"] == [[2.0, 9.0]]


# ── turns ────────────────────────────────────────────────────────────────────────────────────────
def turn(number: int, stopped: float, heard: float) -> list[Entry]:
    request = {"id": f"r{number}", "origin": "turn"}
    return [
        e(stopped - 1, "caller.speech_started"),
        e(stopped, "caller.speech_stopped"),
        s(stopped + 0.05, "Submitted", request=request),
        s(stopped + 0.15, "SendCreate", request=request),
        s(stopped + 0.2, "Progressed", request_id=f"r{number}", progress="started", response_id=f"p{number}"),
        s(heard, "Progressed", request_id=f"r{number}", progress="audible"),
        s(heard + 1, "Settled", request_id=f"r{number}", outcome={"kind": "completed"}),
    ]


def test_each_turn_says_how_long_the_caller_waited_and_for_what() -> None:
    told = lanes(turn(1, 2.0, 2.5))
    assert told["turns"] == [
        {
            "at": 2.0,
            "response_id": "p1",
            "latency_ms": 500.0,
            "parts": {"flow": 50.0, "queue": 100.0, "model": 350.0},
        }
    ]
    assert told["latency"] == {"p50_ms": 500.0, "p95_ms": 500.0}


def test_what_the_provider_tells_of_a_turn_divides_the_wait_further() -> None:
    plain = turn(1, 2.0, 2.5)
    commit = s(2.02, "InputCommitted", item_id="i1")
    sound = s(2.4, "OutputStarted", response_id="p1", audible=True)
    told = lanes([*plain[:2], commit, *plain[2:5], sound, *plain[5:]])
    assert told["turns"][0]["parts"] == {
        "commit": 20.0,
        "flow": 30.0,
        "queue": 100.0,
        "model": 250.0,
        "playout": 100.0,
    }


def test_the_sound_of_an_earlier_reply_is_not_that_of_this_one() -> None:
    early = s(1.9, "OutputStarted", response_id="p0", audible=True)
    told = lanes([early, *turn(1, 2.0, 2.5)])
    assert told["turns"][0]["parts"] == {"flow": 50.0, "queue": 100.0, "model": 350.0}


def test_a_caller_on_hold_waits_for_no_reply() -> None:
    stopped = turn(1, 2.0, 9.0)
    told = lanes([*stopped[:2], e(3.0, "call.held", agreed=True), e(8.0, "call.resumed"), *stopped[2:]])
    assert told["turns"] == []


def test_what_was_audible_once_answers_no_later_turn() -> None:
    first, later = turn(1, 2.0, 2.5), turn(2, 5.0, 5.9)
    again = s(5.5, "Progressed", request_id="r1", progress="audible")
    told = lanes([*first[:-1], *later[:5], again, *later[5:]])
    assert [(one["at"], one["response_id"]) for one in told["turns"]] == [(2.0, "p1"), (5.0, "p2")]


def test_percentiles_are_those_of_the_turns() -> None:
    entries = [one for n in range(20) for one in turn(n, n * 10.0 + 5, n * 10.0 + 5.2 + n / 10)]
    assert lanes(entries)["latency"] == {"p50_ms": 1150.0, "p95_ms": 2000.0}
    assert lanes([])["latency"] == {"p50_ms": None, "p95_ms": None}


def test_the_account_of_a_call_and_its_time_line_agree_on_every_turn() -> None:
    account = account_of(line.entry for line in read_lines(DEMO))
    known = [(one["stopped_t"], one["latency_s"]) for one in account.summary.plain()["turns"]]
    told = account.timeline.plain()
    assert known
    assert [(one["at"], round(one["latency_ms"] / 1000, 3)) for one in told["turns"]] == known
    assert {one["response_id"] for one in told["turns"]} <= {one["response_id"] for one in told["heard"]}


# ── marks ────────────────────────────────────────────────────────────────────────────────────────
def marks(*entries: Entry) -> list[tuple[float, str, str]]:
    return [(one["at"], one["kind"], one["text"]) for one in lanes(entries)["marks"]]


def test_keys_pressed_together_are_one_mark() -> None:
    keys = [
        e(1.0, "caller.digit", digit="4"),
        e(2.0, "caller.digit", digit="2"),
        e(9.0, "caller.digit", digit="#"),
    ]
    assert marks(*keys) == [(1.0, "digit", "42"), (9.0, "digit", "#")]


def test_of_what_is_keyed_in_secret_only_the_fact_is_told() -> None:
    secret = [e(2.0 + n, "caller.digit", digit="•") for n in range(4)]
    told = marks(
        e(1.0, "caller.digit", digit="7"),
        e(1.5, "secret.opened"),
        *secret,
        e(6.5, "secret.closed"),
        e(7.0, "caller.digit", digit="1"),
    )
    assert told == [(1.0, "digit", "7"), (1.5, "digit", "secret entry"), (7.0, "digit", "1")]


def test_a_tool_is_one_mark_without_its_arguments() -> None:
    told = marks(
        e(1.0, "tool.called", tool="balance", arguments='{"account": "481516"}'),
        e(1.1, "tool.called", tool="weather", arguments="{}"),
        e(1.5, "tool.ended", tool="balance", ok=True, seconds=0.5),
        e(1.6, "tool.ended", tool="weather", ok=False, seconds=0.02),
        e(2.0, "tool.refused", tool="delete", code="unknown_tool", arguments="481516"),
    )
    assert told == [
        (1.0, "tool", "balance answered after 0.50 s"),
        (1.1, "tool", "weather failed after 20 ms"),
        (2.0, "tool", "delete is refused: unknown_tool"),
    ]


@pytest.mark.parametrize(
    ("entry", "kind", "words"),
    [
        (e(1, "operator.trigger", operator="al", instructions="Hi"), "operator", f"al {SPEAK}: “Hi”"),
        (e(1, "operator.listen", operator="kim", listener="1"), "listen", "kim listens"),
        (e(1, "operator.take_over", operator="kim"), "take_over", "kim speaks instead of the agent"),
        (e(1, "operator.brew", operator="kim"), "operator", "kim brew"),
        (e(1, "call.held", agreed=True), "hold", "the caller is put on hold"),
        (e(1, "transfer.started", target="sip:a@b"), "transfer", "the caller is handed to sip:a@b"),
        (e(1, "recording.paused", name="r", by="secret"), "recording", "recording paused: name r, by secret"),
        (e(1, "provider.lost", reason="gone"), "notice", "the provider is lost: gone"),
        (s(1, "Notice", code="barge_in", response_id="p1"), "barge_in", "the caller speaks over the agent"),
    ],
)  # fmt: skip
def test_every_kind_of_mark(entry: Entry, kind: str, words: str) -> None:
    assert marks(entry) == [(1, kind, words)]


def test_inputs_and_waits_leave_no_mark() -> None:
    assert marks(e(1, "in.frame", frame="x"), e(2, "flow.step", step="a"), s(3, "Notice", code="held")) == []


# ── live and later ───────────────────────────────────────────────────────────────────────────────
def test_the_tap_of_a_live_journal_and_its_file_make_the_same_time_line(tmp_path: Path) -> None:
    clock = iter(range(1000))
    journal = Journal(None, None, monotonic=lambda: next(clock) / 10, wall=lambda: 0.0)
    live, kept = Timeline(), list[Mapping[str, Any]]()
    journal.tap(live.take)
    journal.tap(kept.append)
    request = ResponseRequest("r1", Origin.TURN)
    journal.write("caller.speech_started", audio_ms=0)
    journal.write("caller.speech_stopped", audio_ms=100)
    for step in (
        io.Submitted(request),
        io.SendCreate(request, "e1", 1),
        io.Progressed("r1", Progress.STARTED, "p1"),
        io.OutputStarted("p1"),
        io.PlaybackStarted("p1"),
        io.Progressed("r1", Progress.AUDIBLE, "p1"),
        io.ResponseDone("p1", "completed", audio_ms=4000),
        io.PlaybackEnded("p1", 300, "Hello", cut=True),
        io.Notice("barge_in", "r1", "p1"),
    ):
        journal.write("sequencer", step, loop_t=0.0, session=1)
    journal.write("call.ended", outcome="success", reason="completed")
    read = [json.loads(json.dumps(entry, default=plain)) for entry in kept]
    told = live.plain()
    assert told == timeline_of(read).plain()
    assert told["heard"][0]["cut"]
    assert [one["response_id"] for one in told["turns"]] == ["p1"]


def test_explain_as_json_has_the_time_line() -> None:
    result = CliRunner().invoke(app, ["explain", str(DEMO), "--json"])
    told = json.loads(result.stdout)["timeline"]
    assert len(told["heard"]) == 8
    assert {"digit", "tool", "operator", "notice"} <= {one["kind"] for one in told["marks"]}


def test_nonsense_in_a_journal_is_no_error() -> None:
    strange: list[Any] = [None, 7, "x", [], {}, {"id": 3}, float("nan"), True]
    events: list[Any] = [*Timeline.STEPS, 9, None, []]
    entries: list[Entry] = [{}, {"t": "x", "type": 4}]
    for event in events:
        entries += [{"t": one, "type": "sequencer", "event": event, "body": one} for one in strange]
        entries += [{"type": "sequencer", "event": event, "body": {"response_id": one, "request": one,
                     "audio_ms": one, "heard_ms": one, "request_id": one}} for one in strange]  # fmt: skip
    kinds = ["caller.digit", "tool.called", "tool.ended", "operator.trigger", "operator.tag", "digits.sent"]
    entries += [
        {"type": kind, "digit": one, "tool": one, "seconds": one, "tags": one, "instructions": one}
        for kind in kinds
        for one in strange
    ]
    json.dumps(lanes(entries), allow_nan=False)


# ── bounds ───────────────────────────────────────────────────────────────────────────────────────
def test_merging_keeps_the_long_silences_and_the_newest_detail() -> None:
    spans = Spans(most=100)
    for minute in range(10):
        for n in range(20):
            one = spans.begin(minute * 60 + n, f"p{n}")
            one.until, one.open = one.since + 0.9, False
    kept = list(spans)
    assert len(kept) <= 100
    assert kept[-1].name == "p19"
    assert sum(after.since - before.until > 30 for before, after in pairwise(kept)) == 9
    assert kept[0].since == 0


def test_an_open_stretch_is_never_merged() -> None:
    spans = Spans(most=4)
    first = spans.begin(0.0)
    for n in range(1, 20):
        spans.begin(n).open = False
    assert first in list(spans)


def test_of_very_many_marks_the_oldest_are_counted_only() -> None:
    all_marks = Marks(most=8)
    for n in range(20):
        all_marks.add(n, "tool", f"t{n}")
    told = all_marks.plain()
    assert len(told) <= 9
    assert told[-1]["text"] == "t19"
    assert told[0]["text"] == f"{20 - (len(told) - 1)} earlier marks are left out"


def test_a_call_of_a_day_takes_bounded_memory() -> None:
    def a_turn(timeline: Timeline, n: int) -> None:
        for one in (
            *turn(n, n * 9.0 + 2, n * 9.0 + 3),
            *reply(f"q{n}", n * 9.0 + 4, audio_ms=3000, heard=2, cut=True),
        ):
            timeline.take(one)
        timeline.take(e(n * 9.0 + 8, "caller.digit", digit="1"))
        timeline.take(s(n * 9.0 + 8, "Submitted", request={"id": f"open{n}"}))
        timeline.take(s(n * 9.0 + 8, "OutputStarted", response_id=f"open{n}"))
        timeline.take(e(n * 9.0 + 8, "tool.called", tool="x" * 50))

    timeline = Timeline()
    for n in range(2000):
        a_turn(timeline, n)
    tracemalloc.start()
    for n in range(2000, 6000):
        a_turn(timeline, n)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 700_000
    told = timeline.plain()
    assert len(told["generated"]) <= 1000 + REPLIES_OPEN
    assert len(json.dumps(told)) < 400_000
