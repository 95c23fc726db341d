"""PURE. The benchmark report as Markdown: targets first, then every figure beside its method and command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from voiceagent.bench.plots import number
from voiceagent.bench.report_methods import METHODS
from voiceagent.bench.report_plots import whole_calls
from voiceagent.bench.targets import TARGETS, Measured, Run, Target, measured

CALL_COLUMNS = (
    ("CPU, % of a core per call", ("core_percent_per_call",)),
    ("CPU, ms per call and s", ("cpu_ms_per_call_second",)),
    ("pacing p99, ms", ("pacing_ms", "p99")),
    ("caller to model p50, ms", ("uplink_ms", "p50")),
    ("model to caller p50, ms", ("downlink_ms", "p50")),
    ("barge-in p99, ms", ("barge_in_stop_ms", "p99")),
    ("memory, kB per call", ("memory_kb_per_call",)),
)
PEER_ROWS = (
    ("CPU, ms per call and second", ("cpu_ms_per_call_second",)),
    ("pacing p99, ms", ("pacing_ms", "p99")),
    ("caller to model p50, ms", ("uplink_ms", "p50")),
    ("model to caller p50, ms", ("downlink_ms", "p50")),
    ("silence after barge-in p99, ms", ("barge_in_stop_ms", "p99")),
    ("memory per call, kB", ("memory_kb_per_call",)),
)
OTHER_ROWS: Mapping[str, Sequence[tuple[str, tuple[str, ...]]]] = {
    "kernel": (
        ("RTP packet sent, µs", ("us", "rtp_send")),
        ("RTP packet received, µs", ("us", "rtp_receive")),
        ("append sent, µs", ("us", "append_send")),
        ("provider's frame received, µs", ("us", "frame_receive")),
        ("all of a call, ms per second", ("cpu_ms_per_call_second",)),
        ("all of a call, % of a core", ("core_percent_per_call",)),
    ),
    "setup": (
        ("set-up p50, ms", ("setup_ms", "p50")),
        ("set-up p95, ms", ("setup_ms", "p95")),
        ("CPU, ms per call", ("cpu_ms_per_call",)),
        ("failed", ("failed",)),
        ("calls per second reached", ("reached_rate",)),
    ),
    "sequencer": (
        ("decisions per second", ("decisions_per_second",)),
        ("requests vanished", ("simulation", "vanished")),
        ("collisions", ("simulation", "collisions")),
        ("request to speech p50, s", ("simulation", "request_to_speech_s", "p50")),
    ),
    "recovery": (
        ("sessions killed", ("kills",)),
        ("turns restored, %", ("turns_restored_percent",)),
        ("tool effects twice", ("tool_effects_twice",)),
        ("comfort p99, s", ("comfort_delay_s", "p99")),
        ("restored session p99, s", ("resumed_s", "p99")),
        ("longest silence on our side, s", ("longest_gap_s", "max")),
    ),
    "soak": (
        ("calls", ("calls",)),
        ("calls per second reached", ("reached_rate",)),
        ("failed", ("failed",)),
        ("calls in which the phone heard the agent", ("heard",)),
        ("rows in the database", ("database_calls",)),
        ("whole journals", ("journals",)),
        ("CPU, ms per call", ("cpu_ms_per_call",)),
        ("set-up p50, ms", ("setup_ms", "p50")),
        ("more tasks", ("more", "tasks")),
        ("more descriptors", ("more", "descriptors")),
        ("more threads", ("more", "threads")),
        ("memory slope, kB per call", ("memory", "kb_per_call")),
        ("calls, legs, transactions, timers, ports left", ("goals", "left", "measured")),
    ),
}
HEADINGS = {
    "kernel": "The system's share",
    "setup": "Set-up",
    "sequencer": "Sequencer",
    "recovery": "Recovery",
    "soak": "Soak",
}


def render(report: Mapping[str, Any], plots: Sequence[str] = ()) -> str:
    """Return the page. ``plots`` are the files beside it that exist."""
    pieces: Mapping[str, Mapping[str, Any]] = report["pieces"]
    parts = [
        *_head(report),
        *_targets(pieces),
        *_calls(pieces, plots),
        *_plain("kernel", pieces.get("kernel"), plots),
        *_peers(report, plots),
    ]
    for name in ("setup", "sequencer", "recovery", "soak"):
        parts += _plain(name, pieces.get(name), plots)
    parts += _invalid(pieces)
    parts += _again(report)
    return "\n".join(parts).rstrip() + "\n"


def _head(report: Mapping[str, Any]) -> Iterator[str]:
    machine = report["machine"]
    packages = ", ".join(f"{name} {kind or 'missing'}" for name, kind in machine["packages"].items())
    runs = [run for piece in report["pieces"].values() for run in piece["runs"]]
    valid = sum(run["valid"] for run in runs)
    yield "# Benchmark report"
    yield ""
    yield (
        f"Made by `voiceagent bench report` (size: {report['size']}) on {report['made_at']} with voiceagent "
        f"{report['version']}, in {report['seconds'] / 60:.0f} minutes."
    )
    yield ""
    if report["note"]:
        yield f"**{report['note']}**"
        yield ""
    if report["busy"] or valid < len(runs):
        yield (
            f"**{valid} of {len(runs)} runs are valid**; load average before the first one: "
            f"{machine['load_1m']}. A run is not valid when other programs or the load process rather than "
            "the code under test set its figures. Such runs are shown and marked, never left out; without a "
            "valid run a target is neither kept nor missed."
        )
        yield ""
    yield "| machine | |"
    yield "|---|---|"
    yield f"| processor | {machine['cpu']}, {machine['cores']} cores |"
    yield f"| memory | {machine['memory_gb']} GB |"
    yield f"| system | {machine['system']}, {machine['python']} |"
    yield f"| packages | {packages} |"
    yield f"| load before the first run | {machine['load_1m']} |"
    yield ""
    yield (
        "Figures are medians, with least and most in brackets, of the valid runs; of all runs, marked †, "
        "where none was valid. Runs of different benches take turns."
    )


def cell(one: Measured | None) -> str:
    """Return a figure for a table."""
    if one is None:
        return "not measured"
    mark = "" if one.valid_runs else " †"
    if one.least == one.most:
        return number(one.median) + mark
    return f"{number(one.median)} ({number(one.least)} to {number(one.most)}){mark}"


def _targets(pieces: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield ""
    yield "## Targets"
    yield ""
    yield "Running calls: 600 at once, whole calls. Peers: 25 at once."
    yield ""
    yield "| figure | wanted | measured | kept | valid runs |"
    yield "|---|---|---|---|---|"
    for target in TARGETS:
        runs: Sequence[Run] = pieces.get(target.piece, {}).get("runs", ())
        one = measured(runs, target.path)
        bound = "≥" if target.floor else "≤"
        wanted = f"{bound} {number(target.limit)} {target.unit}".rstrip()
        valid = "–" if one is None else f"{one.valid_runs} of {one.runs}"
        yield f"| {target.label} | {wanted} | {cell(one)} | {_kept(target, one)} | {valid} |"


def _kept(target: Target, one: Measured | None) -> str:
    if one is None or not one.valid_runs:
        return "–"  # a disturbed run, or one that did half its work, keeps nothing and misses nothing
    return "yes" if target.kept(one.median) else "**no**"


def _calls(pieces: Mapping[str, Mapping[str, Any]], plots: Sequence[str]) -> Iterator[str]:
    yield ""
    yield "## Running calls"
    yield ""
    yield f"Method: {METHODS['calls']} {METHODS['media']}"
    yield ""
    yield "| calls at once | " + " | ".join(label for label, _ in CALL_COLUMNS) + " | valid runs |"
    yield "|---" * (len(CALL_COLUMNS) + 2) + "|"
    for calls, runs in sorted(whole_calls(pieces).items()):
        yield _call_row(f"{calls}", runs)
    if "media" in pieces:
        runs = pieces["media"]["runs"]
        calls = next((run["calls"] for run in runs if "calls" in run), "–")
        yield _call_row(f"{calls}, media and session only", runs)
    yield from _images(plots, ("cpu.svg", "CPU of a call"), ("pacing.svg", "Pacing"))


def _call_row(name: str, runs: Sequence[Run]) -> str:
    cells = [cell(measured(runs, path)) for _, path in CALL_COLUMNS]
    valid = f"{sum(run['valid'] for run in runs)} of {len(runs)}"
    return f"| {name} | " + " | ".join(cells) + f" | {valid} |"


def _peers(report: Mapping[str, Any], plots: Sequence[str]) -> Iterator[str]:
    yield ""
    yield "## Beside other frameworks"
    yield ""
    yield (
        "Method: the same phones and provider for both sides, each side a fresh process, in turns. Ours is "
        "media and session, as in `voiceagent bench calls`; each peer does what its own paragraph says."
    )
    for name, piece in report["pieces"].items():
        if name.startswith("against "):
            yield from _peer(name.removeprefix("against "), piece)
    for peer, why in report["missing_peers"].items():
        yield ""
        yield f"{peer} was not measured: {why}."
    yield from _images(plots, ("peers.svg", "The same calls through each"))


def _peer(peer: str, piece: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield f"### {peer}"
    for compared in piece["runs"]:
        yield ""
        if "share_of_the_peers_cpu" not in compared:
            yield "No figures: " + "; ".join(compared["invalid_because"])
            continue
        sides: Mapping[str, Sequence[Run]] = compared["runs"]
        share = compared["share_of_the_peers_cpu"]
        yield f"Method: {compared['method']}"
        yield ""
        yield f"| {compared['calls']} calls | " + " | ".join(sides) + " |"
        yield "|---" * (len(sides) + 1) + "|"
        for label, path in PEER_ROWS:
            yield f"| {label} | " + " | ".join(cell(measured(runs, path)) for runs in sides.values()) + " |"
        valid = [f"{sum(run['valid'] for run in runs)} of {len(runs)}" for runs in sides.values()]
        yield "| valid runs | " + " | ".join(valid) + " |"
        yield ""
        yield (
            f"Our share of its CPU: **{share['median']:.3f}** "
            f"({share['min']:.3f} to {share['max']:.3f} in the pairs), "
            f"{compared['times_less_cpu']:g} times less."
        )


def _plain(name: str, piece: Mapping[str, Any] | None, plots: Sequence[str]) -> Iterator[str]:
    if piece is None:
        return
    runs: Sequence[Run] = piece["runs"]
    yield ""
    yield f"## {HEADINGS[name]}"
    yield ""
    yield f"Method: {METHODS[name]}"
    yield ""
    yield f"| `{piece['command'].removeprefix('voiceagent ')}` | |"
    yield "|---|---|"
    for label, path in OTHER_ROWS[name]:
        yield f"| {label} | {cell(measured(runs, path))} |"
    yield f"| valid runs | {sum(run['valid'] for run in runs)} of {len(runs)} |"
    if name == "soak":
        yield from _images(plots, ("soak.svg", "Memory over calls"))


def _images(plots: Sequence[str], *wanted: tuple[str, str]) -> Iterator[str]:
    for name, words in wanted:
        if name in plots:
            yield ""
            yield f"![{words}]({name})"


def _invalid(pieces: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    rows = [
        f"| {name} | {number} | {'; '.join(run['invalid_because'])} |"
        for name, piece in pieces.items()
        for number, run in enumerate(piece["runs"], 1)
        if not run["valid"]
    ]
    if not rows:
        return
    yield ""
    yield "## Runs that are not valid"
    yield ""
    yield "| bench | run | why |"
    yield "|---|---|---|"
    yield from rows


def _again(report: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield "## Again"
    yield ""
    yield "All runs in full are in [report.json](report.json). One run of each, on a quiet machine:"
    yield ""
    yield "```"
    for piece in report["pieces"].values():
        yield piece["command"]
    yield "```"
