"""``voiceagent bench report``: a named set of benches, in rounds, each run a process of its own.

The pieces of a round take turns and the next round begins anew, so that a disturbance of the machine hits all
of them rather than one. What lasts long (soak, peers, which take turns themselves) runs once at the end.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import voiceagent
from voiceagent.bench.against_calls import require_peer
from voiceagent.bench.calls import OTHERS_LIMIT
from voiceagent.bench.machine import describe_machine, load_now
from voiceagent.bench.stats import tell
from voiceagent.bench.usage import others_core_percent, used_now
from voiceagent.errors import ConfigError

Size = Literal["quick", "usual", "long"]
Run = dict[str, Any]
FORMAT_VERSION = 1
LIMIT_S = 600.0
"""The longest piece, a soak of 8,640 calls, takes 335 s."""
QUIET_LOAD = 0.7
"""Above this load before the first run the report says that the machine was busy."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One bench of the set. ``words`` follow ``voiceagent bench``."""

    name: str
    words: tuple[str, ...]
    rounds: int

    @property
    def command(self) -> str:
        """What to type for one such run."""
        return "voiceagent bench " + " ".join(self.words)


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of everything a size has."""

    at_once: tuple[int, ...]
    seconds: int
    rounds: int
    set_up_calls: int
    kills: int
    soak_calls: int
    peer_seconds: int


EXTENTS: Mapping[Size, Extent] = {
    "quick": Extent((10, 50), 6, 1, 600, 20, 60, 6),
    "usual": Extent((25, 100, 200, 600), 6, 3, 3000, 60, 3600, 6),
    "long": Extent((25, 50, 100, 200, 300, 400, 600), 10, 3, 3000, 500, 8640, 10),
}
PEERS = ("pipecat", "openai-agents", "plain")
BESIDE_A_PEER = 25


def pieces_of(size: Size, peers: Mapping[str, str | None]) -> list[Piece]:
    """Return the set of ``size``; ``peers`` names each peer and the Python that has it (None: this one)."""
    extent = EXTENTS[size]
    pieces = [
        Piece(
            f"calls {number}",
            ("calls", "--whole", "--calls", str(number), "--seconds", str(extent.seconds)),
            extent.rounds,
        )
        for number in extent.at_once
    ]
    most = str(extent.at_once[-1])
    pieces.append(Piece("media", ("calls", "--calls", most, "--seconds", str(extent.seconds)), extent.rounds))
    pieces.append(Piece("kernel", ("kernel",), extent.rounds))
    pieces.append(
        Piece("setup", ("setup", "--rate", "300", "--calls", str(extent.set_up_calls)), extent.rounds)
    )
    pieces.append(Piece("sequencer", ("sequencer", "--seconds", "2"), extent.rounds))
    pieces.append(Piece("recovery", ("recovery", "--kills", str(extent.kills)), 1))
    for peer, python in peers.items():
        if peer == "plain" and len(peers) > 1 and size != "long":
            continue  # a yardstick for those who have no other: the time is short
        words = ("calls", "--against", peer, "--calls", str(BESIDE_A_PEER))
        words += ("--seconds", str(extent.peer_seconds), "--repeats", str(extent.rounds))
        pieces.append(Piece(f"against {peer}", words + (("--peer-python", python) if python else ()), 1))
    settle = ("--settle", "0") if size == "quick" else ()
    pieces.append(Piece("soak", ("soak", "--calls", str(extent.soak_calls), *settle), 1))
    return pieces


def pythons_of(named: Sequence[str]) -> dict[str, str]:
    """Return the Python of each peer out of ``PEER=PATH``. Raises ConfigError for anything else."""
    found: dict[str, str] = {}
    for one in named:
        peer, _, python = one.partition("=")
        if peer not in PEERS or not python:
            raise ConfigError(
                "--peer-python", f"wants PEER=PATH with a peer of {', '.join(PEERS)}, not {one!r}"
            )
        found[peer] = python
    return found


def present_peers(pythons: Mapping[str, str]) -> tuple[dict[str, str | None], dict[str, str]]:
    """Return the peers that can be run with their Python, and why each other one cannot."""
    found: dict[str, str | None] = {}
    missing: dict[str, str] = {}
    for peer in PEERS:
        python = pythons.get(peer)
        try:
            require_peer(peer, python)
        except ConfigError as error:
            missing[peer] = "its Python cannot be run" if "--peer-python" in str(error) else "not installed"
        else:
            found[peer] = python
    return found, missing


def in_turns(pieces: Sequence[Piece]) -> list[Piece]:
    """Return every run in its order: round after round, the next one turned about, then what runs once."""
    order: list[Piece] = []
    for number in range(max((piece.rounds for piece in pieces), default=0)):
        turn = [piece for piece in pieces if piece.rounds > 1 and piece.rounds > number]
        order += turn if number % 2 == 0 else turn[::-1]
    return order + [piece for piece in pieces if piece.rounds == 1]


def run_piece(piece: Piece, limit_s: float = LIMIT_S) -> Run:
    """Run it once in a process of its own. One that fails, or takes for ever, gives a run that says so.

    A bench that does not judge its own validity is judged here: by what others took of the machine meanwhile.
    """
    command = [sys.executable, "-m", "voiceagent", "bench", *piece.words, "--json"]
    start, ours = used_now(), _children_s()
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=limit_s)
    except subprocess.TimeoutExpired:
        return {"valid": False, "invalid_because": [f"was not done after {limit_s:g} s"]}
    end, took = used_now(), _children_s() - ours
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or "no word").splitlines()[-1]
        return {"valid": False, "invalid_because": [f"ended with code {done.returncode}: {last}"]}
    figures: Run = json.loads(done.stdout)
    others = others_core_percent(start, end, 100 * took / (end.at - start.at))
    return {**judged(others), **figures, "others_core_percent_of_the_run": round(others, 1)}


def judged(others: float) -> Run:
    """Return the verdict on a run beside which others took so many % of a core."""
    disturbed = others > OTHERS_LIMIT
    reasons = [f"others on this machine used {others:.0f} % of a core"] if disturbed else []
    return {"valid": not disturbed, "invalid_because": reasons}


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run_suite(
    size: Size = "usual",
    *,
    pythons: Mapping[str, str] | None = None,
    note: str = "",
    run: Callable[[Piece], Run] = run_piece,
    say: Callable[[str], None] = tell,
) -> dict[str, Any]:
    """Run the set and return everything that was measured.

    Keys: ``format``, ``made_at``, ``version``, ``size``, ``note``, ``machine``, ``busy``, ``seconds``,
    ``pieces`` (name → ``command``, ``runs``; each run with ``load_before``), ``missing_peers``.
    """
    machine = describe_machine()
    peers, missing = present_peers(pythons or {})
    pieces = pieces_of(size, peers)
    order = in_turns(pieces)
    runs: dict[str, list[Run]] = {piece.name: [] for piece in pieces}
    began = time.monotonic()
    for number, piece in enumerate(order, 1):
        say(f"[{number}/{len(order)}, {time.monotonic() - began:.0f} s] {piece.command}")
        load = load_now()
        runs[piece.name].append({**run(piece), "load_before": load})
    return {
        "format": FORMAT_VERSION,
        "made_at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "version": voiceagent.__version__,
        "size": size,
        "note": note,
        "machine": machine,
        "busy": (machine["load_1m"] or 0.0) > QUIET_LOAD,
        "seconds": round(time.monotonic() - began),
        "pieces": {
            piece.name: {"command": _without_paths(piece), "runs": runs[piece.name]} for piece in pieces
        },
        "missing_peers": missing,
    }


def _without_paths(piece: Piece) -> str:
    """Return the command as it is published: where somebody's Python lies is nobody's business."""
    words = [os.path.basename(word) if os.path.isabs(word) else word for word in piece.words]
    return "voiceagent bench " + " ".join("PYTHON" if word.startswith("python") else word for word in words)
