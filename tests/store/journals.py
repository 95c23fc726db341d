"""Journals as calls really write them, made in virtual time."""

from __future__ import annotations

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from voiceagent.ivr.front_desk import front_desk
from voiceagent.simulate.engine import simulate
from voiceagent.simulate.scenario_file import read_scenario

SCENARIO = Path(__file__).parents[1] / "simulate" / "scenarios" / "front_desk.toml"


@cache
def _lines() -> tuple[bytes, ...]:
    with ThreadPoolExecutor(1) as beside:  # a simulation has a loop of its own
        return beside.submit(_simulated).result()


def _simulated() -> tuple[bytes, ...]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "one.jsonl"
        simulate(front_desk, read_scenario(SCENARIO), text="", file=SCENARIO.name).write_journal(path)
        return tuple(path.read_bytes().splitlines(keepends=True))


def journal_lines(call_id: str) -> list[bytes]:
    """Return the lines of a call's whole journal."""
    [offer] = [json.loads(line) for line in _lines() if b'"call.offered"' in line]
    return [line.replace(offer["call_id"].encode(), call_id.encode()) for line in _lines()]


def write_journal(folder: Path, call_id: str, *more: dict[str, Any], lines: int | None = None) -> Path:
    """Write a call's journal, or its first ``lines``, with entries of ours behind."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{call_id}.jsonl"
    text = b"".join(journal_lines(call_id)[:lines])
    path.write_bytes(text + b"".join(json.dumps(one).encode() + b"\n" for one in more))
    return path
