"""A journal proves what the sequencer did: real traffic holds, doctored journals are caught at their line."""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from typer.testing import CliRunner

from voiceagent.bench.planted import NoGate
from voiceagent.bench.world import World
from voiceagent.cli.main import app
from voiceagent.realtime import sequencer_io as io
from voiceagent.realtime.requests import InterruptedBy, Origin, Outcome, OutcomeKind, ResponseRequest
from voiceagent.realtime.sequencer import Sequencer
from voiceagent.realtime.sequencer_config import SequencerConfig
from voiceagent.records.journal import JournalWriter, plain, read_journal
from voiceagent.replay.check import check_journal
from voiceagent.replay.explain import explain_journal
from voiceagent.replay.notices import NOTICES, notice_in_words
from voiceagent.replay.trace import JournalError, rebuild

ROOT = Path(__file__).parents[2]


def watched(machine: type[Sequencer], write: Callable[[object, float], None]) -> type[Sequencer]:
    """Return the machine with a trace, as a link writes it; no two steps happen at quite the same moment."""

    class Watched(machine):
        __slots__ = ("ticks",)

        def handle(self, event: io.SequencerEvent, now: float) -> list[io.SequencerEffect]:
            return self._told([event], super().handle(event, now), now)

        def wake(self, now: float) -> list[io.SequencerEffect]:
            return self._told([], super().wake(now), now)

        def _told(self, event: list[Any], effects: list[Any], now: float) -> list[io.SequencerEffect]:
            self.ticks = getattr(self, "ticks", 0) + 1
            for step in (*event, *effects):
                write(step, now + self.ticks * 1e-6)
            return effects

    return Watched


def live(folder: Path, seed: int, machine: type[Sequencer] = Sequencer, steps: int = 200) -> Path:
    writer = JournalWriter(folder)
    journal = writer.open(f"life-{seed}-{machine.__name__}")
    journal.write("call.offered", call_id=f"call_{seed}", kind="direct", caller="+1", called="100", flow="f")

    def write(step: object, now: float) -> None:
        journal.write("sequencer", step, loop_t=round(now, 6), session=1)

    write(SequencerConfig(), 0.0)
    rng = random.Random(seed)
    world = World(machine=watched(machine, write), checked=False)
    for _ in range(steps):
        world.step(rng)
    world.heal()
    journal.close()
    writer.close()
    assert journal.path is not None
    return journal.path


def doctor(path: Path, change: Callable[[list[dict[str, Any]]], None]) -> Path:
    entries = list(read_journal(path))
    change(entries)
    for number, entry in enumerate(entries, 1):
        entry["seq"] = number
    changed = path.with_suffix(".doctored")
    changed.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    return changed


def index_of(entries: list[dict[str, Any]], event: str) -> int:
    return next(n for n, entry in enumerate(entries) if entry.get("event") == event)


@pytest.mark.parametrize(
    "step",
    [
        io.Submitted(
            ResponseRequest(
                "r1",
                origin=Origin.TOOL,
                metadata={"k": "v"},
                needs=frozenset({"b", "a"}),
                extra={"tools": [{"type": "function"}]},
                deadline_s=2.5,
            )
        ),
        io.ResponseDone(None, "failed", error_code="x", metadata={"va.req": "r1"}, audio_ms=12),
        io.Settled("r1", Outcome(OutcomeKind.INTERRUPTED, by=InterruptedBy.CALLER, heard_ms=120)),
        io.SendCancel(None, "ev1"),
        io.Notice("held", "r1", None, {"reason": "backoff", "left": 0.5}),
        SequencerConfig(owns_output_buffer=True, overlap="supersede"),
    ],
)
def test_what_was_written_is_what_is_read(step: object) -> None:
    written = json.loads(json.dumps(step, default=plain))
    assert rebuild(type(step), written) == step


@pytest.mark.parametrize("seed", range(6))
def test_journals_of_whole_lives_hold(tmp_path: Path, seed: int) -> None:
    verdict = check_journal(live(tmp_path, seed, steps=600))
    assert verdict.violations == []
    assert verdict.ok
    assert verdict.ended
    assert verdict.steps > 100
    assert all(verdict.checked[code] for code in ("I1", "I2", "I3", "I4", "I5", "I8", "I9", "I11"))


def test_a_defective_machine_is_found_from_its_journal(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    journal = writer.open("bad")
    machine = NoGate(SequencerConfig(), tokens=iter(f"ev{n}" for n in range(99)).__next__)
    events = [io.LinkUp(), io.SpeechStarted(), io.Submitted(ResponseRequest("r1")), io.Closing()]
    for now, event in enumerate(events, 1):
        journal.write("sequencer", event, loop_t=float(now))
        for effect in machine.handle(event, float(now)):
            journal.write("sequencer", effect, loop_t=float(now))
    journal.close()
    writer.close()
    verdict = check_journal(tmp_path / "bad.jsonl")
    assert [(one.code, one.line) for one in verdict.violations] == [("I3", 3)]


def test_doctored_journals_are_caught_at_their_line(tmp_path: Path) -> None:
    path = live(tmp_path, 3)

    def never_ends(entries: list[dict[str, Any]]) -> None:
        del entries[index_of(entries, "Settled")]

    def ends_twice(entries: list[dict[str, Any]]) -> None:
        place = index_of(entries, "Settled")
        entries.insert(place, dict(entries[place]))

    def sent_unasked(entries: list[dict[str, Any]]) -> None:
        del entries[index_of(entries, "Submitted")]

    def too_much_metadata(entries: list[dict[str, Any]]) -> None:
        entry = entries[index_of(entries, "Submitted")]
        entry["body"]["request"]["metadata"] = {"k": "x" * 513}

    for change, code in (
        (never_ends, "I2"),
        (ends_twice, "I2"),
        (sent_unasked, "I2"),
        (too_much_metadata, "I9"),
    ):
        verdict = check_journal(doctor(path, change))
        assert code in {one.code for one in verdict.violations}, change.__name__
        assert not verdict.ok
        lines = len(list(read_journal(path))) + 1
        assert all(1 <= one.line <= lines for one in verdict.violations)


def test_missing_entries_prove_nothing(tmp_path: Path) -> None:
    path = live(tmp_path, 1)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:40] + lines[43:]), encoding="utf-8")
    verdict = check_journal(path)
    assert verdict.missing == 3
    assert not verdict.ok


def test_a_killed_process_leaves_a_journal_that_holds_so_far(tmp_path: Path) -> None:
    path = live(tmp_path, 2)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(lines[:90]) + lines[90][:20], encoding="utf-8")
    verdict = check_journal(path)
    assert verdict.violations == []
    assert not verdict.ended


def test_two_sessions_of_one_call_are_told_apart(tmp_path: Path) -> None:
    """A session that takes over while the old one still speaks has its own sequencer."""
    one, two = list(read_journal(live(tmp_path, 4))), list(read_journal(live(tmp_path, 5)))
    for entry in two:
        entry["session"] = 2
    woven = [entry for pair in zip(one, two, strict=False) for entry in pair]
    woven += one[len(two) :] + two[len(one) :]
    path = tmp_path / "two.jsonl"
    path.write_text(
        "".join(json.dumps({**entry, "seq": n}) + "\n" for n, entry in enumerate(woven, 1)), encoding="utf-8"
    )
    verdict = check_journal(path)
    assert verdict.ok, verdict.violations[:3]
    assert verdict.sessions == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]\n", "line 1: not a JSON object"),
        ('{"a":' + "[" * 100_000, "line 1: is nested too deeply"),
        ('nonsense\n{"type":"x"}\n', "line 1: not a JSON object"),
        ('{"type":"sequencer","event":"Future","body":{}}\n', "does not know: Future"),
        ('{"type":"sequencer","event":"Submitted","body":{"request":5}}\n', "line 1: not a Submitted"),
        (
            '{"type":"sequencer","event":"Settled","body":{"request_id":"a","outcome":{"kind":"odd"}}}\n',
            "line 1",
        ),
    ],
)
def test_what_is_no_journal_is_refused_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(JournalError, match=re.escape(says)):
        check_journal(path)


def test_a_journal_is_a_regular_file(tmp_path: Path) -> None:
    endless, silent = tmp_path / "endless.jsonl", tmp_path / "silent.jsonl"
    endless.symlink_to("/dev/zero")
    os.mkfifo(silent)
    for path in (endless, silent):
        with pytest.raises(JournalError, match="is no regular file"):
            check_journal(path)


def test_the_account_tells_waits_cuts_and_outcomes(tmp_path: Path) -> None:
    text = "\n".join(one.text for one in explain_journal(live(tmp_path, 3, steps=400)))
    assert "is asked for" in text
    assert "goes to the model" in text
    assert "waits, because" in text
    assert "completed after" in text


def test_command_line(tmp_path: Path) -> None:
    path = live(tmp_path, 0)
    runner = CliRunner()
    good = runner.invoke(app, ["explain", str(path), "--check", "--json"])
    assert good.exit_code == 0
    verdict = json.loads(good.stdout)
    assert verdict["ok"]
    assert set(verdict["invariants"]) == {f"I{n}" for n in range(1, 13)}
    bad = doctor(path, lambda entries: entries.pop(index_of(entries, "Settled")) and None)
    shown = runner.invoke(app, ["explain", str(bad), "--check"])
    assert shown.exit_code == 1
    assert "✗ I2" in shown.stdout
    assert "line " in shown.stdout
    assert "call_0" in runner.invoke(app, ["explain", str(path)]).stdout
    missing = runner.invoke(app, ["explain", str(tmp_path / "none.jsonl")])
    assert missing.exit_code == 1


def test_every_notice_code_has_words_here_and_in_the_manual() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "voiceagent/realtime").glob("sequencer*.py"))
    used = set(re.findall(r'Notice\(\s*"([a-z_]+)"', sources))
    used |= set(re.findall(r'Notice\("[a-z_]+" if [^"]+ else "([a-z_]+)"\)', sources))
    assert len(used) > 30
    assert used == set(NOTICES)
    manual = (ROOT / "docs/sequencer.md").read_text(encoding="utf-8")
    assert [code for code in NOTICES if f"`{code}`" not in manual] == []
    assert notice_in_words("held", "backoff") == "waits, because it was refused and pauses"
    assert len(get_args(io.SequencerEffect)) == 9
