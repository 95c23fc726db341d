"""A recorded call lived again decides the same; every planted change of code or flow is found."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.kit.recorded import RecordedStory, record_story
from tests.kit.scripted_provider import Reply
from voiceagent.call.bridge import AudioBridge
from voiceagent.call.speech import CallSpeech
from voiceagent.cli.flow_simulate import run_simulate
from voiceagent.cli.replay import run_replay
from voiceagent.ivr.verbs.base import Verbs
from voiceagent.ivr.verbs.leaving import LeavingVerbs
from voiceagent.realtime import websocket
from voiceagent.realtime.link import sequencer_config
from voiceagent.realtime.session import RealtimeSession
from voiceagent.replay.recording import NotReplayable, read_recording
from voiceagent.replay.replay import Report, in_words, replay_journal
from voiceagent.replay.trace import JournalError

FLOW = '''
import asyncio
from voiceagent.ivr import Call, Digits, flow, tool

@tool
async def balance(account: str) -> dict[str, str]:
    """Look up a balance."""
    await asyncio.sleep(0.4)
    return {"balance": "42 euros"}

@flow("shop")
async def shop(call: Call) -> None:
    """You are a shop."""
    await call.respond("Greet the caller.")
    await call.respond("Tell a long story.")
    account = await call.collect("Ask for the account.", digits=Digits(4), attempts=2)
    await call.respond(f"Tell the balance of {account}.", tools=[balance])
    await call.hangup("Goodbye.")
'''


def tool_call(call_id: str, arguments: str) -> dict[str, Any]:
    return {
        "id": f"item_{call_id}",
        "type": "function_call",
        "status": "completed",
        "call_id": call_id,
        "name": "balance",
        "arguments": arguments,
    }


async def act(story: RecordedStory) -> None:
    """Barges into the story, is silent at the first question, types at the second, hears a tool's result."""
    story.provider.plans += [
        Reply(text="Hello.", audio_ms=800),
        Reply(text="one two three four five six seven eight nine ten", audio_ms=9000),
        Reply(text="What is the account?", audio_ms=900),
        Reply(text="Please, the account.", audio_ms=900),
        Reply(text="It rains.", audio_ms=600),
        Reply(text="", audio_ms=0, calls=(("c1", "balance", '{"account": "4711"}'),)),
        Reply(text="It is 42 euros.", audio_ms=900),
        Reply(text="Goodbye.", audio_ms=600),
    ]
    await story.creates(2)
    await story.agent_speaks()
    await asyncio.sleep(1.5)
    await story.caller_says("stop it")
    await story.creates(4)
    story.call.trigger("Say that it rains.", {}, request_id="req_operator")
    await asyncio.sleep(2.0)
    for digit in "4711":
        story.leg.press(digit)
        await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_story(tmp_path_factory.mktemp("recorded"), FLOW, act)


def first(report: Report) -> tuple[str, str, str]:
    one = report.verdict.differences[0]
    entry = one.then or one.now
    assert entry is not None
    return one.kind, str(entry["type"]), str(entry.get("event", ""))


def test_unchanged_code_decides_the_same(recorded: Path) -> None:
    report = replay_journal(recorded)

    assert report.same, in_words(report)
    assert report.verdict.compared > 80
    kinds = {entry["type"] for entry in map(json.loads, recorded.read_text("utf-8").splitlines())}
    assert {"in.frame", "in.audio", "in.leg", "in.heard", "in.operator", "in.outside"} <= kinds
    assert {"caller.said", "tool.ended", "caller.digit", "response.ended"} <= kinds


def test_a_flow_that_says_something_else_is_found(recorded: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    other.write_text(FLOW.replace("Greet the caller.", "Greet nobody."), encoding="utf-8")
    report = replay_journal(recorded, flows=[other])

    assert first(report) == ("changed", "sequencer", "Submitted")
    assert report.verdict.differences[0].fields == ("body.request.instructions",)
    assert "Greet nobody." in in_words(report)
    assert report.step.startswith("respond (")


def test_no_input_that_comes_earlier_is_found(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Verbs.__init__

    def impatient(self: Verbs, port: Any, **given: Any) -> None:
        made(self, port, **{**given, "no_input_s": given["no_input_s"] - 0.5})

    monkeypatch.setattr(Verbs, "__init__", impatient)
    report = replay_journal(recorded)

    assert not report.same
    assert report.verdict.counts()["time"] > 0
    assert "0.5" in in_words(report)


def test_a_barge_in_that_cuts_nothing_is_found(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AudioBridge, "silence", lambda self, response_id, item_id: None)
    report = replay_journal(recorded)

    assert not report.same
    assert first(report)[1:] in {("sequencer", "PlaybackEnded"), ("link.sent", "")}


def test_a_tool_result_that_nobody_speaks_is_found(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = RealtimeSession.send_tool_output
    monkeypatch.setattr(
        RealtimeSession,
        "send_tool_output",
        lambda self, call_id, output, start_response=True: sent(self, call_id, output, False),
    )
    report = replay_journal(recorded)

    assert not report.same
    missing = [one.then for one in report.verdict.differences if one.kind == "missing" and one.then]
    assert any(entry.get("event") == "Submitted" for entry in missing)


def test_a_hang_up_without_goodbye_is_found(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def curt(self: LeavingVerbs, goodbye: str | None = None) -> None:
        self._step("hangup")
        await self._port.hang_up("flow")

    monkeypatch.setattr(LeavingVerbs, "hangup", curt)
    report = replay_journal(recorded)

    assert not report.same
    missing = [one.then for one in report.verdict.differences if one.kind == "missing" and one.then]
    assert any(entry.get("event") == "Submitted" for entry in missing)
    assert "hangup" in report.step


def test_a_sequencer_that_holds_shorter_is_found(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        websocket, "sequencer_config", lambda profile: replace(sequencer_config(profile), turn_grace_s=0.0)
    )
    report = replay_journal(recorded)

    assert first(report) == ("changed", "sequencer", "SequencerConfig")


def test_a_prompt_with_other_metadata_is_found(recorded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = CallSpeech._metadata
    monkeypatch.setattr(
        CallSpeech, "_metadata", lambda self, given, origin: {**made(self, given, origin), "more": "1"}
    )
    report = replay_journal(recorded)

    assert first(report) == ("changed", "sequencer", "Submitted")
    assert report.verdict.differences[0].fields == ("body.request.metadata.more",)


# ── unhappy journals ────────────────────────────────────────────────────────────────────────────
def lines_of(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()


def test_a_torn_journal_is_compared_as_far_as_it_goes(recorded: Path, tmp_path: Path) -> None:
    lines = lines_of(recorded)
    torn = tmp_path / "torn.jsonl"
    torn.write_text("\n".join(lines[: len(lines) // 2]) + '\n{"v":1,"se', encoding="utf-8")
    report = replay_journal(torn)

    assert report.same, in_words(report)
    assert any("ends before the call does" in note for note in report.notes)


def test_missing_entries_are_told(recorded: Path, tmp_path: Path) -> None:
    lines = lines_of(recorded)
    holed = tmp_path / "holed.jsonl"
    last = next(number for number, line in enumerate(lines) if '"in.operator"' in line)
    holed.write_text("\n".join(lines[:last] + lines[last + 1 :]) + "\n", encoding="utf-8")
    report = replay_journal(holed)

    assert not report.same
    assert any("1 entries are missing" in note for note in report.notes)


def test_a_journal_whose_transcript_came_in_frames_of_its_own_is_lived_again(
    recorded: Path, tmp_path: Path
) -> None:
    """Version 3 of the inputs."""
    old = tmp_path / "version3.jsonl"
    lines: list[str] = []
    for entry in map(json.loads, lines_of(recorded)):
        for one in _apart(entry) if entry["type"] == "in.audio" else [entry]:
            made = {**one, "inputs": 3} if one["type"] == "in.call" else one
            lines.append(json.dumps({**made, "seq": len(lines) + 1}))
    old.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert sum("output_audio_transcript.delta" in line for line in lines) > 5
    report = replay_journal(old)

    assert report.same, in_words(report)
    assert report.verdict.compared == replay_journal(recorded).verdict.compared


def test_when_the_loop_was_late_is_read_from_entries_of_both_versions(recorded: Path, tmp_path: Path) -> None:
    entries = [json.loads(line) for line in lines_of(recorded)]
    frames = [one for one in entries if one["type"] == "in.frame"]
    frames[3]["late"] = [[1.0, 1.25], [2.0, 2.5]]
    old = {**frames[-1], "type": "in.late", "since": 3.0, "until": 3.5}
    changed = tmp_path / "late.jsonl"
    changed.write_text("\n".join(json.dumps(one) for one in [*entries, old]), encoding="utf-8")

    assert read_recording(changed).late == [(1.0, 1.25), (2.0, 2.5), (3.0, 3.5)]


def _apart(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an ``in.audio`` as one entry for each of its pieces, those of the transcript as frames."""
    turns = entry.pop("turns", [0] * len(entry["deltas"]))
    apart: list[dict[str, Any]] = []
    for turn, delta in zip(turns, entry["deltas"], strict=True):
        ms, what = delta[0], delta[1]
        if isinstance(what, str):
            frame = {
                "type": "response.output_audio_transcript.delta",
                "response_id": entry["response"],
                "item_id": entry["item"],
                "output_index": 0,
                "content_index": entry["index"],
                "delta": what,
            }
            head = {name: entry[name] for name in ("v", "at", "socket")}
            t = round(entry["since"] + ms / 1000, 6)
            apart.append({**head, "t": t, "type": "in.frame", "g": turn, "frame": json.dumps(frame)})
        else:
            apart.append({**entry, "turns": [turn], "deltas": [delta]})
    return apart


def test_journals_without_inputs_or_of_another_version_are_refused(recorded: Path, tmp_path: Path) -> None:
    entries = [json.loads(line) for line in lines_of(recorded)]
    old = tmp_path / "old.jsonl"
    old.write_text(
        "\n".join(json.dumps(one) for one in entries if not one["type"].startswith("in.")), encoding="utf-8"
    )
    with pytest.raises(NotReplayable, match="holds no inputs"):
        read_recording(old)
    entries[0]["inputs"] = 99
    old.write_text("\n".join(json.dumps(one) for one in entries), encoding="utf-8")
    with pytest.raises(NotReplayable, match="version 99"):
        read_recording(old)
    with pytest.raises(JournalError, match="cannot read"):
        read_recording(tmp_path / "none.jsonl")


def test_a_flow_file_that_has_gone_is_told_and_another_may_be_named(recorded: Path, tmp_path: Path) -> None:
    entries = lines_of(recorded)
    made = json.loads(entries[0])
    made["flow"]["file"] = str(tmp_path / "gone.py")
    moved = tmp_path / "moved.jsonl"
    moved.write_text("\n".join([json.dumps(made), *entries[1:]]), encoding="utf-8")
    with pytest.raises(NotReplayable, match="is not there any more"):
        replay_journal(moved)

    here = tmp_path / "here.py"
    here.write_text(FLOW, encoding="utf-8")
    assert replay_journal(moved, flows=[here]).same


TOML_FLOW = """
[flow]
name = "hours"

[steps.hours]
type = "call"
url = "https://api.example.com/hours"
into = "hours"
next = "bye"
otherwise = "bye"

[steps.bye]
type = "hangup"
say = "Goodbye."
"""


def test_a_flow_in_toml_is_found_where_it_was_written(tmp_path: Path) -> None:
    """Not where the functions are that play such flows; hosts that it asks need no permission here."""
    file, scenario = tmp_path / "hours.toml", tmp_path / "listens.toml"
    file.write_text(TOML_FLOW, encoding="utf-8")
    scenario.write_text('name = "listens"\n[fetch.hours]\nresult = "nine to five"\n', encoding="utf-8")
    with pytest.raises(SystemExit) as simulated:
        run_simulate(
            file,
            [scenario],
            junit=None,
            journals=tmp_path,
            config=None,
            overrides=[],
            verbose=False,
            as_json=False,
        )
    assert simulated.value.code == 0
    (journal,) = tmp_path.glob("*.jsonl")

    report = replay_journal(journal)

    assert report.same, in_words(report)
    file.write_text(TOML_FLOW.replace("Goodbye", "Farewell"), encoding="utf-8")
    assert not replay_journal(journal).same


def test_the_command_says_it_by_its_exit_status(
    recorded: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_replay([recorded], flows=[], tolerance_ms=100, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["same"], told["different"], told["failed"]) == (1, 0, 0)

    other = tmp_path / "other.py"
    other.write_text(FLOW.replace("Goodbye.", "Farewell."), encoding="utf-8")
    with pytest.raises(SystemExit) as differs:
        run_replay([recorded], flows=[other], tolerance_ms=100, as_json=False)
    assert differs.value.code == 1
    assert "Farewell." in capsys.readouterr().out

    with pytest.raises(SystemExit) as unreadable:
        run_replay([tmp_path / "none.jsonl"], flows=[], tolerance_ms=100, as_json=True)
    assert unreadable.value.code == 2
