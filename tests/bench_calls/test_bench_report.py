"""The benchmark report: the order of its runs, what it shows of the invalid ones, its plots, its files."""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from voiceagent.bench import suite
from voiceagent.bench.machine import cpu_name, describe_machine
from voiceagent.bench.plots import Bar, Chart, Line, Point, bar_chart, line_chart, number, ticks
from voiceagent.bench.report_files import read_report, write_report
from voiceagent.bench.report_plots import plots_of
from voiceagent.bench.report_text import render
from voiceagent.bench.suite import (
    EXTENTS,
    Piece,
    in_turns,
    judged,
    pieces_of,
    pythons_of,
    run_piece,
    run_suite,
)
from voiceagent.bench.targets import TARGETS, measured
from voiceagent.errors import ConfigError

ROOT = Path(__file__).parents[2]
PYTHON = "/home/somebody/peers/bin/python3"


def calls_run(cpu: float, *, valid: bool = True, calls: int = 600) -> dict[str, Any]:
    return {
        "calls": calls,
        "core_percent_per_call": cpu / 10,
        "cpu_ms_per_call_second": cpu,
        "pacing_ms": {"p50": 1.0, "p99": 3.0},
        "uplink_ms": {"p50": 1.5, "p99": 2.0},
        "downlink_ms": {"p50": 1.0, "p99": 2.0},
        "barge_in_stop_ms": {"p50": 1.0, "p99": 4.0},
        "memory_kb_per_call": 90.0,
        "frames_lost": 0,
        "valid": valid,
        "invalid_because": [] if valid else ["others on this machine used 90 % of a core"],
    }


def fake_run(piece: Piece) -> dict[str, Any]:
    """What each bench would have told."""
    judgement = {"valid": True, "invalid_because": []}
    if "--against" in piece.words:
        return {
            **judgement,
            "calls": 25,
            "method": "It resamples both ways.",
            "share_of_the_peers_cpu": {"median": 0.09, "min": 0.08, "max": 0.1},
            "times_less_cpu": 11.1,
            "runs": {"voiceagent 0.1": [calls_run(3.0)], "pipecat 1.14": [calls_run(33.0), calls_run(35.0)]},
        }
    if piece.words[0] == "calls":
        calls = int(piece.words[piece.words.index("--calls") + 1])
        return calls_run(1.1, valid=calls != 200, calls=calls)
    if piece.words[0] == "soak":
        samples = [[calls, 100_000 + calls] for calls in range(0, 3600, 100)]
        memory = {"kb_per_call": 1.0, "excluded_calls": 1000, "samples": samples}
        goals = {
            "memory_kb_per_call": {"measured": 1.0},
            "failed": {"measured": 0},
            "left": {"measured": None},
        }
        return {**judgement, "calls": 3600, "memory": memory, "goals": goals}
    return {**judgement, "setup_ms": {"p50": 1.0, "p95": 9.0}, "failed": 0}


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    def only_pipecat(peer: str, python: str | None) -> str:
        if peer != "pipecat":
            raise ConfigError(f"--against {peer}", f"is not installed for {sys.executable}; install it")
        return python or sys.executable

    monkeypatch.setattr(suite, "require_peer", only_pipecat)
    return run_suite("usual", pythons={"pipecat": PYTHON}, run=fake_run, say=lambda text: None)


def test_rounds_take_turns_and_what_lasts_runs_once_at_the_end() -> None:
    pieces = [Piece("a", ("a",), 3), Piece("b", ("b",), 3), Piece("long", ("c",), 1)]
    assert [piece.name for piece in in_turns(pieces)] == ["a", "b", "b", "a", "a", "b", "long"]


def test_the_plain_bridge_stands_in_where_time_is_short_and_no_peer_is_installed() -> None:
    every: dict[str, str | None] = {"pipecat": None, "plain": None}
    assert "against plain" not in {piece.name for piece in pieces_of("usual", every)}
    assert "against plain" in {piece.name for piece in pieces_of("usual", {"plain": None})}
    assert "against plain" in {piece.name for piece in pieces_of("long", every)}


def test_every_size_has_every_bench_that_the_targets_ask_for() -> None:
    for size in EXTENTS:
        names = {piece.name for piece in pieces_of(size, {"pipecat": None})}
        wanted = {target.piece for target in TARGETS}
        assert wanted - names == (set() if size != "quick" else {"calls 600"})


def test_a_disturbed_run_is_not_valid_whatever_bench_it_is() -> None:
    assert judged(3.0) == {"valid": True, "invalid_because": []}
    assert judged(40.0)["invalid_because"] == ["others on this machine used 40 % of a core"]


def test_a_bench_that_fails_is_a_run_that_says_so() -> None:
    run = run_piece(Piece("none", ("no-such-bench",), 1))
    assert not run["valid"]
    assert "ended with code 2" in run["invalid_because"][0]


def test_a_bench_that_does_not_end_is_a_run_that_says_so() -> None:
    run = run_piece(Piece("calls", ("calls", "--calls", "1"), 1), limit_s=0.05)
    assert run == {"valid": False, "invalid_because": ["was not done after 0.05 s"]}


def test_figures_are_of_the_valid_runs_where_there_are_any() -> None:
    runs = [calls_run(1.0), calls_run(3.0), calls_run(50.0, valid=False)]
    one = measured(runs, ("cpu_ms_per_call_second",))
    assert one is not None
    assert (one.median, one.least, one.most, one.valid_runs, one.runs) == (2.0, 1.0, 3.0, 2, 3)
    alone = measured([calls_run(50.0, valid=False)], ("cpu_ms_per_call_second",))
    assert alone is not None
    assert (alone.median, alone.valid_runs) == (50.0, 0)
    assert measured(runs, ("goals", "left", "measured")) is None


def test_the_page_has_every_target_and_hides_no_invalid_run(report: dict[str, Any]) -> None:
    page = render(report, list(plots_of(report)))
    for target in TARGETS:
        assert f"| {target.label} |" in page
    assert "| CPU per call | ≤ 0.12 % of a core | 0.11 | yes | 3 of 3 |" in page
    assert "| set-up p95 at 300 calls a second | ≤ 2 ms | 9 | **no** | 3 of 3 |" in page
    for run in report["pieces"]["setup"]["runs"]:
        run.update(valid=False, invalid_because=["disturbed"])
    assert "| set-ups failed | ≤ 0 | 0 † | – | 0 of 3 |" in render(report), (
        "nothing is kept without a valid run"
    )
    assert "| soak: calls, legs, ports left | ≤ 0 | not measured | – | – |" in page
    assert "| 200 | 0.11 † |" in page
    assert page.count("| calls 200 | ") == 3
    assert "others on this machine used 90 % of a core" in page
    assert "openai-agents was not measured: not installed." in page
    assert "It resamples both ways." in page
    assert "Our share of its CPU: **0.090**" in page


def test_what_is_published_names_no_path_of_the_machine(report: dict[str, Any]) -> None:
    published = render(report) + json.dumps(report)
    assert PYTHON not in published
    assert "somebody" not in published
    assert sys.executable not in published
    assert "--peer-python PYTHON" in published


def test_plots_are_svg_and_tell_invalid_points(report: dict[str, Any]) -> None:
    plots = plots_of(report)
    assert set(plots) == {"cpu.svg", "pacing.svg", "peers.svg", "soak.svg"}
    for svg in plots.values():
        assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert plots["cpu.svg"].count('fill="#ffffff" stroke=') == 1, "the one of 200 calls is hollow"
    assert "pipecat 1.14" in plots["peers.svg"]
    assert "counted from here" in plots["soak.svg"]


def test_what_was_not_measured_has_no_plot() -> None:
    assert plots_of({"pieces": {}}) == {}


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [(0, 1.2, [0, 0.25, 0.5, 0.75, 1.0, 1.25]), (0, 600, [0, 200, 400, 600]), (3, 3, [3, 4])],
)
def test_ticks_are_round_and_cover_what_is_drawn(low: float, high: float, wanted: list[float]) -> None:
    assert ticks(low, high) == wanted


def test_numbers_are_written_as_people_write_them() -> None:
    assert [number(value) for value in (0.0, 1.5, 0.1234, 12.34, 441_000.0)] == [
        "0", "1.5", "0.123", "12.3", "441,000",
    ]  # fmt: skip


def test_points_stand_where_their_values_are() -> None:
    svg = line_chart(Chart("<T>", "x", "y", 10.0, "wanted"), [Line("", [Point(0, 0), Point(100, 10, 8, 12)])])
    root = ElementTree.fromstring(svg)
    ends = [(float(c.get("cx", "0")), float(c.get("cy", "0"))) for c in root.findall(".//{*}circle")]
    assert ends[0][0] < ends[1][0]
    assert ends[0][1] > ends[1][1]
    with pytest.raises(ValueError, match="takes a point"):
        line_chart(Chart("", "", ""), [])
    with pytest.raises(ValueError, match="takes a bar"):
        bar_chart(Chart("", "", ""), [])
    tall, short = ElementTree.fromstring(
        bar_chart(Chart("", "", ""), [Bar("a", 10, 9, 11), Bar("b", 5, 5, 5)])
    ).findall("{*}rect")[1:]
    assert float(tall.get("height", "0")) == pytest.approx(2 * float(short.get("height", "0")), abs=0.2)


def test_the_files_can_be_made_again_of_the_data(report: dict[str, Any], tmp_path: Path) -> None:
    first = {path.name: path.read_text() for path in write_report(tmp_path / "new", report)}
    assert set(first) == {"report.md", "report.json", "cpu.svg", "pacing.svg", "peers.svg", "soak.svg"}
    again = write_report(tmp_path / "new", read_report(tmp_path / "new"))
    assert {path.name: path.read_text() for path in again} == first
    (tmp_path / "report.json").write_text('{"format": 99}')
    with pytest.raises(ConfigError, match="has format 99"):
        read_report(tmp_path)
    with pytest.raises(ConfigError, match="cannot read"):
        read_report(tmp_path / "nowhere")


def test_pythons_of_peers_are_named_one_by_one() -> None:
    assert pythons_of(["pipecat=/a/python", "plain=b"]) == {"pipecat": "/a/python", "plain": "b"}
    for wrong in ("pipecat", "nobody=/a", "pipecat="):
        with pytest.raises(ConfigError, match="PEER=PATH"):
            pythons_of([wrong])


def test_a_machine_is_known_by_its_processor() -> None:
    assert (
        cpu_name("vendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 7B13\nmodel\t\t: 1\n") == "AMD EPYC 7B13"
    )
    assert (
        cpu_name("vendor_id\t: Someone\ncpu family\t: 6\nmodel\t\t: 17\n") == "Someone cpu family 6, model 17"
    )
    assert cpu_name("") == ""
    machine = describe_machine()
    assert machine["cpu"]
    assert machine["packages"]["websockets"]


def test_the_published_page_is_made_of_the_published_data() -> None:
    """After a change of its making: ``voiceagent bench report --again``."""
    folder = ROOT / "docs" / "benchmarks"
    report = read_report(folder)
    plots = plots_of(report)
    assert (folder / "report.md").read_text(encoding="utf-8") == render(report, list(plots))
    for name, svg in plots.items():
        assert (folder / name).read_text(encoding="utf-8") == svg
