"""Steps that queue, play, tell and record: simulated, and their mistakes found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ivr_toml.kit import line_of
from voiceagent.call.sounds import problem_of
from voiceagent.errors import ConfigError
from voiceagent.ivr import load_flows
from voiceagent.ivr.check.allowed import Allowed
from voiceagent.ivr.check.findings import Finding
from voiceagent.ivr.check.toml_check import check_flow
from voiceagent.ivr.graph.toml_graph import toml_picture
from voiceagent.ivr.toml.read import FlowFileError, parse_toml_flow
from voiceagent.media.wav import WavWriter
from voiceagent.simulate.engine import pick_flow, simulate
from voiceagent.simulate.scenario_file import parse_scenario

LEGAL = "This call may be recorded for training. " * 8
DESK = f"""
[flow]
name = "desk"

[steps.tape]
type = "record"
name = "order"
announce = "This call is recorded."
next = "law"
otherwise = "refused"

[steps.law]
type = "play"
file = "legal.wav"
text = "{LEGAL.strip()}"
interruptible = false
next = "tell"

[steps.tell]
type = "note"
text = "{{caller}} has heard the terms."
next = "pause"

[steps.pause]
type = "record"
action = "pause"
next = "wait"

[steps.wait]
type = "queue"
name = "sales"
announce = false
whisper = "A caller for sales: {{caller}}."
timeout_s = 60
leave = "9"
left = "changed"
otherwise = "busy"

[steps.changed]
type = "record"
action = "resume"
next = "stop"

[steps.stop]
type = "record"
action = "stop"
next = "bye"

[steps.bye]
type = "hangup"
say = "As you like. Goodbye."

[steps.busy]
type = "hangup"
say = "All are busy. Goodbye."

[steps.refused]
type = "hangup"
say = "Then not. Goodbye."
"""
SALES = Allowed(queues={"sales", "support"}, sound=problem_of)


def wav(path: Path, seconds: float = 2.0) -> None:
    with WavWriter(path) as file:
        file.write(bytes(int(16_000 * seconds)))


def written(folder: Path, text: str = DESK) -> Path:
    wav(folder / "legal.wav")
    path = folder / "desk.toml"
    path.write_text(text, encoding="utf-8")
    return path


def checked(folder: Path, text: str, allowed: Allowed = SALES) -> list[Finding]:
    try:
        return check_flow(parse_toml_flow(text, written(folder, text)), allowed)
    except FlowFileError as error:
        return list(error.findings)


CALLS = {
    "leaves": (
        'digits = "9"\nwait_for = "wait"\nafter_ms = 500',
        "[transfer]\nstatus = 486\nafter_ms = 5000",
        ["tape", "law", "tell", "pause", "wait", "changed", "stop", "bye"],
        "As you like.",
        "completed",
    ),
    "in vain": (
        'wait_for = "wait"\nsilence_ms = 90_000',
        "[transfer]\nstatus = 486",
        ["tape", "law", "tell", "pause", "wait", "busy"],
        "All are busy.",
        "completed",
    ),
    "gets through": (
        "",
        "[transfer]\nstatus = 200",
        ["tape", "law", "tell", "pause", "wait"],
        "This call is recorded.",
        "transferred",
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_recorded_hears_a_file_and_waits(tmp_path: Path, name: str) -> None:
    turn, transfer, steps, said, reason = CALLS[name]
    scenario = parse_scenario(
        f'name = "x"\ncaller = "+4420"\n{transfer}\n[[turn]]\n{turn}\n'
        f'[expect]\nsteps = {steps}\nsaid = ["{said}", "for training."]\nreason = "{reason}"\n'
    )
    result = simulate(pick_flow(load_flows([written(tmp_path)], None), scenario), scenario)
    assert result.failures == []
    kinds = [entry["type"] for entry in result.record.journal]
    assert {"recording.started", "recording.paused", "sound.played", "queue.entered"} <= set(kinds)
    resumed = [entry for entry in result.record.journal if entry["type"] == "recording.resumed"]
    assert any(entry["by"] == "flow" for entry in resumed) == (name == "leaves")
    (played,) = [entry for entry in result.record.journal if entry["type"] == "sound.played"]
    assert (played["file"], played["heard_ms"]) == ("legal.wav", 2000)


def test_a_file_that_has_gone_leads_otherwise_or_fails_the_flow(tmp_path: Path) -> None:
    path = written(tmp_path, DESK.replace('next = "tell"', 'next = "tell"\notherwise = "refused"'))
    scenario = parse_scenario('name = "x"\n[[turn]]\n[expect]\nsaid = "Then not."\n')
    book = load_flows([path], None)
    (tmp_path / "legal.wav").unlink()
    assert simulate(pick_flow(book, scenario), scenario).failures == []

    bare = load_flows([written(tmp_path)], None)
    (tmp_path / "legal.wav").unlink()
    failed = simulate(pick_flow(bare, scenario), scenario)
    assert any(entry["type"] == "flow.failed" for entry in failed.record.journal)


def test_a_recording_whose_announcement_is_refused_leads_otherwise(tmp_path: Path) -> None:
    again = '[steps.again]\ntype = "record"\nname = "order"\nnext = "law"\notherwise = "refused"\n'
    text = DESK.replace('next = "law"', 'next = "again"', 1).replace("[steps.law]", f"{again}[steps.law]")
    scenario = parse_scenario('name = "x"\n[[turn]]\n[expect]\nsaid = "Then not."\n')
    result = simulate(pick_flow(load_flows([written(tmp_path, text)], None), scenario), scenario)
    assert result.failures == []  # one recording runs already


def test_a_sound_flow_has_no_finding_and_a_picture(tmp_path: Path) -> None:
    assert checked(tmp_path, DESK) == []
    picture = toml_picture(parse_toml_flow(DESK, tmp_path / "desk.toml"))
    assert {link.label for link in picture.links.values()} == {"", "otherwise", "left (9)"}


MISTAKES = [
    ("unknown-queue", 'name = "sales"', 'name = "sale"', 'name = "sale"', "sales, support (did"),
    ("missing-file", '"legal.wav"', '"leagl.wav"', "leagl", "there is no file leagl.wav"),
    ("missing-file", '"legal.wav"', '"."', 'file = "."', "is a folder"),
    ("missing-file", '"legal.wav"', '"desk.toml"', "file =", "not a WAV file"),
    ("missing-file", '"legal.wav"', '"/dev/zero"', "file =", "is no regular file"),
    ("unknown-target", 'left = "changed"', 'left = "chagned"', "chagned", "did you mean 'changed'"),
    ("transfer-no-fallback", 'left = "changed"\notherwise = "busy"', 'left = "changed"', "[steps.wait]",
     "in vain"),
    ("bad-value", 'leave = "9"', 'leave = "99"', "leave", "`leave`"),
    ("bad-value", 'action = "stop"', 'action = "stop"\nname = "x"', 'name = "x"', "recording that starts"),
    ("bad-value", 'action = "stop"', 'action = "halt"', "halt", "'start', 'pause', 'resume' or 'stop'"),
    ("unknown-key", "timeout_s = 60", "timeout = 60", "timeout = ", "did you mean 'timeout_s'"),
    ("missing-key", 'file = "legal.wav"\n', "", "[steps.law]", "needs `file`"),
    ("unknown-name", "{caller} has heard", "{calller} has heard", "calller", "did you mean 'caller'"),
    ("long-uninterruptible", "This call is recorded.", "word " * 41, "announce", "41 words"),
    ("endless-loop", 'leave = "9"\nleft = "changed"\notherwise = "busy"', 'otherwise = "wait"',
     'wise = "wait"', "step wait"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "old", "new", "where", "told"), MISTAKES, ids=[f"{one[0]}-{one[3]}" for one in MISTAKES]
)
def test_a_mistake_is_found_at_its_line(
    tmp_path: Path, code: str, old: str, new: str, where: str, told: str
) -> None:
    assert DESK.count(old) == 1
    text = DESK.replace(old, new)
    found = [one for one in checked(tmp_path, text) if one.code != "unreachable"]
    assert [(one.code, one.line) for one in found] == [(code, line_of(text, where))]
    assert told in f"{found[0].message} ({found[0].remedy})"


def test_a_service_refuses_a_flow_whose_file_is_missing(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / "legal.wav").unlink()
    with pytest.raises(ConfigError, match=rf"desk.toml:{line_of(DESK, 'file =')}.*no file legal.wav"):
        load_flows([path])
    assert len(list(load_flows([path], None))) == 1  # where calls are replayed, nobody reads it
