"""The account of a call: waits, cuts, slow turns, silence, tools, losses, failures; and its head."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from voiceagent.cli.main import app
from voiceagent.ivr.verbs.wording import verbatim
from voiceagent.replay.explain import Account, account_of
from voiceagent.replay.telling import clock, seconds

Entry = dict[str, Any]


def e(t: float, kind: str, /, **fields: Any) -> Entry:
    return {"t": t, "type": kind, **fields}


def s(t: float, event: str, **body: Any) -> Entry:
    return {"t": t, "type": "sequencer", "event": event, "body": body}


def asked(t: float, number: int, text: str = "Say: hello", origin: str = "ivr") -> Entry:
    request = {"id": f"r{number}", "origin": origin, "instructions": f"Be brief.\n\n{text}"}
    return s(t, "Submitted", request=request)


def create(t: float, number: int) -> Entry:
    return s(t, "SendCreate", request={"id": f"r{number}"})


def heard(t: float, number: int) -> list[Entry]:
    return [
        s(t, "Progressed", request_id=f"r{number}", progress="started", response_id=f"p{number}"),
        s(t, "PlaybackStarted", response_id=f"p{number}"),
        s(t, "Progressed", request_id=f"r{number}", progress="audible"),
    ]


def settled(t: float, number: int, kind: str = "completed", **outcome: Any) -> list[Entry]:
    return [
        s(t, "PlaybackEnded", response_id=f"p{number}"),
        s(t, "Settled", request_id=f"r{number}", outcome={"kind": kind, **outcome}),
    ]


def spoke(since: float, until: float, text: str, known: float) -> list[Entry]:
    return [
        e(since, "caller.speech_started"),
        e(until, "caller.speech_stopped"),
        e(known, "caller.said", text=text),
    ]


def account(*parts: Entry | Iterable[Entry]) -> Account:
    return account_of(one for part in parts for one in ([part] if isinstance(part, dict) else part))


def texts(one: Account) -> list[str]:
    return [told.text for told in one.told]


def test_times_are_minutes_seconds_and_milliseconds() -> None:
    assert [clock(t) for t in (0, 61.0005, 3599.9996, 9.0421)] == [
        "0:00.000",
        "1:01.000",
        "60:00.000",
        "0:09.042",
    ]
    assert [seconds(value) for value in (0.04, 1.249)] == ["40 ms", "1.25 s"]


def test_a_turn_says_where_its_time_went() -> None:
    told = account(
        spoke(1.0, 2.0, "billing", 2.2),
        asked(2.25, 1),
        create(2.65, 1),
        heard(3.0, 1),
        settled(4.0, 1, heard_ms=990),
    )
    turn = told.summary.plain()["slowest_turn"]
    assert turn["latency_s"] == 1.0
    assert turn["parts"] == {"transcript": 0.2, "flow": 0.05, "queue": 0.4, "model": 0.35}
    line = next(one for one in told.told if "is heard" in one.text)
    assert (line.kind, line.t) == ("agent", 3.0)
    assert line.text == (
        "#1 (ivr) is heard 1.00 s after the caller stopped: "
        "0.20 s transcript, 50 ms flow, 0.40 s queue, 0.35 s model"
    )


def test_a_reply_that_was_ready_before_the_caller_stopped_has_no_negative_parts() -> None:
    told = account(asked(0.5, 1), spoke(0.2, 2.0, "", 2.4), create(2.1, 1), heard(2.3, 1))
    assert told.summary.plain()["turns"][0]["parts"] == {"flow": 0.0, "queue": 0.1, "model": 0.2}


def test_a_slow_turn_is_called_slow_and_a_second_reply_is_none() -> None:
    told = account(
        spoke(0.0, 1.0, "hello", 1.1),
        asked(1.2, 1),
        create(1.2, 1),
        heard(3.0, 1),
        settled(4.0, 1, heard_ms=900),
        asked(4.0, 2),
        create(4.0, 2),
        heard(4.2, 2),
    )
    assert [one.kind for one in told.told if "is heard" in one.text] == ["slow", "agent"]
    assert len(told.summary.plain()["turns"]) == 1
    assert "1 slow" in dict(told.summary.lines())["turns"]


def test_a_caller_who_speaks_again_is_not_answered_late() -> None:
    told = account(
        spoke(0.0, 1.0, "one", 1.1), spoke(5.0, 6.0, "two", 6.1), asked(6.1, 1), create(6.1, 1), heard(6.5, 1)
    )
    assert [turn["latency_s"] for turn in told.summary.plain()["turns"]] == [0.5]


def test_a_cut_says_who_and_how_much_of_what_was_heard() -> None:
    told = account(
        asked(0.0, 1),
        create(0.0, 1),
        heard(0.2, 1),
        s(1.0, "Notice", code="barge_in", request_id="r1", response_id="p1"),
        settled(
            1.1, 1, "interrupted", by="caller", heard_ms=900, heard_text="one two", text="one two three four"
        ),
    )
    assert "the caller speaks over #1 (ivr)" in texts(told)
    assert texts(told)[-1] == "#1 (ivr) interrupted by caller after 0.9 s, 2 of 4 words heard: “one two”"
    cut = told.summary.plain()["cuts"][0]
    assert (cut["by"], cut["heard_words"], cut["words"]) == ("caller", 2, 4)
    assert dict(told.summary.lines())["cut"] == "#1 (ivr) by caller at 0:01.100: 2 of 4 words heard in 0.9 s"


def test_a_held_trigger_says_what_it_waited_for_and_how_long() -> None:
    told = account(
        asked(1.0, 1, origin="operator"),
        e(1.0, "operator.trigger", operator="ann", request_id="r1"),
        s(1.0, "Notice", code="held", request_id="r1", details={"reason": "caller_speaking"}),
        s(1.5, "Notice", code="held", request_id="r1", details={"reason": "caller_speaking"}),
        s(3.0, "Notice", code="held", request_id="r1", details={"reason": "playback"}),
        create(3.5, 1),
        heard(3.6, 1),
        settled(5.0, 1, heard_ms=1300),
    )
    assert "#1 (operator) waits, because the caller is speaking" in texts(told)
    assert "ann triggers #1 (operator)" in texts(told)
    assert (
        "#1 (operator) goes to the model after 2.50 s: "
        "2.00 s because the caller is speaking, 0.50 s because something is still being heard"
    ) in texts(told)
    trigger = told.summary.plain()["triggers"][0]
    assert trigger["waits"] == {"caller_speaking": 2.0, "playback": 0.5}
    assert (trigger["operator"], trigger["outcome"]) == ("ann", "completed")


def test_silence_of_both_sides_says_whose_turn_it_was() -> None:
    told = account(
        e(0.0, "call.answered"),
        asked(0.1, 1),
        create(0.1, 1),
        heard(4.0, 1),
        settled(5.0, 1, heard_ms=900),
        spoke(9.5, 10.0, "hello", 10.1),
        e(10.2, "call.held", agreed=True),
        e(30.0, "call.resumed", agreed=True),
        e(31.0, "call.ended", outcome="success", reason="completed", duration_s=31.0),
    )
    gaps = [one for one in told.told if one.kind == "gap"]
    assert [(one.t, one.facts["whose"]) for one in gaps] == [(4.0, "ours"), (9.5, "the caller's")]
    assert gaps[0].text == "nobody was heard for 4.00 s: most of it ours"
    assert "we take the caller back after 19.80 s" in texts(told)


def test_a_silence_that_we_end_was_the_callers_all_the_same() -> None:
    told = account(
        asked(0.0, 1),
        create(0.0, 1),
        heard(0.1, 1),
        settled(1.0, 1, heard_ms=900),
        asked(7.0, 2),
        create(7.0, 2),
        heard(7.3, 2),
    )
    facts = [one.facts for one in told.told if one.kind == "gap"]
    assert facts == [{"since": 1.0, "whose": "the caller's", "ours_s": 0.3}]


def test_a_text_to_be_said_as_it_is_stands_alone() -> None:
    told = account(asked(0.0, 1, verbatim("We are open.")))
    assert texts(told) == ["#1 (ivr) is asked for: word for word “We are open.”"]


def test_keys_in_a_row_are_one_line() -> None:
    told = account(
        e(1.0, "caller.digit", digit="1"), e(1.2, "caller.digit", digit="2"), e(2.0, "caller.held")
    )
    assert texts(told) == ["the caller pressed 12", "the caller's side puts us on hold"]
    assert told.told[0].t == 1.0


@pytest.mark.parametrize(
    ("entry", "kind", "says"),
    [
        (
            e(
                1,
                "tool.refused",
                tool="pay",
                code="tool_not_allowed",
                message="may not be used now",
                arguments="{}",
            ),
            "trouble",
            "the tool pay is refused: may not be used now (tool_not_allowed), asked for with “{}”",
        ),
        (e(1, "tool.ended", tool="pay", ok=True, seconds=1.5), "tool", "the tool pay answered after 1.50 s"),
        (
            e(1, "tool.failed", tool="pay", exception="ValueError", message="no"),
            "trouble",
            "the tool pay failed: ValueError: no",
        ),
        (
            e(1, "fetch.ended", fetch="order", number=1, seconds=0.5),
            "tool",
            "the data of order came after 0.50 s",
        ),
        (e(1, "provider.lost", reason="closed 1011"), "trouble", "the provider is lost: closed 1011"),
        (
            e(
                1,
                "recovery.restored",
                attempts=2,
                provider="first",
                seconds=0.8,
                items=7,
                caller_audio_ms=1200,
            ),
            "note",
            "the session is restored after 0.80 s and 2 attempts: 7 items of the conversation and 1.2 s",
        ),
        (
            e(1, "recovery.failed", attempts=3, code="connection", seconds=9.0),
            "trouble",
            "no session could be had in 9.00 s",
        ),
        (
            e(1, "transfer.refused", target="sip:x@y", status=403, reason="not allowed"),
            "trouble",
            "the transfer to sip:x@y is refused",
        ),
        (
            e(1, "transfer.progress", status=180, reason="Ringing"),
            "transfer",
            "the transfer reports 180 Ringing",
        ),
        (
            e(1, "transfer.ended", target="sip:x@y", accepted=False, status=486),
            "trouble",
            "the transfer to sip:x@y has failed (486)",
        ),
        (
            e(1, "line.resumed", time=1, heard_ms=2500, heard_text="we open"),
            "cut",
            "the line goes on from 2.5 s, after “we open”",
        ),
        (e(1, "flow.step", step="choose", place="shop.py:41"), "step", "step choose (shop.py:41)"),
        (
            e(1, "queue.entered", queue="desk", position=2, waiting=3),
            "hold",
            "the caller waits in the queue desk: 2 of 3",
        ),
        (
            e(1, "queue.offered", queue="desk", target="sip:a@b", accepted=False, status=486),
            "transfer",
            "the queue's target sip:a@b could not be had (486)",
        ),
        (
            e(1, "queue.left", queue="desk", reason="hung_up", waited_s=62.5),
            "hold",
            "the wait in the queue desk is over after 62.50 s: hung up",
        ),
        (e(1, "recording.finished", name="a", seconds=61.5), "note", "the recording a ends: 1:01.500"),
        (e(1, "survey.answered", question=3), "note", "survey answered: question 3"),
        (
            e(1, "recording.failed", name="a", reason="disk full"),
            "trouble",
            "recording failed: name a, reason disk full",
        ),
        (e(1, "operator.hang_up", operator="ann"), "operator", "operator hang up: operator ann"),
    ],
)
def test_every_kind_of_entry_has_words(entry: Entry, kind: str, says: str) -> None:
    told = account(entry).told[0]
    assert says in told.text
    assert told.kind == kind


def test_a_flow_that_failed_shows_its_own_frames() -> None:
    failed = e(
        2.0,
        "flow.failed",
        flow="shop",
        error="KeyError: 'x'",
        traceback=["shop.py:9 in main", "shop.py:20 in price"],
        causes=["OSError: gone"],
    )
    told = account(failed).told[0]
    assert told.text == "the flow shop failed: KeyError: 'x'"
    assert told.more == ("at shop.py:9 in main", "at shop.py:20 in price", "because of OSError: gone")


MEDIA = {
    "received": 1755,
    "sent": 1753,
    "lost": 3,
    "late": 1,
    "details": {"loss_percent": 0.2, "jitter_ms": 1.5, "mos": 4.3, "round_trip_ms": 20.0},
}


def test_the_head_says_how_the_call_went(tmp_path: Path) -> None:
    entries = [
        e(0.0, "call.offered", call_id="c1", kind="direct", caller="+44", called="100", flow="shop"),
        e(0.1, "call.answered", setup_s=0.1),
        e(0.2, "in.caller_audio", leg="a"),
        e(1.0, "tool.ended", tool="pay", ok=False, seconds=0.3),
        e(
            90.0,
            "call.ended",
            outcome="success",
            reason="completed",
            detail="flow",
            duration_s=90.0,
            longest_gap_s=0.5,
            first_words_s=0.25,
            media=MEDIA,
        ),
    ]
    head = dict(account(entries).summary.lines())
    assert head["call"] == "+44 → 100, flow shop"
    assert head["outcome"] == "success: completed, flow"
    assert head["length"] == "1:30.000; first words 0.25 s after the answer"
    assert head["tools"] == "1 call, 1 failed, slowest pay with 0.30 s"
    assert head["media in"] == "1755 packets, 3 lost, 1 late, 0.2 % lost, jitter 1.5 ms, MOS 4.3"
    path = tmp_path / "c1.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    plain = CliRunner().invoke(app, ["explain", str(path)])
    assert plain.exit_code == 0
    assert "\x1b" not in plain.stdout
    lines = plain.stdout.splitlines()
    assert lines[0].strip() == "call  +44 → 100, flow shop"
    assert any(line.startswith("  0:00.100  the call is answered") for line in lines)
    told = json.loads(CliRunner().invoke(app, ["explain", str(path), "--json"]).stdout)
    assert told["summary"]["outcome"] == "success"
    assert told["told"][0]["time"] == "0:00.000"
    assert not any("caller_audio" in one["text"] for one in told["told"])


def test_a_callers_text_gives_a_terminal_no_orders(tmp_path: Path) -> None:
    path = tmp_path / "c1.jsonl"
    entries = [
        e(0.0, "call.offered", call_id="c1", caller="\x1b]0;owned\x07", called="100", flow="shop"),
        e(1.0, "caller.said", text="hello\x1b[2Jthere\u202eabc"),
    ]
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    told = CliRunner().invoke(app, ["explain", str(path)]).stdout
    assert "hello·[2Jthere·abc" in told
    assert all(one.isprintable() or one == "\n" for one in told)


def test_nor_does_a_replay_of_it(tmp_path: Path) -> None:
    path = tmp_path / "c1.jsonl"
    entries = [
        e(0.0, "in.call", inputs=2, call_id="c1", flow={"name": "shop", "file": "\x1b]0;owned\x07.py"}),
        e(0.0, "call.offered", call_id="c1", caller="\x1b]0;owned\x07", called="100", flow="shop"),
    ]
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    told = CliRunner().invoke(app, ["replay", str(path)]).stdout
    assert told.startswith("? ")
    assert all(one.isprintable() or one == "\n" for one in told)


def test_a_journal_of_a_call_that_never_ended_has_an_account() -> None:
    told = account(e(0.0, "call.offered", call_id="c1", caller="a", called="b", flow="f"), asked(2.0, 1))
    assert dict(told.summary.lines())["length"] == "0:02.000"
    assert told.summary.plain()["outcome"] is None
